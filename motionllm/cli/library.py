"""`motionllm data library FOLDER…`: the motion library of an adapter, from data sets with captions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionllm.cli import emit


def library(
    model: Annotated[str, typer.Option(help="The adapter or run that the library is for.")],
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            help="Data sets of clips with captions: folders in HumanML3D's layout, or owner/name on the hub; default: "
            "those that the adapter was trained on."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write; default: library.jsonl in the adapter's folder, where it is used."),
    ] = None,
    split: Annotated[str, typer.Option(help="The split of the sets whose clips are taken.")] = "train",
    exclude: Annotated[list[str] | None, typer.Option(help="The id of a clip to leave out; may be repeated.")] = None,
    mirror: Annotated[bool, typer.Option(help="Mirrored clips too, with left and right exchanged in captions.")] = True,
    most: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Clips taken of those with the same first caption.")
    ] = 24,
    search: Annotated[
        int,
        typer.Option(min=0, max=100, help="Sweeps that look for codes with less error; 0 is quickest."),
    ] = 2,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="A shipped motion tokenizer that keeps more of the clips than the adapter's, such as real; default: "
            "the adapter's. Clips taken whole are shown by it."
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Keep the clips' own frames too, 4 kB a second: clips taken whole are as they are."
        ),
    ] = False,
    terms: Annotated[str, typer.Option(help="What the owner of the clips asks of those who use them.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make a motion library: clips that `generate` takes where their captions say what the text does."""
    from motionllm import shipped
    from motionllm.config import Source, load_recipe
    from motionllm.data.sources import read
    from motionllm.errors import MotionLLMError
    from motionllm.files import check_place
    from motionllm.lm.adapters import find_adapter
    from motionllm.lm.library import FILE, Library, shipped_beside
    from motionllm.motion.representation import MOTIONSTREAMER_272
    from motionllm.runs.progress import Bar
    from motionllm.tokenizer import MotionTokenizer

    folder = find_adapter(model)
    if out is None and model in shipped.names("adapter"):
        raise MotionLLMError(f"{model} is a shipped adapter; give --out a file, and generate --library the same.")
    target = out or folder / FILE
    check_place(target)
    recipe = load_recipe(folder / "recipe.yaml", saved=True)
    motion_tokenizer = MotionTokenizer.load(folder / "tokenizer")
    if exact and tokenizer is not None:
        raise MotionLLMError(
            "--exact keeps the clips as they are, which no --tokenizer shows better; give one of them."
        )
    if exact and motion_tokenizer.representation is MOTIONSTREAMER_272:
        raise MotionLLMError(
            f"--exact keeps joints, and the adapter's motion tokenizer reads {motion_tokenizer.representation.name}, "
            "which has rotations; leave it out."
        )
    if tokenizer is not None:
        motion_tokenizer = shipped_beside(tokenizer, motion_tokenizer)
    sources = [Source(kind="humanml3d", path=name, exclude=exclude or []) for name in folders or []]
    if not sources:
        sources = [source for source in recipe.data.sources if source.kind == "humanml3d"]
        for source in sources:
            source.exclude = [*source.exclude, *(exclude or [])]
    if not sources:
        raise MotionLLMError(f"{model} was trained on no data set of clips with captions; give the folder of one.")
    samples = []
    for source in sources:
        source.mirror = mirror
        samples += read(source, split)
    longest = recipe.data.window or motion_tokenizer.representation.longest
    with Bar("library") as bar:
        made = Library.of(samples, motion_tokenizer, longest, terms, most, search, bar.update, tokenizer or "", exact)
    made.save(target)
    seconds = sum(len(entry.codes) for entry in made.entries) / motion_tokenizer.codes_per_second
    captions = len({caption for entry in made.entries for caption in entry.captions})
    emit({"file": target, "clips": len(made.entries), "captions": captions, "seconds": round(seconds)}, as_json)

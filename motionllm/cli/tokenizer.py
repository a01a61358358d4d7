"""`motionllm tokenizer train | report | bpe | encode | decode`: motion tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motionllm.cli import CONTEXT, check_resumed, emit, read_clip
from motionllm.motion.formats import READERS, WRITERS

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Train a motion tokenizer, report on one, or use it alone."
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Name = Annotated[str, typer.Argument(help="A tokenizer's folder, or the name of a shipped one.")]
Merges = Annotated[list[int], typer.Option(min=1, max=1_000_000, help="Pieces to learn; may be repeated.")]
Sweeps = Annotated[
    int,
    typer.Option("--search", min=0, max=100, help="Sweeps that look for codes with less error, at leisure; 2 do."),
]


@app.command("train", context_settings=CONTEXT)
def train(
    recipe: Annotated[str | None, typer.Argument(help="A tokenizer recipe: a file, or a shipped one's name.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value words, e.g. train.minutes=10.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default runs/NAME.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the unfinished training in this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Train a motion tokenizer and report on it."""
    from motionllm.config import TokenizerRecipe, find_recipe, load_recipe
    from motionllm.errors import MotionLLMError

    if resume and recipe and "=" in recipe:  # an override: the folder has its recipe
        overrides, recipe = [recipe, *(overrides or [])], None
    if (recipe is None) == (resume is None):
        raise MotionLLMError("Give a recipe to start a training, or --resume FOLDER to go on with one.")
    check_resumed(resume, out)
    words = overrides or []
    settings = (
        load_recipe(resume / "recipe.yaml", words, TokenizerRecipe, saved=True)
        if resume
        else find_recipe("tokenizer", recipe or "", words, TokenizerRecipe)
    )
    from motionllm.data.prepare import train_tokenizer
    from motionllm.files import lock
    from motionllm.runs.progress import Bar
    from motionllm.tokenizer.train import CHECKPOINT

    folder = resume or out or Path("runs") / settings.name
    with lock(folder):
        there = (folder / CHECKPOINT).is_file()
        if resume and not there:
            raise MotionLLMError(f"{folder} holds no unfinished training; start={folder} goes on from its tokenizer.")
        if there and not resume:
            raise MotionLLMError(f"{folder} holds an unfinished training; --resume {folder} goes on with it.")
        with Bar(f"tokenizer {settings.name}") as bar:
            result = train_tokenizer(settings, folder, bar.update)
    emit({"tokenizer": folder, **result}, as_json)


@app.command("report", context_settings=CONTEXT)
def report(
    tokenizer: Name,
    data: Annotated[list[str], typer.Option(help="A data set in HumanML3D's layout, or `builtin`; may be repeated.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    picture: Annotated[Path | None, typer.Option(help="PNG of originals beside what is left of them.")] = None,
    search: Sweeps = 0,
    as_json: Json = False,
) -> None:
    """Measure reconstruction error (MPJPE), code use and speed on data sets."""
    from motionllm import corpus as builtin
    from motionllm.data.sources import humanml3d
    from motionllm.errors import MotionFileError
    from motionllm.files import check_place
    from motionllm.motion.representation import of_width
    from motionllm.motion.show.pictures import contact_sheet
    from motionllm.tokenizer import MotionTokenizer
    from motionllm.tokenizer.report import report as measure

    if picture is not None:
        if picture.suffix.lower() != ".png":
            raise MotionFileError(f"{picture}: the picture is written as .png; give a name that ends so.")
        check_place(picture)
    loaded = MotionTokenizer.load(tokenizer)
    sets = {
        name: builtin.corpus(200, split=split) if name == "builtin" else humanml3d(Path(name), split) for name in data
    }
    reports = {name: measure(loaded, [sample.load() for sample in samples], search) for name, samples in sets.items()}
    result: dict[str, Any] = {"sets": reports} if len(reports) > 1 else reports[data[0]]
    if picture:
        pairs = []
        for samples in sets.values():
            for sample in samples[:: max(1, len(samples) // 4)][:4]:
                features = sample.load()
                codes = loaded.encode(features, search)
                truth = of_width(features.shape[1]).motion(features)
                pairs += [(sample.id, truth), (f"decoded from {len(codes)} codes", loaded.decode(codes))]
        contact_sheet(pairs, picture, across=4)
        result["picture"] = picture
    emit(result, as_json)


@app.command("bpe", context_settings=CONTEXT)
def bpe(
    tokenizer: Name,
    data: Annotated[list[Path], typer.Option(help="A data set in HumanML3D's layout; may be repeated.")],
    merges: Merges = [256, 1024],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Learn a motion BPE from the training clips and report the tokens it saves on held-out ones."""
    import numpy as np

    from motionllm.data.sources import humanml3d
    from motionllm.runs.progress import Bar
    from motionllm.tokenizer import MotionTokenizer
    from motionllm.tokenizer.bpe import MotionBPE

    loaded = MotionTokenizer.load(tokenizer)
    codes: dict[str, list[np.ndarray]] = {}
    for split in ("train", "val"):
        samples = [sample for folder in data for sample in humanml3d(folder, split)]
        with Bar(f"encode {split}") as bar:
            for number, sample in enumerate(samples, 1):
                codes.setdefault(split, []).append(loaded.encode(sample.load()))
                bar.update(number / len(samples))
    rows = []
    for wanted in merges:
        learned = MotionBPE.train(codes["train"], loaded.size, wanted)
        row: dict[str, Any] = {"merges": len(learned.pieces) - loaded.size}
        for split, sequences in codes.items():
            merged = [learned.encode(sequence) for sequence in sequences]
            exact = [np.array_equal(learned.decode(p), c) for p, c in zip(merged, sequences, strict=True)]
            row[split] = {
                "sequences": len(sequences),
                "codes": sum(map(len, sequences)),
                "tokens": sum(map(len, merged)),
                "tokens_a_second": loaded.codes_per_second * sum(map(len, merged)) / sum(map(len, sequences)),
                "round_trips": sum(exact),
            }
        rows.append(row)
    text = "\n".join(
        f"{row['merges']:>6} merges: {row['val']['tokens_a_second']:.2f} tokens a second on val "
        f"(train {row['train']['tokens_a_second']:.2f}, codes {loaded.codes_per_second:g}), "
        f"{sum(row[s]['round_trips'] for s in codes)} of {sum(row[s]['sequences'] for s in codes)} sequences exact"
        for row in rows
    )
    emit({"tokenizer": tokenizer, "codes_per_second": loaded.codes_per_second, "bpe": rows}, as_json, text)


@app.command("encode", context_settings=CONTEXT)
def encode(
    tokenizer: Name,
    clip: Annotated[Path, typer.Argument(help=f"A motion file: {' '.join(READERS)}.")],
    out: Annotated[Path | None, typer.Option(help="JSON to write; default: standard output.")] = None,
    search: Sweeps = 0,
) -> None:
    """Encode a motion as codes, in JSON that names its tokenizer."""
    import json

    from motionllm.errors import about
    from motionllm.files import check_place, write_file
    from motionllm.tokenizer import MotionTokenizer

    if out:
        check_place(out)
    loaded = MotionTokenizer.load(tokenizer)
    with about(clip):
        codes = loaded.encode(read_clip(clip), search).tolist()
    result = {"tokenizer": loaded.hash, "codes_per_second": loaded.codes_per_second, "parts": loaded.parts}
    text = json.dumps(result | {"codes": codes})
    if out:
        write_file(out, text + "\n")
        emit({"out": out, "codes": len(codes), "seconds": len(codes) / loaded.codes_per_second}, False)
    else:
        print(text)


@app.command("decode", context_settings=CONTEXT)
def decode(
    tokenizer: Name,
    codes: Annotated[Path, typer.Argument(help="JSON that `tokenizer encode` wrote.")],
    out: Annotated[Path, typer.Option(help=f"Motion file to write: {' '.join(WRITERS)}.")],
    seed: Annotated[int, typer.Option(min=0, help="Of what a flow or diffusion decoder draws.")] = 0,
    as_json: Json = False,
) -> None:
    """Decode codes into a motion."""
    from motionllm.errors import MotionLLMError, about
    from motionllm.files import read_json
    from motionllm.tokenizer import MotionTokenizer

    loaded = MotionTokenizer.load(tokenizer)
    try:
        stored = read_json(codes)
        made_by, numbers = stored["tokenizer"], [int(c) for c in stored["codes"]]
    except (ValueError, KeyError, TypeError):
        raise MotionLLMError(
            f"{codes} is not what `motionllm tokenizer encode` writes; encode the clip again."
        ) from None
    if made_by != loaded.hash:
        raise MotionLLMError(
            f"{codes} was made by motion tokenizer {made_by}, but {tokenizer} is {loaded.hash}; give the one it was "
            "encoded with."
        )
    with about(codes):
        motion = loaded.decode(numbers, seed)
    motion.save(out)
    emit({"out": out, "seconds": motion.duration, "frames": len(motion)}, as_json)

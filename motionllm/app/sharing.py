"""What `motionllm push` writes: the content of a repository of the hub, with a card made from results.

Only the files that a reader needs are copied, never checkpoints, logs or whatever else is in a folder; paths of this
machine are cut to their last name.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from motionllm import hub, weights
from motionllm.config import Recipe, dump_recipe, load_recipe
from motionllm.data import hub_sets
from motionllm.errors import MotionLLMError
from motionllm.eval.report import markdown, read_results, tables
from motionllm.files import read_json, read_text, write_file, write_json
from motionllm.language.vocab import MotionVocab
from motionllm.lm.adapters import find_adapter, read_adapter
from motionllm.lm.cards import UNKNOWN, Sections, card, page
from motionllm.lm.library import FILE as LIBRARY
from motionllm.lm.library import Library
from motionllm.lm.results import adapter_hash
from motionllm.lm.text_adapter import FOLDER as TEXT
from motionllm.lm.text_adapter import TextAdapter
from motionllm.motion import Motion
from motionllm.tokenizer import MotionTokenizer

log = logging.getLogger(__name__)

TERMS = ("TERMS.md", "TERMS.txt", "TERMS", "LICENSE.md", "LICENSE.txt", "LICENSE")  # read in a data set's folder
LONGEST_TERMS = 4000  # characters of them on a card
SAMPLES = 3  # motions of a run shown on its card


@dataclass(frozen=True)
class Wish:
    """What a user says about what is pushed. name: on the hub, without revision. base: the base's name there, in the
    place of a folder. terms: of the data. licence: as the hub abbreviates it. results: of suites, files or folders.
    """

    name: str
    base: str | None = None
    terms: str | None = None
    licence: str | None = None
    results: Sequence[Path] = ()

    def check_unused(self, why: str, *names: str) -> None:
        """Raise MotionLLMError for what is said and nobody would read."""
        if given := [f"--{name}" for name in names if getattr(self, name)]:
            raise MotionLLMError(f"{' and '.join(given)} would do nothing: {why}; leave it out, or take that away.")


def stage(what: str, out: Path, wish: Wish) -> str:
    """Write the repository of a run, adapter, merged model or motion tokenizer into the empty folder `out`; what it
    is. Raises MotionLLMError where it is none of these, is damaged, or has a base that others cannot have.
    """
    given = Path(what)
    if given.is_dir() and not (given / "adapter").is_dir() and not (given / "motion_vocab.json").is_file():
        if (given / "new_joint_vecs").is_dir() or (given / "new_joints").is_dir():
            raise MotionLLMError(f"{given} is a data set; push it with --data.")
        if not (given / "config.json").is_file():
            raise MotionLLMError(
                f"{given} is no run, adapter, merged model or motion tokenizer; give the folder that "
                "`motionllm train`, `merge` or `tokenizer train` wrote."
            )
        _stage_tokenizer(given, out, wish)
        return "motion tokenizer"
    _stage_model(given, find_adapter(what), out, wish)
    return "model"


# -- models ------------------------------------------------------------------------------------------------------


def _stage_model(run: Path, folder: Path, out: Path, wish: Wish) -> None:
    weights.within(folder)
    vocab = MotionVocab.load(folder)
    recipe = load_recipe(folder / "recipe.yaml", saved=True)
    whole = recipe.adapter.method == "full" or (folder / "config.json").is_file()
    if not whole:
        read_adapter(folder, recipe.adapter, vocab)  # a damaged adapter is not shared
    terms = {s.path: known for s in recipe.data.sources if s.path and (known := terms_of(Path(s.path)) or wish.terms)}
    shared = _copy(folder, out, wish.base, whole)
    if (folder / TEXT).is_dir():
        TextAdapter.load(folder / TEXT, vocab)
        _copy(folder / TEXT, out / TEXT, wish.base, whole)
    if (library := Library.within(folder, motion_tokenizer := MotionTokenizer.load(folder / "tokenizer"))) is not None:
        log.warning(
            "%s goes along: %d clips as codes, from which they can be made again; take it away first where their terms "
            "do not allow that.%s",
            LIBRARY,
            len(library.entries),
            f" It says: {library.terms}" if library.terms else "",
        )
    # Complete even where the folder's own stands for the one that ships.
    motion_tokenizer.save(out / "tokenizer")
    own = folder / "README.md"
    if own.is_file() and read_text(own) != card(recipe, vocab):
        wish.check_unused(f"{own} is kept as the card: it was written by hand", "terms", "licence", "results")
        log.info("%s is kept as the card: it was written by hand.", own)
        return
    sections = [
        ("Motions", _samples(run, recipe, out)),
        ("Training", _training(run)),
        ("Results", _results(folder, out, wish)),
    ]
    for source in recipe.data.sources:
        if source.path and source.path not in terms and not hub.is_name(source.path):
            log.warning("The terms of %s are not known: the card says so. Say them with --terms.", source.path)
    named = {Path(path).name if not hub.is_name(path) else path: text for path, text in terms.items()}
    text = card(shared, vocab, wish.name, named, wish.licence, sections, whole)
    write_file(out / "README.md", text)


def _shareable(recipe: Recipe, base: str | None, whole: bool) -> Recipe:
    """The recipe without paths of this machine."""
    recipe = recipe.model_copy(deep=True)
    if base is not None:
        recipe.model.base = base
    local = not recipe.model.base.startswith("builtin:") and not hub.is_name(recipe.model.base)
    if local and not whole:
        raise MotionLLMError(
            f"The base of this adapter is the folder {recipe.model.base}, which others do not have; give the base's "
            "name on the hub with --base owner/name, or push the merged model (`motionllm merge`)."
        )
    recipe.model.base = Path(recipe.model.base).name if local else recipe.model.base
    adapter = recipe.adapter
    for section, key in (
        (recipe.model, "tokenizer"),
        (adapter, "start"),
        (adapter, "text"),
        (recipe.data, "templates"),
    ):
        value = getattr(section, key)
        if value and not hub.is_name(value):
            setattr(section, key, Path(value).name)
    for source in recipe.data.sources:
        if source.path and not hub.is_name(source.path):
            source.path = Path(source.path).name
    return recipe


def _copy(folder: Path, out: Path, base: str | None, whole: bool) -> Recipe:
    """Copy the files of an adapter's or model's folder that a reader may need; the recipe as it is shared."""
    recipe = _shareable(load_recipe(folder / "recipe.yaml", saved=True), base, whole)
    out.mkdir(exist_ok=True)
    for path in sorted(folder.iterdir()):
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in hub.FILES["model"]):
            shutil.copyfile(path, out / path.name)
    write_file(out / "recipe.yaml", dump_recipe(recipe))
    if (config := out / "adapter_config.json").is_file():
        name, revision = hub.split(recipe.model.base)
        write_json(config, read_json(config) | {"base_model_name_or_path": name, "revision": revision})
    return recipe


def _samples(run: Path, recipe: Recipe, out: Path) -> str:
    """The last motions that the run generated while it was trained, as pictures."""
    files = sorted((run / "samples").glob("*_*.bvh"))
    last = [file for file in files if file.name.split("_")[0] == files[-1].name.split("_")[0]][:SAMPLES]
    lines = []
    for file in last:
        number = int(file.stem.split("_")[1])
        text = recipe.train.samples[number - 1] if number <= len(recipe.train.samples) else ""
        (out / "samples").mkdir(exist_ok=True)
        Motion.load(file).save(out / "samples" / f"{number}.gif")
        lines.append(f"![{text}](samples/{number}.gif)\n*{text}*")
    return "\n\n".join(lines)


def _training(run: Path) -> str:
    """What a run's result.json says of its training."""
    if not (run / "result.json").is_file():
        return ""
    result = read_json(run / "result.json", "result of a run")
    parts = [f"{result[key]:,} {what}" for key, what in (("steps", "steps"), ("examples", "examples")) if key in result]
    if isinstance(seconds := result.get("train_seconds"), int | float):
        parts.append(f"{seconds / 60:.1f} minutes")
    if isinstance(loss := result.get("best_validation_loss"), int | float):
        parts.append(f"best validation loss {loss:.3f} nats per supervised token")
    return f"{', '.join(parts)}." if parts else ""


def _results(folder: Path, out: Path, wish: Wish) -> str:
    """The tables of the suites that measured these very weights; the results go into results/.

    Raises MotionLLMError where a result that was named is of other weights.
    """
    mine = adapter_hash(folder)
    usual = Path("runs", "eval")
    if not wish.results and not any(usual.rglob("result.json")):
        return ""
    found = []
    for path, result in read_results(wish.results or [usual]):
        if result.get("adapter") == mine:
            found.append(result | {"model": wish.name})
        elif path in wish.results:
            raise MotionLLMError(f"{path} is a result of another adapter than {folder}; give those of this one.")
    for result in found:
        write_json(out / "results" / f"{Path(str(result['protocol']['suite'])).name}.json", result)
    return markdown(tables(found)).replace("\n### ", "\n\n### ").strip() if found else ""


def terms_of(folder: Path) -> str | None:
    """The terms of a data set: the first file of TERMS in its folder, or where it was imported from."""
    for name in TERMS:
        if (file := folder / name).is_file():
            return read_text(file, "file of terms")[:LONGEST_TERMS].strip() or None
    return None


# -- motion tokenizers -------------------------------------------------------------------------------------------


def _stage_tokenizer(folder: Path, out: Path, wish: Wish) -> None:
    wish.check_unused(f"{folder} is a motion tokenizer", "base", "results")
    tokenizer = MotionTokenizer.load(folder)
    tokenizer.save(out)
    report = folder / "report.json"
    if report.is_file():
        shutil.copyfile(report, out / "report.json")
    if (folder / "README.md").is_file():
        wish.check_unused(f"{folder / 'README.md'} is kept as the card", "terms", "licence")
        shutil.copyfile(folder / "README.md", out / "README.md")
        return
    network = tokenizer.config
    about = (
        f"A motion tokenizer of motionllm, `{tokenizer.hash}`: {tokenizer.parts} × {network.codes} codes, "
        f"{tokenizer.codes_per_second:g} per second, of {tokenizer.representation.name} features at {tokenizer.fps:g} "
        "frames per second."
    )
    use = (
        f'```python\nfrom motionllm import Motion, MotionTokenizer\n\ntokenizer = MotionTokenizer.load("{wish.name}")\n'
        'codes = tokenizer.encode(Motion.load("clip.bvh"))\ntokenizer.decode(codes).save("again.bvh")\n```\n\n'
        f"`motionllm train RECIPE model.tokenizer={wish.name}` trains an adapter on its codes."
    )
    sections: Sections = [
        ("", about),
        ("Use", use),
        ("Results", _figures(report)),
        ("Terms of the data", wish.terms or f"Trained on data of which {UNKNOWN}."),
    ]
    metadata = {
        "library_name": "motionllm",
        "license": wish.licence,
        "tags": ["motion", "motionllm", "motion-tokenizer"],
    }
    write_file(out / "README.md", page(metadata, wish.name.split("/")[-1], sections))


def _figures(report: Path) -> str:
    """The figures of a tokenizer's report, on held-out clips, as a table."""
    held_out = read_json(report, "report").get("val") if report.is_file() else None
    if not isinstance(held_out, dict):
        return ""
    rows = [f"| {key} | {value:.4g} |" for key, value in held_out.items() if isinstance(value, int | float)]
    return "\n".join(["| held-out clips | |", "|---|---|", *rows])


# -- data sets ---------------------------------------------------------------------------------------------------


def stage_data(
    folder: Path, out: Path, wish: Wish, progress: Callable[[float], object] | None = None
) -> dict[str, dict[str, Any]]:
    """Write the repository of a data set in HumanML3D's layout into `out`; see `hub_sets.pack`."""
    counts = hub_sets.pack(folder, out, progress)
    terms = wish.terms or terms_of(folder)
    if terms is None:
        log.warning("The terms of %s are not known: the card says so. Say them with --terms, or in TERMS.md.", folder)
    rows = [
        f"| {hub_sets.SPLITS[s]} | {c['clips']:,} | {c['seconds'] / 60:,.1f} | {c['captions']:,} |"
        for s, c in counts.items()
    ]
    table = "\n".join(["| split | clips | minutes | captions |", "|---|---|---|---|", *rows])
    use = (
        f'```python\nfrom datasets import load_dataset\n\nclips = load_dataset("{wish.name}")\n'
        'clips["train"][0]["captions"], clips.with_format("numpy")["train"][0]["motion"].shape\n```\n\n'
        f"With motionllm: `motionllm train RECIPE data.sources.0.path={wish.name}`, or `motionllm data import "
        f"{wish.name} --out FOLDER`."
    )
    columns = (
        "`motion`: (frames, 263) features of HumanML3D or (frames, 251) of KIT-ML, un-normalised, at `fps`. "
        "`captions`: `text`, and from `start` to `end` seconds where not of the whole clip (0, 0). `labels`: what else "
        f"is known of the clip, as JSON. `preview`: three poses of the first {hub_sets.PREVIEWS:,} clips of a split."
    )
    configs = [
        {"split": hub_sets.SPLITS[split], "path": f"data/{hub_sets.SPLITS[split]}-*.parquet"} for split in counts
    ]
    metadata = {
        "license": wish.licence,
        "pretty_name": wish.name.split("/")[-1],
        "tags": ["motion", "motionllm", "text-to-motion"],
        "configs": [{"config_name": "default", "data_files": configs}],
    }
    sections: Sections = [
        ("", f"Human motion with captions, {json.dumps(folder.name)[1:-1]}.\n\n{table}"),
        ("Use", use),
        ("Columns", columns),
        ("Terms of the data", terms or f"For this data, {UNKNOWN}: ask who pushed it before you use it."),
    ]
    write_file(out / "README.md", page(metadata, wish.name.split("/")[-1], sections))
    return counts

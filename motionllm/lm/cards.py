"""Cards: the README.md of adapters, motion tokenizers and data sets, with the metadata that the hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motionllm import hub
from motionllm.config import Recipe, Source
from motionllm.language.builtin_bases import BUILTINS
from motionllm.language.vocab import MotionVocab

Sections = Sequence[tuple[str, str]]  # (heading, Markdown), those without text are left out
LAYOUT = "library_name", "base_model", "license", "pretty_name", "tags", "datasets", "configs"
_METHODS = {"lora": "LoRA", "rslora": "rank-stabilised LoRA", "dora": "DoRA"}
UNKNOWN = "its terms are not recorded"


def page(metadata: Mapping[str, Any], title: str, sections: Sections) -> str:
    """A card: metadata as YAML (values that are empty left out), a title, and sections; "" heads the introduction."""
    import yaml

    values = {key: metadata[key] for key in LAYOUT if metadata.get(key)}
    head = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    body = [f"## {heading}\n\n{text}" if heading else text for heading, text in sections if text]
    return "\n\n".join([f"---\n{head}---\n# {title}", *body]) + "\n"


def card(
    recipe: Recipe,
    vocab: MotionVocab,
    name: str | None = None,
    terms: Mapping[str, str] | None = None,
    licence: str | None = None,
    sections: Sections = (),
    whole: bool = False,
) -> str:
    """The card of an adapter.

    name: its name on the hub; None: it is a folder. terms: what is known of the terms of a source, by its path.
    licence: of the adapter, as the hub abbreviates it. sections: pictures, training, results. whole: the folder is a
    model with an adapter merged into it.
    """
    base, settings = recipe.model.base, recipe.adapter
    base = Path(base).name if Path(base).is_absolute() else base  # a card may be shared, and no path of this machine
    whole = whole or settings.method == "full"
    trained = f"A motionllm adapter for `{base}`: {_METHODS.get(settings.method)} of rank {settings.rank} and"
    if whole:
        how = "every weight of it trained" if settings.method == "full" else "an adapter merged into it"
        trained = f"`{base}`, {how}, with"
    shown = f'"{name}"' if name else "FOLDER"
    use = (
        "```python\nfrom motionllm import MotionLM\n\n"
        f"lm = MotionLM.load({shown})\n"
        'lm.generate("a person waves", seconds=3, seed=1).save("clip.bvh")\n```\n\n'
        f"`motionllm generate TEXT --model {name or 'FOLDER'} --out clip.bvh` does the same; "
        "`recipe.yaml` holds every setting."
    )
    if whole and settings.method != "full":
        use = "Serve it with `transformers serve` or vLLM, and speak to it with `MotionLM.connect` and this folder."
    metadata = {
        "library_name": "transformers" if whole else "peft",
        "base_model": _base_on_hub(base),
        "license": licence,
        "tags": ["motion", "motionllm", "text-to-motion"],
        "datasets": [hub.split(s.path)[0] for s in recipe.data.sources if s.path and _on_hub(s)],
    }
    rows = (
        f"{trained} {len(vocab.ids)} motion token rows, for motion tokenizer `{vocab.tokenizer_hash}` (`tokenizer/`)."
    )
    sources = "\n".join(f"- {_source(s, (terms or {}).get(s.path or ''))}" for s in recipe.data.sources)
    return page(metadata, recipe.name, [("", rows), ("Use", use), *sections, ("Trained on", sources)])


def _base_on_hub(base: str) -> str | None:
    """The base's name on the hub, without its revision; None for one that is not there."""
    if base.startswith("builtin:"):
        known = BUILTINS.get(base.removeprefix("builtin:"))
        return known.hub if known else None
    return hub.split(base)[0] if hub.is_name(base) else None


def _on_hub(source: Source) -> bool:
    return source.kind == "humanml3d" and hub.is_name(source.path or "")


def _source(source: Source, terms: str | None) -> str:
    """A source and its terms, as a line."""
    if source.kind == "builtin":
        return f"the built-in corpus of motionllm, {source.clips} computed clips (Apache-2.0)"
    name = source.path or ""
    if _on_hub(source):
        repository, revision = hub.split(name)
        return f"[{repository}]({hub.address(name, 'dataset')}) at `{revision or 'main'}`; its card has its terms"
    return f"`{Path(name).name}` ({source.kind}): {' '.join(terms.split()) if terms else UNKNOWN}"

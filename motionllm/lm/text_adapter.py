"""The second adapter of an adapter folder, in `text/`: a LoRA of the same base for the tasks of text alone.

Questions to queries, requests to changes and texts to plans are text to text. Trained in the LoRA that makes motion,
they and motion hinder each other (docs/training.md has the figures), so they may have one of their own. Of the motion
rows it has those of the delimiters alone, between which a plan is written, and so it fits any motion tokenizer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from motionllm import weights
from motionllm.config import Recipe, dump_recipe, load_recipe
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.files import read_json, write_file
from motionllm.language.bases import load_base, probe
from motionllm.language.vocab import MotionVocab
from motionllm.lm.adapters import FILE, WEIGHTS, check_base, find_adapter, load_adapter, read_adapter
from motionllm.lm.cached import CausalLM
from motionllm.lm.stepping import pack
from motionllm.runs.precision import fast_dtype

FOLDER = "text"


def delimiters(vocab: MotionVocab) -> MotionVocab:
    """The vocabulary without codes."""
    return replace(vocab, size=0, bpe=None)


@dataclass(frozen=True)
class TextAdapter:
    """recipe, templates: those that it was trained with. config: its adapter_config.json. tensors: its LoRA weights by
    name, in float32. folder: where it was read.
    """

    recipe: Recipe
    templates: Templates
    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    folder: Path

    @classmethod
    def load(cls, folder: Path, vocab: MotionVocab) -> TextAdapter:
        """From `text/` of the folder of an adapter with this vocabulary. Raises MotionLLMError where it is damaged."""
        recipe = load_recipe(folder / "recipe.yaml", saved=True)
        tensors = read_adapter(folder, recipe.adapter, delimiters(vocab))
        templates = Templates.load_saved(folder / "templates.yaml")
        return cls(recipe, templates, read_json(folder / FILE, "adapter configuration"), tensors, folder)

    def learned(self, task: str) -> bool:
        return self.recipe.data.tasks.get(task, 0) > 0 and bool(self.templates.tasks.get(task))

    @property
    def plans(self) -> bool:
        """Whether it was trained to write the plan of a text."""
        return self.learned("text_to_motion") and bool(self.recipe.data.notation and self.recipe.data.notation.plan)

    @classmethod
    def of(cls, name: str | Path, base: str, fingerprint: str | None) -> TextAdapter:
        """The LoRA of an adapter (folder, run or shipped name) without the rows of codes, or the adapter's own second
        one. base, fingerprint: of the adapter it will stand beside.

        Raises MotionLLMError where there is none, it is damaged or of another base, or every weight was trained.
        """
        folder = find_adapter(name)
        weights.within(folder)
        vocab = MotionVocab.load(folder)
        if vocab.base and vocab.base != fingerprint:
            check_base(folder, vocab.base, base)
        if (folder / FOLDER).is_dir():
            return cls.load(folder / FOLDER, vocab)
        recipe = load_recipe(folder / "recipe.yaml", saved=True)
        if recipe.adapter.method == "full":
            raise MotionLLMError(f"{folder} is a whole model; give adapter.text an adapter, as method lora trains it.")
        tensors = read_adapter(folder, recipe.adapter, vocab)
        for name in [name for name in tensors if ".token_adapter." in name]:
            tensors[name] = tensors[name][: len(delimiters(vocab).ids)]  # the first of the rows
        config = read_json(folder / FILE, "adapter configuration")
        rows, ids = config["trainable_token_indices"], delimiters(vocab).ids
        config["trainable_token_indices"] = dict.fromkeys(rows, ids) if isinstance(rows, dict) else ids
        return cls(recipe, Templates.load_saved(folder / "templates.yaml"), config, tensors, folder)

    def save(self, folder: Path, dtype: str) -> None:
        """Write it into a new folder. dtype: of the stored weights, such as "bfloat16"."""
        folder.mkdir()
        kind = getattr(torch, dtype)
        save_file({name: value.to(kind) for name, value in self.tensors.items()}, folder / WEIGHTS, {"format": "pt"})
        (folder / WEIGHTS).chmod(0o644)
        write_file(folder / FILE, json.dumps(self.config, indent=2, sort_keys=True) + "\n")
        write_file(folder / "recipe.yaml", dump_recipe(self.recipe))
        self.templates.save(folder / "templates.yaml")

    def model(self, base: str, vocab: MotionVocab, dtype: str, device: torch.device) -> CausalLM:
        """The base with this LoRA merged into it, loaded anew. vocab: its rows are added, since prompts are checked
        against them. Raises MotionLLMError where the LoRA does not fit the base.
        """
        model, _ = load_base(base, "float32", tried=False)
        vocab.attach(model)
        adapted = load_adapter(self.folder, self.tensors, self.recipe.adapter, delimiters(vocab), model, base)
        merged = (
            adapted.merge_and_unload().to(device, getattr(torch, fast_dtype() if dtype == "auto" else dtype)).eval()
        )
        probe(merged, [0], f"The adapter in {self.folder}, or its base {base},")
        pack(merged.get_decoder())
        result: CausalLM = merged
        return result

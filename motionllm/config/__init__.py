"""Recipes: the only schema of what can be set.

A recipe is one YAML file; `key=value` words after it on the command line override single keys by their dotted path
(`train.steps=200`). Unknown keys are refused with the nearest known one. Each key is documented below it, in the module
of its kind; `motionllm recipes --schema` prints the same as a JSON Schema for editors.
"""

from __future__ import annotations

from motionllm.config.base import PLACEHOLDER, More, Section, Source
from motionllm.config.evaluation import EmbedderRecipe, EmbedderTraining, MultiModality, Suite
from motionllm.config.feedback import Guards, Improvement, Learning, Sampling
from motionllm.config.finetune import Adapter, Data, Model, Notes, Recipe, SamplingDefaults, Training
from motionllm.config.loading import check_recipe, drop_unknown, dump_recipe, find_recipe, json_schema, load_recipe
from motionllm.config.places import place, placed
from motionllm.config.tokenizer import (
    FSQ_LEVELS,
    Augmentation,
    Network,
    TokenizerRecipe,
    TokenizerTraining,
)

SCHEMAS: dict[str, type[Section]] = {
    "train": Recipe,
    "improve": Improvement,
    "tokenizer": TokenizerRecipe,
    "suite": Suite,
    "embedder": EmbedderRecipe,
}

__all__ = [
    "FSQ_LEVELS",
    "PLACEHOLDER",
    "SCHEMAS",
    "Adapter",
    "Augmentation",
    "Data",
    "EmbedderRecipe",
    "EmbedderTraining",
    "Guards",
    "Improvement",
    "Learning",
    "Model",
    "More",
    "MultiModality",
    "Network",
    "Notes",
    "Recipe",
    "Sampling",
    "SamplingDefaults",
    "Section",
    "Source",
    "Suite",
    "TokenizerRecipe",
    "TokenizerTraining",
    "Training",
    "check_recipe",
    "drop_unknown",
    "dump_recipe",
    "find_recipe",
    "json_schema",
    "load_recipe",
    "place",
    "placed",
]

"""How users ask for changes of a motion: phrasings by what is to be changed, some for training and some for tests.

They lie in `edit_requests.yaml`, which says how they are written, and in `edit_requests_held_out.yaml`; what is said
beside them in `edit_remarks.yaml`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

from motionllm.files import read_yaml

_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")


@cache
def requests() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """{what is to be changed: (phrasings for training, phrasings held out for tests)}"""
    training = read_yaml(Path(__file__).with_suffix(".yaml"))
    held_out = read_yaml(Path(__file__).with_name("edit_requests_held_out.yaml"))
    shared = training["shared"]

    def phrasings(text: str) -> tuple[str, ...]:
        for name, alternatives in shared.items():
            text = text.replace(f"<{name}>", alternatives)
        return tuple(phrasing.strip() for phrasing in text.split("|"))

    return {key: (phrasings(text), phrasings(held_out[key])) for key, text in training["requests"].items()}


@cache
def remarks() -> dict[str, tuple[str, ...]]:
    """{what a remark is: its phrasings}"""
    said = read_yaml(Path(__file__).with_name("edit_remarks.yaml"))
    return {name: tuple(one.strip() for one in text.split("|")) for name, text in said.items()}


def one_of(phrasing: str, random: np.random.Generator) -> str:
    """The phrasing with one of each of its alternatives, the inner ones first."""

    def drawn(match: re.Match[str]) -> str:
        options = match[1].split("/")
        return options[random.integers(len(options))]

    while "[" in phrasing:
        phrasing = _ALTERNATIVES.sub(drawn, phrasing)
    return " ".join(phrasing.split())


@cache
def places(phrasing: str) -> tuple[str, ...]:
    """The names of its placeholders."""
    return tuple(re.findall(r"\{(\w+)\}", phrasing))

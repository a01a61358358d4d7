"""Whether a model understands questions: in words that training never saw, by the query it writes for each.

The right query's answer is right, as far as the notation is (`data.queries`); so no motion is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from motionllm.data.inquiries import KINDS, Inquiry, draw
from motionllm.lm.model import MotionLM


def questions(count: int, seed: int = 0) -> list[Inquiry]:
    """`count` questions of the kinds in turn, in phrasings and names held out of training."""
    random, kinds = np.random.default_rng(seed), list(KINDS)
    return [draw(random, held_out=True, kind=kinds[i % len(kinds)]) for i in range(count)]


def evaluate(
    lm: MotionLM, asked: Sequence[Inquiry], batch: int = 64, progress: Callable[..., None] | None = None
) -> dict[str, Any]:
    """Share of questions for which the right query is written.

    Returns {"all": {"questions", "right"}, "kinds": {kind: the same}, "cases": each with its query and the one
    written}. Raises MotionLLMError where the adapter writes no queries.
    """
    cases: list[dict[str, Any]] = []
    for start in range(0, len(asked), batch):
        some = asked[start : start + batch]
        for one, query in zip(some, lm.queried([one.text for one in some]), strict=True):
            right = str(query) == one.query
            cases.append({"kind": one.kind, "text": one.text, "query": one.query, "wrote": str(query), "right": right})
        if progress:
            progress(len(cases) / len(asked), questions=len(cases))
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in cases:
        kinds[case["kind"]].append(case)
    return {"all": _share(cases), "kinds": {kind: _share(kinds[kind]) for kind in sorted(kinds)}, "cases": cases}


def _share(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"questions": len(cases), "right": sum(case["right"] for case in cases) / len(cases)}


def table(result: dict[str, Any]) -> str:
    """The shares as text, one row per kind."""
    rows = [f"{'':20}{'questions':>10}{'right':>8}"]
    for kind, share in [*result["kinds"].items(), ("all", result["all"])]:
        rows.append(f"{kind:20}{share['questions']:>10}{share['right']:>8.3f}")
    return "\n".join(rows)

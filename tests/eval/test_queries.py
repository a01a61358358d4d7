"""Shares of questions that become the right query, by a model that knows all and one that knows a form."""

from __future__ import annotations

from collections.abc import Sequence

from motionllm.data.inquiries import KINDS
from motionllm.data.queries import Query
from motionllm.eval import queries


class Knows:
    """Writes the queries of the questions that it was told, else `first`."""

    def __init__(self, known: Sequence[tuple[str, str]]) -> None:
        self.known = dict(known)

    def queried(self, questions: Sequence[str]) -> list[Query]:
        return [Query.parse(self.known.get(text, "first")) for text in questions]


def test_shares_are_of_queries_written_right() -> None:
    asked = queries.questions(3 * len(KINDS), seed=1)
    assert queries.questions(3 * len(KINDS), seed=1) == asked
    assert {one.kind for one in asked} == {*KINDS}
    all_known = queries.evaluate(Knows([(one.text, one.query) for one in asked]), asked, batch=7)  # type: ignore[arg-type]
    assert all_known["all"] == {"questions": len(asked), "right": 1.0}
    none_known = queries.evaluate(Knows([]), asked)  # type: ignore[arg-type]
    assert {kind: share["right"] for kind, share in none_known["kinds"].items() if share["right"]} == {"first": 1.0}
    assert none_known["cases"][0].keys() == {"kind", "text", "query", "wrote", "right"}
    assert queries.table(none_known).splitlines()[-1].split() == ["all", str(len(asked)), f"{1 / len(KINDS):.3f}"]

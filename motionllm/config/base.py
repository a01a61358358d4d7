"""What every recipe is made of: sections, the kinds of numbers and names in them, and data sets.

Every number has an upper limit: a larger one is a typing error that would take days, or all memory, to fail.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

PLACEHOLDER = "DATASET"  # stands in shipped recipes where the user's own folder goes


def _name(text: str) -> str:
    if not text.strip() or text in (".", "..") or re.search(r'[\x00-\x1f/\\:*?"<>|]', text) or len(text.encode()) > 100:
        raise ValueError("a name becomes a folder's: give 1 to 100 letters, digits, - or _, without a path")
    return text


def _path(text: str) -> str:
    if (
        not text.strip()
        or re.search(r"[\x00-\x1f]", text)
        or len(text.encode()) > 2000
        or any(len(p.encode()) > 255 for p in _PARTS(text))
    ):
        raise ValueError("give a path or a name: not empty, no part longer than 255 bytes, no control character")
    return text


def _number(value: Any) -> Any:
    if isinstance(value, bool):  # YAML's `yes` and `on` too
        raise ValueError("give a number")
    return value


_PARTS = re.compile(r"[/\\]").split
NUMBER = BeforeValidator(_number)
Name = Annotated[str, AfterValidator(_name)]
Where = Annotated[str, AfterValidator(_path)]
Text = Annotated[str, Field(max_length=2000)]
Seed = Annotated[int, Field(ge=0, lt=2**32), NUMBER]  # torch multiplies seeds of steps from it, within 64 bits
Count = Annotated[int, Field(gt=0, le=1_000_000), NUMBER]
Steps = Annotated[int, Field(gt=0, le=100_000_000), NUMBER]
Warmup = Annotated[int, Field(ge=0, le=1_000_000), NUMBER]
Batch = Annotated[int, Field(gt=0, le=65_536), NUMBER]
Minutes = Annotated[float, Field(gt=0, le=1_000_000), NUMBER]
Rate = Annotated[float, Field(gt=0, le=10), NUMBER]
Weight = Annotated[float, Field(gt=0, le=1_000_000), NUMBER]
Loss = Annotated[float, Field(ge=0, le=10_000), NUMBER]
Decay = Annotated[float, Field(ge=0, le=10), NUMBER]
Dropout = Annotated[float, Field(ge=0, lt=1), NUMBER]
Fraction = Annotated[float, Field(ge=0, le=1), NUMBER]
TopP = Annotated[float, Field(gt=0, le=1), NUMBER]
Factor = Annotated[float, Field(gt=0, le=1000), NUMBER]
Width = Annotated[int, Field(gt=0, le=8192), NUMBER]
Weights = Annotated[dict[str, Weight], Field(min_length=1, max_length=100)]


class Section(BaseModel):
    """A part of a recipe. Numbers are finite; unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class More(Section):
    """Training clips made of those that a set has."""

    cuts: Annotated[int, Field(ge=0, le=100), NUMBER] = 0
    """Further versions of every clip: begun at another frame, so that its codes are others, cut and at another pace."""
    crop: Annotated[float, Field(ge=0, le=0.4), NUMBER] = 0.08
    """Share of a version that is cut off at either end, at most."""
    pace: Annotated[float, Field(ge=0, le=0.5), NUMBER] = 0.15
    """Share by which a version is faster or slower, at most."""
    joined: Annotated[int, Field(ge=0, le=1_000_000), NUMBER] = 0
    """Pairs of clips of which the second goes on from the first, with "then" between their captions."""
    stacked: Annotated[int, Field(ge=0, le=1_000_000), NUMBER] = 0
    """Pairs of a clip in which only the legs do something, and the trunk and arms of one in which only the arms do."""


class Source(Section):
    """One data set."""

    kind: Literal["builtin", "captions", "humanml3d", "messages", "sharegpt", "alpaca"]
    """`builtin`: procedural clips, computed on the spot. `captions`: captions without motion, JSON lines of {"id",
    "split", "captions"}: those that name what the built-in corpus knows get a motion of it. `humanml3d`: a folder laid
    out as HumanML3D or KIT-ML (`new_joints/` or `new_joint_vecs/`, `texts/`, `train.txt` …), as `motionllm data import`
    writes it. `messages`, `sharegpt`, `alpaca`: conversations, a JSONL or JSON file, or a folder with train.jsonl and
    val.jsonl."""
    path: Where | None = None
    """Folder or file of the data set; of every kind but `builtin`."""
    clips: Count = 20_000
    """How many clips of the built-in corpus or for captions; validation and test have a twentieth more of their own."""
    seed: Seed = 0
    """Of the built-in corpus: another seed gives other clips."""
    weight: Weight = 1.0
    """How often its clips are drawn against the other sources'."""
    exclude: list[str] = []
    """Ids that are left out."""
    mirror: bool = False
    """Add every training clip with left and right exchanged, in motion and words."""
    more: More | None = None
    """Further training clips, made of these."""
    ask: list[Literal["facts", "labels"]] = []
    """For the task `question`: make questions of what is measured on a clip (`facts`) or of its `labels`."""
    captions: list[Literal["labels", "notation"]] = []
    """Make sentences: of captions that are mere labels (`labels`: "salsa dance" becomes "a person dances salsa"), and,
    for clips without any caption, of what is measured on them (`notation`; their label `captions` says so)."""
    check: list[Literal["side"]] = []
    """Leave out captions that the motion contradicts: that name one side where it shows the other alone (`side`), as
    captions of mirrored clips do that were not mirrored with them."""
    labels: dict[str, dict[str, Annotated[str, Field(min_length=1)]]] | None = None
    """Which keys of labels.jsonl are asked about, each with words for its values (`{action: {hopBothLegs1hops: hop}}`);
    a value without words is split into its own. Without it: every key but those of people, files and codes."""

    @model_validator(mode="after")
    def _path_where_needed(self) -> Source:
        if self.kind != "builtin" and not self.path:
            raise ValueError(f"a source of kind {self.kind} needs `path`, the folder or file of the data set")
        if (self.captions or self.check) and self.kind != "humanml3d":
            raise ValueError(
                "`captions` and `check` are for captions of kind humanml3d; leave them out of other sources"
            )
        if self.labels is not None and "labels" not in self.ask:
            raise ValueError("`labels` says which labels are asked about; write `ask: [labels]` too")
        if self.kind == "builtin" and self.path:
            raise ValueError("a source of kind builtin is computed and has no `path`; leave it out, or give its kind")
        return self


Sources = Annotated[list[Source], Field(min_length=1, max_length=1000)]

"""What every recipe is made of: sections, the kinds of numbers and names in them, and data sets.

Every number has an upper limit: a larger one is a typing error that would take days, or all memory, to fail.
"""

from __future__ import annotations

import re
from pathlib import Path
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


def _temperature(value: float) -> float:
    if 0 < value < 0.01:
        raise ValueError("give 0, the likeliest token always, or 0.01 and more")
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
Temperature = Annotated[float, Field(ge=0, le=100), NUMBER, AfterValidator(_temperature)]
TopP = Annotated[float, Field(gt=0, le=1), NUMBER]
Guidance = Annotated[float, Field(ge=0, le=20), NUMBER]
BestOf = Annotated[int, Field(gt=0, le=1000), NUMBER]
Factor = Annotated[float, Field(gt=0, le=1000), NUMBER]
Width = Annotated[int, Field(gt=0, le=8192), NUMBER]
Weights = Annotated[dict[str, Weight], Field(min_length=1, max_length=100)]


class Section(BaseModel):
    """A part of a recipe. Numbers are finite; unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class More(Section):
    """Further training clips derived from those of a data set."""

    cuts: Annotated[int, Field(ge=0, le=100), NUMBER] = 0
    """Derived versions per clip: each starts a few frames later (which gives other codes), is trimmed by up to `crop`,
    and runs at a slightly different pace."""
    crop: Annotated[float, Field(ge=0, le=0.4), NUMBER] = 0.08
    """The largest share of a version that is trimmed off either end."""
    pace: Annotated[float, Field(ge=0, le=0.5), NUMBER] = 0.15
    """The largest relative change of a version's speed: 0.15 is up to 15 % slower or faster."""
    joined: Annotated[int, Field(ge=0, le=1_000_000), NUMBER] = 0
    """Number of clips made by blending the end of one clip into the start of another, captioned "A, then B"."""
    stacked: Annotated[int, Field(ge=0, le=1_000_000), NUMBER] = 0
    """Number of clips made from the pelvis and legs of one clip and the trunk, head and arms of another, captioned "A
    while B". Only pairs in which the first moves just the legs and the second just the arms."""


class Source(Section):
    """One data set."""

    kind: Literal["builtin", "captions", "humanml3d", "messages", "sharegpt", "alpaca"]
    """`builtin`: procedural clips, generated on the fly. `captions`: JSON lines of {"id", "split", "captions"} without
    motion; captions the built-in corpus understands get a generated motion. `humanml3d`: a folder laid out as HumanML3D
    or KIT-ML (`new_joints/` or `new_joint_vecs/`, `texts/`, `train.txt` …), which `motionllm data import` writes.
    `messages`, `sharegpt`, `alpaca`: text conversations in a JSONL or JSON file, or in a folder with train.jsonl and
    val.jsonl."""
    path: Where | None = None
    """Folder or file of the data set; required for every kind except `builtin`. A set of kind `humanml3d` may be on the
    hub: `owner/name`, or `owner/name@revision`. A folder may hold Parquet files in the place of lists and clips, as
    `motionllm push --data` writes them (`data/train-….parquet`)."""
    stream: bool = False
    """For a set on the hub: read it from there while it is encoded, without a copy of it on this disk."""
    clips: Count = 20_000
    """`builtin` and `captions`: number of training clips. The val and test splits each have a twentieth of this in
    addition."""
    seed: Seed = 0
    """`builtin`: another seed generates other clips. Also seeds the clips of `more`."""
    weight: Weight = 1.0
    """How often clips of this source are drawn, relative to the other sources."""
    exclude: list[str] = []
    """Ids of clips to leave out."""
    mirror: bool = False
    """Add a copy of every training clip with left and right swapped, in the motion and in its words."""
    more: More | None = None
    """Further training clips derived from these; null adds none."""
    ask: list[Literal["facts", "labels"]] = []
    """For the task `question`: generate questions from measurements of the clip (`facts`) or from its `labels`."""
    captions: list[Literal["labels", "notation"]] = []
    """Generate captions: `labels` rewrites captions that are mere labels as sentences ("salsa dance" becomes "a person
    dances salsa"); `notation` describes clips without a caption from what is measured on them (they carry the label
    `captions: notation`)."""
    check: list[Literal["side"]] = []
    """Drop captions that the motion contradicts. `side`: captions that name left or right where only the other side
    moves, as in clips that were mirrored without their captions."""
    labels: dict[str, dict[str, Annotated[str, Field(min_length=1)]]] | None = None
    """The keys of labels.jsonl to ask about, each with the words for its values (`{action: {hopBothLegs1hops: hop}}`);
    a value without words is split into its own. null asks about every key except those that name people, files or
    codes."""

    @model_validator(mode="after")
    def _path_where_needed(self) -> Source:
        if self.kind != "builtin" and not self.path:
            raise ValueError(f"a source of kind {self.kind} needs `path`, the folder or file of the data set")
        if (self.captions or self.check) and self.kind != "humanml3d":
            raise ValueError(
                "`captions` and `check` are for captions of kind humanml3d; leave them out of other sources"
            )
        if self.stream and self.kind != "humanml3d":
            raise ValueError("`stream` is for a set of kind humanml3d on the hub; leave it out of other sources")
        if self.labels is not None and "labels" not in self.ask:
            raise ValueError("`labels` says which labels are asked about; write `ask: [labels]` too")
        if self.kind == "builtin" and self.path:
            raise ValueError("a source of kind builtin is computed and has no `path`; leave it out, or give its kind")
        return self


Sources = Annotated[list[Source], Field(min_length=1, max_length=1000)]


class InFolder(Section):
    """A section with `sources`, whose relative paths may be given one folder."""

    folder: Where | None = None
    """Where relative paths of the sources are looked for, so that one word finds the many data sets of a recipe.
    A saved recipe has the paths that this made, and null here."""

    @model_validator(mode="after")
    def _sources_in_folder(self) -> InFolder:
        sources: list[Source] = self.sources  # type: ignore[attr-defined]
        inside = [source for source in sources if source.path and not Path(source.path).is_absolute()]
        unset = self.folder == PLACEHOLDER and not Path(PLACEHOLDER).exists()
        if self.folder is not None and not (inside and unset):  # what is unset is refused by `find_recipe`
            for source in inside:
                source.path = str(Path(self.folder) / source.path) if source.path else None
            self.folder = None  # else a recipe saved and read again would lead into folder/folder
        return self

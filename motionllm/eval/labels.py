"""How well free captions name a data set's labels (content, style …), read through the nearest training caption.

A caption is read as the training wording it equals, else as the one it shares most words with (highest token F1), and
that wording's clips say which labels it stands for. The reading does not use the true labels.

Labels that training captions do not distinguish (the same sentence for clips of different actors) are not judged: with
such wordings every answer would be right.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionllm.data.questions import coded, of_people_or_files
from motionllm.data.sources import humanml3d
from motionllm.errors import MotionLLMError
from motionllm.eval.text import normalised
from motionllm.samples import Sample


@dataclass(frozen=True)
class Wording:
    """A training caption with the labels of its clips: usually one set of labels, sometimes several."""

    text: str
    labels: tuple[Mapping[str, str], ...]
    counts: tuple[int, ...] = ()  # number of clips with each set of labels

    def of(self, key: str) -> set[str]:
        """The values of a label that this wording stands for."""
        return {labels[key] for labels in self.labels if key in labels}


class Reader:
    """Reads captions as training wordings."""

    def __init__(self, train: list[Sample]) -> None:
        labels: dict[str, dict[tuple[tuple[str, str], ...], int]] = defaultdict(Counter)
        for sample in train:
            for caption in sample.captions:
                labels[caption.strip()][tuple(sorted(_names(sample).items()))] += 1
        # The more common wording first, because the first of equally near ones is taken.
        order = sorted(labels, key=lambda text: (-sum(labels[text].values()), text))
        self.wordings = [
            Wording(text, tuple(dict(items) for items in labels[text]), tuple(labels[text].values())) for text in order
        ]
        self.exact = {wording.text: wording for wording in self.wordings}
        self.sizes: list[int] = []
        self.places: dict[str, list[tuple[int, int]]] = defaultdict(list)  # word -> (wording, how often)
        for number, wording in enumerate(self.wordings):
            words = Counter(normalised(wording.text).split())
            self.sizes.append(words.total())
            for word, count in words.items():
                self.places[word].append((number, count))

    def told(self, key: str) -> float:
        """Share of the training clips with this label whose wording stands for a single value of it."""
        clips = one = 0
        for wording in self.wordings:
            count = sum(n for n, labels in zip(wording.counts, wording.labels, strict=True) if key in labels)
            clips += count
            one += count * (len(wording.of(key)) == 1)
        return one / clips if clips else 0.0

    def __call__(self, caption: str) -> Wording | None:
        """The wording a caption is read as; None where it shares no word with any."""
        if caption.strip() in self.exact:
            return self.exact[caption.strip()]
        words, shared = Counter(normalised(caption).split()), Counter[int]()
        for word, count in words.items():
            for number, there in self.places.get(word, ()):
                shared[number] += min(count, there)
        if not shared:
            return None
        size = words.total()
        return self.wordings[min(shared, key=lambda i: (-2 * shared[i] / (size + self.sizes[i]), i))]


def label_scores(predictions: Mapping[str, str], train: list[Sample], samples: list[Sample]) -> dict[str, Any]:
    """How often captions name the labels of a split's clips; a clip without a prediction counts as wrong.

    predictions: {id: caption}. train: samples whose wordings captions are read by. samples: the split's.

    Returns {"clips", "missing": clips without a prediction, "unused": predictions for no clip of the split, "exact":
    share of the split's predictions that equal a training wording, "unreadable": predictions that share no word with
    one, "labels": {key: …}, "all": share with every label right at once}. Per key: "accuracy", "chance" (the split's
    most common class) and "majority", "reachable" (share of clips whose class some training caption stands for),
    "ambiguous" (predictions whose wording stands for several classes, and so is right if the true one is among them),
    "strict" (accuracy with those counted as wrong) and "classes": {class: {"clips", "right", "accuracy"}}. "unjudged":
    {key: why} for labels that captions cannot be judged on: names of people, files and codes, and those that most
    training captions do not distinguish. Raises MotionLLMError where the split has no labels that can be judged, or no
    prediction belongs to one of its clips.
    """
    # A sub-clip ("ID#1") has its own caption but no labels.
    truth = {s.id: _names(s) for s in samples if "#" not in s.id and _names(s)}
    if not truth:
        raise MotionLLMError("No clip of the split has labels; labels.jsonl must hold {id, label: value, …} of each.")
    if not any(name in truth for name in predictions):
        raise MotionLLMError(
            f"None of the {len(predictions)} predictions is of one of the split's {len(truth)} clips; "
            f"their ids are like {next(iter(truth))!r}."
        )
    reader = Reader([sample for sample in train if _names(sample)])
    if not reader.wordings:
        raise MotionLLMError("No clip of the train split has labels and captions to read predictions by.")
    keys = sorted({key for labels in truth.values() for key in labels})
    unjudged = {}
    for key in keys:
        if of_people_or_files(key) or coded(labels[key] for labels in truth.values() if key in labels):
            unjudged[key] = "is of people, files or codes"
        elif (share_told := reader.told(key)) <= 0.5:
            unjudged[key] = f"is told by the captions of {share_told:.0%} of the training clips"
    keys = [key for key in keys if key not in unjudged]
    if not keys:
        why = "; ".join(f"{key} {reason}" for key, reason in unjudged.items())
        raise MotionLLMError(f"The set has no label that captions can be judged on: {why}.")
    judged = {name: {key: labels[key] for key in keys if key in labels} for name, labels in truth.items()}
    truth = {name: labels for name, labels in judged.items() if labels}
    read = {name: reader(predictions[name]) if name in predictions else None for name in truth}
    result = {}
    for key in keys:
        known = {value for wording in reader.wordings for value in wording.of(key)}
        clips, right = Counter[str](), Counter[str]()
        ambiguous = strict = 0
        for name, labels in truth.items():
            if key not in labels:
                continue
            wording = read[name]
            named = wording.of(key) if wording else set()
            clips[labels[key]] += 1
            right[labels[key]] += labels[key] in named
            ambiguous += len(named) > 1
            strict += named == {labels[key]}
        total = clips.total()
        majority, most = clips.most_common(1)[0]
        result[key] = {
            "accuracy": right.total() / total,
            "strict": strict / total,
            "chance": most / total,
            "majority": majority,
            "reachable": sum(count for value, count in clips.items() if value in known) / total,
            "ambiguous": ambiguous,
            "clips": total,
            "classes": {
                value: {"clips": clips[value], "right": right[value], "accuracy": right[value] / clips[value]}
                for value in sorted(clips)
            },
        }
    present = [name for name in truth if name in predictions]
    together = sum(
        wording is not None and any(labels.items() <= one.items() for one in wording.labels)
        for labels, wording in ((truth[name], read[name]) for name in truth)
    )
    return {
        "clips": len(truth),
        "missing": len(truth) - len(present),
        "unused": sum(name not in truth for name in predictions),
        "exact": sum(predictions[name].strip() in reader.exact for name in present) / len(present),
        "unreadable": sum(read[name] is None for name in present),
        "all": together / len(truth),
        "labels": result,
        **({"unjudged": unjudged} if unjudged else {}),
    }


def labels_of_folder(predictions: Mapping[str, str], folder: Path, split: str = "val") -> dict[str, Any]:
    """`label_scores` for a data set in HumanML3D's layout with labels.jsonl, read by its train captions."""
    if not (folder / "labels.jsonl").is_file() and folder.is_dir():
        raise MotionLLMError(f"{folder} has no labels.jsonl; labels are read from lines of {{id, label: value, …}}.")
    return label_scores(predictions, humanml3d(folder, "train"), humanml3d(folder, split))


def _names(sample: Sample) -> dict[str, str]:
    """The labels that are names, not counts."""
    return {key: value for key, value in sample.labels.items() if isinstance(value, str) and value}

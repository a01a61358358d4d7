"""Captions against references: BLEU-1..4, ROUGE-L, CIDEr and METEOR, as pure functions of strings.

The definitions are the papers'; where those leave room, the choices are pycocoevalcap's, because the field's published
numbers come from it; a test checks the agreement. Text handling decides more than most models do, so every score is
given twice: `raw` (untouched, split at white space) and `normalised` (lower case, no punctuation); where simplemma is
installed a third time, `lemmatised` (normalised, every word in its base form).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from motionllm.errors import MotionLLMError
from motionllm.eval.similarity import installed, similarity

ORDERS = 4  # n-grams of 1 to 4 words
BETA = 1.2  # ROUGE-L: weight of recall against precision
SIGMA = 6.0  # CIDEr: std, in words, of the Gaussian penalty on length differences
# pycocoevalcap's guards against 0/0: a corpus without a common 4-gram scores about 1e-5 instead of 0.
_TINY, _SMALL = 1e-15, 1e-9

Grams = Counter[tuple[str, ...]]


def caption_scores(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]], encoder: Path | None = None
) -> dict[str, Any]:
    """Corpus scores of one caption per id against one or more references per id.

    Returns {"raw": {"bleu1" … "bleu4", "rouge_l", "cider"}, "normalised": {…}}: fractions; CIDEr on its own scale of 0
    to 10. If simplemma is installed also "lemmatised", and if nltk is, "meteor" of the normalised texts (see `meteor`);
    and "similarity" in meaning, by the sentence encoder in the folder `encoder` or, if installed, by the packaged one.
    Raises MotionLLMError where the two have different ids, or there are none.
    """
    without = [name for name in predictions if name not in references]
    if without:
        raise MotionLLMError(
            f"{len(without)} of {len(predictions)} predictions have no reference, first {without[0]!r}; "
            "give the references of all, or leave these out."
        )
    missing = [name for name in references if name not in predictions]
    if missing:
        raise MotionLLMError(
            f"{len(missing)} of {len(references)} references have no prediction, first {missing[0]!r}; "
            "caption these too, or leave them out of the references."
        )
    empty = [name for name in references if not references[name]]
    if empty or not references:
        raise MotionLLMError(f"{empty[0]!r} has an empty list of references." if empty else "There are no captions.")
    captions = [predictions[name] for name in references]
    true = [list(references[name]) for name in references]
    texts = {
        "raw": (captions, true),
        "normalised": ([normalised(s) for s in captions], [[normalised(r) for r in rs] for rs in true]),
    }
    if importlib.util.find_spec("simplemma"):
        captions, true = texts["normalised"]
        texts["lemmatised"] = ([lemmatised(s) for s in captions], [[lemmatised(r) for r in rs] for rs in true])
    scores = {name: _scores(*pair) for name, pair in texts.items()}
    if importlib.util.find_spec("nltk"):
        scores["meteor"] = meteor(*texts["normalised"])
    if encoder or installed():
        scores["similarity"] = similarity(*texts["raw"], encoder)
    return scores


def normalised(text: str) -> str:
    """Lower case, punctuation dropped (not replaced by a space: "counter-clockwise" is one word), single spaces."""
    kept = (c for c in text.lower() if c not in string.punctuation and not unicodedata.category(c).startswith("P"))
    return " ".join("".join(kept).split())


def lemmatised(text: str) -> str:
    """Every word in its base form by simplemma's English table: "he waved" becomes "he wave". Needs simplemma."""
    import simplemma

    return " ".join(simplemma.lemmatize(word, lang="en") for word in text.split())


def _scores(said: Sequence[str], true: Sequence[Sequence[str]]) -> dict[str, float]:
    bleus = {f"bleu{n}": value for n, value in enumerate(bleu(said, true), 1)}
    return {**bleus, "rouge_l": rouge_l(said, true), "cider": cider(said, true)}


def bleu(said: Sequence[str], true: Sequence[Sequence[str]]) -> list[float]:
    """BLEU-1..4 of a corpus (Papineni et al. 2002): clipped n-gram precisions, geometric mean, brevity penalty.

    The penalty's reference length is the one closest to each caption's, the shorter of two equally close.
    """
    right, offered = [0] * ORDERS, [0] * ORDERS
    length = wanted = 0
    for caption, references in zip(said, true, strict=True):
        grams, size = _grams(caption), len(caption.split())
        most: Grams = Counter()
        for reference in references:
            most |= _grams(reference)
        for gram, count in (grams & most).items():
            right[len(gram) - 1] += count
        for n in range(ORDERS):
            offered[n] += max(0, size - n)
        length += size
        wanted += min((abs(len(r.split()) - size), len(r.split())) for r in references)[1]
    ratio = (length + _TINY) / (wanted + _SMALL)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    scores, product = [], 1.0
    for n in range(ORDERS):
        product *= (right[n] + _TINY) / (offered[n] + _SMALL)
        scores.append(penalty * product ** (1 / (n + 1)))
    return scores


def rouge_l(said: Sequence[str], true: Sequence[Sequence[str]]) -> float:
    """Mean ROUGE-L (Lin 2004): F-measure, beta 1.2, of the longest common subsequence's precision and recall.

    Precision and recall are each the best over the references, possibly of different ones.
    """
    total = 0.0
    for caption, references in zip(said, true, strict=True):
        # Split at single spaces, as pycocoevalcap does only here: two in a row enclose an empty word.
        words, others = caption.split(" "), [r.split(" ") for r in references]
        common = [_common(words, other) for other in others]
        precision = max(common) / len(words)
        recall = max(c / len(other) for c, other in zip(common, others, strict=True))
        if precision and recall:
            total += (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)
    return total / len(said)


def cider(said: Sequence[str], true: Sequence[Sequence[str]]) -> float:
    """Mean CIDEr-D (Vedantam et al. 2015), 0 to 10: TF-IDF cosine of 1- to 4-grams, clipped, with a length penalty.

    Document frequencies count the ids in whose references an n-gram occurs. This variant is the one published as
    "CIDEr"; on a single id every n-gram is in every document, and the score is 0.
    """
    references = [[_grams(r) for r in rs] for rs in true]
    documents: Counter[tuple[str, ...]] = Counter()
    for grams in references:
        documents.update(set().union(*grams))
    log_size = math.log(len(true))

    def weigh(grams: Grams) -> tuple[dict[tuple[str, ...], float], list[float], int]:
        """TF-IDF weights, their norm for each order, and the number of 2-grams as the measure of length."""
        weights = {g: n * (log_size - math.log(max(1, documents[g]))) for g, n in grams.items()}
        squares = [0.0] * ORDERS
        for gram, weight in weights.items():
            squares[len(gram) - 1] += weight**2
        return weights, [math.sqrt(s) for s in squares], sum(n for g, n in grams.items() if len(g) == 2)

    total = 0.0
    for caption, grams in zip(said, references, strict=True):
        weights, norms, length = weigh(_grams(caption))
        score = 0.0
        for reference in grams:
            others, other_norms, other_length = weigh(reference)
            dots = [0.0] * ORDERS
            for gram, weight in weights.items():
                if gram in others:
                    dots[len(gram) - 1] += min(weight, others[gram]) * others[gram]
            cosines = (d / (a * b) for d, a, b in zip(dots, norms, other_norms, strict=True) if a and b)
            score += sum(cosines) * math.exp(-((length - other_length) ** 2) / (2 * SIGMA**2))
        total += 10 * score / ORDERS / len(grams)
    return total / len(said)


def meteor(said: Sequence[str], true: Sequence[Sequence[str]]) -> dict[str, float]:
    """Mean METEOR (Banerjee & Lavie 2005) by nltk, the best over the references. Needs nltk.

    {"meteor": …} with WordNet's synonyms where nltk's data has them, else {"meteor_stem": …} from words and stems only.
    The field publishes version 1.5, a Java program with other weights: compare rows of one table only.
    """
    import nltk
    from nltk.translate.meteor_score import meteor_score

    options: dict[str, Any] = {}
    try:
        nltk.data.find("corpora/wordnet.zip")
    except LookupError:
        options["wordnet"] = _NoSynonyms
    scores = [
        meteor_score([r.split() for r in references], caption.split(), **options)
        for caption, references in zip(said, true, strict=True)
    ]
    return {"meteor_stem" if options else "meteor": float(sum(scores) / len(scores))}


class _NoSynonyms:
    @staticmethod
    def synsets(word: str) -> list[Any]:
        return []


def _grams(text: str) -> Grams:
    words = text.split()
    return Counter(tuple(words[i : i + n]) for n in range(1, ORDERS + 1) for i in range(len(words) - n + 1))


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = row
        row = [0]
        for j, other in enumerate(b):
            row.append(before[j] + 1 if word == other else max(row[j], before[j + 1]))
    return row[-1]


# -- files -----------------------------------------------------------------------------------------------------


def read_predictions(path: Path) -> dict[str, str]:
    """{id: caption} from JSON lines of {"id", "caption"}, or from a .json file of such objects or of one {id: caption};
    a list of one caption is that caption, and captions may be empty.

    Raises MotionLLMError, naming the line or entry, for anything else, and for duplicate ids.
    """

    def fits(value: Any) -> bool:
        return isinstance(value, str) or (isinstance(value, list) and len(value) == 1 and isinstance(value[0], str))

    rows = _rows(path, "caption", "a string", fits)
    return {name: value if isinstance(value, str) else value[0] for name, value in rows}


def read_references(path: Path) -> dict[str, list[str]]:
    """{id: captions} from JSON lines of {"id", "captions"}, or from a .json file of such objects or of one {id:
    captions}.

    Raises MotionLLMError as `read_predictions` does.
    """

    def fits(value: Any) -> bool:
        return isinstance(value, list) and bool(value) and all(isinstance(v, str) and v.strip() for v in value)

    return dict(_rows(path, "captions", "a list of one or more non-empty strings", fits))


def _rows(path: Path, key: str, kind: str, fits: Callable[[Any], bool]) -> list[tuple[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MotionLLMError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise MotionLLMError(f"{path} is not UTF-8 text; write it as JSON lines.") from None
    expected = f'expected {{"id": …, "{key}": …}}'
    places: dict[str, str] = {}
    rows = []
    for place, row in _objects(path, text, key, expected):
        where = f"{path} {place}"
        if not isinstance(row, dict) or not {"id", key} <= row.keys():
            lacks = next((k for k in ("id", key) if k not in row), "") if isinstance(row, dict) else ""
            raise MotionLLMError(f"{where} {f'has no {lacks!r}' if lacks else 'is no JSON object'}; {expected}.")
        name, value = row["id"], row[key]
        if not isinstance(name, str):
            raise MotionLLMError(f"{where}: 'id' must be a string, got {name!r}.")
        if not fits(value):
            raise MotionLLMError(f"{where}: {key!r} of {name!r} must be {kind}, got {str(value)[:60]!r}.")
        if name in places:
            raise MotionLLMError(f"{where}: {name!r} was already on {places[name]}; keep one of the two.")
        places[name] = place
        rows.append((name, value))
    if not rows:
        raise MotionLLMError(f"{path} is empty; {expected}, one line a clip.")
    return rows


def _objects(path: Path, text: str, key: str, expected: str) -> Iterator[tuple[str, Any]]:
    """(place, object) for each entry of a file; entries of one object {id: value} in the form of lines."""
    whole: Any = None
    if path.suffix.lower() == ".json":
        with contextlib.suppress(ValueError, RecursionError):  # otherwise it may be JSON lines with another suffix
            # Pairs, not a dict: a dict would silently keep the last of duplicate ids.
            whole = json.loads(text, object_pairs_hook=_Pairs)
    if isinstance(whole, _Pairs):
        whole = [whole] if key in dict(whole) else [_Pairs([("id", name), (key, value)]) for name, value in whole]
    if isinstance(whole, list):
        yield from ((f"entry {i}", dict(row) if isinstance(row, _Pairs) else row) for i, row in enumerate(whole, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would also cut at U+2028 inside a string
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise MotionLLMError(f"{path} line {number} is not JSON ({error}); {expected}.") from None
            yield f"line {number}", row


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of a JSON object in order, duplicates included."""

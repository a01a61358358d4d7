"""Text from motion: captions, timelines, and answers to questions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from motionllm import arguments
from motionllm.data.acts import COUNTED, REPEATED
from motionllm.data.asked import Asked, asked, shown, tells
from motionllm.data.queries import Query
from motionllm.data.query_fit import fits
from motionllm.data.replies import reply
from motionllm.data.tasks import TASKS
from motionllm.errors import MotionLLMError, unknown
from motionllm.lm.prompting import Prompting
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion
from motionllm.motion.notation import Notation
from motionllm.motion.notation.sentence import REPEATS, repeats

MOST = 10_000  # captions in one call


class Description(Prompting):
    """The part of MotionLM that describes motion: captions, timelines and answers."""

    def caption(self, motion: Motion | np.ndarray) -> str:
        """A sentence that says what the person in the motion does. Raises MotionLLMError for a motion that cannot be
        encoded.
        """
        return self.caption_batch([motion])[0]

    def captions(
        self,
        motion: Motion | np.ndarray,
        n: int,
        seed: int | None = None,
        *,
        temperature: float = 0.7,
        top_p: float = 0.95,
        top_k: int = 0,
    ) -> list[str]:
        """n sentences: first the one of `caption`, then n − 1 sampled ones. seed: None draws others each time. Raises
        MotionLLMError for n below 1 or sampling out of bounds.
        """
        n = arguments.whole_number(n, "n", 1, MOST)
        sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k)
        part = self.motion_part(motion)
        sampled = self.say([self.asking("caption", motion=part)] * (n - 1), sampling, seed=seed) if n > 1 else []
        return [*self._captions([part]), *sampled]

    def caption_batch(self, motions: Sequence[Motion | np.ndarray]) -> list[str]:
        """One caption per motion (a Motion, joints, or features), decoded side by side.

        An adapter that learned the notation's own sentences (`data.notation.told`) is held to what they say: it writes
        one caption from the codes and one from what it is shown. The first of the two that covers the measured notation
        as well as the notation's sentence does (`data.asked.tells`), names nothing that is not measured and nothing
        twice in a row, is returned; if neither does, that sentence. One that learned people's words alone is held to
        nothing: what people name need not be among what is measured.
        """
        return self._captions([self.motion_part(motion) for motion in arguments.motions(motions, "motions")])

    def _captions(self, parts: Sequence[dict[str, Any]]) -> list[str]:
        notes = self.recipe.data.notation
        measured = [i for i, part in enumerate(parts) if notes and notes.told and part.get("notation")]
        codes_alone = [{"codes": parts[i]["codes"]} for i in measured if "codes" in parts[i]]
        texts = self.say([self.asking("caption", motion=part) for part in (*parts, *codes_alone)])
        from_codes = iter(texts[len(parts) :])
        for i in measured:
            notation = Notation.parse(parts[i]["notation"])
            own = notation.sentence()
            candidates = [next(from_codes), texts[i]] if "codes" in parts[i] else [texts[i]]
            least = tells(own, notation)
            fit = (t for t in candidates if _sound(t, notation) and tells(t, notation) >= least)
            texts[i] = next(fit, own).rstrip(".")
        return texts[: len(parts)]

    def timeline(
        self, motion: Motion | np.ndarray, every: float = 1.0, window: float = 4.0, batch: int = 32
    ) -> list[tuple[float, float, str]]:
        """(from, to, caption) in seconds over a clip of any length: a caption of the `window` seconds around every
        `every` seconds; neighbours with equal captions are merged. batch: windows captioned at once.

        Raises MotionLLMError for `every` or `window` of less than a step, or a window shorter than `every`.
        """
        down = self.motion_tokenizer.frames_per_step
        step = 1 / self.motion_tokenizer.steps_per_second
        every, window = arguments.number(every, "every"), arguments.number(window, "window")
        batch = arguments.whole_number(batch, "batch", 1)
        if not (step <= every <= window <= 2 * self.window):
            raise MotionLLMError(
                f"Captions every {every:g} s of {window:g} s each were asked for; a step of motion is {step:g} s; "
                f"each caption needs as many seconds as it stands for, and no more than about {2 * self.window:.0f}."
            )
        features = self.motion_tokenizer.features(motion)
        codes = self.motion_tokenizer.encode(features)
        total = len(codes) // self.vocab.parts * step
        begins = np.arange(max(1, round(total / every))) * every
        pieces = []
        for begin in np.clip(begins + (every - window) / 2, 0, max(0.0, total - window)):
            first, last = round(begin / step), round(begin / step) + round(window / step)
            piece = codes[first * self.vocab.parts : last * self.vocab.parts]
            pieces.append(self._part(piece, features[first * down : last * down]))
        captions = [text for i in range(0, len(pieces), batch) for text in self._captions(pieces[i : i + batch])]
        entries: list[tuple[float, float, str]] = []
        for begin, end, caption in zip(begins.tolist(), [*begins[1:].tolist(), total], captions, strict=True):
            if entries and entries[-1][2] == caption:
                begin = entries.pop()[0]
            entries.append((begin, end, caption))
        return entries

    def ask(self, motion: Motion | np.ndarray, question: str) -> str:
        """The answer to a question about the motion. Raises MotionLLMError for an empty question."""
        return self.ask_batch([motion], [arguments.text(question, "question")])[0]

    @property
    def _taught_answers(self) -> bool:
        """Whether it was trained on answers that are not measured: on labels, or on conversations of people's own."""
        measured = ("builtin", "captions", "humanml3d")
        return any(source.kind not in measured or "labels" in source.ask for source in self.recipe.data.sources)

    def told(self, query: Query, notation: Notation, question: str, steps: Callable[[], Sequence[str]]) -> str | None:
        """What a notation answers to a question of this query (`data.replies`), or that the motion does not tell. None
        where that is left to the model.
        """
        answer = reply(query, notation, question, steps)
        if answer is None and str(query) == "none" and not self._taught_answers:
            return f"the motion does not tell; {notation.sentence()}"
        return answer

    def ask_batch(self, motions: Sequence[Motion | np.ndarray], questions: Sequence[str]) -> list[str]:
        """One answer per pair of motion and question, decoded side by side.

        An adapter that writes queries (`queries`) answers with them from the measured notation, exactly, or, where that
        has no single answer, with what it says (`data.replies`). To a question that no query expresses it says so, and
        what the motion shows; in its own words it answers that where it was trained on people's answers (labels).
        Raises MotionLLMError for an empty question.
        """
        motions = arguments.motions(motions, "motions")
        questions = [
            arguments.text(one, f"questions[{n}]")
            for n, one in enumerate(arguments.items(questions, "questions", len(motions), "motion"))
        ]
        if not all(question.strip() for question in questions):
            raise MotionLLMError("The question is empty; ask in words something about the motion.")
        pairs = [(self.motion_part(m), q.strip()) for m, q in zip(motions, questions, strict=True)]
        answers: list[str | None] = [None] * len(pairs)
        measured = [i for i, (part, _) in enumerate(pairs) if part.get("notation")] if self.queries else []
        for i, query in zip(measured, self.queried([pairs[i][1] for i in measured]), strict=True):
            part, question = pairs[i]
            answers[i] = self.told(query, Notation.parse(part["notation"]), question, partial(self.steps, motions[i]))
        rest = [
            self.asking("question", motion=part, question=q)
            for (part, q), answer in zip(pairs, answers, strict=True)
            if answer is None
        ]
        own = iter(self.say(rest) if rest else [])
        return [next(own) if answer is None else answer for answer in answers]

    def answer(self, task: str, **given: Any) -> str:
        """The answer to any task with a text answer (`data/tasks.py`), from the values that its record names:
        `answer("forecast", beginning=motion)`. A motion is a Motion, joints, or features.

        Raises MotionLLMError for a task that is unknown or answered by motion, and where other values are given.
        """
        arguments.text(task, "task")
        words = {task.name: task for task in TASKS.values() if task.fill and not task.moves}
        if task not in words:
            raise MotionLLMError(f"It cannot be answered: {unknown('task in words', task, words)}.")
        if given.keys() != {*words[task].given}:
            raise MotionLLMError(f"The task {task!r} is given {', '.join(words[task].given)}; name these and no other.")
        values = {
            name: one if isinstance(one, str | int | float) else self.motion_part(one) for name, one in given.items()
        }
        return self.say([self.asking(task, **values)])[0]

    @property
    def queries(self) -> bool:
        """Whether answers are looked up in the notation: the model is `shown` it, and was trained to write queries of
        it (the task `query`).
        """
        return self.learned("query") and self.shown != "codes"

    def queried(self, questions: Sequence[str]) -> list[Query]:
        """The query that each question asks of a notation; `none` for one that no notation can answer. Needs no motion.

        The model writes freely, and words that are no query, like "does juggle", become `none` too: if it were
        restricted to valid queries, it would write the nearest existing verb. So does a query that names what its
        question does not, or asks for something else (`data.query_fit`). Raises MotionLLMError where the model was not
        trained to write queries (`queries`).
        """
        questions = arguments.texts(questions, "questions")
        if not questions:
            return []
        if not self.queries:
            raise MotionLLMError(
                "This adapter looks no answers up: it was not trained with `data.notation` and the task `query`, or it "
                "is shown codes alone. Ask about a motion instead (`ask`)."
            )
        writer = self.doing("query")
        texts = writer.say([writer.asking("query", question=q) for q in questions])
        written = [Query.read(text) for text in texts]
        return [query if fits(query, q) else Query() for query, q in zip(written, questions, strict=True)]


# Which captions of the model are sentences: with a subject, and without the numbers of a notation ("9.1 m/s").
_SENTENCE = re.compile(
    r"(?:an?|the|some(?:one|body)|one|two|s?he|they|it|this|his|her|their|person)\b(?!.*\d)", re.IGNORECASE
)
_COUNT = re.compile(r"\b(?:twice|(?:three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d+) times)\b")


def _sound(text: str, notation: Notation) -> bool:
    """Whether a caption is a sentence, not "walk" alone, with nothing again and again, nothing wrong, the sides that
    are measured, and a count where the notation's own sentence has one of what is not repeated by its nature.
    """
    if len(text.split()) < 3 or not _SENTENCE.match(text) or _again(text) or repeats(text) >= REPEATS:
        return False
    counted = any(line.count > 2 and line.verb in COUNTED and line.verb not in REPEATED for line in notation.lines)
    if counted and _COUNT.search(notation.sentence()) and not _COUNT.search(text):
        return False
    return all(shown(one, notation) and _of_its_side(one, notation) for one in asked(text))


def _of_its_side(one: Asked, notation: Notation) -> bool:
    """Whether an act that a caption says of one side is measured on that side alone."""
    sides = {
        side for line in notation.lines if line.verb == one.verbs[0] and line.part for side in line.part.split()[:1]
    }
    return one.side not in ("left", "right") or not sides or sides == {one.side}


def _again(text: str) -> bool:
    """Whether a caption says the same twice in a row: "a person runs forward, then runs forward"."""
    clauses = [part.strip(" .") for part in re.split(r",? (?:and )?then |, (?:and )?| and ", text)]
    return any(f" {one}".endswith(f" {other}") for one, other in pairwise(clauses))

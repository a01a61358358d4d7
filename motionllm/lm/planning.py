"""Requests to decode, and plans: what a motion is to do, written in notation before its codes, followed and changed."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motionllm import arguments
from motionllm.data.acts import summary
from motionllm.data.asked import WINDS, asked, share, tells
from motionllm.data.change_fit import all_fitted, asking, clauses_of, completed, fitted, missing, pieces_of
from motionllm.data.change_language import OTHERWISE, added, parts
from motionllm.data.changes import alternatives, applies, changed
from motionllm.data.heeding import heeding
from motionllm.data.misspelled import respelled
from motionllm.data.templates import conversation
from motionllm.data.timeline import shared
from motionllm.errors import MotionLLMError
from motionllm.lm import decoding
from motionllm.lm.prompting import Prompting, drained
from motionllm.lm.sampling import Sampling
from motionllm.motion import Motion, grammar
from motionllm.motion.notation import Notation
from motionllm.tokenizer import MotionTokenizer

LONGEST = 60.0  # seconds of motion generated in one call
MARGIN = 0.3  # seconds regenerated on either side of a change
LEAST = 0.5  # seconds; shorter unchanged parts are regenerated too
PLANS = 4  # candidate plans per plan that is followed
PLANNING = 1  # added to a motion's seed for its plan, so that the two draw different numbers

# What is a question whatever a model takes it for.
_ASKS = re.compile(
    r"^(?:(?:and|so|but|ok|hm+),? )?(?:is|are|was|were|does|did|has) (?!it (?:possible|ok))"
    r"(?:it|he|she|they|the|this|that|there|his|her|any)\b.*\?\s*$",
    re.IGNORECASE,
)
# How a request is asked as if it were a question, which it is not unless something is to be told.
_MODAL = re.compile(
    r"^(?!how|what|when|which|why|where|who)(?:\w+,? ){0,3}?(?:can|could|would|will) "
    r"(?:you|we|he|she|they|it|the \w+)(?: (?:please|maybe|also|kindly))? "
    r"(?!tell|say|explain|describe|count|see|read|know|help|name|answer|recogni[sz]e)",
    re.IGNORECASE,
)

# The plan of a motion: a notation or its text; None: the model writes one, if it was trained to; False: none.
Plan = Notation | str | bool | None
# Duration: exact, or (least, most); None leaves it to the model.
Seconds = float | tuple[float, float] | None
# One clip for all rows, or one per row.
Clips = Motion | np.ndarray | Sequence[Motion | np.ndarray] | None


def parse_seconds(text: str) -> Seconds:
    """ "4" → 4.0, "2-4" → (2.0, 4.0). Raises MotionLLMError for anything else, and for a length that is not made."""
    try:
        low, dash, high = text.replace("–", "-").partition("-")
        seconds = (float(low), float(high)) if dash else float(low)
        if not np.isfinite(seconds).all():
            raise ValueError
    except ValueError:
        raise MotionLLMError(f"{text!r} is no duration; write seconds as 4, or two as 2-4.") from None
    bounds(seconds)
    return seconds


def bounds(seconds: Seconds) -> tuple[float | None, float | None]:
    """The least and the most of a duration; None for none. Raises MotionLLMError for what is none, and for a length
    that is not made.
    """
    if seconds is None:
        return None, None
    if isinstance(seconds, Sequence) and not isinstance(seconds, str | bytes):
        if len(seconds) != 2:
            given = arguments.shown(seconds)
            raise MotionLLMError(f"seconds is {given}; give a number, or two, the least and the most.")
        low, high = (arguments.number(one, f"seconds[{n}]") for n, one in enumerate(seconds))
    else:
        try:
            low = high = arguments.number(seconds, "seconds")
        except MotionLLMError:
            raise MotionLLMError(
                f"seconds is {arguments.shown(seconds)}; give a number, or two, the least and the most."
            ) from None
    if low > high:
        raise MotionLLMError(f"seconds are {low:g} to {high:g}; give the least first, and then the most.")
    if not 0.2 <= low <= high <= LONGEST:
        length = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        raise MotionLLMError(f"A motion of {length} seconds was asked for; 0.2 to {LONGEST:g} can be made.")
    return low, high


@dataclass(frozen=True)
class Order(decoding.Request):
    """A request with the user's input that it came from.

    text: what the person does. frames: length that the motion is cut to, or None. seconds: the duration asked for.
    after: steps of the clip that the motion ends with; min_steps and max_steps do not include them. plan: the notation
    it follows, or None.
    """

    text: str = ""
    frames: int | None = None
    seconds: Seconds = None
    after: int = 0
    plan: Notation | None = None


class Planning(Prompting):
    """The part of MotionLM that writes and changes plans."""

    @property
    def plans(self) -> bool:
        """Whether the model was trained to write the notation of a motion before its codes, and to follow it."""
        notes = self.recipe.data.notation
        return notes is not None and notes.plan > 0

    @property
    def plans_first(self) -> bool:
        """Whether it does so by default (`data.notation.first`), where plan is None."""
        return self.plans and self.recipe.data.notation.first and self.backend.can("plans")  # type: ignore[union-attr]

    def plan(
        self,
        text: str,
        seconds: Seconds = None,
        seed: int | None = None,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        sampling: Sampling | None = None,
        start: Motion | np.ndarray | None = None,
    ) -> Notation:
        """The plan that `generate` begins with for the same text, seconds, seed, sampling and start.

        Passing it to `generate` or `stream` with the same arguments gives the same motion as leaving it out. Raises
        what `generate` raises, and MotionLLMError where the adapter was not trained to plan.
        """
        sampling = self.drawing(sampling, temperature=temperature, top_p=top_p, top_k=top_k)
        return drained(self.planning(text, seconds, seed, sampling=sampling, start=start))

    def planning(
        self,
        text: str,
        seconds: Seconds = None,
        seed: int | None = None,
        *,
        sampling: Sampling | None = None,
        start: Motion | np.ndarray | None = None,
    ) -> Generator[None, None, Notation]:
        """Interruptible `plan`: yields after each token. Closing the generator cancels it."""
        wanted = self._wanted(True, 1)
        order = self.order(self.meant(text), seconds, self._clips(start, 1)[0], [])
        (order,) = yield from self.planned([order], wanted, seed, self.drawing(sampling))
        assert order.plan is not None
        return order.plan

    def meant(self, text: str) -> str:
        """A text with its misspelled words as they are meant (`data.misspelled`): of the built-in corpus, and of the
        captions of the library. What the base model's tokenizer has as one token is taken for a word.
        """
        known = frozenset([*WINDS, *(self.library.words if self.library is not None else ())])

        def exists(word: str) -> bool:
            return len(self.tokenizer.encode(f" {word}", add_special_tokens=False)) == 1

        return respelled(text, known, exists) if isinstance(text, str) else text

    @property
    def edits(self) -> bool:
        """Whether the model was trained to change a plan by a user's request (the task `edit`)."""
        return self.learned("edit") and self.plans and self.backend.can("plans")

    def changes(self, plans: Sequence[Notation], requests: Sequence[str]) -> list[str]:
        """Translate requests in a user's words ("the other hand", "then sit down") for motions with these plans: each
        to a change (`data.change_language`), several of them one after the other, or to one of its OTHERWISE. Where
        what the model writes cannot be made of the plan, it is the likeliest of those that can; of an act that the plan
        shows, or that the request names and the plan lacks, or beside other changes, it is left as it is, and refused
        where it is to be made. What a request says plainly goes before what the model makes of it (`data.change_fit`),
        and a question changes nothing.

        Raises MotionLLMError where the adapter was not trained to (`edits`), or a request is empty.
        """
        if not self.edits:
            raise MotionLLMError(
                "This adapter cannot change a plan: it was not trained with `data.notation` and the task `edit`, or an "
                "engine serves it. Say all that is to be done."
            )
        plans = [_notation(plan, f"plans[{n}]") for n, plan in enumerate(arguments.items(plans, "plans"))]
        requests = [
            arguments.text(one, f"requests[{n}]")
            for n, one in enumerate(arguments.items(requests, "requests", len(plans), "plan"))
        ]
        if not all(request.strip() for request in requests):
            raise MotionLLMError("The request is empty; say in words what is to be changed.")
        writer = self.doing("edit")
        requests = [asking(request) for request in requests]
        conversations = [
            writer.asking("edit", plan=summary(plan), request=request.strip())
            for plan, request in zip(plans, requests, strict=True)
        ]
        changes = writer.say(conversations)
        for i, request in enumerate(requests):
            if _ASKS.match(request.strip()):
                changes[i] = "question"
        questions = {}  # "can he wave too?" wants no answer, and is understood like "wave too"
        for i, request in enumerate(requests):
            asked_for = _MODAL.match(request.strip()) if changes[i] == "question" else None
            if asked_for and (words := request.strip()[asked_for.end() :].rstrip("?! ")):
                questions[i] = words
        if questions:
            again = [writer.asking("edit", plan=summary(plans[i]), request=words) for i, words in questions.items()]
            for i, change in zip(questions, writer.say(again), strict=True):
                changes[i] = change

        def by_themselves(pieces: dict[int, list[str]]) -> dict[int, list[str]]:
            """What the model makes of each part of a request by itself."""
            rows = [(i, piece) for i, said in pieces.items() for piece in said]
            asking = [writer.asking("edit", plan=summary(plans[i]), request=piece) for i, piece in rows]
            read = iter(writer.say(asking) if rows else [])
            return {i: [next(read) for _ in said] for i, said in pieces.items()}

        pieces = {i: pieces_of(requests[i], one) for i, one in enumerate(changes) if one not in OTHERWISE}
        for i, alone in by_themselves(pieces).items():
            changes[i] = completed(changes[i], pieces[i], alone, plans[i])
        several = {i: clauses_of(requests[i], one) for i, one in enumerate(changes) if len(parts(one)) > 1}
        own = by_themselves(several)
        for i, (plan, change) in enumerate(zip(plans, changes, strict=True)):
            if i in several:
                changes[i] = all_fitted(change, several[i], own[i], plan)
            elif (named := fitted(change, requests[i], plan)) != change:
                changes[i] = named
            elif not applies(plan, change) and not missing(change, requests[i], plan):
                if not (options := alternatives(plan, change)):
                    continue
                said = [[*writer.tokenizer.encode(one, add_special_tokens=False), writer._stop] for one in options]
                nats = writer.backend.likelihoods([writer._prompt(conversations[i])] * len(options), said)
                changes[i] = options[int(np.argmax(nats))]
        return changes

    def replan(
        self, plan: Notation, change: str, seed: int | None = None, *, sampling: Sampling | None = None
    ) -> Notation:
        """The plan after a change; what the change adds is planned like the motion of a text, by seed and sampling.

        Raises MotionLLMError for a text that is no change, or one that cannot be applied to this plan.
        """
        return drained(self.replanning(plan, change, seed, sampling=sampling))

    def replanning(
        self, plan: Notation, change: str, seed: int | None = None, *, sampling: Sampling | None = None
    ) -> Generator[None, None, Notation]:
        """Interruptible `replan`: yields after each token. Closing the generator cancels it."""
        plan, change = _notation(plan, "plan"), arguments.text(change, "change")
        if not parts(change):
            raise MotionLLMError("The change is empty; say what is to be changed.")
        for part in parts(change):
            text, more = added(part), Notation(0.2, ("standing", "standing"))
            if text:
                more = yield from self.planning(text, None, seed, sampling=sampling)
            plan = changed(plan, part, {text: more}.__getitem__)
        return plan

    def kept(self, old: Notation, new: Notation, codes: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The codes at the beginning and at the end of a motion (n,) that its old and new plan share, up to MARGIN
        seconds from what changes; None where that is less than LEAST seconds, or nothing changes.
        """
        rate, parts = self.motion_tokenizer.steps_per_second, self.motion_tokenizer.parts
        first, last = (int(max(0.0, seconds - MARGIN) * rate) for seconds in shared(old, new))
        most = min(int((new.seconds - 2 * MARGIN) * rate), len(codes) // parts)
        first = min(first, most)
        last = min(last, most - first)
        first, last = (0 if old == new or steps < LEAST * rate else steps for steps in (first, last))
        return codes[: first * parts] if first else None, codes[len(codes) - last * parts :] if last else None

    def _clips(
        self, clip: Clips, rows: int, tokenizer: MotionTokenizer | None = None, what: str = "start"
    ) -> list[list[int]]:
        """The codes of the clip for each row; empty where there is no clip. tokenizer: as of `_codes`. what: the
        argument, for messages. Raises MotionLLMError for a list with more or fewer clips than rows.
        """
        if clip is None:
            return [[]] * rows
        return (
            [self._codes(one, tokenizer=tokenizer).tolist() for one in arguments.items(clip, what, rows, "text")]
            if isinstance(clip, Sequence) and not isinstance(clip, str)
            else [self._codes(clip, tokenizer=tokenizer).tolist()] * rows
        )

    def order(self, text: str, seconds: Seconds, given: Sequence[int], rest: Sequence[int]) -> Order:
        """The request for a text, between the codes that the motion begins with (`given`) and ends with (`rest`).
        Raises what `generate` does.
        """
        if not isinstance(text, str):
            raise MotionLLMError(f"A text is a string, not a {type(text).__name__}; `generate_batch` takes several.")
        if not text.strip():
            raise MotionLLMError("The text is empty; say what the person does.")
        low, high = bounds(seconds)
        exact = seconds is not None and low == high
        if rest and not exact:
            raise MotionLLMError("What a motion ends with needs an exact duration; give seconds, both clips included.")
        rate = self.motion_tokenizer.steps_per_second
        begun, after = len(given) // self.vocab.parts, len(rest) // self.vocab.parts
        if low is None or high is None:
            least, most = max(2, begun + 1), begun + self._window
        else:  # an exact duration is cut to the frame, a range ends within its bounds
            least = max(1, int(np.ceil(round(low * rate, 6))))
            most = least if exact else int(np.floor(round(high * rate, 6)))
        if most < least or least <= begun + after:
            raise MotionLLMError(
                f"{least / rate:g} seconds are not more than the clips given have, {(begun + after) / rate:g}."
                if begun + after
                else f"No step of motion ends within {low:g} to {high:g} seconds; one is {1 / rate:g} long."
            )
        template = self.templates.phrasings("text_to_motion", seconds=exact)[0]
        values = {"seconds": min(least, self._window) / rate}
        prompt, unconditional = (
            self._prompt(conversation(template, values | {"caption": caption}, answered=False), min(most, self._window))
            for caption in (text.strip(), "")
        )
        frames = max(1, round(float(low) * self.motion_tokenizer.fps)) if exact and low is not None else None
        return Order(
            prompt,
            least - after,
            most - after,
            given,
            unconditional,
            text=text.strip(),
            frames=frames,
            seconds=seconds,
            after=after,
        )

    def _wanted(self, plan: Plan | Sequence[Plan], rows: int) -> list[Notation | bool]:
        """For each row its plan, or whether the model writes one. Raises MotionLLMError for a text that is no notation,
        or where the model cannot follow or write plans.
        """
        several = isinstance(plan, Iterable) and not isinstance(plan, Notation | str | bytes | os.PathLike)
        row_plans: list[Any] = arguments.items(plan, "plan", rows, "text") if several else [plan] * rows
        for one in row_plans:
            if not isinstance(one, Notation | str | bool | None):
                raise MotionLLMError(
                    f"plan is {arguments.shown(one)}; give a Notation, the text of one, False for none, or None."
                )
        if any(one is not None and one is not False for one in row_plans) and not self.plans:
            raise MotionLLMError(
                "This adapter was not trained to follow a plan: leave the plan out, or train with data.notation.plan."
            )
        if True in row_plans:
            self.backend.require("plans")
        own = self.plans_first
        wanted: list[Notation | bool] = []
        for one in row_plans:
            one = Notation.parse(one) if isinstance(one, str) else own if one is None else one
            if isinstance(one, Notation) and not 0.2 <= one.seconds <= LONGEST:
                raise MotionLLMError(
                    f"Notation, line 1: the plan is {one.seconds:g} s long; 0.2 to {LONGEST:g} can be made."
                )
            wanted.append(one)
        return wanted

    def planned(
        self,
        orders: Sequence[Order],
        wanted: Sequence[Notation | bool],
        seed: int | Sequence[int] | None,
        sampling: Sampling,
        tries: int = PLANS,
    ) -> Generator[None, None, list[Order]]:
        """The orders, each with its plan; yields after each token. Where the model writes the plan, up to `tries` are
        drawn, and that is taken which covers most of what the text asks for (`data.asked`), and of those that which has
        least besides. What the text says plainly (`data.heeding`) is written into it.
        """
        plans: list[Notation | None] = [one if isinstance(one, Notation) else None for one in wanted]
        own = [i for i, one in enumerate(wanted) if one is True]
        if own:
            asks = {i: asked(orders[i].text) for i in own}
            rows = [(i, n) for i in own for n in range(tries if asks[i] and sampling.temperature else 1)]
            # From the request alone, so that a plan is the same in any batch, and differs from its motions' seeds.
            seeds: Any = None
            if seed is not None:
                each = [(seed[i], 0) if isinstance(seed, Sequence) else (seed, i) for i, _ in rows]
                seeds = [(*pair, PLANNING, *([n] if n else [])) for pair, (_, n) in zip(each, rows, strict=True)]
            blanks = [self._blank(orders[i]) for i, _ in rows]
            writer = self.writer if self.text and self.text.plans and all(orders[i].text for i in own) else self
            asking = (
                orders if writer is self else {i: writer.order(orders[i].text, orders[i].seconds, [], []) for i in own}
            )
            prompts = [[*asking[i].prompt, self.vocab.start_id] for i, _ in rows]
            texts = yield from writer.backend.notations(prompts, blanks, sampling, seed=seeds)
            best: dict[int, tuple[float, float]] = {}
            for (i, _), text in zip(rows, texts, strict=True):
                low, high = bounds(orders[i].seconds)
                plan = heeding(Notation.parse(text), asks[i], fixed=low is not None or high is not None)
                score = (share(asks[i], plan), tells(orders[i].text, plan))
                if score > best.get(i, (-1.0, 0.0)):
                    plans[i], best[i] = plan, score
        return [
            order if plan is None else self.following(order, plan) for order, plan in zip(orders, plans, strict=True)
        ]

    def _blank(self, order: Order) -> grammar.Writing:
        """The state of a plan not yet begun: bounded to the duration of the motion, and to the number of lines that the
        context has room for.
        """
        rate, fps = self.motion_tokenizer.steps_per_second, self.motion_tokenizer.fps
        if order.frames is not None:
            low = high = max(0.2, round(order.frames / fps, 1))
        else:
            least, most = bounds(order.seconds)
            low = order.min_steps / rate if least is None else least
            high = order.max_steps / rate if most is None else most
            low = int(np.ceil(round(low * 10, 6))) / 10
            high = max(low, int(np.floor(round(high * 10, 6))) / 10)
        first, line = grammar.longest()
        room = self.backend.limit - len(order.prompt) - 2 - min(order.max_steps, self._window) * self.vocab.parts
        if room < first + len(grammar.END):
            raise MotionLLMError(
                f"What was given is {len(order.prompt)} tokens long, which leaves no room for a plan; shorten it, or "
                "give plan=False."
            )
        return grammar.begin(low, high, (room - first - len(grammar.END)) // line)

    def following(self, order: Order, plan: Notation) -> Order:
        """The order with this plan, and with the plan's duration. Raises MotionLLMError where another duration was
        asked for, or the base model's context is too short.
        """
        low, high = bounds(order.seconds)
        if low is not None and high is not None and not low - 0.051 <= plan.seconds <= high + 0.051:
            asked = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            raise MotionLLMError(
                f"The plan is {plan.seconds:g} s long, and {asked} seconds were asked for; leave the seconds out, or "
                "write them into the plan's first line."
            )
        ids = self.renderer.notation(str(plan))
        if order.frames is None:
            seconds = plan.seconds if low is None or high is None else min(max(plan.seconds, low), high)
            steps = int(np.ceil(round(seconds * self.motion_tokenizer.steps_per_second, 6))) - order.after
            if steps <= len(order.given) // self.vocab.parts:
                raise MotionLLMError(
                    f"The plan is {plan.seconds:g} s long, which is not more than the clips given; write it for all."
                )
            frames = round(seconds * self.motion_tokenizer.fps)
            order = replace(order, min_steps=steps, max_steps=steps, frames=frames)
        limit, n_codes = self.backend.limit, min(order.max_steps, self._window) * self.vocab.parts
        if len(order.prompt) + len(ids) + 2 + n_codes > limit:
            raise MotionLLMError(
                f"The plan is {len(ids)} tokens long, but the base model takes {limit} with all; shorten it."
            )
        rate = self.motion_tokenizer.steps_per_second

        def plan_ids(first: int, last: int) -> Sequence[int]:
            """The whole plan or, for motions longer than the model's window, the part that belongs to these steps."""
            if first == 0 and last >= order.max_steps:
                return ids
            return self.renderer.notation(str(plan.between(first / rate, last / rate)))

        return replace(order, plan=plan, plan_ids=plan_ids)


def _notation(value: Any, what: str) -> Notation:
    """A notation, or what its text says. Raises MotionLLMError for anything else."""
    if isinstance(value, Notation):
        return value
    if not isinstance(value, str):
        raise MotionLLMError(f"{what} is {arguments.shown(value)}; give a Notation, as `notation` and `plan` make one.")
    return Notation.parse(value)

"""Motion from text: whole, batched, best of several, or in pieces while it is decoded."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from motionllm.data.asked import asked, share_of
from motionllm.errors import MotionLLMError
from motionllm.lm.planning import Clips, Order, Plan, Planning, Seconds
from motionllm.lm.prompting import drained
from motionllm.lm.sampling import BEST_OF, Sampling
from motionllm.motion import Motion
from motionllm.motion.agreement import agreement_of

# Nats that all that a text asks for is worth in ranking. Of eight candidates for each of 48 held-out prompts of the
# built-in corpus, 2 to 20 keep the same share with all that is asked (.48; 0: .42, any of the eight: .52).
ASKED = 10.0

# Where an adapter does not plan by default, since it follows plans less well than texts, one of so many candidates
# follows its plan and the others the text alone; the plan ranks all. Of 51 edited motions, the best of eight was right
# in .27 if all follow the plan, .35 if half or a quarter do, .41 if none does.
UNPLANNED = 8

# (texts, motions as codes) → one score per motion; the candidate with the highest is kept.
Judge = Callable[[Sequence[str], Sequence[Sequence[int]]], Sequence[float]]


class Generation(Planning):
    """The part of MotionLM that generates motions."""

    def generate(
        self,
        text: str,
        seconds: Seconds = None,
        n: int = 1,
        seed: int | None = None,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        guidance: float | None = None,
        best_of: int | None = None,
        sampling: Sampling | None = None,
        start: Motion | np.ndarray | None = None,
        end: Motion | np.ndarray | None = None,
        judge: Judge | None = None,
        plan: Plan = None,
    ) -> Motion | list[Motion]:
        """Motion that does what `text` says; a list of n motions for n > 1.

        seconds: exact duration, to a frame, or a pair of bounds; None leaves it to the model. Above `window` seconds
        the model sees only the last of them while it continues. seed: the same seed gives the same motion; None draws
        one.

        temperature: 0 is greedy. top_p, top_k: draw from the most likely tokens only. guidance: above 1, move away from
        what the model does without the text, at twice the cost; for adapters trained with `data.drop_text`. best_of:
        number of candidates per returned motion. The one that `judge` scores highest is returned; without a judge, the
        one that agrees best with the plan (`motion.agreement`); without a plan, the one of which the model would most
        likely say `text`. Whichever of these five is None is taken from `sampling`, and if that is None, from the
        adapter's own (`self.sampling`: by default temperature 0.8, top_p 0.95, top_k 0 for all, guidance 1 for none,
        best_of 8, or 1 on an engine without judge and plan).

        start: a clip that the motion begins with. end: a clip that it ends with; of several candidates the one is
        returned that `end` follows most likely. Both count in `seconds`, come back as the motion tokenizer reconstructs
        them, and `end` is moved to where the generated part arrives. plan: the notation that the motion must follow, or
        its text, which then also sets the duration; None: the model writes one first if it was trained to (`plans`);
        False: none. All candidates follow one plan.

        Raises MotionLLMError for an empty text; a duration not within 0.2 to 60 s, or not above that of the clips;
        `end` without an exact duration; guidance with an adapter not trained for it; a plan that is no notation, does
        not last `seconds`, or is given to an adapter that follows none.
        """
        if n < 1:
            raise MotionLLMError(f"n is {n}; ask for at least one motion.")
        sampling = (sampling or self.sampling).but(
            temperature=temperature, top_p=top_p, top_k=top_k, guidance=guidance, best_of=best_of
        )
        motions = self.generate_batch(
            [text] * n, [seconds] * n, seed, sampling=sampling, start=start, end=end, judge=judge, plan=plan
        )
        return motions if n > 1 else motions[0]

    def generate_batch(
        self,
        texts: Sequence[str],
        seconds: Sequence[Seconds] | None = None,
        seed: int | Sequence[int] | None = None,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        guidance: float | None = None,
        best_of: int | None = None,
        sampling: Sampling | None = None,
        start: Clips = None,
        end: Clips = None,
        judge: Judge | None = None,
        plan: Plan | Sequence[Plan] = None,
    ) -> list[Motion]:
        """One Motion per text, decoded side by side. See `generate`. seed: one for all, or one per text, which then
        gives what `generate` gives for that text and seed. start, end: one clip for all, or one per text (a Motion,
        joints, features, or codes). plan: one for all, or one per text.
        """
        sampling = (sampling or self.sampling).but(
            temperature=temperature, top_p=top_p, top_k=top_k, guidance=guidance, best_of=best_of
        )
        rows = drained(self._drawn(texts, seconds, seed, sampling, start=start, end=end, judge=judge, plan=plan))
        return [self._motion(codes, frames) for codes, frames in rows]

    def generating(
        self,
        text: str,
        seconds: Seconds = None,
        seed: int | None = None,
        *,
        sampling: Sampling | None = None,
        start: Motion | np.ndarray | None = None,
        end: Motion | np.ndarray | None = None,
        plan: Plan = None,
    ) -> Generator[None, None, tuple[Motion, np.ndarray]]:
        """Interruptible `generate`: yields after each step of decoding, and returns the motion and its codes (n,).
        Closing the generator cancels it.
        """
        steps = self._drawn([text], [seconds], seed, sampling or self.sampling, start=start, end=end, plan=plan)
        ((codes, frames),) = yield from steps
        return self._motion(codes, frames), np.array(codes, np.int64)

    def stream(
        self,
        text: str,
        seconds: Seconds = None,
        seed: int | None = None,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        guidance: float | None = None,
        sampling: Sampling | None = None,
        start: Motion | np.ndarray | None = None,
        plan: Plan = None,
        codes: list[int] | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield joints (k, 22, 3) in metres while they are decoded; concatenated they make the clip.

        `Representation.finished` turns that clip into the motion that `generate` returns for the same seed and best_of
        1; the pieces are as the motion tokenizer places them, because the floor is known only at the end. To have the
        plan before the frames, call `plan` and pass it here. codes: a list that receives the codes. Raises what
        `generate` raises.
        """
        sampling = (sampling or self.sampling).but(temperature=temperature, top_p=top_p, top_k=top_k, guidance=guidance)
        self._check_guidance(sampling)
        wanted = self._wanted(plan, 1)
        start_codes = [] if start is None else self._codes(start).tolist()
        (order,) = drained(self.planned([self.order(text, seconds, start_codes, [])], wanted, seed, sampling))
        places = self.backend.places([order], sampling, seed=seed, window=self._window)
        return self._pieces(start_codes, places, order.frames, [] if codes is None else codes)

    def _drawn(
        self,
        texts: Sequence[str],
        seconds: Sequence[Seconds] | None,
        seed: int | Sequence[int] | None,
        sampling: Sampling,
        *,
        start: Clips = None,
        end: Clips = None,
        judge: Judge | None = None,
        plan: Plan | Sequence[Plan] = None,
    ) -> Generator[None, None, list[tuple[list[int], int | None]]]:
        """(codes, number of frames or None) of each motion that `generate_batch` returns; yields after each step of
        decoding.
        """
        wanted = self._wanted(plan, len(texts))
        ranks = judge is not None or all(wanted) or self.backend.can("likelihoods")
        best_of = sampling.best_of or (BEST_OF if ranks else 1)
        if not sampling.temperature:
            best_of = 1  # greedy candidates would be equal
        if best_of > 1 and not ranks:
            self.backend.require("likelihoods")
        self._check_guidance(sampling)
        begins, ends = (self._clips(clip, len(texts)) for clip in (start, end))
        lengths = seconds if seconds is not None else [None] * len(texts)
        orders = [self.order(*row) for row in zip(texts, lengths, begins, ends, strict=True)]
        orders = yield from self.planned(orders, wanted, seed, sampling)
        repeated = [order for order in orders for _ in range(best_of)]
        if not self.plans_first:
            repeated = [
                o if i % best_of % UNPLANNED == 0 else replace(o, plan_ids=None) for i, o in enumerate(repeated)
            ]
        seeds = [(s, i) for s in seed for i in range(best_of)] if isinstance(seed, Sequence) else seed
        candidates = yield from self._write(repeated, sampling, seed=seeds)
        if best_of > 1:
            after = [codes for codes in ends for _ in range(best_of)]
            whole = [[*codes, *end] for codes, end in zip(candidates, after, strict=True)]
            scores: Sequence[Any]
            if judge:
                scores = judge([order.text for order in repeated], whole)
            elif any(after) and self.backend.can("likelihoods"):
                scores = self._follows(repeated, candidates, after)
            else:
                scores = self._keeps(repeated, whole)
            groups = [range(first, first + best_of) for first in range(0, len(candidates), best_of)]
            candidates = [candidates[max(group, key=scores.__getitem__)] for group in groups]
        return [([*codes, *end], order.frames) for codes, end, order in zip(candidates, ends, orders, strict=True)]

    def _pieces(
        self, given: list[int], places: Iterator[list[tuple[int, ...]]], frames: int | None, codes: list[int]
    ) -> Iterator[np.ndarray]:
        decoder, left = self.motion_tokenizer.stream(), frames if frames is not None else sys.maxsize
        for new_codes in chain([given] if given else [], (gained for (gained,) in places)):
            codes.extend(new_codes)
            joints = decoder.push(new_codes)[:left]
            left -= len(joints)
            if len(joints):
                yield joints
        joints = decoder.finish()[:left]
        if len(joints):
            yield joints

    def _check_guidance(self, sampling: Sampling) -> None:
        """Raise MotionLLMError if guidance is asked for and not available."""
        if sampling.guidance == 1:
            return
        self.backend.require("guidance")
        if not self.recipe.data.drop_text:
            raise MotionLLMError(
                "This adapter never saw a motion without its text, so there is nothing to guide it by: leave guidance "
                "at 1, or train with data.drop_text=0.1."
            )

    def _keeps(self, orders: Sequence[Order], motions: Sequence[list[int]]) -> list[tuple[float, float]]:
        """(agreement, nats) of each motion (codes): how well it follows its order's plan, 0 without one; and, only for
        motions that tie in this, how likely the model describes it by its text, plus, without a plan, ASKED times the
        share of what the text asks for that is measured on it.
        """
        agreement, measured = [0.0] * len(orders), [0.0] * len(orders)
        for i, order in enumerate(orders):
            if order.plan is not None:
                motion = self._motion(motions[i], order.frames)
                agreement[i] = agreement_of(order.plan, motion.joints, motion.fps).score
            elif wanted := asked(order.text):
                motion = self._motion(motions[i], order.frames)
                measured[i] = ASKED * share_of(wanted, motion.joints, motion.fps)
        kinds = [(order.text, order.plan, score) for order, score in zip(orders, agreement, strict=True)]
        alike = Counter(kinds)
        ties = [i for i, kind in enumerate(kinds) if alike[kind] > 1]
        nats = dict(enumerate(measured))
        if ties and self.backend.can("likelihoods"):
            said = self._says([orders[i] for i in ties], [motions[i] for i in ties])
            nats |= {i: measured[i] + one for i, one in zip(ties, said, strict=True)}
        return [(score, nats[i]) for i, score in enumerate(agreement)]

    def _says(self, orders: Sequence[Order], motions: Sequence[list[int]]) -> list[float]:
        """Log-likelihood in nats that the model describes each motion (codes) by its order's text."""
        prompts = [self._prompt(self.asking("caption", motion=np.array(codes))) for codes in motions]
        replies = [
            self.tokenizer.encode(order.text, add_special_tokens=False, split_special_tokens=True) for order in orders
        ]
        return self.backend.likelihoods(prompts, replies)

    def _follows(self, orders: Sequence[Order], motions: Sequence[list[int]], ends: Sequence[list[int]]) -> list[float]:
        """Log-likelihood in nats that each motion (codes) is continued by its end (codes)."""
        parts, prompts = self.vocab.parts, []
        for order, codes in zip(orders, motions, strict=True):
            visible = codes[-self._window * parts :]
            start, *ids, _ = self.vocab.encode(np.array(visible))
            first, last = (len(codes) - len(visible)) // parts, len(codes) // parts
            prompts.append([*order.prompt, start, *(order.plan_ids(first, last) if order.plan_ids else ()), *ids])
        replies = [self.vocab.encode(np.array(codes))[1:-1] for codes in ends]
        return self.backend.motion_likelihoods(prompts, replies)

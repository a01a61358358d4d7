"""Replies to a conversation: motion or text, by the adapter or by its base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from motionllm.data.changes import OTHERWISE
from motionllm.language.conversations import Message, Renderer
from motionllm.lm.description import Description
from motionllm.lm.generation import Generation
from motionllm.lm.planning import Plan, Seconds
from motionllm.lm.prompting import drained, loaded
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.motion import Motion
from motionllm.motion.notation import Notation

BODILY = -1.0  # of `MotionLM.bodily`: with the shipped adapter between 30 motions and 30 plain lines of no test


class Dialogue(Generation, Description):
    """A MotionLM in conversation."""

    def chat(
        self,
        messages: Sequence[Message],
        seconds: Seconds = None,
        seed: int | None = None,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        guidance: float | None = None,
        sampling: Sampling | None = None,
        plan: Plan = None,
    ) -> Message:
        """The assistant's next message in the parts format: text, or a motion under the key "motion", with its codes
        under "codes" and the text of the plan that it follows, if any, under "notation".

        A motion part of `messages` holds a Motion or a path. Where the last message is about a motion, an adapter that
        `edits` may change the plan of that motion, which is then made anew as far as the plan is. seconds: reply with a
        motion of that duration. plan: as `generate` has it; one that is given asks for a motion. Text where there is no
        motion in the conversation is the base model's own (`talk`).
        """
        sampling = (sampling or self.sampling).but(temperature=temperature, top_p=top_p, top_k=top_k, guidance=guidance)
        self._check_guidance(sampling)
        wanted = self._wanted(plan, 1)
        asked = seconds is not None or isinstance(wanted[0], Notation)
        if not asked and self.edits and (shown := _shown(messages)):
            part, line = shown
            old, codes = self._held(part)
            change = self.changes([old], [line])[0]
            if change not in OTHERWISE:
                new = self.replan(old, change, seed, sampling=sampling)
                start, end = self.kept(old, new, codes)
                steps = self._drawn(
                    [new.sentence()], [new.seconds], seed, sampling.but(best_of=1), start=start, end=end, plan=new
                )
                ((drawn, frames),) = drained(steps)
                return _moved(self._motion(drawn, frames), drawn, new)
            asked = change == "new"
        elif not asked:
            asked = self.moves(messages)
        if not asked:
            if all(_is_text(m) for m in messages):
                return _said(self.talk(messages, seed, sampling=sampling))
            if self.queries and (shown := _shown(messages)):
                part, line = shown
                if answer := self.queried([line])[0].answer(self._held(part)[0]):
                    return _said(answer)
            return _said(self.say([[self._encoded(m) for m in messages]], sampling, seed=seed, max_tokens=256)[0])
        prompt = self._prompt([self._encoded(m) for m in messages], self._window)
        order = self.order("a person moves", seconds, [], [])  # for its bounds: the prompt is the conversation
        (order,) = drained(self.planned([replace(order, prompt=prompt)], wanted, seed, sampling))
        (drawn,) = drained(self._write([order], sampling, seed=seed))
        return _moved(self._motion(drawn, order.frames), drawn, order.plan)

    def moves(self, messages: Sequence[Message]) -> bool:
        """Whether the next message is to be a motion: the model would open it with one, and a line that comes without
        a clip is about a body (`bodily`; not on an engine, which serves no base model to compare with).
        """
        prompt = self._prompt([self._encoded(m) for m in messages])
        if not self.backend.starts_motion(prompt, self._stop):
            return False
        if not all(_is_text(m) for m in messages) or not self.backend.can("base"):
            return True
        last = messages[-1]["content"]
        return self.bodily(last if isinstance(last, str) else " ".join(part["text"] for part in last)) > BODILY

    def bodily(self, line: str) -> float:
        """Nats a token by which a line is likelier as a caption of no motion in particular than as anybody's line.

        An adapter reads nearly every text alone as that of a motion, "Hello" too: it was trained on no other. But it
        also writes captions, and what the base model would write sooner is no caption.
        """
        line = line.rstrip(" .!") or line
        ids, opening = (
            self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
            for text in (line, "A line that someone wrote:\n")
        )
        nothing = self._asking("caption", motion=np.zeros(0, np.int64))
        caption = self.backend.likelihoods([self._prompt(nothing)], [ids])[0]
        with self.backend.without_adapter() as base:
            anything = base.likelihoods([opening], [ids])[0]
        return (caption - anything) / max(1, len(ids))

    def talk(
        self,
        messages: Sequence[Message],
        seed: int | None = None,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        sampling: Sampling | None = None,
        longest: int = 256,
    ) -> str:
        """What the base model itself answers to a conversation of text alone: no adapter, its own system message; by
        default greedily.

        Its weights are loaded beside the merged ones at the first call; an adapter that is not merged is switched off.
        """
        self.backend.require("base")
        sampling = (sampling or GREEDY).but(temperature=temperature, top_p=top_p, top_k=top_k)
        prompt = self._prompt(messages, renderer=Renderer(self.tokenizer, None, template=self.renderer.template))
        with self.backend.without_adapter() as base:
            (reply,) = base.texts([prompt], self._stop, sampling, max_tokens=longest, seed=seed, loops=True)
        return reply.strip()

    def _held(self, part: dict[str, Any]) -> tuple[Notation, np.ndarray]:
        """The plan of a motion part, else what is measured on it, and its codes, as far as there are some."""
        codes = np.asarray(part["codes"], np.int64) if "codes" in part else np.zeros(0, np.int64)
        motion = loaded(part) if "motion" in part else self.motion_tokenizer.decode(codes) if len(codes) else None
        if motion is not None and not len(codes):
            codes = self._codes(motion)
        if part.get("notation") or motion is None:
            return Notation.parse(part.get("notation", "")), codes
        return self.notation(motion), codes


def _is_text(message: Message) -> bool:
    content = message.get("content")
    return isinstance(content, str) or all(part.get("type") == "text" for part in content or ())


def _shown(messages: Sequence[Message]) -> tuple[dict[str, Any], str] | None:
    """The last motion part of a conversation, and the words of its last message; None where either is missing."""
    parts = [
        p for m in messages if not isinstance(m["content"], str) for p in m["content"] if p.get("type") == "motion"
    ]
    last = messages[-1]["content"] if messages else ""
    words = last if isinstance(last, str) else " ".join(p["text"] for p in last if p.get("type") == "text")
    return (parts[-1], words) if parts and words.strip() else None


def _moved(motion: Motion, codes: Sequence[int], plan: Notation | None) -> Message:
    part = {"type": "motion", "motion": motion, "codes": np.array(codes, np.int64)}
    return {"role": "assistant", "content": [part | ({"notation": str(plan)} if plan else {})]}


def _said(text: str) -> Message:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}

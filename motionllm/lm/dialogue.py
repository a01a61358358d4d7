"""Replies to a conversation: motion or text, by the adapter or by its base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from motionllm import arguments
from motionllm.data.beyond import why_not
from motionllm.data.change_language import OTHERWISE
from motionllm.language.conversations import Message, Renderer, checked
from motionllm.lm.description import Description
from motionllm.lm.editing import Editing
from motionllm.lm.planning import Plan, Seconds
from motionllm.lm.prompting import drained, loaded
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.motion import Motion
from motionllm.motion.notation import Notation

# Nats per token; least `MotionLM.bodily` of a line that asks for motion. Separates 30 motion captions from 30 ordinary
# sentences with the shipped adapter (neither set is used in tests).
BODILY = -1.0


class Dialogue(Editing, Description):
    """The part of MotionLM that replies to conversations."""

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

        A motion part of `messages` contains a Motion or a path. Where the last message is about a motion, an adapter
        that `edits` may change that motion (`editing`).
        seconds: reply with a motion of that duration. plan: as in `generate`; giving one asks for a motion. Without a
        motion in the conversation, text replies are the base model's own (`talk`). Raises what `generate` raises.
        """
        messages = checked(messages)
        sampling = self.drawing(sampling, temperature=temperature, top_p=top_p, top_k=top_k, guidance=guidance)
        self._check_guidance(sampling)
        wanted = self._wanted(plan, 1)
        asked = seconds is not None or isinstance(wanted[0], Notation)
        if not asked and self.edits and (motion_and_line := _shown(messages)):
            part, line = motion_and_line
            old, codes = self._held(part)
            change = self.changes([old], [line])[0]
            if change == "cannot":
                return _said(why_not(line))
            if change == "undo":
                return self._undone(messages)
            if change not in OTHERWISE:
                motion = self._moving(part, codes)
                steps = self.editing(motion, old, change, seed, sampling=sampling, codes=codes)
                made, made_codes, new = drained(steps)
                return _moved(made, made_codes.tolist(), new)
            asked = change == "new"
        elif not asked:
            asked = self.moves(messages)
        if not asked:
            if all(_is_text(m) for m in messages):
                return _said(self.talk(messages, seed, sampling=sampling))
            if self.queries and (motion_and_line := _shown(messages)):
                part, line = motion_and_line
                held, codes = self._held(part)
                if answer := self.told(self.queried([line])[0], held, line, partial(self._steps, part, codes)):
                    return _said(answer)
            return _said(self.say([[self._encoded(m) for m in messages]], sampling, seed=seed, max_tokens=256)[0])
        prompt = self._prompt([self._encoded(m) for m in messages], self._window)
        order = self.order("a person moves", seconds, [], [])  # for its bounds: the prompt is the conversation
        (order,) = drained(self.planned([replace(order, prompt=prompt, text="")], wanted, seed, sampling))
        (reply_codes,) = drained(self._write([order], sampling, seed=seed))
        return _moved(self._motion(reply_codes, order.frames), reply_codes, order.plan)

    def moves(self, messages: Sequence[Message]) -> bool:
        """Whether the next message should be a motion: the model would open it with one, and a line without a clip is
        about a body (`bodily`; not checked on an engine, which serves no base model to compare with).
        """
        prompt = self._prompt([self._encoded(m) for m in checked(messages)])
        if not self.backend.starts_motion(prompt, self._stop):
            return False
        if not all(_is_text(m) for m in messages) or not self.backend.can("base"):
            return True
        last = messages[-1]["content"]
        return self.bodily(last if isinstance(last, str) else " ".join(part["text"] for part in last)) > BODILY

    def bodily(self, line: str) -> float:
        """How much more likely, in nats per token, the adapter finds the line as a caption of an empty motion than the
        base finds it as free text.

        An adapter alone reads nearly every text as the caption of a motion, even "Hello", because it was trained on no
        other. But it also writes captions, and a line that the base model is more likely to write is no caption.
        """
        line = arguments.text(line, "line")
        line = line.rstrip(" .!") or line
        ids, opening = (
            self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
            for text in (line, "A line that someone wrote:\n")
        )
        messages = self.asking("caption", motion=np.zeros(0, np.int64))
        caption = self.backend.likelihoods([self._prompt(messages)], [ids])[0]
        with self.backend.without_adapter() as base:
            free_text = base.likelihoods([opening], [ids])[0]
        return (caption - free_text) / max(1, len(ids))

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
        """The base model's own reply to a conversation of text only: no adapter, its own system message; greedy by
        default.

        Its weights are loaded beside the merged ones at the first call; an adapter that is not merged is switched off.
        longest: limit of the reply in tokens. Raises MotionLLMError on an engine.
        """
        self.backend.require("base")
        messages, longest = checked(messages), arguments.whole_number(longest, "longest", 1)
        sampling = self.drawing(
            GREEDY if sampling is None else sampling, temperature=temperature, top_p=top_p, top_k=top_k
        )
        prompt = self._prompt(messages, renderer=Renderer(self.tokenizer, None, template=self.renderer.template))
        longest = min(longest, self.backend.limit - len(prompt))
        with self.backend.without_adapter() as base:
            (reply,) = base.texts([prompt], self._stop, sampling, max_tokens=longest, seed=seed)
        return reply.strip()

    def _undone(self, messages: Sequence[Message]) -> Message:
        """The motion before the last one of a conversation once more."""
        parts = _motions(messages)
        if len(parts) < 2:
            return _said("There is no earlier motion in this conversation.")
        plan, codes = self._held(parts[-2])
        motion = self._moving(parts[-2], codes)
        whole = motion if isinstance(motion, Motion) else self.motion_tokenizer.decode(codes)
        return _moved(whole, codes.tolist(), plan)

    def _moving(self, part: dict[str, Any], codes: np.ndarray) -> Motion | np.ndarray:
        """The motion of a part, or what its codes (n,) decode to."""
        return loaded(part) if "motion" in part else self.motion_tokenizer.decode(codes)

    def _steps(self, part: dict[str, Any], codes: np.ndarray) -> list[str]:
        """The feet of the steps that are measured on a motion part; none where it holds a plan alone."""
        return self.steps(self._moving(part, codes)) if len(codes) else []

    def _held(self, part: dict[str, Any]) -> tuple[Notation, np.ndarray]:
        """The plan of a motion part, or else what is measured on it, and its codes (n,), empty if it has none."""
        given = arguments.array(part.get("codes", ()), "Codes")
        codes = self.motion_tokenizer.check(given) if len(given) else np.zeros(0, np.int64)
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
    """The last motion part of a conversation, and the text of its last message; None where either is missing."""
    parts = _motions(messages)
    last = messages[-1]["content"] if messages else ""
    words = last if isinstance(last, str) else " ".join(p["text"] for p in last if p.get("type") == "text")
    return (parts[-1], words) if parts and words.strip() else None


def _motions(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The motion parts of a conversation."""
    return [p for m in messages if not isinstance(m["content"], str) for p in m["content"] if p.get("type") == "motion"]


def _moved(motion: Motion, codes: Sequence[int], plan: Notation | None) -> Message:
    part = {"type": "motion", "motion": motion, "codes": np.array(codes, np.int64)}
    return {"role": "assistant", "content": [part | ({"notation": str(plan)} if plan else {})]}


def _said(text: str) -> Message:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}

"""Conversations as the model sees them: messages of text and motion parts → token ids and what is supervised.

A conversation is a list of messages in the Hugging Face parts format. A motion part carries its codes, its notation, or
both: `{"type": "motion", "codes": array, "notation": str}`. It is written as the motion's start, the notation's text
with a blank line after it, the codes, and the motion's end: in what the user gives the notation says what is measured,
in what the assistant writes it is the plan that the codes follow. The base model's own chat template renders it, in
training, evaluation and chat alike (`chat_template.py`). Parts pass through the template as placeholders and are
tokenized separately, so that no user text can be read as a motion token or as a control token of the template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from motionllm import arguments
from motionllm.errors import MotionLLMError
from motionllm.language.chat_template import ChatTemplate
from motionllm.language.vocab import MotionVocab
from motionllm.motion.grammar import END

Message = dict[str, Any]
ROLES = ("system", "user", "assistant")
EXAMPLE = '{"role": "user", "content": "a person waves"}'


@dataclass
class Tokens:
    """ids: token ids. supervised: whether the model is trained to predict the id at this position. seen: the model's
    input where it differs from `ids`, which remain the targets.
    """

    ids: list[int] = field(default_factory=list)
    supervised: list[bool] = field(default_factory=list)
    seen: list[int] | None = None

    def extend(self, ids: Sequence[int], supervised: bool) -> None:
        self.ids.extend(ids)
        self.supervised.extend([supervised] * len(ids))


def checked(messages: Any) -> list[Message]:
    """The messages of a conversation that a caller gave. Raises MotionLLMError where it is none."""
    try:
        given = arguments.items(None if isinstance(messages, Mapping) else messages, "messages")
    except MotionLLMError:
        raise MotionLLMError(f"The messages are {arguments.shown(messages)}; give a list, each {EXAMPLE}.") from None
    if not given:
        raise MotionLLMError(f"There is no message to reply to; give a list of them, each {EXAMPLE}.")
    for n, message in enumerate(given):
        if not isinstance(message, Mapping) or message.get("role") not in ROLES:
            raise MotionLLMError(
                f"Message {n} is {arguments.shown(message)}; it needs a role ({', '.join(ROLES)}) and content, as "
                f"{EXAMPLE}."
            )
        content = message.get("content")
        if not isinstance(content, str | list | tuple):
            raise MotionLLMError(
                f"Message {n} has the content {arguments.shown(content)}; give text, or a list of parts, each "
                '{"type": "text", "text": …} or {"type": "motion", "motion": …}.'
            )
        for part in [] if isinstance(content, str) else content:
            kind = part.get("type") if isinstance(part, Mapping) else None
            text = kind == "text" and isinstance(part.get("text"), str)
            if not text and not (kind == "motion" and {"motion", "codes", "notation"} & {*part}):
                raise MotionLLMError(
                    f"Message {n} has the part {arguments.shown(part)}; a part is "
                    '{"type": "text", "text": …}, or {"type": "motion"} with a "motion", "codes" or "notation".'
                )
            if kind == "motion" and not text and "codes" in part:
                codes = arguments.array(part["codes"], f"Message {n}: codes")
                if codes.size and codes.dtype.kind not in "iu":
                    raise MotionLLMError(f"Message {n}: codes are whole numbers, not {codes.dtype}.")
    return given


class Renderer:
    """Renders conversations for one base tokenizer and one motion vocabulary.

    tokenizer: the base's. vocab: None renders text only. system: system message of conversations that have none; None
    leaves it to the chat template. template: this tokenizer's, if already loaded. Raises MotionLLMError where the
    tokenizer's template cannot be used (`ChatTemplate`).
    """

    def __init__(
        self, tokenizer: Any, vocab: MotionVocab | None, system: str | None = None, template: ChatTemplate | None = None
    ) -> None:
        self.tokenizer, self.vocab, self.system = tokenizer, vocab, system
        self.template = template or ChatTemplate(tokenizer)

    @property
    def stop(self) -> int:
        """The id that ends an assistant's turn, in training and in decoding."""
        return self.template.stop

    def __call__(self, messages: Sequence[Message], reply: bool = False) -> Tokens:
        """reply: end with the opening of the assistant's turn, for the model to continue. The assistant's parts and the
        end of its turn, up to the id `stop`, are supervised, except the end of a motion without codes. Raises
        MotionLLMError for a message without role, a part of an unknown type, or where the base's template refuses the
        conversation.
        """
        parts: list[tuple[dict[str, Any], bool]] = []
        shape: list[tuple[str, int]] = []
        if self.system is not None and (not messages or messages[0].get("role") != "system"):
            messages = [{"role": "system", "content": self.system}, *messages]
        for message in messages:
            role, content = message.get("role"), message.get("content")
            if role not in ROLES or content is None:
                raise MotionLLMError(f"A message needs a role (system, user, assistant) and content, got {message!r}.")
            own = [{"type": "text", "text": content}] if isinstance(content, str) else content
            if role == "system" and self.template.folds and not any(part.get("text") for part in own):
                continue  # nothing is put before the user's text
            own = own or [{"type": "text", "text": ""}]
            parts += [(part, role == "assistant") for part in own]
            shape.append((role, len(own)))
        tokens = Tokens()
        for one in self.template.layout(tuple(shape), reply):
            if isinstance(one, int):
                part, supervised = parts[one]
                tokens.extend(self._part(part), supervised)
                if "notation" in part and "codes" not in part:  # else it teaches that no codes follow
                    tokens.supervised[-1] = False
            else:
                tokens.extend(one.ids[: one.learned], True)
                tokens.extend(one.ids[one.learned :], False)
        return tokens

    def _part(self, part: dict[str, Any]) -> list[int]:
        if part.get("type") == "text":
            return self.template.text(part["text"])
        if part.get("type") == "motion" and self.vocab and ("codes" in part or "notation" in part):
            start, *codes = self.vocab.encode(np.asarray(part.get("codes", ()), np.int64))
            return [start, *self.notation(part.get("notation", "")), *codes]
        raise MotionLLMError(f"A content part is neither text nor motion with codes or notation: {sorted(part)}.")

    def notation(self, text: str) -> list[int]:
        """Ids of a notation's text as it stands in a motion: with the blank line that ends it; none for none."""
        return self.template.text(text + END) if text else []

"""Conversations as the model sees them: messages of text and motion parts → token ids and what is supervised.

A conversation is a list of messages in the Hugging Face parts format; a motion part carries its codes:
`{"type": "motion", "codes": array}`. The base model's own chat template renders it, in training, evaluation
and chat alike. Parts go through the template as placeholders and are tokenized apart from it, so that no
text of a user can be read as a motion token or as a control token of the template.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.vocab import MotionVocab

Message = dict[str, Any]

_MARK = "\ue000{}\ue001"  # private-use characters: no template or tokenizer gives them a meaning
_MARKS = re.compile("\ue000([0-9]+)\ue001")


@dataclass
class Tokens:
    """ids: token ids. supervised: whether the model is to predict the id at this place."""

    ids: list[int] = field(default_factory=list)
    supervised: list[bool] = field(default_factory=list)

    def extend(self, ids: Sequence[int], supervised: bool) -> None:
        self.ids.extend(ids)
        self.supervised.extend([supervised] * len(ids))


class Renderer:
    """Renders conversations for one base tokenizer and one motion vocabulary.

    tokenizer: the base's. vocab: None renders text alone. system: the system message of every conversation
    that has none of its own; None leaves it to the chat template.
    """

    def __init__(self, tokenizer: Any, vocab: MotionVocab | None, system: str | None = None) -> None:
        if not tokenizer.chat_template:
            raise MotionLLMError(
                f"The base model {tokenizer.name_or_path} has no chat template; give an instruction-tuned base."
            )
        self.tokenizer, self.vocab, self.system = tokenizer, vocab, system

    def __call__(self, messages: Sequence[Message], reply: bool = False) -> Tokens:
        """reply: end with the template's opening of the assistant's turn, to be continued by the model.

        Supervised are the assistant's parts and the token that ends its turn.
        Raises MotionLLMError for a message without role, or a part of an unknown type.
        """
        parts: list[tuple[dict[str, Any], bool]] = []
        marked = []
        if self.system is not None and (not messages or messages[0].get("role") != "system"):
            messages = [{"role": "system", "content": self.system}, *messages]
        for message in messages:
            content = message.get("content")
            if message.get("role") not in ("system", "user", "assistant") or content is None:
                raise MotionLLMError(f"A message needs a role (system, user, assistant) and content, got {message!r}.")
            marks = []
            for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                marks.append(_MARK.format(len(parts)))
                parts.append((part, message["role"] == "assistant"))
            marked.append({"role": message["role"], "content": "".join(marks)})
        text = self.tokenizer.apply_chat_template(marked, tokenize=False, add_generation_prompt=reply)
        tokens = Tokens()
        pieces = _MARKS.split(text)
        after_assistant = False
        for place, piece in enumerate(pieces):
            if place % 2:
                part, after_assistant = parts[int(piece)]
                tokens.extend(self._part(part), after_assistant)
            elif piece:
                ids = self.tokenizer.encode(piece, add_special_tokens=False)
                tokens.extend(ids[:1], after_assistant)  # the token that ends the assistant's turn
                tokens.extend(ids[1:], False)
        return tokens

    def _part(self, part: dict[str, Any]) -> list[int]:
        if part.get("type") == "text":
            return self.tokenizer.encode(part["text"], add_special_tokens=False, split_special_tokens=True)
        if part.get("type") == "motion" and self.vocab and "codes" in part:
            return self.vocab.encode(np.asarray(part["codes"], np.int64))
        raise MotionLLMError(f"A content part is neither text nor motion with its codes: {sorted(part)}.")

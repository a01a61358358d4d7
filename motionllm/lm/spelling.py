"""Notations written by the model under their own grammar (`motion.grammar`), token by token.

The grammar is one of characters; `Spelling` turns it into the tokens of a base model's tokenizer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import torch

from motionllm.errors import MotionLLMError
from motionllm.language.vocab import MotionVocab
from motionllm.lm.cached import CachedModel, CausalLM
from motionllm.lm.decoding import Seed, draw, front_rows, generators
from motionllm.lm.loss import logits, output_rows
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.motion.grammar import Writing, words


class Spelling:
    """The tokens of a tokenizer that a notation can be written with.

    ids: these tokens, all of them the base's own below `text_size`, none a control token. texts: their characters.
    Raises MotionLLMError where a character of notations has no token.
    """

    def __init__(self, tokenizer: Any, text_size: int) -> None:
        known = words()
        characters = {*known, *"0123456789.-,/\n"}
        special = {one for one, token in tokenizer.added_tokens_decoder.items() if token.special}
        barred = special.union(tokenizer.all_special_ids)  # other added tokens may be blank lines, like Gemma's
        # As byte-level and sentencepiece vocabularies spell them, the latter with single bytes for missing characters.
        byte_tokens = {f"<0x{ord(one):02X}>": one for one in characters}
        spaces = str.maketrans({"Ġ": " ", "▁": " ", "Ċ": "\n"})
        before = "\n0"  # a tokenizer may drop the space at the start of a text
        anchor = tokenizer.encode(before, add_special_tokens=False)
        plain = {"clean_up_tokenization_spaces": False}
        n_anchor = len(tokenizer.decode(anchor, **plain))
        self.ids: list[int] = []
        self.texts: list[str] = []
        for token_id, token in enumerate(tokenizer.convert_ids_to_tokens(list(range(text_size)))):
            token = byte_tokens.get(token) or (token or "").translate(spaces)
            # A cheap test first: most tokens are words that no notation has.
            if (
                token_id in barred
                or not token
                or not characters.issuperset(token)
                or token.strip("0123456789.-,/\n") not in known
            ):
                continue
            if tokenizer.decode([*anchor, token_id], **plain)[n_anchor:] == token:
                self.ids.append(token_id)
                self.texts.append(token)
        if missing := characters - set(self.texts):
            raise MotionLLMError(
                f"The base model's tokenizer has no token for {sorted(missing)}, so no notation can be written; "
                "choose another base."
            )
        # A trie: {character: subtree; "": indices of the tokens that end here}
        self._tree: dict[str, Any] = {}
        self._breaks = [n for n, text in enumerate(self.texts) if "\n" in text]
        for number, text in enumerate(self.texts):
            if "\n" not in text:
                node = self._tree
                for char in text:
                    node = node.setdefault(char, {})
                node.setdefault("", []).append(number)
        self._cache: dict[tuple[object, ...], list[int]] = {}

    def allowed(self, writing: Writing) -> list[int]:
        """Indices into `ids` of the tokens that may follow."""
        if (numbers := self._cache.get(writing.key)) is None:
            if len(self._cache) > 20_000:
                self._cache.clear()
            numbers = self._cache[writing.key] = list(self._below(self._tree, writing))
        return [*numbers, *(n for n in self._breaks if writing.after(self.texts[n]) is not None)]

    def forced(self, writing: Writing) -> int | None:
        """Index of the token that must follow, whatever is drawn: all allowed tokens are prefixes of it, and no other
        character may stand there. None where there is a choice.
        """
        numbers = self.allowed(writing)
        longest = max(numbers, key=lambda n: len(self.texts[n]), default=None)
        if longest is None or not all(self.texts[longest].startswith(self.texts[n]) for n in numbers):
            return None
        return longest if writing.forces(self.texts[longest]) else None

    def _below(self, node: dict[str, Any], writing: Writing) -> Iterator[int]:
        yield from node.get("", ())
        for char, child in node.items():
            if char and (then := writing.after(char)) is not None:
                yield from self._below(child, then)


class Writings:
    """The notations of a batch while they are written. states: in the grammar; texts: so far."""

    def __init__(self, spelling: Spelling, begun: Sequence[Writing]) -> None:
        self.spelling, self.states, self.texts = spelling, list(begun), [""] * len(begun)

    def begin(self, i: int) -> list[int]:
        """Token ids that notation i begins with, whatever is drawn."""
        return self.write(i, self.spelling.forced(self.states[i]))

    def write(self, i: int, number: int | None) -> list[int]:
        """Token ids of a token written in notation i, and of those that must follow it."""
        ids = []
        while number is not None:
            after = self.states[i].after(self.spelling.texts[number])
            assert after is not None, "a token was drawn that the grammar bars"
            self.texts[i], self.states[i] = self.texts[i] + self.spelling.texts[number], after
            ids.append(self.spelling.ids[number])
            number = self.spelling.forced(after)
        return ids

    def barred(self, active: Sequence[int]) -> torch.Tensor:
        """(k, tokens): which tokens may not follow in these notations."""
        barred = torch.ones(len(active), len(self.spelling.ids), dtype=torch.bool)
        for row, i in enumerate(active):
            barred[row, self.spelling.allowed(self.states[i])] = False
        return barred


@torch.inference_mode()
def notations(
    model: CausalLM,
    vocab: MotionVocab,
    spelling: Spelling,
    prompts: Sequence[Sequence[int]],
    begun: Sequence[Writing],
    sampling: Sampling = GREEDY,
    *,
    seed: Seed = None,
) -> Generator[None, None, list[str]]:
    """A notation for each prompt, with the blank line that ends it; yields after each drawn token.

    prompts: token ids that open the motion. begun: the initial state of each notation, with its bounds
    (`grammar.begin`). Each token is restricted to the grammar, so that `Notation.parse` reads every result; forced
    tokens are written without a draw.
    """
    random = generators(seed, len(prompts))
    head = output_rows(model, vocab)[0][spelling.ids].float()
    config = model.config.get_text_config()
    writings = Writings(spelling, begun)
    active = torch.arange(len(prompts))  # indices of the rows in the model's cache
    cached = CachedModel(model, [[*prompt, *writings.begin(i)] for i, prompt in enumerate(prompts)])
    hidden = cached.start()
    while True:
        scores = logits(hidden, head, config).cpu()
        barred = writings.barred(active.tolist())
        drawn = draw(scores.masked_fill(barred, -torch.inf), sampling, [random[i] for i in active.tolist()])
        ids = [writings.write(i, number) for i, number in zip(active.tolist(), drawn.tolist(), strict=True)]
        yield
        alive = torch.tensor([not writings.states[i].ended for i in active.tolist()])
        if not alive.any():
            return writings.texts
        if not alive.all():
            kept = front_rows(alive)
            cached.keep(kept)
            active, ids = active[kept], [ids[row] for row in kept.tolist()]
        longest = max(map(len, ids))
        real = torch.tensor([[0] * (longest - len(some)) + [1] * len(some) for some in ids])
        hidden = cached.step(torch.tensor([[0] * (longest - len(some)) + some for some in ids]), real)

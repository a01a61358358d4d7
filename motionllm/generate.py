"""Decoding under the motion grammar: batched, cached, projecting only on the rows that may follow.

Inside a motion only codes may follow, of the part of the body whose turn it is, and between steps, after the least
length, its end; outside, no code may. A notation, which a motion may begin with as its plan, is held to its own grammar
(`motion.grammar`). Nothing is repaired afterwards: what cannot be had raises an error.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from os.path import commonprefix
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionllm.bases import takes_positions
from motionllm.errors import MotionLLMError
from motionllm.loss import cross_entropy, logits, output_rows
from motionllm.motion.grammar import Writing, words
from motionllm.stepping import Past, packed
from motionllm.vocab import MotionVocab

LONGEST_LOOP = 24  # tokens
OVERLAP = 12  # steps that a window goes on from
TOGETHER = 32  # prompts that the packed decoder reads side by side, of about one length: little is padded

# An int seeds row i of a batch with (seed, i); or numbers for each row. What a row draws depends on no other row.
Seed = int | Sequence[tuple[int, ...]] | None
# Of a motion's number and the steps that the model is shown, first and one past the last: ids of the plan for these.
Opened = Callable[[int, int, int], Sequence[int]]


def motions(
    model: Any,
    vocab: MotionVocab,
    prompts: Sequence[Sequence[int]],
    least: Sequence[int],
    most: Sequence[int],
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: Seed = None,
    given: Sequence[Sequence[int]] | None = None,
    window: int | None = None,
    guidance: float = 1.0,
    bare: Sequence[Sequence[int]] = (),
    opened: Opened | None = None,
) -> list[list[int]]:
    """Codes of one motion for each prompt, the given ones included. See `places`."""
    made = [list(codes) for codes in given] if given is not None else [[] for _ in prompts]
    for place in places(model, vocab, prompts, least, most, temperature, top_p, top_k, seed, given, window,
                        guidance, bare, opened):  # fmt: skip
        for codes, drawn in zip(made, place, strict=True):
            codes.extend(drawn)
    return made


@torch.inference_mode()
def places(
    model: Any,
    vocab: MotionVocab,
    prompts: Sequence[Sequence[int]],
    least: Sequence[int],
    most: Sequence[int],
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: Seed = None,
    given: Sequence[Sequence[int]] | None = None,
    window: int | None = None,
    guidance: float = 1.0,
    bare: Sequence[Sequence[int]] = (),
    opened: Opened | None = None,
) -> Iterator[list[tuple[int, ...]]]:
    """The codes of the next token of every motion, as soon as it is drawn; none for a motion that has ended.

    prompts: ids that open the assistant's turn. given: codes, in whole steps, that each motion begins with; they are
    not yielded. least, most: bounds of the number of steps, the given ones included; equal bounds give an exact
    length, also where tokens are pieces of several codes. temperature 0 is greedy; top_p and top_k (0: all) keep the
    likeliest tokens. window: the most steps that the model is shown at once; a longer motion goes on from its last
    OVERLAP steps, as if it had begun with them. guidance (Ho and Salimans 2022): how far the scores are taken from
    those after `bare`, a prompt a motion that leaves its text out, through those after its own; 1 is its own alone.
    opened: what each motion begins with before its codes, its plan; `bare` has none.
    """
    guided = guidance != 1
    if guided and len(bare) != len(prompts):
        raise MotionLLMError("Guidance needs a prompt without text for each motion.")
    shown = [list(codes) for codes in given] if given is not None else [[] for _ in prompts]
    made = torch.tensor([len(codes) for codes in shown])
    low, high = (torch.tensor(bound) * vocab.parts for bound in (least, most))
    if any(a < 1 or b < a for a, b in zip(least, most, strict=True)) or (made > high).any():
        raise MotionLLMError("A motion needs at least one step, and its longest length not below its shortest.")
    if window is not None and window <= OVERLAP:
        raise MotionLLMError(f"A window of {window} steps shows no more than the {OVERLAP} that it goes on from.")
    full = window * vocab.parts if window is not None else int(high.max()) + 1
    random = _randoms(seed, len(prompts))
    rows = output_rows(model, vocab)[1][1:].float()  # the end, then the pieces
    config = model.config.get_text_config()
    allowed = torch.stack([vocab.allowed(part) for part in range(vocab.parts)])
    open_ = made < high
    decoder, seen, chosen = None, made.clone(), torch.zeros_like(made)
    inside = torch.arange(len(prompts))  # the motions that the decoder holds
    while open_.any():
        if decoder is None or (seen[open_] >= full).any():
            if (seen[open_] >= full).any():
                shown = [codes[-OVERLAP * vocab.parts - len(codes) % vocab.parts :] for codes in shown]
                seen = torch.tensor([len(codes) for codes in shown])
            inside = open_.nonzero()[:, 0]
            begun = [vocab.encode(np.array(shown[i], np.int64)) for i in inside.tolist()]
            held = []
            for i, (start, *codes, _) in zip(inside.tolist(), begun, strict=True):
                first = (int(made[i]) - len(shown[i])) // vocab.parts
                last = min(first * vocab.parts + full, int(high[i])) // vocab.parts
                held.append([*prompts[i], start, *(opened(i, first, last) if opened else ()), *codes])
            if guided:
                held += [[*bare[i], *ids[:-1]] for i, ids in zip(inside.tolist(), begun, strict=True)]
            decoder = _Decoder(model, held)
            hidden = decoder.start()
        else:
            if not open_[inside].all():
                stay = _moved_up(open_[inside])
                decoder.keep(torch.cat([stay, stay + len(inside)]) if guided else stay)
                inside = inside[stay]
            ids = torch.where(chosen > 0, chosen - 1 + vocab.first_id, vocab.end_id)[inside]
            hidden = decoder.step(ids.repeat(2) if guided else ids)
        scores = logits(hidden, rows, config).cpu()
        if guided:
            with_text, without = scores.chunk(2)
            scores = without + guidance * (with_text - without)
        scores = scores.masked_fill(~allowed[made[inside] % vocab.parts], -torch.inf)
        scores[(made < low)[inside], 0] = -torch.inf
        room = torch.where(open_, torch.minimum(high - made, full - seen), full)[inside]
        scores[:, 1:].masked_fill_(vocab.lengths > room[:, None], -torch.inf)
        chosen[inside] = _draw(scores, temperature, top_p, top_k, [random[i] for i in inside.tolist()])
        open_ &= chosen > 0
        drawn = [vocab.pieces[c - 1] if still else () for c, still in zip(chosen.tolist(), open_.tolist(), strict=True)]
        for codes, piece in zip(shown, drawn, strict=True):
            codes.extend(piece)
        more = torch.tensor([len(piece) for piece in drawn])
        made, seen = made + more, seen + more
        if any(drawn):
            yield drawn
        open_ &= made < high


class Spelling:
    """The tokens of a tokenizer that a notation can be written with.

    ids: of these tokens, all of the base's own below `text_size`; none is a control token. Raises MotionLLMError where
    there are letters that none of them writes.
    """

    def __init__(self, tokenizer: Any, text_size: int) -> None:
        told = words()
        letters = {*told, *"0123456789.-,/\n"}
        special = {one for one, token in tokenizer.added_tokens_decoder.items() if token.special}
        barred = special.union(tokenizer.all_special_ids)  # others that were added may be blank lines, as Gemma's are
        # As vocabularies of bytes and of sentencepiece write them, the latter with single bytes for what it lacks.
        signs = {f"<0x{ord(one):02X}>": one for one in letters}
        spaces = str.maketrans({"Ġ": " ", "▁": " ", "Ċ": "\n"})
        before = "\n0"  # a tokenizer may leave out the space that a text begins with
        anchor = tokenizer.encode(before, add_special_tokens=False)
        plain = {"clean_up_tokenization_spaces": False}
        shown = len(tokenizer.decode(anchor, **plain))
        self.ids: list[int] = []
        self.texts: list[str] = []
        for one, token in enumerate(tokenizer.convert_ids_to_tokens(list(range(text_size)))):
            token = signs.get(token) or (token or "").translate(spaces)
            # Cheaply, what cannot be in any notation; most tokens are words of other kinds.
            if (
                one in barred
                or not token
                or not letters.issuperset(token)
                or token.strip("0123456789.-,/\n") not in told
            ):
                continue
            if tokenizer.decode([*anchor, one], **plain)[shown:] == token:
                self.ids.append(one)
                self.texts.append(token)
        if missing := letters - set(self.texts):
            raise MotionLLMError(
                f"The base model's tokenizer has no token for {sorted(missing)}, so no notation can be written; "
                "choose another base."
            )
        self._tree: dict[
            str, Any
        ] = {}  # character → the same of what follows; "" → numbers of the tokens that end here
        self._breaks = [n for n, text in enumerate(self.texts) if "\n" in text]
        for number, text in enumerate(self.texts):
            if "\n" not in text:
                node = self._tree
                for char in text:
                    node = node.setdefault(char, {})
                node.setdefault("", []).append(number)
        self._within: dict[tuple[object, ...], list[int]] = {}

    def allowed(self, writing: Writing) -> list[int]:
        """Numbers, in `ids`, of the tokens that may follow."""
        if (found := self._within.get(writing.key)) is None:
            if len(self._within) > 20_000:
                self._within.clear()
            found = self._within[writing.key] = list(self._below(self._tree, writing))
        return [*found, *(n for n in self._breaks if writing.after(self.texts[n]) is not None)]

    def forced(self, writing: Writing) -> int | None:
        """The number of the token that must follow, whatever is written: all that may are beginnings of it, and no
        other letters may stand there. None where there is a choice.
        """
        found = self.allowed(writing)
        longest = max(found, key=lambda n: len(self.texts[n]), default=None)
        if longest is None or not all(self.texts[longest].startswith(self.texts[n]) for n in found):
            return None
        return longest if writing.forces(self.texts[longest]) else None

    def _below(self, node: dict[str, Any], writing: Writing) -> Iterator[int]:
        yield from node.get("", ())
        for char, child in node.items():
            if char and (then := writing.after(char)) is not None:
                yield from self._below(child, then)


@torch.inference_mode()
def writing(
    model: Any,
    vocab: MotionVocab,
    spelling: Spelling,
    prompts: Sequence[Sequence[int]],
    begun: Sequence[Writing],
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: Seed = None,
) -> Generator[None, None, list[str]]:
    """A notation for each prompt, with the blank line that ends it, with a pause after each token that is drawn.

    prompts: ids that open the motion. begun: what is asked of each notation (`grammar.begin`). What is drawn is held to
    the grammar token by token, so that `Notation.parse` reads all; what must follow is written without a draw.
    """
    random = _randoms(seed, len(prompts))
    rows = output_rows(model, vocab)[0][spelling.ids].float()
    config = model.config.get_text_config()
    states, made = list(begun), [""] * len(prompts)

    def write(i: int, one: int | None) -> list[int]:
        """Ids of a token that is written in a row, and of those that must follow it."""
        ids = []
        while one is not None:
            after = states[i].after(spelling.texts[one])
            assert after is not None, "a token was drawn that the grammar bars"
            made[i], states[i] = made[i] + spelling.texts[one], after
            ids.append(spelling.ids[one])
            one = spelling.forced(after)
        return ids

    inside = torch.arange(len(prompts))  # the rows that the decoder holds
    decoder = _Decoder(model, [[*prompt, *write(i, spelling.forced(begun[i]))] for i, prompt in enumerate(prompts)])
    hidden = decoder.start()
    while True:
        scores = logits(hidden, rows, config).cpu()
        barred = torch.ones_like(scores, dtype=torch.bool)
        for at, i in enumerate(inside.tolist()):
            barred[at, spelling.allowed(states[i])] = False
        chosen = _draw(scores.masked_fill(barred, -torch.inf), temperature, top_p, top_k,
                       [random[i] for i in inside.tolist()])  # fmt: skip
        ids = [write(i, one) for i, one in zip(inside.tolist(), chosen.tolist(), strict=True)]
        yield
        open_ = torch.tensor([not states[i].ended for i in inside.tolist()])
        if not open_.any():
            return made
        if not open_.all():
            stay = _moved_up(open_)
            decoder.keep(stay)
            inside, ids = inside[stay], [ids[at] for at in stay.tolist()]
        most = max(map(len, ids))
        real = torch.tensor([[0] * (most - len(one)) + [1] * len(one) for one in ids])
        hidden = decoder.step(torch.tensor([[0] * (most - len(one)) + one for one in ids]), real)


@torch.inference_mode()
def texts(
    model: Any,
    vocab: MotionVocab,
    prompts: Sequence[Sequence[int]],
    stop: int,
    longest: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: Seed = None,
    loops: bool = False,
) -> list[list[int]]:
    """Ids of a text reply for each prompt, without the `stop` id that ends the turn; no motion id can occur, and
    unless `loops` may, nothing is said three times in a row (`repeating`).
    """
    random = _randoms(seed, len(prompts))
    rows = output_rows(model, vocab)[0].float()
    config = model.config.get_text_config()
    decoder = _Decoder(model, prompts)
    made: list[list[int]] = [[] for _ in prompts]
    open_ = [True] * len(prompts)
    hidden = decoder.start()
    for _ in range(longest):
        scores = logits(hidden, rows, config)
        for i, ids in enumerate(made):
            if open_[i] and not loops and (again := repeating(ids)):
                scores[i, again] = -torch.inf
        chosen = _draw(scores, temperature, top_p, top_k, random)
        for i, c in enumerate(chosen.tolist()):
            if open_[i] and c != stop:
                made[i].append(c)
            else:
                open_[i] = False
        if not any(open_):
            break
        hidden = decoder.step(chosen)
    return made


def repeating(ids: Sequence[int]) -> list[int]:
    """The ids that would begin to say for the third time in a row what was said twice, two to LONGEST_LOOP tokens long,
    or a single token for the fifth time (digits are tokens, and numbers have zeros).

    A reply of a small model that begins to repeat itself does so without end: each repetition makes the next likelier.
    """
    again = [ids[-1]] if len(ids) >= 4 and len(set(ids[-4:])) == 1 else []
    longest = min(LONGEST_LOOP, len(ids) // 2)
    return again + [ids[-size] for size in range(2, longest + 1) if ids[-size:] == ids[-2 * size : -size]]


@torch.inference_mode()
def likelihoods(
    model: Any, vocab: MotionVocab, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]], batch: int = 32
) -> list[float]:
    """Log-likelihood in nats of each text reply (ids) after its prompt."""
    rows = output_rows(model, vocab)[0].float()
    config = model.config.get_text_config()
    return [
        float(torch.log_softmax(logits(hidden, rows, config), dim=-1).gather(1, reply[:, None]).sum())
        for hidden, reply in _before(model, prompts, replies, batch)
    ]


@torch.inference_mode()
def motion_likelihoods(
    model: Any, vocab: MotionVocab, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]], batch: int = 32
) -> list[float]:
    """Log-likelihood in nats, under the grammar, of motion ids that go on after a prompt that ends within a motion."""
    found = []
    for hidden, reply in _before(model, prompts, replies, batch):
        found.append(-float(cross_entropy(hidden, reply, model, vocab)[0]))
    return found


def _before(
    model: Any, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]], batch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each pair of prompt and reply: the hidden states (n, d) that predict the reply's ids, and these ids (n,)."""
    body = model.get_decoder() if hasattr(model, "get_decoder") else model.model
    device = next(model.parameters()).device
    for start in range(0, len(prompts), batch):
        pairs = list(zip(prompts[start : start + batch], replies[start : start + batch], strict=True))
        length = max(len(p) + len(r) for p, r in pairs)
        ids = torch.zeros((len(pairs), length), dtype=torch.long, device=device)
        for i, (prompt, reply) in enumerate(pairs):
            ids[i, : len(prompt) + len(reply)] = torch.tensor([*prompt, *reply])
        # Padding stands at the end, where a causal model cannot see it from before.
        hidden = body(input_ids=ids, use_cache=False).last_hidden_state
        for i, (prompt, reply) in enumerate(pairs):
            place = slice(len(prompt) - 1, len(prompt) + len(reply) - 1)
            yield hidden[i, place], torch.tensor(reply, dtype=torch.long, device=device)


def _moved_up(open_: Tensor) -> Tensor:
    """The places (k,) of what is open (n,), in an order that moves few: the last fill the places of what has ended."""
    stay = open_.nonzero()[:, 0]
    order = torch.arange(len(stay))
    order[~open_[: len(stay)]] = stay[stay >= len(stay)]
    return order


class _Decoder:
    """The body of the model with its cache over prompts: hidden states of the last place.

    Each prompt is read once, however many replies are made for it, and the beginning that all share (the template's)
    once for all. What follows the beginning is padded between the two.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        self.body = model.get_decoder() if hasattr(model, "get_decoder") else model.model
        self.device = next(model.parameters()).device
        self.packed, self.places = packed(self.body), takes_positions(self.body)
        self.read = sorted({tuple(prompt) for prompt in prompts}, key=lambda prompt: (len(prompt), prompt))
        number = {prompt: n for n, prompt in enumerate(self.read)}
        self.rows = torch.tensor([number[tuple(prompt)] for prompt in prompts], device=self.device)
        # Of ids, not of paths. Each prompt keeps a place of its own, from which it goes on.
        self.begin = commonprefix([prompt[:-1] for prompt in self.read]) if len(self.read) > 1 else ()  # noqa: RUF071
        self.position, self.mask = self._places([len(prompt) for prompt in prompts])
        self.cache: Any = None

    def start(self) -> Tensor:
        begin = None
        if self.begin:
            begin = self.body(input_ids=torch.tensor([self.begin], device=self.device), use_cache=True).past_key_values
        each = TOGETHER if self.packed else len(self.read)
        hidden, caches = [], []
        for first in range(0, len(self.read), each):
            some = self.read[first : first + each]
            length, shared = len(some[-1]), len(self.begin)
            ids = [[0] * (length - len(prompt)) + [*prompt[shared:]] for prompt in some]
            _, mask = self._places([len(prompt) for prompt in some])
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
            cache = copy.deepcopy(begin)
            if cache is not None:
                cache.batch_repeat_interleave(len(some))
            out = self._run(torch.tensor(ids, device=self.device), mask, positions, cache)
            hidden.append(out.last_hidden_state[:, -1])
            caches.append(out.past_key_values)
        if self.packed:
            self.cache = Past(caches, self.rows, len(self.begin))
        else:
            self.cache = caches[0]
            self.cache.batch_select_indices(self.rows)
        return torch.cat(hidden)[self.rows]

    def step(self, ids: Tensor, real: Tensor | None = None) -> Tensor:
        """After one token (n,) more a row; or after several (n, k), of which those that are `real`, each row's last."""
        ids = ids.reshape(len(ids), -1).to(self.device)
        real = torch.ones_like(ids) if real is None else real.to(ids)
        self.mask = torch.cat([self.mask, real], dim=1)
        positions = (self.position[:, None] + real.cumsum(1) - 1).clamp(min=0)
        if self.packed:
            mask = None if self.mask.all() else self.mask
            hidden = self.packed.step(ids, positions, self.cache, mask)
        else:
            out = self._run(ids, self.mask, positions, self.cache)
            self.cache, hidden = out.past_key_values, out.last_hidden_state[:, -1]
        self.position = self.position + real.sum(1)
        return hidden

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows (k,) alone."""
        rows = rows.to(self.device)
        self.mask, self.position = self.mask[rows], self.position[rows]
        if self.packed:
            self.cache.keep(rows)
        else:
            self.cache.batch_select_indices(rows)

    def _places(self, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The place (n,) that follows each of some prompts, and the mask (n, longest) of those that hold a token."""
        position = torch.tensor(lengths, device=self.device)
        place = torch.arange(max(lengths), device=self.device)
        padding = max(lengths) - position
        return position, ((place < len(self.begin)) | (place >= len(self.begin) + padding[:, None])).long()

    def _run(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Any:
        return self.body(
            input_ids=ids,
            # Without padding there is no mask: attention takes its fast causal path.
            attention_mask=None if mask.all() else mask,
            **({"position_ids": positions} if self.places else {}),
            past_key_values=cache,
            use_cache=True,
        )


def _randoms(seed: Seed, rows: int) -> list[np.random.Generator]:
    """A generator for each row of a batch."""
    if seed is None:
        return [np.random.default_rng() for _ in range(rows)]
    pairs = [(seed, i) for i in range(rows)] if isinstance(seed, int) else list(seed)
    if len(pairs) != rows or any(number < 0 for pair in pairs for number in pair):
        raise MotionLLMError(f"A seed is a whole number from 0 on, got {seed!r}.")
    return [np.random.default_rng(pair) for pair in pairs]


def _draw(
    scores: Tensor, temperature: float, top_p: float, top_k: int, random: Sequence[np.random.Generator]
) -> Tensor:
    """One index a row of (n, V) scores, on the CPU so that a seed gives the same draw on every device."""
    scores = scores.cpu()
    if temperature < 1e-4:
        return scores.argmax(-1)
    shares, index = torch.softmax(scores.double() / temperature, dim=-1), None
    if top_k or top_p < 1:
        shares, index = shares.topk(min(top_k or shares.shape[-1], shares.shape[-1]), dim=-1)
        shares = shares / shares.sum(-1, keepdim=True)
        shares[shares.cumsum(-1) - shares >= top_p] = 0
    summed = shares.cumsum(-1)
    at = torch.tensor([[r.random()] for r in random], dtype=torch.double)
    # The first place whose sum is above the draw: one with a share of nothing is never it.
    chosen = torch.searchsorted(summed / summed[:, -1:], at, right=True)
    return (chosen if index is None else index.gather(-1, chosen))[:, 0]


@torch.inference_mode()
def starts_motion(model: Any, vocab: MotionVocab, prompt: Sequence[int]) -> bool:
    """Whether the model would open its reply with a motion rather than with its likeliest word."""
    text_rows, motion_rows = output_rows(model, vocab)
    config = model.config.get_text_config()
    hidden = _Decoder(model, [prompt]).start()
    return bool(logits(hidden, motion_rows[:1], config)[0, 0] > logits(hidden, text_rows, config).max())

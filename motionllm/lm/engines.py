"""Decoding by a remote engine: the grammar of motion in the terms of an OpenAI-compatible completions endpoint.

Two engines are known, and each is sent as much of the grammar as it accepts:

- `transformers serve` accepts a whole generation configuration: every id but codes and end is suppressed; pairs of
  codes whose second is of the wrong part are forbidden, and so is the end within a step. Prompts can only be text.
- vLLM accepts `allowed_token_ids`, bounds of the length, and a regular expression for the order of the parts. Prompts
  are ids.

Every reply is checked. One that is no motion is requested again, `TRIES` times in all, and then an error is raised:
none is repaired. Neither engine returns likelihoods of a given reply, so candidates cannot be ranked by the model.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.language.vocab import MotionVocab
from motionllm.lm.backend import Ability, Local
from motionllm.lm.decoding import OVERLAP, Request, Seed
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.lm.servers import KEY, Servers

TRIES = 3  # requests per motion before an error is raised
LACKS: dict[Ability, str] = {
    "likelihoods": "gives no likelihoods to rank by; give best_of=1, a judge, or a plan.",
    "guidance": "offers no guidance; leave it at 1, or load the adapter here.",
    "plans": "cannot be held to the notation, so no plan is written there; give one of your own, or load the adapter "
    "here.",
    "base": "serves the merged model alone, and words without motion are the base's; ask about a clip, or load the "
    "adapter here.",
}
SIDE_BY_SIDE = 16  # concurrent requests to each vLLM


# Settings that engines add to every request from the model's generation_config.json, at their neutral values: the
# base's sampling defaults do not suit the adapter.
NEUTRAL = {"repetition_penalty": 1.0, "top_p": 1.0}
NEUTRAL_PLAIN = NEUTRAL | {
    "top_k": 0,
    "temperature": 1.0,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "num_beams": 1,
    "no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
}
NEUTRAL_VLLM = NEUTRAL | {"top_k": -1, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}


class Engine:
    """A served model; the counterpart of `motionllm.lm.decoding` for a loaded one.

    url: address of the engine, or of several of one kind that serve the same model. name: the model's name there; None
    takes the one that is served. tokenizer: the merged model's own, which has the motion tokens. rows: number of rows
    of the model's output matrix. limit: context length in tokens. timeout: seconds for one reply. api_key: bearer
    token; None takes the environment variable `KEY`, if set. It is sent to these addresses only, and never appears in
    a message.

    Raises MotionLLMError where nobody answers at any address, or it is not such an engine.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        name: str | None,
        vocab: MotionVocab,
        tokenizer: Any,
        rows: int,
        limit: int,
        timeout: float,
        api_key: str | None = None,
    ) -> None:
        key = (os.environ.get(KEY, "") if api_key is None else api_key).strip()
        if not (key.isascii() and (key.isprintable() or not key)):
            raise MotionLLMError(f"The API key ({KEY} or api_key=) has characters that no key has; copy it anew.")
        self.vocab, self.tokenizer, self.rows, self.limit = vocab, tokenizer, rows, limit
        self.servers = Servers([url] if isinstance(url, str) else url, timeout, key)
        if vocab.bpe:
            raise MotionLLMError(
                "This model's motion tokens are pieces of several codes, whose grammar no engine can be told; load it "
                "here with MotionLM.load."
            )
        kinds = set()
        for one, served in self.servers.models().items():
            kinds.add(vllm := "vllm" in served.values())
            if vllm and name is not None and name not in served:
                raise MotionLLMError(f"{one} serves no model {name!r}; it serves {', '.join(served)}.")
            self.servers.names[one] = next(iter(served)) if vllm and name is None else name
        if len(kinds) > 1:
            raise MotionLLMError("These engines are of several kinds; give addresses of vLLM alone, or of none.")
        self.vllm = kinds.pop()

    @property
    def url(self) -> str:
        """Where it is served."""
        return self.servers.url

    # -- the protocol `backend.Backend` ----------------------------------------------------------------------

    @property
    def model(self) -> Any:
        raise MotionLLMError(f"{self.url} serves the model, and its weights are not here; load the adapter here.")

    def can(self, ability: Ability) -> bool:
        return False

    def require(self, ability: Ability) -> None:
        raise MotionLLMError(f"{self.url} {LACKS[ability]}")

    def check(self, ids: Sequence[int], motions: Sequence[Sequence[int]]) -> None:
        # The merged model's tokenizer knows the motion tokens, and would read their names in a text as such.
        n_motion_ids = sum(len(self.vocab.encode(np.asarray(codes))) for codes in motions)
        if sum(i >= self.vocab.text_size for i in ids) != n_motion_ids:
            raise MotionLLMError("The text names motion tokens, which the engine would read as such; leave them out.")

    def places(
        self, requests: Sequence[Request], sampling: Sampling, *, seed: Seed = None, window: int | None = None
    ) -> Iterator[list[tuple[int, ...]]]:
        """All codes at once, because an engine's reply is read whole."""
        motions = self.motions(requests, sampling, seed=seed, window=window)
        yield [tuple(codes[len(request.given) :]) for codes, request in zip(motions, requests, strict=True)]

    def notations(self, *_: object, **__: object) -> Generator[None, None, list[str]]:
        self.require("plans")
        yield from ()
        return []

    def likelihoods(self, *_: object) -> list[float]:
        self.require("likelihoods")
        return []

    motion_likelihoods = likelihoods

    @contextmanager
    def without_adapter(self) -> Iterator[Local]:
        self.require("base")
        raise AssertionError
        yield

    def motions(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        seed: Seed = None,
        window: int | None = None,
    ) -> list[list[int]]:
        """Like `decoding.motions`, on the engine: codes of one motion for each request, including the given ones.

        Raises MotionLLMError for guidance, which no engine offers.
        """
        if sampling.guidance != 1:
            self.require("guidance")
        parts = self.vocab.parts

        def one(number: int) -> list[int]:
            request, codes = requests[number], list(requests[number].given)
            min_codes, max_codes = request.min_steps * parts, request.max_steps * parts
            full = window * parts if window else max_codes
            visible, pieces = codes[-full:] if len(codes) < full else codes[-OVERLAP * parts :], 0
            while len(codes) < max_codes:
                room = min(full - len(visible), max_codes - len(codes))
                least = min(room, max(0, min_codes - len(codes)))
                start, *ids, _ = self.vocab.encode(np.array(visible, np.int64))
                first = (len(codes) - len(visible)) // parts
                last = first + (len(visible) + room) // parts
                plan = request.plan_ids(first, last) if request.plan_ids else ()
                prompt = [*request.prompt, start, *plan, *ids]
                piece = self._codes(prompt, least, room, [*_pair(seed, number), pieces], sampling)
                codes += piece
                if len(piece) < room:
                    break
                visible, pieces = codes[-OVERLAP * parts :], pieces + 1
            return codes

        return self._all(one, len(requests))

    def texts(
        self,
        prompts: Sequence[Sequence[int]],
        stop: int,
        sampling: Sampling = GREEDY,
        *,
        max_tokens: int = 64,
        seed: Seed = None,
    ) -> list[str]:
        """A text reply for each prompt; no motion token can occur in it."""

        def one(number: int) -> str:
            wanted = {"max": max_tokens, "min": 0, "stop": stop, "barred": self.vocab.ids}
            return self._complete(prompts[number], sampling, wanted, [*_pair(seed, number), 0])

        return self._all(one, len(prompts))

    def starts_motion(self, prompt: Sequence[int], stop: int) -> bool:
        """Whether the most likely first token of a reply is the motion start."""
        barred = [i for i in self.vocab.ids if i != self.vocab.start_id]
        wanted = {"max": 1, "min": 0, "stop": stop, "barred": barred}
        return self._ids(self._complete(prompt, GREEDY, wanted, [0])) == [self.vocab.start_id]

    # -- within --------------------------------------------------------------------------------------------

    def _all(self, one: Callable[[int], Any], count: int) -> list[Any]:
        with ThreadPoolExecutor((SIDE_BY_SIDE if self.vllm else 1) * len(self.servers.busy)) as workers:
            return list(workers.map(one, range(count)))

    def _codes(self, prompt: list[int], low: int, high: int, seed: list[int], sampling: Sampling) -> list[int]:
        """`low` to `high` codes, in whole steps, that continue a prompt which ends within a motion."""
        wanted = {"max": high, "min": low, "stop": self.vocab.end_id, "motion": True}
        why = ""
        for number in range(TRIES if sampling.temperature else 1):
            ids = self._ids(self._complete(prompt, sampling, wanted, [*seed, number]))
            ids = ids[:-1] if ids[-1:] == [self.vocab.end_id] else ids
            codes = np.array(ids, np.int64) - self.vocab.first_id
            each = self.vocab.size // self.vocab.parts
            if ((codes < 0) | (codes >= self.vocab.size)).any():
                why = "with other tokens among its codes"
            elif not low <= len(codes) <= high or len(codes) % self.vocab.parts:
                why = f"of {len(codes)} codes where {low} to {high} were asked for"
            elif (codes // each != np.arange(len(codes)) % self.vocab.parts).any():
                why = "with codes out of order"
            else:
                return [int(code) for code in codes]
        raise MotionLLMError(
            f"{self.url} gave a motion {why}, also when asked again; see that it serves this very model, and that it "
            "is an engine that docs/serving.md names."
        )

    def _ids(self, text: str) -> list[int]:
        """Token ids of a reply; some decoders put spaces between added tokens."""
        reply = "".join(text.split())
        return list(self.tokenizer.encode(reply, add_special_tokens=False)) if reply else []

    def _complete(self, prompt: Sequence[int], sampling: Sampling, wanted: dict[str, Any], seed: Sequence[int]) -> str:
        """The text that follows a prompt."""
        words = np.random.SeedSequence(list(seed)).generate_state(1)
        body = {
            "seed": int(words[0] >> 1),
            **(self._vllm if self.vllm else self._plain)(prompt, sampling, wanted),
        }
        answer = self.servers.complete(body)
        try:
            return str(answer["choices"][0]["text"])
        except (KeyError, IndexError, TypeError):
            raise MotionLLMError(f"{self.url} answered without a completion: {str(answer)[:200]}") from None

    def _plain(self, prompt: Sequence[int], sampling: Sampling, wanted: dict[str, Any]) -> dict[str, Any]:
        """A request to `transformers serve`."""
        settings: dict[str, Any] = NEUTRAL_PLAIN | {
            "max_new_tokens": wanted["max"],
            "min_new_tokens": wanted["min"],
            "eos_token_id": [wanted["stop"]],
            "pad_token_id": self.tokenizer.pad_token_id,
            "do_sample": sampling.temperature >= 1e-4,
        }
        if settings["do_sample"]:
            settings |= {name: getattr(sampling, name) for name in ("temperature", "top_p", "top_k")}
        settings |= self._order if "motion" in wanted else {"suppress_tokens": wanted["barred"]}
        return {"prompt": self._written(prompt), "generation_config": json.dumps(settings)}

    @cached_property
    def _order(self) -> dict[str, Any]:
        """The grammar within a motion as a generation configuration."""
        vocab = self.vocab
        pieces = np.arange(vocab.size) + vocab.first_id
        parts = pieces.reshape(vocab.parts, -1)
        pairs: list[list[int]] = []
        for part, codes in enumerate(parts):
            turn = (part + 1) % vocab.parts
            wrong = [*np.delete(parts, turn, axis=0).flatten().tolist(), *([vocab.end_id] if turn else [])]
            pairs += [[first, second] for first in codes.tolist() for second in wrong]
        inside = {vocab.end_id, *pieces.tolist()}
        return {
            "suppress_tokens": [i for i in range(max(self.rows, max(vocab.ids) + 1)) if i not in inside],
            "begin_suppress_tokens": parts[1:].flatten().tolist(),
            **({"bad_words_ids": pairs} if pairs else {}),
        }

    def _vllm(self, prompt: Sequence[int], sampling: Sampling, wanted: dict[str, Any]) -> dict[str, Any]:
        """A request to vLLM."""
        body: dict[str, Any] = NEUTRAL_VLLM | {
            "prompt": list(prompt),
            "max_tokens": wanted["max"],
            "min_tokens": wanted["min"],
            "stop_token_ids": [wanted["stop"]],
            "skip_special_tokens": True,
            "temperature": sampling.temperature,
        }
        if sampling.temperature:
            body |= {"top_p": sampling.top_p, "top_k": sampling.top_k or -1}
        if "motion" in wanted:
            codes = np.arange(self.vocab.size) + self.vocab.first_id
            step = "".join(
                f"({'|'.join(map(self.tokenizer.convert_ids_to_tokens, part.tolist()))})"
                for part in codes.reshape(self.vocab.parts, -1)
            )
            steps = wanted["min"] // self.vocab.parts, wanted["max"] // self.vocab.parts
            body["allowed_token_ids"] = [self.vocab.end_id, self.tokenizer.eos_token_id, *codes.tolist()]
            # The expression covers the end token too, unless the length is exact.
            end = f"({self.tokenizer.convert_ids_to_tokens(self.vocab.end_id)})?" if steps[0] < steps[1] else ""
            body["structured_outputs"] = {"regex": f"({step}){{{steps[0]},{steps[1]}}}{end}"}
        else:
            barred = set(wanted["barred"])
            body["allowed_token_ids"] = [
                i for i in range(self.vocab.text_size + len(self.vocab.ids)) if i not in barred
            ]
        return body

    def _written(self, ids: Sequence[int]) -> str:
        """A text that the engine's tokenizer encodes to exactly these ids. Raises MotionLLMError if there is none."""
        text = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        bos = self.tokenizer.bos_token
        for one in (text, text.removeprefix(bos) if bos else text):
            if self.tokenizer(one).input_ids == list(ids):
                return str(one)
        raise MotionLLMError(
            "The text holds what the engine would read as a token of another kind, such as <|im_end|>; leave it out."
        )


def _pair(seed: Seed, number: int) -> list[int]:
    """The seed of row `number` in a batch. Raises MotionLLMError for a negative one."""
    if seed is None:
        return [secrets.randbelow(2**31)]
    pair = (seed, number) if isinstance(seed, int) else seed[number]
    if any(part < 0 for part in pair):
        raise MotionLLMError(f"A seed is a whole number from 0 on, got {seed!r}.")
    return list(pair)

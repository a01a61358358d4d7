"""MotionLM: a base LLM, its motion vocabulary, an adapter and the motion tokenizer, as one thing to call."""

from __future__ import annotations

import copy
import logging
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from motionllm import decoding, shipped, weights
from motionllm.adapters import fresh_adapter, load_adapter, put, read_adapter
from motionllm.bases import base_fingerprint, fast_dtype, load_base, load_config, load_tokenizer, probe
from motionllm.config import Recipe, dump_recipe, load_recipe
from motionllm.data.asked import asked, share, tells
from motionllm.data.changes import OTHERWISE, added, changed, shared, summary
from motionllm.data.clips import Clip
from motionllm.data.conversations import Message, Renderer
from motionllm.data.meaning import associations
from motionllm.data.queries import Query
from motionllm.data.templates import Templates, conversation
from motionllm.engines import Engine
from motionllm.errors import MotionLLMError
from motionllm.files import whole_folder, write_file
from motionllm.motion import Motion, grammar
from motionllm.motion.agreement import agreement_of
from motionllm.motion.notation import Notation, measure
from motionllm.motion.skeleton import HUMANML3D
from motionllm.sampling import BEST_OF, GREEDY, Sampling
from motionllm.spelling import Spelling, notations
from motionllm.stepping import pack
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer.bpe import MotionBPE
from motionllm.vocab import MotionVocab

log = logging.getLogger(__name__)

LONGEST = 60.0  # seconds of motion generated in one go
MARGIN = 0.3  # seconds between what is kept of a motion that is changed and what is made anew
LEAST = 0.5  # seconds that are worth keeping
BODILY = -1.0  # of `MotionLM.bodily`: with the shipped adapter between 30 motions and 30 plain lines of no test
# Texts and motions (codes) made for them → a score each, by which the best is kept.
Judge = Callable[[Sequence[str], Sequence[Sequence[int]]], Sequence[float]]

Shown = Literal["codes", "notation", "both"]
# What a motion is to follow: a notation or its text; None: what the model writes, if it was trained to; False: none.
Plan = Notation | str | bool | None
PLANS = 4  # drawn for one that is followed
PLANNING = 1  # besides a motion's own numbers, in the seed of its plan
T = TypeVar("T")

# Exactly so long, or within bounds; None leaves it to the model.
Seconds = float | tuple[float, float] | None
# A clip for all rows, or one for each.
Clips = Motion | np.ndarray | Sequence[Motion | np.ndarray] | None


def drained(steps: Generator[None, None, T]) -> T:
    """What a generator returns, without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            returned: T = end.value
            return returned


def parse_seconds(text: str) -> Seconds:
    """ "4" → 4.0, "2-4" → (2.0, 4.0). Raises MotionLLMError for anything else."""
    try:
        low, dash, high = text.replace("–", "-").partition("-")
        return (float(low), float(high)) if dash else float(low)
    except ValueError:
        raise MotionLLMError(f"{text!r} is no duration; write seconds as 4, or two as 2-4.") from None


class MotionLM:
    """model: a PEFT model while training, a plain causal LLM once merged. tokenizer: the base's own.

    shown: what captions and answers are given of a motion: its codes, its measured notation, or both. It may be set; an
    adapter that was trained without notation reads codes alone.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        vocab: MotionVocab,
        motion_tokenizer: MotionTokenizer,
        templates: Templates,
        recipe: Recipe,
    ) -> None:
        self.model, self.tokenizer, self.vocab = model, tokenizer, vocab
        self.motion_tokenizer, self.templates, self.recipe = motion_tokenizer, templates, recipe
        self.renderer = Renderer(tokenizer, vocab, recipe.data.system)
        self.shown: Shown = "both" if recipe.data.notation and recipe.data.notation.read else "codes"
        self.base = recipe.model.base  # where the base model lies
        self._base: Any = None  # the base model itself, once `talk` needs it beside the merged one
        self.engine: Engine | None = None  # decodes in the model's place, which is None then
        self.limit = 0  # tokens that the engine's model takes
        self.sampling = _sampling(recipe)  # where a caller says nothing

    # -- making, saving, loading ---------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        recipe: Recipe,
        motion_tokenizer: MotionTokenizer,
        templates: Templates,
        clips: Sequence[Clip] = (),
        bpe: MotionBPE | None = None,
    ) -> MotionLM:
        """A base with fresh motion rows and a fresh adapter, to be trained. clips: where codes and words meet, for
        rows that start from words, and what a motion BPE is learned from where the recipe wants one and none is given.
        With method full there is no adapter: every weight is trained, in float32.
        """
        settings = recipe.adapter
        full = settings.method == "full"
        base, tokenizer = load_base(
            recipe.model.base, "float32" if full else recipe.model.dtype, recipe.model.quantization
        )
        size, merges = motion_tokenizer.size, recipe.model.bpe
        if merges and not bpe:
            bpe = MotionBPE.train([clip.codes for clip in clips], size, merges)
        vocab = MotionVocab.add(copy.deepcopy(tokenizer), size, motion_tokenizer.hash, motion_tokenizer.parts, bpe)
        torch.manual_seed(recipe.train.seed)
        words = associations(clips, tokenizer, vocab.size) if settings.rows_init == "words" else None
        vocab.attach(base, settings.rows_init, recipe.train.seed, motion_tokenizer.codebook, words)
        if full:  # the folder will hold the model itself
            return cls(base.requires_grad_(True), tokenizer, vocab, motion_tokenizer, templates, recipe)
        vocab = replace(vocab, base=base_fingerprint(recipe.model.base))
        model = fresh_adapter(settings, vocab, base)
        model.peft_config["default"].base_model_name_or_path = recipe.model.base
        if settings.start:
            go_on_from(find_adapter(settings.start), model, vocab, recipe)
        return cls(model, tokenizer, vocab, motion_tokenizer, templates, recipe)

    @classmethod
    def untrained(cls, name: str | Path = "default") -> MotionLM:
        """The same base, vocabulary and templates as an adapter's, with rows at their start and no adapter: the
        baseline its figures are set beside.
        """
        folder = find_adapter(name)
        recipe = load_recipe(folder / "recipe.yaml", saved=True)
        recipe.adapter.start = None
        tokenizer, templates = (
            MotionTokenizer.load(folder / "tokenizer"),
            Templates.load_saved(folder / "templates.yaml"),
        )
        lm = cls.create(recipe, tokenizer, templates, bpe=MotionVocab.load(folder).bpe)
        lm.model = (lm.model if lm.model is bare(lm.model) else lm.model.merge_and_unload()).eval()
        return lm

    @classmethod
    def load(
        cls,
        name: str | Path = "default",
        base: str | None = None,
        merge: bool = True,
        tokenizer: str | Path | None = None,
    ) -> MotionLM:
        """An adapter folder, a run folder, or the name of a shipped adapter ("default").

        base: another place of the same base model. merge: fold the adapter into the base (faster). tokenizer: another
        motion tokenizer of the same codes in place of the adapter's own, as "causal" is of "default".
        Raises MotionLLMError where a file is missing, or adapter, base and motion tokenizer do not belong together.
        """
        folder = find_adapter(name)
        weights.within(folder)
        vocab = MotionVocab.load(folder)
        motion_tokenizer = MotionTokenizer.load(folder / "tokenizer")
        if motion_tokenizer.hash != vocab.tokenizer_hash:
            raise MotionLLMError(
                f"The adapter in {folder} was made for motion tokenizer {vocab.tokenizer_hash}, but the one beside it "
                f"is {motion_tokenizer.hash}; put the right one back or train anew."
            )
        if (motion_tokenizer.size, motion_tokenizer.parts) != (vocab.size, vocab.parts):
            raise MotionLLMError(
                f"The adapter in {folder} is damaged: its vocabulary has {vocab.size} codes in {vocab.parts} parts, "
                f"and its motion tokenizer {motion_tokenizer.size} in {motion_tokenizer.parts}; copy it anew."
            )
        if tokenizer is not None:
            own, motion_tokenizer = motion_tokenizer, MotionTokenizer.load(tokenizer)
            if motion_tokenizer.codes_hash != own.codes_hash:
                raise MotionLLMError(
                    f"The motion tokenizer {tokenizer} has other codes than the adapter in {folder} was trained on; "
                    "only one with its encoder and codebooks can stand in."
                )
        recipe = load_recipe(folder / "recipe.yaml", saved=True)
        templates = Templates.load_saved(folder / "templates.yaml")
        model: Any
        whole = recipe.adapter.method == "full"  # the folder holds the model itself
        if not whole and (folder / "config.json").is_file():
            raise MotionLLMError(
                f"{folder} is a merged model, for other engines; give the adapter or run that it was merged from."
            )
        tensors = {} if whole else read_adapter(folder, recipe.adapter, vocab)  # before the base, which takes longer
        source = str(folder) if whole else base or recipe.model.base
        # Merged in float32 and cast after: merging in bfloat16 moves logits by up to 0.8.
        model, words = load_base(source, "float32" if merge or whole else recipe.model.dtype, tried=False)
        if len(words) != vocab.text_size:
            raise MotionLLMError(
                f"The adapter in {folder} was made for a base of {vocab.text_size} tokens, but "
                f"{source} has {len(words)}; give the base it was trained on."
            )
        if not whole:
            _same_base(folder, vocab.base, source)
            vocab.attach(model)
            model = load_adapter(folder, tensors, recipe.adapter, vocab, model, recipe.model.base)
        if merge:
            model = model if whole else model.merge_and_unload()
            model = model.to(getattr(torch, fast_dtype() if recipe.model.dtype == "auto" else recipe.model.dtype))
        if torch.cuda.is_available():
            model = model.to("cuda")
        probe(model, [0, vocab.start_id, vocab.first_id], f"The adapter in {folder}, or its base {source},")
        if merge:
            pack(model.get_decoder())
        lm = cls(model.eval(), words, vocab, motion_tokenizer, templates, recipe)
        lm.base = base or recipe.model.base
        return lm

    @classmethod
    def connect(
        cls,
        url: str,
        folder: str | Path = "merged",
        name: str | None = None,
        timeout: float = 600.0,
        api_key: str | None = None,
    ) -> MotionLM:
        """The merged model that an engine serves at `url`, `transformers serve` or vLLM (docs/serving.md): what `load`
        gives, without weights here. best_of needs a judge or a plan, as no engine gives likelihoods; `stream` gives its
        pieces at the end; plans are followed but none is written; `talk` is not to be had, because only the merged
        model is served.

        folder: what `motionllm merge` wrote, of which all but the weights is read. name: of the model on the engine;
        None: the one it was started with. timeout: seconds for one reply. api_key: for engines that ask for one;
        None: the environment's MOTIONLLM_API_KEY. Raises MotionLLMError where nobody answers, or what is served is not
        this model.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise MotionLLMError(f"There is no folder {folder}; give the one that `motionllm merge` wrote.")
        weights.within(folder)
        vocab = MotionVocab.load(folder)
        if not (folder / "config.json").is_file():
            raise MotionLLMError(f"{folder} is no merged model; give the folder that `motionllm merge` wrote.")
        config, tokenizer = load_config(folder).get_text_config(), load_tokenizer(folder)
        recipe = load_recipe(folder / "recipe.yaml", saved=True)
        templates = Templates.load_saved(folder / "templates.yaml")
        lm = cls(None, tokenizer, vocab, MotionTokenizer.load(folder / "tokenizer"), templates, recipe)
        lm.engine = Engine(url, name, vocab, tokenizer, config.vocab_size, timeout, api_key)
        lm.limit = longest(config)
        if lm.sampling.guidance != 1:
            log.warning(
                "%s offers no guidance, so motions are drawn without the adapter's own, %g.", url, lm.sampling.guidance
            )
            lm.sampling = replace(lm.sampling, guidance=1.0)
        # One step of motion tells a model that has other tokens, or none, before anyone waits for a clip.
        step = replace(lm._order("a person stands", 1.0, [], []), min_steps=1, max_steps=1)
        lm._write([step], GREEDY)
        return lm

    def save(self, folder: str | Path, dtype: str = "float32", trained: dict[str, Any] | None = None) -> None:
        """Write the adapter folder: all that `load` needs besides the base. Replaces an older one at once.

        trained: the trained parameters by name, where the model holds only shards of them.
        dtype "bfloat16" rounds the adapter in memory too, so that what was saved is what is measured.
        """
        with whole_folder(folder) as beside:
            if dtype == "bfloat16" and trained is None:
                with torch.no_grad():
                    for parameter in self.model.parameters():
                        if parameter.requires_grad:
                            parameter.copy_(parameter.to(torch.bfloat16))
            if self.model is bare(self.model):
                self.model.save_pretrained(beside, state_dict=trained)
                self.tokenizer.save_pretrained(beside)
            else:
                self.model.save_pretrained(beside, save_embedding_layers=False, state_dict=trained)
            if dtype == "bfloat16":
                for file in beside.glob("*.safetensors"):
                    halves = {name: value.to(torch.bfloat16) for name, value in load_file(file).items()}
                    save_file(halves, file, {"format": "pt"})
            self.vocab.save(beside)
            self.motion_tokenizer.save(beside / "tokenizer")
            write_file(beside / "recipe.yaml", dump_recipe(self.recipe))
            self.templates.save(beside / "templates.yaml")
            write_file(beside / "README.md", _card(self))  # PEFT writes a card full of blanks
            for file in beside.glob("*.safetensors"):
                file.chmod(0o644)

    # -- using ---------------------------------------------------------------------------------------------

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
        """Motion that does what `text` says; a list for n > 1.

        seconds: exact duration to a frame; a pair bounds it; None leaves it to the model. Above `window` seconds the
        model sees the last of them alone while it goes on. The same seed gives the same motion.
        temperature: 0 is greedy. top_p, top_k: draw from the likeliest tokens alone. guidance: above 1, away from what
        the model does without the text, at twice the cost; for adapters trained with `data.drop_text`. best_of: how
        many are made for each one that is given, which is the one that `judge` scores highest, or else keeps best to
        the plan (`motion.agreement`), or without a plan the one of which the model would most likely say `text`. What
        of these five is None is taken from `sampling`, and where that is None from the adapter's own (`self.sampling`:
        by default temperature 0.8, top_p 0.95, top_k 0 for all, guidance 1 for none, best_of 8, or 1 on an engine
        without judge and plan).
        start: a clip that the motion begins with; end: one that it ends with, of several ways to it the one that `end`
        follows most likely. Both count in `seconds`, come back as the motion tokenizer keeps them, and `end` is where
        the way to it leads. plan: the notation that the motion is to follow, or its text, which then says the duration
        too; None: one that the model writes first, where it was trained to (`plans`); False: none. All candidates
        follow one plan. Raises MotionLLMError for an empty text, a duration not within 0.2 to 60 s or not above that of
        the clips, `end` without an exact one, guidance of an adapter that has none, or a plan that is no notation, is
        not as long as `seconds`, or is given to an adapter that follows none.
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
        gives what `generate` gives for that text and seed. start, end: a clip for all, or one per text (a Motion,
        joints, features, or codes). plan: one for all, or one per text.
        """
        sampling = (sampling or self.sampling).but(
            temperature=temperature, top_p=top_p, top_k=top_k, guidance=guidance, best_of=best_of
        )
        drawn = drained(self._drawn(texts, seconds, seed, sampling, start=start, end=end, judge=judge, plan=plan))
        return [self._motion(codes, frames) for codes, frames in drawn]

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
        """`generate` for who may change their mind: yields after each step of decoding, and returns the motion and its
        codes (n,). It ends where it is closed.
        """
        steps = self._drawn([text], [seconds], seed, sampling or self.sampling, start=start, end=end, plan=plan)
        ((codes, frames),) = yield from steps
        return self._motion(codes, frames), np.array(codes, np.int64)

    @property
    def window(self) -> float:
        """Seconds of the longest motion that the model sees at once: its recipe's, or those of its features' data."""
        return self.recipe.data.window or self.motion_tokenizer.representation.longest

    @property
    def plans(self) -> bool:
        """Whether the model was trained to write the notation of a motion before its codes, and to follow it."""
        notes = self.recipe.data.notation
        return notes is not None and notes.plan > 0

    @property
    def plans_first(self) -> bool:
        """Whether it does so where nothing is said of a plan (`data.notation.first`)."""
        return self.plans and self.recipe.data.notation.first and not self.engine  # type: ignore[union-attr]

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

        Given to `generate` or `stream` with these, the motion is the one that they make without it. Raises what
        `generate` raises, and MotionLLMError where the adapter was not trained to plan.
        """
        sampling = (sampling or self.sampling).but(temperature=temperature, top_p=top_p, top_k=top_k)
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
        """`plan` for who may change their mind: yields after each token. It ends where it is closed."""
        wanted = self._wanted(True, 1)
        order = self._order(text, seconds, self._clips(start, 1)[0], [])
        (order,) = yield from self._planned([order], wanted, seed, sampling or self.sampling)
        assert order.plan is not None
        return order.plan

    @property
    def edits(self) -> bool:
        """Whether the model was trained to change a plan by what a person says (the task `edit`)."""
        learned = self.recipe.data.tasks.get("edit", 0) > 0 and bool(self.templates.tasks.get("edit"))
        return learned and self.plans and not self.engine

    def changes(self, plans: Sequence[Notation], requests: Sequence[str]) -> list[str]:
        """What requests in a person's words ("the other hand", "then sit down") come to, for motions with these plans:
        each a change as `data.changes` has them, or one of its OTHERWISE.

        Raises MotionLLMError where the adapter was not trained to (`edits`), or a request is empty.
        """
        if not self.edits:
            raise MotionLLMError(
                "This adapter cannot change a plan: it was not trained with `data.notation` and the task `edit`, or an "
                "engine serves it. Say all that is to be done."
            )
        if any(not request.strip() for request in requests):
            raise MotionLLMError("The request is empty; say what is to be changed.")
        template = self.templates.phrasings("edit")[0]
        asked = [
            conversation(template, {"plan": summary(plan), "request": request.strip()}, answered=False)
            for plan, request in zip(plans, requests, strict=True)
        ]
        return self._say(asked)

    def replan(
        self, plan: Notation, change: str, seed: int | None = None, *, sampling: Sampling | None = None
    ) -> Notation:
        """The plan after a change; what it adds is planned as the motion of a text is, by seed and sampling.

        Raises MotionLLMError for what is no change, or cannot be made of this motion.
        """
        return drained(self.replanning(plan, change, seed, sampling=sampling))

    def replanning(
        self, plan: Notation, change: str, seed: int | None = None, *, sampling: Sampling | None = None
    ) -> Generator[None, None, Notation]:
        """`replan` for who may change their mind: yields after each token. It ends where it is closed."""
        text, more = added(change), Notation(0.2, ("standing", "standing"))
        if text:
            more = yield from self.planning(text, None, seed, sampling=sampling)
        return changed(plan, change, lambda _: more)

    def kept(self, old: Notation, new: Notation, codes: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Of the codes (n,) of a motion those that it begins with and those that it ends with by its old plan as by its
        new one, up to MARGIN seconds from what changes; None where that is less than LEAST seconds, or nothing changes.
        """
        rate, parts = self.motion_tokenizer.steps_per_second, self.motion_tokenizer.parts
        first, last = (int(max(0.0, seconds - MARGIN) * rate) for seconds in shared(old, new))
        most = min(int((new.seconds - 2 * MARGIN) * rate), len(codes) // parts)
        first = min(first, most)
        last = min(last, most - first)
        first, last = (0 if old == new or steps < LEAST * rate else steps for steps in (first, last))
        return codes[: first * parts] if first else None, codes[len(codes) - last * parts :] if last else None

    def notation(self, motion: Motion | np.ndarray) -> Notation:
        """What is measured on a motion. Raises MotionLLMError for one of under 5 frames, or without 22 joints."""
        features = self.motion_tokenizer.features(motion)
        if self.motion_tokenizer.skeleton is not HUMANML3D:
            raise MotionLLMError("Motion is measured on 22 joints, and this adapter's has KIT-ML's 21.")
        return measure(self.motion_tokenizer.representation.decode(features), self.motion_tokenizer.fps)

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
        """Codes of what `generate_batch` returns, and where each is cut; yields after each step of decoding."""
        wanted = self._wanted(plan, len(texts))
        ranks = judge is not None or all(wanted) or not self.engine
        best_of = sampling.best_of or (BEST_OF if ranks else 1)
        if not sampling.temperature:
            best_of = 1  # greedy ones are all the same
        if best_of > 1 and not ranks:
            assert self.engine
            raise MotionLLMError(
                f"{self.engine.url} gives no likelihoods to rank by; give best_of=1, a judge, or a plan."
            )
        self._check_guidance(sampling)
        begins, ends = (self._clips(clip, len(texts)) for clip in (start, end))
        lengths = seconds if seconds is not None else [None] * len(texts)
        orders = [self._order(*row) for row in zip(texts, lengths, begins, ends, strict=True)]
        orders = yield from self._planned(orders, wanted, seed, sampling)
        many = [order for order in orders for _ in range(best_of)]
        seeds = [(s, i) for s in seed for i in range(best_of)] if isinstance(seed, Sequence) else seed
        drawn = yield from self._written(many, sampling, seed=seeds)
        if best_of > 1:
            after = [codes for codes in ends for _ in range(best_of)]
            whole = [[*codes, *end] for codes, end in zip(drawn, after, strict=True)]
            scores: Sequence[Any]
            if judge:
                scores = judge([order.text for order in many], whole)
            elif any(after) and not self.engine:
                scores = self._follows(many, drawn, after)
            else:
                scores = self._keeps(many, whole)
            groups = [range(first, first + best_of) for first in range(0, len(drawn), best_of)]
            drawn = [drawn[max(group, key=scores.__getitem__)] for group in groups]
        return [([*codes, *end], order.frames) for codes, end, order in zip(drawn, ends, orders, strict=True)]

    def _clips(self, clip: Clips, rows: int) -> list[list[int]]:
        """The codes of a clip for each of the rows; none where there is no clip."""
        if clip is None:
            return [[]] * rows
        return (
            [self._codes(one).tolist() for one in clip]
            if isinstance(clip, Sequence)
            else [self._codes(clip).tolist()] * rows
        )

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
        """Pieces of joints (k, 22, 3) in metres, as they are made: `Motion` of them all is the clip.

        Its `canonical()` is the motion that `generate` gives for the same seed and best_of 1; the pieces themselves
        stand where the motion tokenizer has put them, because the floor is known at the end alone. To have the plan
        before the frames, ask for it by `plan` and give it here. codes: a list that the codes are put into.
        """
        sampling = (sampling or self.sampling).but(temperature=temperature, top_p=top_p, top_k=top_k, guidance=guidance)
        self._check_guidance(sampling)
        wanted = self._wanted(plan, 1)
        given = [] if start is None else self._codes(start).tolist()
        (order,) = drained(self._planned([self._order(text, seconds, given, [])], wanted, seed, sampling))
        if self.engine:
            places = iter([[tuple(whole[len(given) :])] for whole in self._write([order], sampling, seed=seed)])
        else:
            places = decoding.places(self.model, self.vocab, [order], sampling, seed=seed, window=self._window)
        return self._pieces(given, places, order.frames, [] if codes is None else codes)

    def _pieces(
        self, given: list[int], places: Iterator[list[tuple[int, ...]]], frames: int | None, codes: list[int]
    ) -> Iterator[np.ndarray]:
        decoder, left = self.motion_tokenizer.stream(), frames if frames is not None else sys.maxsize
        for some in chain([given] if given else [], (drawn for (drawn,) in places)):
            codes.extend(some)
            joints = decoder.push(some)[:left]
            left -= len(joints)
            if len(joints):
                yield joints
        joints = decoder.finish()[:left]
        if len(joints):
            yield joints

    def _order(self, text: str, seconds: Seconds, given: Sequence[int], rest: Sequence[int]) -> _Order:
        """What is to be decoded for a text, between codes given and codes it ends with. Raises what `generate` does."""
        if not text.strip():
            raise MotionLLMError("The text is empty; say what the person does.")
        low, high = _bounds(seconds)
        exact = seconds is not None and low == high
        if low is not None and high is not None and not 0.2 <= low <= high <= LONGEST:
            said = f"{low:g}" if exact else f"{low:g} to {high:g}"
            raise MotionLLMError(f"A motion of {said} seconds was asked for; 0.2 to {LONGEST:g} can be made.")
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
            self._prompt(conversation(template, values | {"caption": said}, answered=False), min(most, self._window))
            for said in (text.strip(), "")
        )
        frames = max(1, round(float(low) * self.motion_tokenizer.fps)) if exact and low is not None else None
        return _Order(
            prompt, least - after, most - after, given, unconditional, text=text.strip(), frames=frames,
            seconds=seconds, after=after,
        )  # fmt: skip

    def _wanted(self, plan: Plan | Sequence[Plan], rows: int) -> list[Notation | bool]:
        """For each row the plan given, or whether the model writes one. Raises MotionLLMError for a plan that cannot be
        had, or is no notation.
        """
        asked = [plan] * rows if plan is None or isinstance(plan, Notation | str | bool) else list(plan)
        if len(asked) != rows:
            raise MotionLLMError(f"{len(asked)} plans were given for {rows} texts; give one for all, or one a text.")
        if any(one is not None and one is not False for one in asked) and not self.plans:
            raise MotionLLMError(
                "This adapter was not trained to follow a plan: leave the plan out, or train with data.notation.plan."
            )
        if self.engine and True in asked:
            raise MotionLLMError(
                f"{self.engine.url} cannot be held to the notation, so no plan is written there; give one of your own, "
                "or load the adapter here."
            )
        own = self.plans_first
        wanted: list[Notation | bool] = []
        for one in asked:
            one = Notation.parse(one) if isinstance(one, str) else own if one is None else one
            if isinstance(one, Notation) and not 0.2 <= one.seconds <= LONGEST:
                raise MotionLLMError(
                    f"Notation, line 1: the plan is {one.seconds:g} s long; 0.2 to {LONGEST:g} can be made."
                )
            wanted.append(one)
        return wanted

    def _planned(
        self,
        orders: Sequence[_Order],
        wanted: Sequence[Notation | bool],
        seed: int | Sequence[int] | None,
        sampling: Sampling,
        tries: int = PLANS,
    ) -> Generator[None, None, list[_Order]]:
        """The orders, each with the plan that is wanted, with a pause after each token. Where none is given, up to
        `tries` are drawn, and the first is taken that has most of what the text asks (`data.asked`).
        """
        plans: list[Notation | None] = [one if isinstance(one, Notation) else None for one in wanted]
        own = [i for i, one in enumerate(wanted) if one is True]
        if own:
            asks = {i: asked(orders[i].text) for i in own}
            rows = [(i, n) for i in own for n in range(tries if asks[i] and sampling.temperature else 1)]
            # Of the request alone, so that it is the same in any batch, and none of those of its motions.
            seeds: Any = None
            if seed is not None:
                each = [(seed[i], 0) if isinstance(seed, Sequence) else (seed, i) for i, _ in rows]
                seeds = [(*pair, PLANNING, *([n] if n else [])) for pair, (_, n) in zip(each, rows, strict=True)]
            prompts = [[*orders[i].prompt, self.vocab.start_id] for i, _ in rows]
            blanks = [self._blank(orders[i]) for i, _ in rows]
            texts = yield from notations(self.model, self.vocab, self._spelling, prompts, blanks, sampling, seed=seeds)
            best: dict[int, float] = {}
            for (i, _), text in zip(rows, texts, strict=True):
                plan = Notation.parse(text)
                if (score := share(asks[i], plan)) > best.get(i, -1.0):
                    plans[i], best[i] = plan, score
        return [
            order if plan is None else self._following(order, plan) for order, plan in zip(orders, plans, strict=True)
        ]

    @cached_property
    def _spelling(self) -> Spelling:
        return Spelling(self.tokenizer, self.vocab.text_size)

    def _blank(self, order: _Order) -> grammar.Writing:
        """A plan of an order, of which nothing is written: as long as the motion is to be, and no longer than there is
        room for.
        """
        rate, fps = self.motion_tokenizer.steps_per_second, self.motion_tokenizer.fps
        if order.frames is not None:
            low = high = max(0.2, round(order.frames / fps, 1))
        else:
            bounds = _bounds(order.seconds)
            low = order.min_steps / rate if bounds[0] is None else bounds[0]
            high = order.max_steps / rate if bounds[1] is None else bounds[1]
            low = int(np.ceil(round(low * 10, 6))) / 10
            high = max(low, int(np.floor(round(high * 10, 6))) / 10)
        first, line = grammar.longest()
        room = self._limit - len(order.prompt) - 2 - min(order.max_steps, self._window) * self.vocab.parts
        if room < first + len(grammar.END):
            raise MotionLLMError(
                f"What was given is {len(order.prompt)} tokens long, which leaves no room for a plan; shorten it, or "
                "give plan=False."
            )
        return grammar.begin(low, high, (room - first - len(grammar.END)) // line)

    def _following(self, order: _Order, plan: Notation) -> _Order:
        """An order that follows a plan, as long as it. Raises MotionLLMError where it is to be longer or shorter, or
        the base model cannot take as much.
        """
        low, high = _bounds(order.seconds)
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
        if len(order.prompt) + len(ids) + 2 + min(order.max_steps, self._window) * self.vocab.parts > self._limit:
            raise MotionLLMError(
                f"The plan is {len(ids)} tokens long, but the base model takes {self._limit} with all; shorten it."
            )
        rate = self.motion_tokenizer.steps_per_second

        def plan_ids(first: int, last: int) -> Sequence[int]:
            """Of motions longer than the model has seen, the part of the plan that belongs to the steps shown."""
            if first == 0 and last >= order.max_steps:
                return ids
            return self.renderer.notation(str(plan.between(first / rate, last / rate)))

        return replace(order, plan=plan, plan_ids=plan_ids)

    def _check_guidance(self, sampling: Sampling) -> None:
        """Raise MotionLLMError where there is no guidance to be had, and some is asked for."""
        if sampling.guidance == 1:
            return
        if self.engine:
            raise MotionLLMError(f"{self.engine.url} offers no guidance; leave it at 1, or load the adapter here.")
        if not self.recipe.data.drop_text:
            raise MotionLLMError(
                "This adapter never saw a motion without its text, so there is nothing to guide it by: leave guidance "
                "at 1, or train with data.drop_text=0.1."
            )

    def _keeps(self, orders: Sequence[_Order], made: Sequence[list[int]]) -> list[tuple[float, float]]:
        """How well each motion (codes) keeps to its order's plan, and where there is none, or two of an order keep to
        it alike, how well it says the text.
        """
        kept = [0.0] * len(orders)
        for i, order in enumerate(orders):
            if order.plan is not None:
                motion = self._motion(made[i], order.frames)
                kept[i] = agreement_of(order.plan, motion.joints, motion.fps).score
        alike = Counter((id(order), score) for order, score in zip(orders, kept, strict=True))
        open_ = [i for i, order in enumerate(orders) if alike[id(order), kept[i]] > 1 and not self.engine]
        said = dict.fromkeys(range(len(orders)), 0.0)
        if open_:
            said |= zip(open_, self._says([orders[i] for i in open_], [made[i] for i in open_]), strict=True)
        return [(score, said[i]) for i, score in enumerate(kept)]

    def _says(self, orders: Sequence[_Order], made: Sequence[list[int]]) -> list[float]:
        """Log-likelihood that the model describes each motion (codes) by its order's text."""
        template = self.templates.phrasings("caption")[0]
        prompts = [self._prompt(conversation(template, {"motion": np.array(codes)}, answered=False)) for codes in made]
        replies = [
            self.tokenizer.encode(order.text, add_special_tokens=False, split_special_tokens=True) for order in orders
        ]
        return decoding.likelihoods(self.model, self.vocab, prompts, replies)

    def _follows(self, orders: Sequence[_Order], made: Sequence[list[int]], rest: Sequence[list[int]]) -> list[float]:
        """Log-likelihood that each motion (codes) goes on to its `rest`."""
        shown = [codes[-self._window * self.vocab.parts :] for codes in made]
        prompts = []
        for order, codes, some in zip(orders, made, shown, strict=True):
            first, last = ((len(codes) - len(some)) // self.vocab.parts, len(codes) // self.vocab.parts)
            start, *ids, _ = self.vocab.encode(np.array(some))
            prompts.append([*order.prompt, start, *(order.plan_ids(first, last) if order.plan_ids else ()), *ids])
        replies = [self.vocab.encode(np.array(codes))[1:-1] for codes in rest]
        return decoding.motion_likelihoods(self.model, self.vocab, prompts, replies)

    def caption(self, motion: Motion | np.ndarray) -> str:
        """A sentence that says what the person in the motion does."""
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
        """n sentences: first that of `caption`, then n − 1 that are drawn."""
        if n < 1:
            raise MotionLLMError(f"n is {n}; ask for at least one caption.")
        sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k)
        template = self.templates.phrasings("caption")[0]
        part = self._given(motion)
        messages = conversation(template, {"motion": part}, answered=False)
        drawn = self._say([messages] * (n - 1), sampling, seed=seed) if n > 1 else []
        return [*self._captions([part]), *drawn]

    def caption_batch(self, motions: Sequence[Motion | np.ndarray]) -> list[str]:
        """One caption a motion (a Motion, joints, or features), decoded side by side.

        An adapter that is shown the notation writes one from the codes and one from what is shown; the first of the two
        that tells the measured notation as well as its own sentence does (`data.asked.tells`) is given, else that
        sentence.
        """
        return self._captions([self._given(motion) for motion in motions])

    def _captions(self, shown: Sequence[dict[str, Any]]) -> list[str]:
        template = self.templates.phrasings("caption")[0]
        read = [i for i, part in enumerate(shown) if part.get("notation")]
        also = [{"codes": shown[i]["codes"]} for i in read if "codes" in shown[i]]
        said = self._say([conversation(template, {"motion": part}, answered=False) for part in (*shown, *also)])
        from_codes = iter(said[len(shown) :])
        for i in read:
            notation = Notation.parse(shown[i]["notation"])
            own = notation.sentence()
            several = [next(from_codes), said[i]] if "codes" in shown[i] else [said[i]]
            least = tells(own, notation)
            # "walk" tells as much as "a person walks", and is no sentence.
            said[i] = next((t for t in several if len(t.split()) > 2 and tells(t, notation) >= least), own)
        return said[: len(shown)]

    def timeline(
        self, motion: Motion | np.ndarray, every: float = 1.0, window: float = 4.0, batch: int = 32
    ) -> list[tuple[float, float, str]]:
        """(from, to, caption) over a clip of any length: what is done at each `every` seconds, told by the `window`
        seconds around them; neighbours with one caption are one entry.

        Raises MotionLLMError for `every` or `window` of less than a step, or a window shorter than `every`.
        """
        down = self.motion_tokenizer.frames_per_step
        step = 1 / self.motion_tokenizer.steps_per_second
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
        said = [text for i in range(0, len(pieces), batch) for text in self._captions(pieces[i : i + batch])]
        entries: list[tuple[float, float, str]] = []
        for begin, end, caption in zip(begins.tolist(), [*begins[1:].tolist(), total], said, strict=True):
            if entries and entries[-1][2] == caption:
                begin = entries.pop()[0]
            entries.append((begin, end, caption))
        return entries

    def ask(self, motion: Motion | np.ndarray, question: str) -> str:
        """The answer to a question about the motion. Raises MotionLLMError for an empty question."""
        return self.ask_batch([motion], [question])[0]

    def ask_batch(self, motions: Sequence[Motion | np.ndarray], questions: Sequence[str]) -> list[str]:
        """One answer for each pair of motion and question, decoded side by side.

        An adapter that writes queries (`queries`) answers by them from the measured notation, exactly; what no query
        asks, and what the notation does not say, it answers in its own words.
        """
        if any(not q.strip() for q in questions):
            raise MotionLLMError("The question is empty; ask something about the motion.")
        asked = [(self._given(m), q.strip()) for m, q in zip(motions, questions, strict=True)]
        answers: list[str | None] = [None] * len(asked)
        measured = [i for i, (part, _) in enumerate(asked) if part.get("notation")] if self.queries else []
        for i, query in zip(measured, self.queried([asked[i][1] for i in measured]), strict=True):
            answers[i] = query.answer(Notation.parse(asked[i][0]["notation"]))
        template = self.templates.phrasings("question")[0]
        rest = [conversation(template, {"motion": part, "question": q}, answered=False)
                for (part, q), answer in zip(asked, answers, strict=True) if answer is None]  # fmt: skip
        own = iter(self._say(rest) if rest else [])
        return [next(own) if answer is None else answer for answer in answers]

    @property
    def queries(self) -> bool:
        """Whether answers are looked up in the notation: it is `shown`, and the model was trained to write queries of
        it (the task `query`).
        """
        learned = self.recipe.data.tasks.get("query", 0) > 0 and bool(self.templates.tasks.get("query"))
        return learned and self.shown != "codes"

    def queried(self, questions: Sequence[str]) -> list[Query]:
        """What questions ask of a notation; `none` for one whose answer no notation holds. No motion is needed.

        The model writes freely: words that are no query, as "does juggle", are `none` too. Held to valid queries it
        would name the nearest verb there is. Raises MotionLLMError where it was not trained to (`queries`).
        """
        if not questions:
            return []
        if not self.queries:
            raise MotionLLMError(
                "This adapter looks no answers up: it was not trained with `data.notation` and the task `query`, or it "
                "is shown codes alone. Ask about a motion instead (`ask`)."
            )
        template = self.templates.phrasings("query")[0]
        texts = self._say([conversation(template, {"question": q}, answered=False) for q in questions])
        return [Query.read(text) for text in texts]

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
                steps = self._drawn([new.sentence()], [new.seconds], seed, sampling.but(best_of=1),
                                    start=start, end=end, plan=new)  # fmt: skip
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
            return _said(self._say([[self._encoded(m) for m in messages]], sampling, seed=seed, max_tokens=256)[0])
        prompt = self._prompt([self._encoded(m) for m in messages], self._window)
        order = self._order("a person moves", seconds, [], [])  # for its bounds: the prompt is the conversation
        (order,) = drained(self._planned([replace(order, prompt=prompt)], wanted, seed, sampling))
        (drawn,) = self._write([order], sampling, seed=seed)
        return _moved(self._motion(drawn, order.frames), drawn, order.plan)

    def moves(self, messages: Sequence[Message]) -> bool:
        """Whether the next message is to be a motion: the model would open it with one, and a line that comes without
        a clip is about a body (`bodily`; not on an engine, which serves no base model to compare with).
        """
        prompt = self._prompt([self._encoded(m) for m in messages])
        if self.engine:
            return self.engine.starts_motion(prompt, self._stop)
        if not decoding.starts_motion(self.model, self.vocab, prompt):
            return False
        if not all(_is_text(m) for m in messages):
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
        template = self.templates.phrasings("caption")[0]
        nothing = conversation(template, {"motion": np.zeros(0, np.int64)}, answered=False)
        caption = decoding.likelihoods(self.model, self.vocab, [self._prompt(nothing)], [ids])[0]
        with self._without_adapter() as base:
            anything = decoding.likelihoods(base, self.vocab, [opening], [ids])[0]
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
        if self.engine:
            raise MotionLLMError(
                f"{self.engine.url} serves the merged model alone, and words without motion are the base's; "
                "ask about a clip, or load the adapter here."
            )
        sampling = (sampling or GREEDY).but(temperature=temperature, top_p=top_p, top_k=top_k)
        prompt = self._prompt(messages, renderer=Renderer(self.tokenizer, None, template=self.renderer.template))
        with self._without_adapter() as base:
            (ids,) = decoding.texts(
                base, self.vocab, [prompt], self._stop, sampling, max_tokens=longest, seed=seed, loops=True
            )
        return self._text(ids)

    # -- within --------------------------------------------------------------------------------------------

    @property
    def _stop(self) -> int:
        return self.renderer.stop

    @property
    def _window(self) -> int:
        """Steps of `window`."""
        return self.motion_tokenizer.steps(self.window)

    @property
    def _limit(self) -> int:
        """Tokens that the model takes."""
        return self.limit if self.engine else longest(self.model.config)

    @contextmanager
    def _without_adapter(self) -> Iterator[Any]:
        from peft import PeftModel

        if isinstance(self.model, PeftModel):
            with self.model.disable_adapter():
                yield self.model
            return
        if self._base is None:
            self._base, _ = load_base(self.base, self.recipe.model.dtype)
            self.vocab.attach(self._base)  # never drawn from, but decoding looks its rows up
            self._base.to(next(self.model.parameters()).device)
        yield self._base

    def _prompt(self, messages: Sequence[Message], steps: int = 0, renderer: Renderer | None = None) -> list[int]:
        """Ids that open the assistant's turn, with room for a reply of `steps` of motion.

        Raises MotionLLMError where the base model cannot take so much.
        """
        ids = (renderer or self.renderer)(messages, reply=True).ids
        if self.engine:
            # The merged model's tokenizer knows the motion tokens, and would find them in a text.
            motions = [part.get("codes", ()) for m in messages if not isinstance(m["content"], str)
                       for part in m["content"] if part.get("type") == "motion"]  # fmt: skip
            if sum(i >= self.vocab.text_size for i in ids) != sum(
                len(self.vocab.encode(np.asarray(codes))) for codes in motions
            ):
                raise MotionLLMError(
                    "The text names motion tokens, which the engine would read as such; leave them out."
                )
        else:
            if not ids or max(ids) >= (rows := self.model.get_input_embeddings().weight.shape[0]):
                raise MotionLLMError(
                    f"The tokenizer or the chat template of {self.base} is damaged: it gives "
                    + (f"token {max(ids)}, and the model has {rows}." if ids else "no tokens for a prompt.")
                )
        if len(ids) + 2 + steps * self.vocab.parts > self._limit:
            raise MotionLLMError(
                f"What was given is {len(ids)} tokens long, but the base model takes {self._limit}; shorten it."
            )
        return ids

    def _codes(self, motion: Motion | np.ndarray, whole: bool = True) -> np.ndarray:
        """motion: codes are taken as they are. whole: the model is to see them all at once."""
        if isinstance(motion, np.ndarray) and motion.ndim == 1 and motion.dtype.kind in "iu":
            codes = motion
            self.motion_tokenizer.decode_features(codes[: self.vocab.parts])  # raises for what is none
        else:
            codes = self.motion_tokenizer.encode(motion)
        seconds = len(codes) / self.motion_tokenizer.codes_per_second
        if whole and seconds > 2 * self.window:
            log.warning("The clip is %.0f s long, more than twice what the model has seen.", seconds)
        return codes

    def _given(self, motion: Motion | np.ndarray) -> dict[str, Any]:
        """What a motion part holds of a motion that is given."""
        features = self.motion_tokenizer.features(motion)
        return self._part(self._codes(features), features)

    def _part(self, codes: np.ndarray, features: np.ndarray) -> dict[str, Any]:
        """codes (n,), features (T, dim) of one motion → {"codes", "notation"} as far as they are `shown`."""
        if self.shown == "codes":
            return {"codes": codes}
        if not self.recipe.data.notation:
            raise MotionLLMError("This adapter was trained without notation and reads codes alone; train with it.")
        if len(features) <= 5:  # too short to be measured
            return {"codes": codes}
        notation = str(measure(self.motion_tokenizer.representation.decode(features), self.motion_tokenizer.fps))
        return {"notation": notation} | ({"codes": codes} if self.shown == "both" else {})

    def _held(self, part: dict[str, Any]) -> tuple[Notation, np.ndarray]:
        """The plan of a motion part, else what is measured on it, and its codes, as far as there are some."""
        codes = np.asarray(part["codes"], np.int64) if "codes" in part else np.zeros(0, np.int64)
        motion = _loaded(part) if "motion" in part else self.motion_tokenizer.decode(codes) if len(codes) else None
        if motion is not None and not len(codes):
            codes = self._codes(motion)
        if part.get("notation") or motion is None:
            return Notation.parse(part.get("notation", "")), codes
        return self.notation(motion), codes

    def _motion(self, codes: list[int], frames: int | None) -> Motion:
        motion = self.motion_tokenizer.decode(np.array(codes))
        motion = replace(motion, joints=motion.joints[:frames])
        # Decoded bones breathe by millimetres; files want them constant.
        return motion.canonical() if motion.skeleton is HUMANML3D else motion

    def _write(
        self, orders: Sequence[decoding.Request], sampling: Sampling, *, seed: decoding.Seed = None
    ) -> list[list[int]]:
        """Codes of motions, by the model or the engine. See `decoding.motions`."""
        return drained(self._written(orders, sampling, seed=seed))

    def _written(
        self, orders: Sequence[decoding.Request], sampling: Sampling, *, seed: decoding.Seed = None
    ) -> Generator[None, None, list[list[int]]]:
        """What `_write` returns; yields after each step, and an engine makes all in one."""
        if self.engine:
            return self.engine.motions(orders, sampling, seed=seed, window=self._window)
        motions = [list(order.given) for order in orders]
        for place in decoding.places(self.model, self.vocab, orders, sampling, seed=seed, window=self._window):
            for codes, drawn in zip(motions, place, strict=True):
                codes.extend(drawn)
            yield
        return motions

    def _say(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling = GREEDY,
        *,
        seed: decoding.Seed = None,
        max_tokens: int = 64,
    ) -> list[str]:
        prompts = [self._prompt(c) for c in conversations]
        options: dict[str, Any] = {"seed": seed, "max_tokens": max_tokens}
        if self.engine:
            return [text.strip() for text in self.engine.texts(prompts, self._stop, sampling, **options)]
        replies = decoding.texts(self.model, self.vocab, prompts, self._stop, sampling, **options)
        return [self._text(ids) for ids in replies]

    def _text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _encoded(self, message: Message) -> Message:
        if isinstance(message.get("content"), str):
            return message
        parts = []
        for part in message.get("content", []):
            if part.get("type") == "motion" and not part.keys() & {"codes", "notation"}:
                part = {"type": "motion", **self._given(_loaded(part))}
            parts.append(part)
        return {**message, "content": parts}


@dataclass(frozen=True)
class _Order(decoding.Request):
    """A request with what was asked for. text: what the person does. frames: the motion is cut to so many, or None.
    seconds: asked for. after: steps of the clip that it ends with, which no bound counts. plan: that it follows.
    """

    text: str = ""
    frames: int | None = None
    seconds: Seconds = None
    after: int = 0
    plan: Notation | None = None


def _bounds(seconds: Seconds) -> tuple[float | None, float | None]:
    return tuple(seconds) if isinstance(seconds, Sequence) else (seconds, seconds)  # type: ignore[return-value]


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


def _loaded(part: Message) -> Motion | np.ndarray:
    motion = part.get("motion")
    return motion if isinstance(motion, Motion | np.ndarray) else Motion.load(motion)  # type: ignore[arg-type]


def _moved(motion: Motion, codes: Sequence[int], plan: Notation | None) -> Message:
    part = {"type": "motion", "motion": motion, "codes": np.array(codes, np.int64)}
    return {"role": "assistant", "content": [part | ({"notation": str(plan)} if plan else {})]}


def _said(text: str) -> Message:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def share_inputs(model: Any) -> None:
    """Let LoRA layers read their input as it is, for training in autocast, which casts the adapter's weights instead.

    PEFT casts the input to the adapter's float32, and autocast back: each layer then keeps a copy of its own for the
    backward pass where queries, keys and values could share one. The loss stays to the last bit (where there is no
    dropout to round), gradients to the order in which bfloat16 adds them. DoRA layers stay as they are: they compute
    norms in the input's type.
    """
    from peft.tuners.lora import LoraLayer

    for layer in model.modules():
        if isinstance(layer, LoraLayer) and not any(layer.use_dora.values()):
            layer.cast_input_dtype_enabled = False


def longest(config: Any) -> int:
    """Tokens that a model of this configuration takes; without bound where it knows no positions, as BLOOM's."""
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or sys.maxsize)


def bare(model: Any) -> Any:
    """The causal LLM within a PEFT model; one that is none is itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def go_on_from(folder: Path, model: Any, vocab: MotionVocab, recipe: Recipe) -> None:
    """Load a trained adapter's weights into a fresh one. Raises MotionLLMError where the two are not alike."""
    weights.within(folder)
    stored = MotionVocab.load(folder)
    _same_base(folder, stored.base, recipe.model.base)
    if stored != vocab:
        raise MotionLLMError(
            f"The adapter in {folder} has another motion vocabulary than the recipe's base and motion tokenizer give; "
            "start from one that was trained on the same two."
        )
    own = load_recipe(folder / "recipe.yaml", saved=True).adapter
    for key in ("method", "rank", "alpha"):
        has, wanted = getattr(own, key), getattr(recipe.adapter, key)
        if has != wanted:
            raise MotionLLMError(
                f"The adapter in {folder} has {key} {has}, and the recipe {wanted}; set adapter.{key} to its own."
            )
    tensors = read_adapter(folder, own, vocab)
    try:
        put(model, tensors)
    except (MotionLLMError, RuntimeError, KeyError) as error:  # RuntimeError, KeyError: PEFT, for other layers
        first = str(error).strip().splitlines()[0]
        raise MotionLLMError(
            f"The adapter in {folder} is on other layers than the recipe's ({first}); set adapter.targets to its own."
        ) from None


def _same_base(folder: Path, wanted: str | None, base: str) -> None:
    """Raise MotionLLMError where an adapter noted its base's weights, and `base` has others."""
    found = base_fingerprint(base) if wanted else None
    if wanted and found and wanted != found:
        raise MotionLLMError(
            f"The adapter in {folder} was trained on a base whose weights are {wanted}, but those of {base} are "
            f"{found}: another revision or another model of the same shape; give the base it was trained on."
        )


def find_adapter(name: str | Path) -> Path:
    """The adapter folder of a path (an adapter or a run) or of a shipped adapter's name."""
    given = Path(name)
    if (given / "adapter").is_dir():
        return given / "adapter"
    return given if given.is_dir() else shipped.find("adapter", str(name))


def own_sampling(name: str | Path) -> Sampling:
    """How motion is drawn by an adapter (a folder, a run or a shipped name) where nothing is said, without loading it.

    Raises MotionLLMError where there is no such adapter.
    """
    return _sampling(load_recipe(find_adapter(name) / "recipe.yaml", saved=True))


def _sampling(recipe: Recipe) -> Sampling:
    return Sampling().but(**recipe.sampling.model_dump()) if recipe.sampling else Sampling()


_METHODS = {"lora": "LoRA", "rslora": "rank-stabilised LoRA", "dora": "DoRA"}


def _card(lm: MotionLM) -> str:
    sources = "\n".join(f"- {s.kind}{f' ({Path(s.path).name})' if s.path else ''}" for s in lm.recipe.data.sources)
    base, settings = lm.recipe.model.base, lm.recipe.adapter
    trained = f"A motionllm adapter for `{base}`: {_METHODS.get(settings.method)} of rank {settings.rank} and"
    if full := settings.method == "full":
        trained = f"`{base}`, every weight of it trained, with"
    return (
        f"---\nbase_model: {base}\nlibrary_name: {'transformers' if full else 'peft'}\ntags: [motion, motionllm]\n---\n"
        f"# {lm.recipe.name}\n\n"
        f"{trained} {len(lm.vocab.ids)} motion token rows, for motion tokenizer `{lm.vocab.tokenizer_hash}` "
        "(`tokenizer/`).\n\n"
        f"Trained on:\n{sources}\n\n"
        "Use: `motionllm generate TEXT --model FOLDER --out clip.bvh`. `recipe.yaml` holds every setting.\n"
    )

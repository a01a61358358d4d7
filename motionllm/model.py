"""MotionLM: a base LLM, its motion vocabulary, an adapter and the motion tokenizer, as one thing to call."""

from __future__ import annotations

import copy
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from motionllm import generate as decoding
from motionllm import shipped
from motionllm.bases import fast_dtype, load_base
from motionllm.config import Recipe, dump_recipe, load_recipe
from motionllm.data.conversations import Message, Renderer
from motionllm.data.examples import Clip
from motionllm.data.meaning import associations
from motionllm.data.templates import Templates, conversation
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.skeleton import HUMANML3D
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer.bpe import MotionBPE
from motionllm.vocab import MotionVocab

log = logging.getLogger(__name__)

LONGEST = 20.0  # seconds of motion generated in one go
BEST_OF = 8  # motions made for one that is given
TRAINED = 196  # frames of the longest clips in the field's data sets
# Texts and motions (codes) made for them → a score each, by which the best is kept; scores may be tuples.
Judge = Callable[[Sequence[str], Sequence[Sequence[int]]], Sequence[Any]]


class MotionLM:
    """model: a PEFT model while training, a plain causal LLM once merged. tokenizer: the base's own."""

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
        """
        from peft import LoraConfig, get_peft_model

        settings = recipe.adapter
        base, tokenizer = load_base(recipe.model.base, recipe.model.dtype, recipe.model.quantization)
        size, merges = motion_tokenizer.size, recipe.model.bpe
        if merges and not bpe:
            bpe = MotionBPE.train([clip.codes for clip in clips], size, merges)
        vocab = MotionVocab.add(copy.deepcopy(tokenizer), size, motion_tokenizer.hash, motion_tokenizer.parts, bpe)
        torch.manual_seed(recipe.train.seed)
        words = associations(clips, tokenizer, vocab.size) if settings.rows_init == "words" else None
        vocab.attach(base, settings.rows_init, recipe.train.seed, motion_tokenizer.codebook, words)
        config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=settings.targets,
            trainable_token_indices=vocab.trainable(base),
            task_type="CAUSAL_LM",
        )
        try:
            model = get_peft_model(base, config)
        except ValueError as error:
            raise MotionLLMError(f"adapter.targets {settings.targets!r} fit no layer of the base: {error}") from None
        config.base_model_name_or_path = recipe.model.base
        if settings.start:
            _go_on_from(find_adapter(settings.start), model, vocab, config)
        return cls(model, tokenizer, vocab, motion_tokenizer, templates, recipe)

    @classmethod
    def untrained(cls, name: str | Path = "default") -> MotionLM:
        """The same base, vocabulary and templates as an adapter's, with rows at their start and no adapter: the
        baseline its figures are set beside.
        """
        folder = find_adapter(name)
        recipe = load_recipe(folder / "recipe.yaml")
        recipe.adapter.start = None
        tokenizer, templates = MotionTokenizer.load(folder / "tokenizer"), Templates.load(folder / "templates.yaml")
        lm = cls.create(recipe, tokenizer, templates, bpe=MotionVocab.load(folder).bpe)
        lm.model = lm.model.merge_and_unload().eval()
        return lm

    @classmethod
    def load(cls, name: str | Path = "default", base: str | None = None, merge: bool = True) -> MotionLM:
        """An adapter folder, a run folder, or the name of a shipped adapter ("default").

        base: another place of the same base model. merge: fold the adapter into the base (faster).
        Raises MotionLLMError where a file is missing, or adapter, base and motion tokenizer do not belong together.
        """
        from peft import PeftModel

        folder = find_adapter(name)
        vocab = MotionVocab.load(folder)
        motion_tokenizer = MotionTokenizer.load(folder / "tokenizer")
        if motion_tokenizer.hash != vocab.tokenizer_hash:
            raise MotionLLMError(
                f"The adapter in {folder} was made for motion tokenizer {vocab.tokenizer_hash}, but the one beside it "
                f"is {motion_tokenizer.hash}; put the right one back or train anew."
            )
        recipe = load_recipe(folder / "recipe.yaml")
        templates = Templates.load(folder / "templates.yaml")
        model: Any
        # Merged in float32 and cast after: merging in bfloat16 moves logits by up to 0.8.
        model, tokenizer = load_base(base or recipe.model.base, "float32" if merge else recipe.model.dtype)
        if len(tokenizer) != vocab.text_size:
            raise MotionLLMError(
                f"The adapter in {folder} was made for a base of {vocab.text_size} tokens, but "
                f"{base or recipe.model.base} has {len(tokenizer)}; give the base it was trained on."
            )
        vocab.attach(model)
        try:
            model = PeftModel.from_pretrained(model, str(folder))
        except (OSError, ValueError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0]
            raise MotionLLMError(f"The adapter in {folder} does not fit its base or is damaged: {first}") from None
        if merge:
            model = model.merge_and_unload()
            model = model.to(getattr(torch, fast_dtype() if recipe.model.dtype == "auto" else recipe.model.dtype))
        if torch.cuda.is_available():
            model = model.to("cuda")
        return cls(model.eval(), tokenizer, vocab, motion_tokenizer, templates, recipe)

    def save(self, folder: str | Path, dtype: str = "float32") -> None:
        """Write the adapter folder: all that `load` needs besides the base. Replaces an older one at once.

        dtype "bfloat16" rounds the adapter in memory too, so that what was saved is what is measured.
        """
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            if dtype == "bfloat16":
                with torch.no_grad():
                    for parameter in self.model.parameters():
                        if parameter.requires_grad:
                            parameter.copy_(parameter.to(torch.bfloat16))
            self.model.save_pretrained(beside, save_embedding_layers=False)
            if dtype == "bfloat16":
                weights = beside / "adapter_model.safetensors"
                halves = {name: value.to(torch.bfloat16) for name, value in load_file(weights).items()}
                save_file(halves, weights, {"format": "pt"})
            self.vocab.save(beside)
            self.motion_tokenizer.save(beside / "tokenizer")
            (beside / "recipe.yaml").write_text(dump_recipe(self.recipe), encoding="utf-8")
            self.templates.save(beside / "templates.yaml")
            card = beside / "README.md"  # PEFT writes a card full of blanks
            card.write_text(_card(self), encoding="utf-8")
            (beside / "adapter_model.safetensors").chmod(0o644)
            beside.chmod(0o755)
            if folder.exists():
                shutil.rmtree(folder)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    # -- using ---------------------------------------------------------------------------------------------

    def generate(
        self,
        text: str,
        seconds: float | None = None,
        n: int = 1,
        seed: int | None = None,
        temperature: float = 0.8,
        top_p: float = 0.95,
        best_of: int = BEST_OF,
        judge: Judge | None = None,
    ) -> Motion | list[Motion]:
        """Motion that does what `text` says; a list for n > 1.

        seconds: exact duration to a frame; None leaves it to the model. temperature 0 is greedy. best_of: how many
        are made for each one that is given, which is the one of which the model would most likely say `text`, or the
        one that `judge` scores highest. The same seed gives the same motion. Raises MotionLLMError for an empty text,
        or a duration not within 0.2 to 20 s.
        """
        if n < 1:
            raise MotionLLMError(f"n is {n}; ask for at least one motion.")
        motions = self.generate_batch([text] * n, [seconds] * n, seed, temperature, top_p, best_of, judge)
        return motions if n > 1 else motions[0]

    def generate_batch(
        self,
        texts: Sequence[str],
        seconds: Sequence[float | None] | None = None,
        seed: int | None = None,
        temperature: float = 0.8,
        top_p: float = 0.95,
        best_of: int = BEST_OF,
        judge: Judge | None = None,
    ) -> list[Motion]:
        """One Motion a text, decoded side by side. See `generate`."""
        if best_of < 1:
            raise MotionLLMError(f"best_of is {best_of}; at least one motion is made for each that is given.")
        best_of = best_of if temperature else 1  # greedy ones are all the same
        if temperature < 0 or not 0 < top_p <= 1:
            raise MotionLLMError(f"temperature {temperature} must be at least 0, and top_p {top_p} within 0 to 1.")
        asked = list(seconds) if seconds is not None else [None] * len(texts)
        rate = self.motion_tokenizer.steps_per_second
        prompts, least, most = [], [], []
        for text, wanted in zip(texts, asked, strict=True):
            if not text.strip():
                raise MotionLLMError("The text is empty; say what the person does.")
            if wanted is not None and not 0.2 <= wanted <= LONGEST:
                raise MotionLLMError(f"A motion of {wanted:g} seconds was asked for; 0.2 to {LONGEST:g} can be made.")
            template = self.templates.phrasings("text_to_motion", seconds=wanted is not None)[0]
            exact = max(1, int(np.ceil(round(wanted * rate, 6)))) if wanted is not None else None
            values = {"caption": text.strip(), "seconds": float(exact / rate) if exact else 0.0}
            prompts.append(self.renderer(conversation(template, values, answered=False), reply=True).ids)
            least.append(exact or 2)
            most.append(exact or int(TRAINED / self.motion_tokenizer.frames_per_step))
        prompts = [prompt for prompt in prompts for _ in range(best_of)]
        least, most = ([bound for bound in bounds for _ in range(best_of)] for bounds in (least, most))
        made = decoding.motions(self.model, self.vocab, prompts, least, most, temperature, top_p, seed)
        if best_of > 1:
            many = [text for text in texts for _ in range(best_of)]
            scores = judge(many, made) if judge else self._says(many, made)
            groups = [range(first, first + best_of) for first in range(0, len(made), best_of)]
            made = [made[max(group, key=scores.__getitem__)] for group in groups]
        return [self._motion(codes, wanted) for codes, wanted in zip(made, asked, strict=True)]

    def _says(self, texts: Sequence[str], made: Sequence[list[int]]) -> list[float]:
        """Log-likelihood in nats that the model describes each motion (codes) by its text."""
        template = self.templates.phrasings("caption")[0]
        prompts = [
            self.renderer(conversation(template, {"motion": np.array(codes)}, answered=False), reply=True).ids
            for codes in made
        ]
        replies = [
            self.tokenizer.encode(text.strip(), add_special_tokens=False, split_special_tokens=True) for text in texts
        ]
        return decoding.likelihoods(self.model, self.vocab, prompts, replies)

    def caption(self, motion: Motion | np.ndarray) -> str:
        """A sentence that says what the person in the motion does."""
        return self.caption_batch([motion])[0]

    def caption_batch(self, motions: Sequence[Motion | np.ndarray]) -> list[str]:
        """One caption a motion (a Motion, joints, or features), decoded side by side."""
        template = self.templates.phrasings("caption")[0]
        return self._say([conversation(template, {"motion": self._codes(m)}, answered=False) for m in motions])

    def ask(self, motion: Motion | np.ndarray, question: str) -> str:
        """The answer to a question about the motion. Raises MotionLLMError for an empty question."""
        return self.ask_batch([motion], [question])[0]

    def ask_batch(self, motions: Sequence[Motion | np.ndarray], questions: Sequence[str]) -> list[str]:
        """One answer for each pair of motion and question, decoded side by side."""
        if any(not q.strip() for q in questions):
            raise MotionLLMError("The question is empty; ask something about the motion.")
        template = self.templates.phrasings("question")[0]
        return self._say([
            conversation(template, {"motion": self._codes(m), "question": q.strip()}, answered=False)
            for m, q in zip(motions, questions, strict=True)
        ])  # fmt: skip

    def chat(
        self,
        messages: Sequence[Message],
        seconds: float | None = None,
        seed: int | None = None,
        temperature: float = 0.8,
        top_p: float = 0.95,
    ) -> Message:
        """The assistant's next message in the parts format: text, or a motion under the key "motion".

        A motion part of `messages` holds a Motion or a path. seconds: reply with a motion of that duration.
        """
        prompt = self.renderer([self._encoded(m) for m in messages], reply=True).ids
        if seconds is None and not decoding.starts_motion(self.model, self.vocab, prompt):
            ids = decoding.texts(self.model, self.vocab, [prompt], self._stop, 256, temperature, top_p, seed)[0]
            return {"role": "assistant", "content": [{"type": "text", "text": self._text(ids)}]}
        exact = max(1, int(np.ceil(round(seconds * self.motion_tokenizer.steps_per_second, 6)))) if seconds else None
        bounds = ([exact or 2], [exact or int(TRAINED / self.motion_tokenizer.frames_per_step)])
        codes = decoding.motions(self.model, self.vocab, [prompt], *bounds, temperature, top_p, seed)[0]
        return {"role": "assistant", "content": [{"type": "motion", "motion": self._motion(codes, seconds)}]}

    # -- within --------------------------------------------------------------------------------------------

    @property
    def _stop(self) -> int:
        return int(self.tokenizer.eos_token_id)

    def _codes(self, motion: Motion | np.ndarray) -> np.ndarray:
        codes = self.motion_tokenizer.encode(motion)
        seconds = len(codes) / self.motion_tokenizer.codes_per_second
        if seconds * self.motion_tokenizer.skeleton.fps > 2 * TRAINED:
            log.warning("The clip is %.0f s long, more than twice what the model has seen.", seconds)
        return codes

    def _motion(self, codes: list[int], seconds: float | None) -> Motion:
        motion = self.motion_tokenizer.decode(np.array(codes))
        if motion.skeleton is HUMANML3D:
            motion = motion.canonical()  # decoded bones breathe by millimetres; files want them constant
        if seconds is not None:
            motion = replace(motion, joints=motion.joints[: max(1, round(seconds * motion.fps))])
        return motion

    def _say(self, conversations: Sequence[Sequence[Message]]) -> list[str]:
        prompts = [self.renderer(c, reply=True).ids for c in conversations]
        return [self._text(ids) for ids in decoding.texts(self.model, self.vocab, prompts, self._stop)]

    def _text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _encoded(self, message: Message) -> Message:
        if isinstance(message.get("content"), str):
            return message
        parts = []
        for part in message.get("content", []):
            if part.get("type") == "motion" and "codes" not in part:
                motion = part.get("motion")
                part = {"type": "motion", "codes": self._codes(
                    motion if isinstance(motion, Motion | np.ndarray) else Motion.load(motion))}  # fmt: skip
            parts.append(part)
        return {**message, "content": parts}


def _go_on_from(folder: Path, model: Any, vocab: MotionVocab, config: Any) -> None:
    """Load a trained adapter's weights into a fresh one. Raises MotionLLMError where the two are not alike."""
    from peft import PeftConfig, set_peft_model_state_dict
    from peft.utils import load_peft_weights

    if MotionVocab.load(folder) != vocab:
        raise MotionLLMError(
            f"The adapter in {folder} has another motion vocabulary than the recipe's base and motion tokenizer give; "
            "start from one that was trained on the same two."
        )
    try:
        shape = PeftConfig.from_pretrained(str(folder))
        if (shape.r, shape.lora_alpha) != (config.r, config.lora_alpha):  # type: ignore[attr-defined]
            raise ValueError(f"rank {shape.r} and alpha {shape.lora_alpha}")  # type: ignore[attr-defined]
        loaded: Any = set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))
        if loaded.unexpected_keys:
            raise ValueError(f"layers of its own, {loaded.unexpected_keys[0]}")
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise MotionLLMError(
            f"The adapter in {folder} is not of the recipe's shape, or damaged: it has {first}; set adapter.rank, "
            "adapter.alpha and adapter.targets to its own."
        ) from None


def find_adapter(name: str | Path) -> Path:
    """The adapter folder of a path (an adapter or a run) or of a shipped adapter's name."""
    given = Path(name)
    if (given / "adapter").is_dir():
        return given / "adapter"
    return given if given.is_dir() else shipped.find("adapter", str(name))


def _card(lm: MotionLM) -> str:
    sources = "\n".join(f"- {s.kind}{f' ({Path(s.path).name})' if s.path else ''}" for s in lm.recipe.data.sources)
    return (
        f"---\nbase_model: {lm.recipe.model.base}\nlibrary_name: peft\ntags: [motion, motionllm]\n---\n"
        f"# {lm.recipe.name}\n\n"
        f"A motionllm adapter for `{lm.recipe.model.base}`: LoRA of rank {lm.recipe.adapter.rank} and "
        f"{len(lm.vocab.ids)} motion token rows, for motion tokenizer `{lm.vocab.tokenizer_hash}` (`tokenizer/`).\n\n"
        f"Trained on:\n{sources}\n\n"
        "Use: `motionllm generate TEXT --model FOLDER --out clip.bvh`. `recipe.yaml` holds every setting.\n"
    )

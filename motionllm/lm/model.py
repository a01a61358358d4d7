"""MotionLM: a base LLM, its motion vocabulary, an adapter and the motion tokenizer, in one object.

Here it is created, loaded and saved; its methods are in the modules that it is built from: `prompting`, `planning`,
`generation`, `description` and `dialogue`.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from motionllm import arguments, weights
from motionllm.config import Recipe, dump_recipe, load_recipe
from motionllm.data.clips import Clip
from motionllm.data.meaning import associations, carried, same_times
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.files import Kind, whole_folder, write_file
from motionllm.hub import split
from motionllm.language.bases import base_fingerprint, load_base, load_config, load_tokenizer, probe
from motionllm.language.vocab import FILE as VOCAB
from motionllm.language.vocab import MotionVocab
from motionllm.lm.adapters import (
    bare,
    check_base,
    find_adapter,
    fresh_adapter,
    go_on_from,
    load_adapter,
    read_adapter,
)
from motionllm.lm.backend import Local, longest
from motionllm.lm.cached import CausalLM
from motionllm.lm.cards import card
from motionllm.lm.dialogue import Dialogue
from motionllm.lm.engines import Engine
from motionllm.lm.library import FILE as LIBRARY
from motionllm.lm.library import Library
from motionllm.lm.prompting import drained
from motionllm.lm.sampling import GREEDY
from motionllm.lm.stepping import pack
from motionllm.lm.text_adapter import FOLDER as TEXT
from motionllm.lm.text_adapter import TextAdapter
from motionllm.runs.precision import fast_dtype
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer.bpe import MotionBPE

log = logging.getLogger(__name__)

# What an adapter's folder consists of, or with method full the model's.
_OWN = (
    *("adapter_config.json", "motion_vocab.json", "config.json", "generation_config.json", "*.index.json"),
    *("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt"),
    *("*.safetensors", "*.model", "*.jinja", "recipe.yaml", "templates.yaml", "README.md", LIBRARY, TEXT, "tokenizer"),
)
KIND = Kind("adapter", VOCAB, ("tokenizer_hash",), _OWN)


class MotionLM(Dialogue):
    """A model that generates motion, captions it and answers questions. See `create`, `untrained`, `load` and
    `connect`.
    """

    @classmethod
    def create(
        cls,
        recipe: Recipe,
        motion_tokenizer: MotionTokenizer,
        templates: Templates,
        clips: Sequence[Clip] = (),
        bpe: MotionBPE | None = None,
    ) -> MotionLM:
        """A base with new motion rows and an untrained adapter. clips: for rows that are initialised from words, and
        for learning a motion BPE where the recipe wants one and none is given. bpe: a motion BPE to use. With method
        full there is no adapter: every weight is trained, in float32.

        Raises MotionLLMError where the base cannot be loaded, adapter.targets matches no layer, or the adapter to start
        from does not fit.
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
            return cls._local(base.requires_grad_(True), tokenizer, vocab, motion_tokenizer, templates, recipe)
        vocab = replace(vocab, base=base_fingerprint(recipe.model.base))
        model = fresh_adapter(settings, vocab, base)
        named = model.peft_config["default"]  # other readers of the adapter take name and revision apart
        named.base_model_name_or_path, named.revision = split(recipe.model.base)
        library = None
        if settings.start:
            start = find_adapter(settings.start)

            def translate(begun: Tensor, rows: Tensor) -> Tensor | None:
                if not clips:
                    return None
                table = same_times(clips, motion_tokenizer, MotionTokenizer.load(start / "tokenizer"))
                return None if table is None else carried(begun, rows, table)

            if go_on_from(start, model, vocab, recipe, translate):
                library = Library.within(start, motion_tokenizer)
        text = cls._text(recipe, vocab)
        return cls._local(model, tokenizer, vocab, motion_tokenizer, templates, recipe, text=text, library=library)

    @staticmethod
    def _text(recipe: Recipe, vocab: MotionVocab) -> TextAdapter | None:
        """The second adapter that the recipe gives, or that of the adapter to start from."""
        settings = recipe.adapter
        if settings.text is not None:
            return TextAdapter.of(settings.text, recipe.model.base, vocab.base)
        kept = find_adapter(settings.start) / TEXT if settings.start else None
        return TextAdapter.load(kept, vocab) if kept and kept.is_dir() else None

    @classmethod
    def _local(
        cls,
        model: CausalLM,
        tokenizer: Any,
        vocab: MotionVocab,
        motion_tokenizer: MotionTokenizer,
        templates: Templates,
        recipe: Recipe,
        base: str | None = None,
        text: TextAdapter | None = None,
        library: Library | None = None,
    ) -> MotionLM:
        backend = Local(model, tokenizer, vocab, base or recipe.model.base, recipe.model.dtype)
        return cls(backend, tokenizer, vocab, motion_tokenizer, templates, recipe, text, library)

    def with_model(self, model: CausalLM) -> MotionLM:
        """A copy with another model of the same base and vocabulary, such as a merged copy of this one's."""
        parts = self.tokenizer, self.vocab, self.motion_tokenizer, self.templates, self.recipe
        return self._local(model, *parts, text=self.text, library=self.library)

    @classmethod
    def untrained(cls, name: str | Path = "default") -> MotionLM:
        """The baseline of an adapter: the same base, vocabulary and templates, with motion rows as initialised and no
        adapter. Raises what `load` raises.
        """
        folder = find_adapter(name)
        recipe = load_recipe(folder / "recipe.yaml", saved=True)
        recipe.adapter.start = None
        tokenizer, templates = (
            MotionTokenizer.load(folder / "tokenizer"),
            Templates.load_saved(folder / "templates.yaml"),
        )
        lm = cls.create(recipe, tokenizer, templates, bpe=MotionVocab.load(folder).bpe)
        return lm.with_model((lm.model if lm.model is bare(lm.model) else lm.model.merge_and_unload()).eval())

    @classmethod
    def load(
        cls,
        name: str | Path = "default",
        base: str | None = None,
        merge: bool = True,
        tokenizer: str | Path | None = None,
    ) -> MotionLM:
        """Load an adapter folder, a run folder, or a shipped adapter by name ("default").

        base: another location of the same base model. merge: fold the adapter into the base (faster). tokenizer:
        another motion tokenizer with the same codes instead of the adapter's own, like "causal" for "default". Raises
        MotionLLMError where a file is missing, or adapter, base and motion tokenizer do not belong together.
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
        trained_on = Path(recipe.model.base)
        if not base and recipe.adapter.method != "full" and trained_on.is_absolute() and not trained_on.is_dir():
            raise MotionLLMError(
                f"The adapter in {folder} was trained on the base in {trained_on}, which is not there any more; put it "
                f"back, or write where it is now as model.base into {folder / 'recipe.yaml'}."
            )
        model: Any
        whole = recipe.adapter.method == "full"  # the folder holds the model itself
        if not whole and (folder / "config.json").is_file():
            raise MotionLLMError(
                f"{folder} is a merged model, for other engines; give the adapter or run that it was merged from."
            )
        tensors = (
            {} if whole else read_adapter(folder, recipe.adapter, vocab)
        )  # checked before the base, which takes longer
        text = TextAdapter.load(folder / TEXT, vocab) if (folder / TEXT).is_dir() else None
        library = Library.within(folder, motion_tokenizer)
        source = str(folder) if whole else base or recipe.model.base
        # Merged in float32 and cast afterwards: merging in bfloat16 changes logits by up to 0.8.
        model, words = load_base(source, "float32" if merge or whole else recipe.model.dtype, tried=False)
        if len(words) != vocab.text_size:
            raise MotionLLMError(
                f"The adapter in {folder} was made for a base of {vocab.text_size} tokens, but "
                f"{source} has {len(words)}; give the base it was trained on."
            )
        if not whole:
            check_base(folder, vocab.base, source)
            vocab.attach(model)
            model = load_adapter(folder, tensors, recipe.adapter, vocab, model, recipe.model.base)
        if merge:
            model = model if whole else model.merge_and_unload()
            dtype = getattr(torch, fast_dtype() if recipe.model.dtype == "auto" else recipe.model.dtype)
            model = model.to(dtype).requires_grad_(False)
        if torch.cuda.is_available():
            model = model.to("cuda")
        probe(model, [0, vocab.start_id, vocab.first_id], f"The adapter in {folder}, or its base {source},")
        if merge:
            pack(model.get_decoder())
        return cls._local(model.eval(), words, vocab, motion_tokenizer, templates, recipe, base, text, library)

    @classmethod
    def connect(
        cls,
        url: str | Sequence[str],
        folder: str | Path = "merged",
        name: str | None = None,
        timeout: float = 600.0,
        api_key: str | None = None,
    ) -> MotionLM:
        """Like `load`, but the merged model is served by an engine at `url`, `transformers serve` or vLLM
        (docs/serving.md); no weights are loaded in this process. What an engine cannot do is refused: best_of without a
        judge or a plan, as no engine gives likelihoods; guidance; plans written by the model; `talk`, because only the
        merged model is served. `stream` yields all its pieces at the end.

        url: several are of engines that serve the same model and share the requests; where one is gone in the middle,
        the others go on, with a warning. folder: the output of `motionllm merge`, of which all but the weights is read.
        name: the model's name on the engine; None: the one it was started with. timeout: seconds for one reply.
        api_key: for engines that require one; None: the environment's MOTIONLLM_API_KEY. Raises MotionLLMError where
        nobody answers, or a served model is not this one.
        """
        folder, timeout = arguments.path(folder, "The folder"), arguments.number(timeout, "timeout", 0.001)
        for one in [url] if isinstance(url, str) else arguments.items(url, "url"):
            arguments.text(one, "url")
        if not folder.is_dir():
            raise MotionLLMError(f"There is no folder {folder}; give the one that `motionllm merge` wrote.")
        weights.within(folder)
        vocab = MotionVocab.load(folder)
        if not (folder / "config.json").is_file():
            raise MotionLLMError(f"{folder} is no merged model; give the folder that `motionllm merge` wrote.")
        config, tokenizer = load_config(folder).get_text_config(), load_tokenizer(folder)
        recipe = load_recipe(folder / "recipe.yaml", saved=True)
        templates = Templates.load_saved(folder / "templates.yaml")
        engine = Engine(url, name, vocab, tokenizer, config.vocab_size, longest(config), timeout, api_key)
        motion_tokenizer = MotionTokenizer.load(folder / "tokenizer")
        library = Library.within(folder, motion_tokenizer)
        lm = cls(engine, tokenizer, vocab, motion_tokenizer, templates, recipe, library=library)
        if lm.sampling.guidance != 1:
            log.warning(
                "%s offers no guidance, so motions are drawn without the adapter's own, %g.",
                engine.url,
                lm.sampling.guidance,
            )
            lm.sampling = replace(lm.sampling, guidance=1.0)
        # Decoding one step detects a model with other tokens, or none, before anyone waits for a clip.
        step = replace(lm.order("a person stands", 1.0, [], []), min_steps=1, max_steps=1)
        for _ in engine.servers.each():
            drained(lm._write([step], GREEDY))
        return lm

    def save(self, folder: str | Path, dtype: str = "float32", trained: dict[str, Any] | None = None) -> None:
        """Write the adapter folder: everything that `load` needs besides the base. Replaces an older one in one step;
        raises MotionFileError where something else is there.

        dtype: "bfloat16" rounds the adapter in memory too, so that the saved model is the measured one. trained: the
        trained parameters by name, where the model holds only shards of them.
        """
        if dtype not in ("float32", "bfloat16"):
            raise MotionLLMError(f"dtype {dtype!r} is not known: use float32 or bfloat16.")
        target = arguments.path(folder, "The folder to write")
        if self.recipe.adapter.method != "full" and (target / "config.json").exists():
            raise MotionLLMError(f"{folder} holds a model; give a folder that does not exist yet for the adapter.")
        with whole_folder(target, replaces=KIND) as beside:
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
            if self.text:
                self.text.save(beside / TEXT, dtype)
            if self.library:
                self.library.save(beside / LIBRARY)
            self.vocab.save(beside)
            self.motion_tokenizer.save(beside / "tokenizer")
            write_file(beside / "recipe.yaml", dump_recipe(self.recipe))
            self.templates.save(beside / "templates.yaml")
            write_file(beside / "README.md", card(self.recipe, self.vocab))  # PEFT writes a card full of blanks
            for file in beside.glob("*.safetensors"):
                file.chmod(0o644)

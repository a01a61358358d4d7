"""Tiny bases with the habits of published families: what is asked is what was trained, and replies end.

The templates are written here, with what each family's is known for: Llama 3.2 writes the date, Gemma refuses a system
message, Qwen 3 puts an empty thought before the last reply, Phi ends a turn by another token than a text, Mistral puts
a space before a reply, and those of plain base models often end a turn by nothing.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from motionllm import corpus as builtin
from motionllm.cli.doctor import doctor
from motionllm.errors import MotionLLMError
from motionllm.language import chat_template
from motionllm.language.bases import load_base_tokenizer, packs
from motionllm.language.chat_template import ChatTemplate
from motionllm.language.conversations import Renderer
from motionllm.language.vocab import MotionVocab

if TYPE_CHECKING:
    from motionllm.config import Recipe

C, ROLE = "{{ m.content }}", "{{ m.role }}"
ALTERNATE = (
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
)


def form(begin: str, system: str, user: str, reply: str, ask: str, close: str = "") -> str:
    """A chat template of what it writes for each role."""
    return (
        f"{begin}{{% for m in messages %}}{{% if m.role == 'system' %}}{system}{{% elif m.role == 'user' %}}{user}"
        f"{{% else %}}{reply}{{% endif %}}{{% endfor %}}{{% if add_generation_prompt %}}{ask}{{% else %}}{close}"
        "{% endif %}"
    )


TURN = f"<|im_start|>{ROLE}\n{C}<|im_end|>\n"
CHATML = form("", TURN, TURN, TURN, "<|im_start|>assistant\n")
HELPFUL = "{% if messages[0].role != 'system' %}<|im_start|>system\nBe helpful.<|im_end|>\n{% endif %}"
THOUGHT = "{% if loop.last %}<think>\n\n</think>\n\n{% endif %}"
HEAD = f"<|start_header_id|>{ROLE}<|end_header_id|>\n\n{C}<|eot_id|>"
GEMMA_USER = f"<start_of_turn>user\n{C}<end_of_turn>\n"
GEMMA_REPLY = f"<start_of_turn>model\n{C}<end_of_turn>\n"
PHI3 = f"<|{ROLE}|>\n{C}<|end|>\n"
PHI4 = f"<|im_start|>{ROLE}<|im_sep|>{C}<|im_end|>"
TEMPLATES = {
    "smollm": form(HELPFUL, TURN, TURN, TURN, "<|im_start|>assistant\n"),
    "qwen2.5": form(HELPFUL, TURN, TURN, TURN, "<|im_start|>assistant\n"),
    "qwen3": form("", TURN, TURN, f"<|im_start|>assistant\n{THOUGHT}{C}<|im_end|>\n", "<|im_start|>assistant\n"),
    "llama3.2": form(
        "{{ bos_token }}{% if messages[0].role != 'system' %}<|start_header_id|>system<|end_header_id|>\n\n"
        "Today Date: {{ strftime_now('%d %b %Y') }}<|eot_id|>{% endif %}",
        "<|start_header_id|>system<|end_header_id|>\n\nToday Date: {{ strftime_now('%d %b %Y') }}\n\n"
        f"{C}<|eot_id|>",
        HEAD,
        HEAD,
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "gemma2": form(
        "{{ bos_token }}",
        "{{ raise_exception('System role not supported') }}",
        ALTERNATE + GEMMA_USER,
        ALTERNATE + GEMMA_REPLY,
        "<start_of_turn>model\n",
    ),
    "gemma3": form(
        "{{ bos_token }}{% set head = '' %}{% if messages[0].role == 'system' %}"
        "{% set head = messages[0].content ~ '\n\n' %}{% set messages = messages[1:] %}{% endif %}",
        "{{ raise_exception('a system message comes first') }}",
        ALTERNATE + f"<start_of_turn>user\n{{% if loop.first %}}{{{{ head }}}}{{% endif %}}{C}<end_of_turn>\n",
        ALTERNATE + GEMMA_REPLY,
        "<start_of_turn>model\n",
    ),
    "phi3": form("", PHI3, PHI3, PHI3, "<|assistant|>\n", "{{ eos_token }}"),
    "phi4": form("", PHI4, PHI4, PHI4, "<|im_start|>assistant<|im_sep|>"),
    "mistral": form(
        "{{ bos_token }}",
        "{{ raise_exception('only user and assistant roles') }}",
        ALTERNATE + f"[INST] {C} [/INST]",
        ALTERNATE + f" {C}{{{{ eos_token }}}}",
        "",
    ),
    "neox": CHATML,
    "opt": form("", "", f"Human: {C}\n", f"Assistant: {C}\n", "Assistant:"),
    "falcon": form("", f"{C}\n\n", f"User: {C}\n\n", f"Falcon: {C}\n\n", "Falcon:"),
    "falcon-alibi": form("", f"{C}\n\n", f"User: {C}\n\n", f"Falcon: {C}\n\n", "Falcon:"),
    "bloom": form("", f"{C}\n", f"### Question: {C}\n", f"### Answer: {C}{{{{ eos_token }}}}\n", "### Answer: "),
}
IM = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Special tokens; the names of the one that begins a text, the one that ends it, and padding.
TOKENS: dict[str, tuple[list[str], str | None, str, str | None]] = {
    "smollm": (IM, "<|im_start|>", "<|im_end|>", "<|im_end|>"),
    "qwen2.5": (IM, None, "<|im_end|>", "<|endoftext|>"),
    "qwen3": (IM, None, "<|im_end|>", "<|endoftext|>"),
    "llama3.2": (
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|begin_of_text|>",
        "<|end_of_text|>",
        None,
    ),
    "gemma2": (["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"], "<bos>", "<eos>", "<pad>"),
    "gemma3": (["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"], "<bos>", "<eos>", "<pad>"),
    "phi3": (
        ["<s>", "<|endoftext|>", "<|assistant|>", "<|end|>", "<|system|>", "<|user|>"],
        "<s>",
        "<|endoftext|>",
        "<|endoftext|>",
    ),
    "phi4": ([*IM, "<|im_sep|>"], "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"),
    "neox": (IM, "<|endoftext|>", "<|endoftext|>", None),
    "opt": (["<pad>", "</s>"], "</s>", "</s>", "<pad>"),
    "falcon": (["<|endoftext|>"], None, "<|endoftext|>", None),
    "falcon-alibi": (["<|endoftext|>"], None, "<|endoftext|>", None),
    "bloom": (["<unk>", "<s>", "</s>", "<pad>"], "<s>", "</s>", "<pad>"),
}
BEGUN = ("llama3.2", "gemma2", "gemma3", "opt")  # their tokenizers put the first token there by themselves
ENDS = {
    "llama3.2": "<|eot_id|>",
    "gemma2": "<end_of_turn>",
    "gemma3": "<end_of_turn>",
    "phi3": "<|end|>",
    "mistral": "</s>",
    "opt": "</s>",
    "falcon": "<|endoftext|>",
    "falcon-alibi": "<|endoftext|>",
    "bloom": "</s>",
}
MENDED = {
    "qwen3": ["before a reply"],
    "llama3.2": ["is the day's"],
    "gemma2": ["no place", "alternate"],
    "gemma3": ["alternate"],
    "mistral": ["no place", "alternate", "before a reply"],
    "opt": ["no place", "before a reply", "marked by no token", "lacks </s>"],
    "falcon": ["before a reply", "marked by no token"],
    "falcon-alibi": ["before a reply", "marked by no token"],
}
UNPACKED = ("opt", "falcon", "falcon-alibi", "bloom")
CODES = np.array([3, 19, 4, 20])


SENTENCES = [
    "A person walks forward, turns left and sits down on a chair.",
    "What does the person do in this motion? Describe it: someone waves with the right hand.",
]


def tokenizer_of(family: str, pieces: Path) -> Any:
    """pieces: a folder with a sentencepiece tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if family == "mistral":
        found = load_base_tokenizer(pieces)
        found.chat_template = TEMPLATES[family]
        return found
    special, bos, eos, pad = TOKENS[family]
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(SENTENCES, trainer)
    if family in BEGUN and bos:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, inner.token_to_id(bos))]
        )
    names = {k: v for k, v in (("bos_token", bos), ("eos_token", eos), ("pad_token", pad)) if v}
    made = PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=512, **names)
    made.chat_template = TEMPLATES[family]
    return made


def model_of(family: str, tokenizer: Any, spread: float | None = None) -> Any:
    """A random model of 2 layers. spread: of its weights; small ones hardly attend."""
    import torch
    import transformers as t

    names = {
        "smollm": t.LlamaConfig,
        "llama3.2": t.LlamaConfig,
        "qwen2.5": t.Qwen2Config,
        "qwen3": t.Qwen3Config,
        "gemma2": t.Gemma2Config,
        "gemma3": t.Gemma3TextConfig,
        "phi3": t.Phi3Config,
        "phi4": t.Phi3Config,
        "mistral": t.MistralConfig,
        "neox": t.GPTNeoXConfig,
        "opt": t.OPTConfig,
        "falcon": t.FalconConfig,
        "falcon-alibi": t.FalconConfig,
        "bloom": t.BloomConfig,
    }
    shape: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "vocab_size": len(tokenizer) + 8,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if family == "opt":
        shape |= {"ffn_dim": 64, "word_embed_proj_dim": 32}
    elif family == "bloom":
        shape |= {"n_layer": 2, "n_head": 4}
        for name in ("num_hidden_layers", "num_attention_heads", "max_position_embeddings"):
            del shape[name]
    elif family.startswith("falcon"):
        shape |= {"alibi": family == "falcon-alibi", "new_decoder_architecture": False, "multi_query": True}
    else:
        shape |= {"intermediate_size": 64}
        if family != "neox":
            shape |= {"num_key_value_heads": 2}
        if family in ("gemma2", "gemma3", "qwen3"):
            shape |= {"head_dim": 8}
        if family in ("gemma2", "gemma3"):
            shape |= {"sliding_window": 64, "query_pre_attn_scalar": 8}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = t.AutoModelForCausalLM.from_config(names[family](**shape)).eval()
        if spread:
            with torch.no_grad():
                for weight in model.parameters():
                    if weight.ndim == 2:
                        weight.normal_(0, spread)
    return model


@pytest.fixture(scope="session")
def base_of(tmp_path_factory: pytest.TempPathFactory, tiny_base_pieces: Path) -> Callable[[str], Path]:
    """A family's name → the folder of a tiny base."""
    root = tmp_path_factory.mktemp("families")

    def made(family: str) -> Path:
        folder = root / family
        if not folder.is_dir():
            tokenizer = tokenizer_of(family, tiny_base_pieces)
            tokenizer.save_pretrained(folder)
            model_of(family, tokenizer).save_pretrained(folder)
        return folder

    return made


def renderer_of(folder: Path, system: str | None = None) -> Renderer:
    tokenizer = load_base_tokenizer(folder)
    return Renderer(tokenizer, MotionVocab.add(copy.deepcopy(tokenizer), 32, "x", 2), system)


TALK: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "Describe "}, {"type": "motion", "codes": CODES}]},
    {"role": "assistant", "content": "A person walks."},
    {"role": "user", "content": "Show it."},
    {"role": "assistant", "content": [{"type": "motion", "codes": CODES}]},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "content": "Someone waves."},
]


def agreeing(render: Renderer) -> Any:
    """The whole of `TALK`, after a look at what is asked at each of its turns, learned, and stopped at."""
    assert render.vocab is not None
    whole = render(TALK)
    for turn in (1, 3, 5):
        asked = render(TALK[:turn], reply=True).ids
        assert whole.ids[: len(asked)] == asked
        assert whole.supervised[len(asked)] and not any(whole.supervised[len(asked) - 3 : len(asked)])
    kept = [i for i, s in zip(whole.ids, whole.supervised, strict=True) if s]
    said = [render.template.text("A person walks."), render.vocab.encode(CODES), render.template.text("Someone waves.")]
    for reply in said:
        assert kept[: len(reply)] == reply
        end = kept.index(render.stop, len(reply))
        assert not render.tokenizer.decode(kept[len(reply) : end]).strip()  # white space may stand before the end
        kept = kept[end + 1 :]
    assert not kept
    return whole


def at_random(random: np.random.Generator) -> str:
    """A template made up of what templates do."""

    def one(*of: str) -> str:
        return of[random.integers(len(of))]

    last = "{% if loop.last %}<|im_end|>{% endif %}"
    end = one("<|im_end|>", "<|im_end|>\n", " <|im_end|>", "{{ eos_token }}", "\n", "", last)
    opening = one("<|im_start|>assistant\n", "### Answer:\n", "", "<|im_sep|>")
    alternate = one("", "", ALTERNATE)
    return form(
        one("", "{{ bos_token }}", "\n", HELPFUL, "{{ strftime_now('%A %H:%M') }}\n"),
        one(TURN, TURN, f"{C}\n", "", "{{ raise_exception('no system') }}"),
        alternate + one(TURN, f"[INST] {C} [/INST]", f"User: {C}\n\n", "{{ m.content | trim }}<|im_sep|>"),
        alternate + opening + one("", " ", "\n", THOUGHT, "<think>\n") + C + end,
        opening + one("", "", " ", "<think>\n"),
        one("", "", "{{ eos_token }}", "\n"),
    )


def test_templates_at_random_agree_or_are_refused(base_of: Callable[[str], Path]) -> None:
    tokenizer, random, refused = load_base_tokenizer(base_of("phi4")), np.random.default_rng(19), 0
    vocab = MotionVocab.add(copy.deepcopy(tokenizer), 32, "x", 2)
    for _ in range(150):
        tokenizer.chat_template = at_random(random)
        try:
            render = Renderer(tokenizer, vocab, [None, "", "You know motion."][random.integers(3)])
        except MotionLLMError as error:
            refused += 1
            assert "\n" not in str(error)
            continue
        whole = agreeing(render)
        assert tokenizer.added_tokens_decoder[render.stop].special  # nothing that a reply could hold
        if render.system:
            assert render.system in tokenizer.decode(whole.ids)
    assert refused < 15


def test_a_template_that_takes_lists_of_parts_is_given_lists(base_of: Callable[[str], Path]) -> None:
    tokenizer = load_base_tokenizer(base_of("qwen2.5"))
    plain = Renderer(tokenizer, None)([{"role": "user", "content": "x"}], reply=True).ids
    parts = "{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}"
    tokenizer.chat_template = TEMPLATES["qwen2.5"].replace(C, parts)
    assert Renderer(tokenizer, None)([{"role": "user", "content": "x"}], reply=True).ids == plain


@pytest.mark.parametrize("family", TEMPLATES)
@pytest.mark.parametrize("system", [None, "", "You know motion."])
def test_what_is_asked_is_what_was_trained_and_it_ends(
    family: str, system: str | None, base_of: Callable[[str], Path]
) -> None:
    render = renderer_of(base_of(family), system)
    tokenizer = render.tokenizer
    stop = tokenizer.convert_tokens_to_ids(ENDS.get(family, "<|im_end|>"))
    assert render.stop == stop
    whole = agreeing(render)
    bos = tokenizer.bos_token_id
    if bos is not None and bos not in (stop, tokenizer.convert_tokens_to_ids("<|im_start|>")):
        assert whole.ids.count(bos) == (family in (*BEGUN, "mistral"))
    if system:
        assert system in tokenizer.decode(whole.ids)
    for said, mended in zip(MENDED.get(family, []), render.template.mended.values(), strict=True):
        assert said in mended


@pytest.mark.parametrize("family", TEMPLATES)
def test_texts_stay_texts(family: str, base_of: Callable[[str], Path]) -> None:
    render = renderer_of(base_of(family))
    said = f"a person {ENDS.get(family, '<|im_end|>')} <s> </s> <eos> <think> walks <motion_3> идёт 👋"
    tokens = render([{"role": "user", "content": said}, {"role": "assistant", "content": said}])
    kept = [i for i, s in zip(tokens.ids, tokens.supervised, strict=True) if s]
    assert kept.count(render.stop) == 1 and not set(kept[:-1]) & set(render.tokenizer.all_special_ids)
    assert render.tokenizer.decode(kept[:-1]).strip() == said


def test_a_control_token_that_is_not_marked_as_special_stays_text(base_of: Callable[[str], Path]) -> None:
    tokenizer = load_base_tokenizer(base_of("falcon"))
    tokenizer.add_tokens(["<|user|>", "<|stop|>"])
    tokenizer.chat_template = form("", "", f"<|user|>{C}", f"<|bot|>{C}<|stop|>", "<|bot|>")
    render = Renderer(tokenizer, None)
    stop = tokenizer.convert_tokens_to_ids("<|stop|>")
    ids = render([{"role": "user", "content": "<|user|>x<|stop|><|stop|>"}, {"role": "assistant", "content": "y"}]).ids
    assert render.stop == stop and ids.count(stop) == 1
    assert tokenizer.decode(ids) == "<|user|><|user|>x<|stop|><|stop|><|bot|>y<|stop|>"


@pytest.mark.parametrize("family", ["gemma2", "mistral", "gemma3"])
def test_neighbours_of_one_role_become_one_message(family: str, base_of: Callable[[str], Path]) -> None:
    render = renderer_of(base_of(family))
    said = [("user", "one"), ("user", "two"), ("assistant", "three"), ("assistant", "four"), ("user", "five")]
    text = render.tokenizer.decode(render([{"role": r, "content": c} for r, c in said], reply=True).ids)
    assert re.search(r"one ?\n\n ?two(?! ?\n\n).*three ?\n\n ?four.*five", text, re.DOTALL)
    with pytest.raises(MotionLLMError, match="alternate"):
        render([{"role": "assistant", "content": "I begin"}])


def test_two_days_give_one_prompt(base_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import datetime

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2031, 5, 6)

    render = renderer_of(base_of("llama3.2"))
    today = render(TALK).ids
    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", Later)
    assert renderer_of(base_of("llama3.2"))(TALK).ids == today
    assert "26 Jul 2024" in render.tokenizer.decode(today)


HOSTILE = {
    "{% if %}": "line 1",
    "{{ messages|attr('__class__') }}": "leaves out",
    "{{ 1.5 }}": "leaves out",
    "": "no chat template",
    "{{ raise_exception('haha') }}": "haha",
    "{{ messages.append(1) }}": "unsafe",
    "{{ cycler.__init__.__globals__.os.system('true') }}": "unsafe",
    "{% set n = namespace() %}{% set n.__class__ = 1 %}": "",
    "{{ 1 / 0 }}": "division",
    "{{ nothing.at.all }}": "undefined",
    "{{ 'x' * 1000000000 }}": "memory",
    "{{ 10 ** 9999999999 }}": "memory",
    "{{ '%0999999999d' % 1 }}": "memory",
    "{{ 'x'|center(3000000000) }}": "memory",
    "{% set n = namespace(t='x') %}{% for i in range(60) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}": "it takes",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "recursion",
    "{% for i in range(1000000000) %}x{% endfor %}": "Range too big",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}": "more than 0.5 s",
    "{% for m in messages %}{{ m.content }}{% endfor %}{{ 'x' * 150000 }}{{ 'x' * 150000 }}": "writes 300",
    "{% for m in messages|reverse %}{{ m.content }}{% endfor %}": "elsewhere",
    "{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}": "repeats",
    "{{ messages[0].content }}": "leaves out",
    "{% for m in messages %}{{ m.content }}{% endfor %}{{ [1, 2]|random }}": "random",
    "{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}": "depends on what comes after",
    "{# " + "x" * 300000 + " #}": "300006 characters",
    "{{ " + "(" * 5000 + ")" * 5000 + " }}": "",
}


@pytest.mark.parametrize("template", HOSTILE, ids=lambda template: template[:40])
def test_a_template_that_cannot_be_used_is_one_sentence(
    template: str, base_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    monkeypatch.setattr(chat_template, "SECONDS", 0.5)
    tokenizer = load_base_tokenizer(base_of("falcon"))
    tokenizer.chat_template = template
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MotionLLMError) as caught:
        ChatTemplate(tokenizer)
    said = str(caught.value)
    assert HOSTILE[template] in said and "\n" not in said and len(said) < 600
    assert resource.getrlimit(resource.RLIMIT_AS) == limits


def test_a_template_is_read_as_transformers_reads_it(base_of: Callable[[str], Path]) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    tokenizer = load_base_tokenizer(base_of("llama3.2"))
    tokenizer.chat_template = (
        "{%- set ns = namespace(n=0) -%}\n{% for m in messages %}\n"
        "    {%- if m.role == 'tool' %}{% continue %}{% endif %}\n"
        "{% set ns.n = ns.n + 1 %}{{ '%s|%d ' % (m.role, ns.n) }}{% generation %}{{ m.content }}{% endgeneration %}\n"
        "{{ {'a': 'é<'} | tojson }}{{ dict(b=1) | tojson(indent=2) }}{{ bos_token * 2 }}\n{% endfor %}"
    )
    messages = [{"role": "user", "content": "hé"}, {"role": "tool", "content": "x"}, {"role": "user", "content": "y"}]
    expected = render_jinja_template([messages], chat_template=tokenizer.chat_template, **tokenizer.special_tokens_map)
    template = object.__new__(ChatTemplate)
    template.tokenizer, template._lists = tokenizer, False
    template._compiled = template._compile()
    assert template._render(messages) == expected[0][0]


@pytest.mark.parametrize("family", TEMPLATES)
def test_examples_are_packed_where_they_stay_apart(family: str, base_of: Callable[[str], Path]) -> None:
    tokenizer = load_base_tokenizer(base_of(family))
    for spread in (None, 0.3):
        assert packs(model_of(family, tokenizer, spread)) == (family not in UNPACKED)
    assert packs(model_of(family, tokenizer).bfloat16()) == (family not in UNPACKED)


@pytest.mark.parametrize("family", ["opt", "falcon", "falcon-alibi", "bloom", "gemma3", "neox", "phi4"])
def test_replies_side_by_side_are_those_of_each_alone(family: str, base_of: Callable[[str], Path]) -> None:
    from motionllm.lm import decoding
    from motionllm.lm.sampling import GREEDY

    tokenizer = load_base_tokenizer(base_of(family))
    vocab = MotionVocab.add(copy.deepcopy(tokenizer), 32, "x", 2)
    model = model_of(family, tokenizer, 0.3)
    vocab.attach(model)
    prompts = [
        tokenizer.encode(s, add_special_tokens=False) for s in ("a person walks", "a person jumps and sits", "x")
    ]
    stop = tokenizer.eos_token_id
    together = decoding.texts(model, vocab, prompts, stop, max_tokens=8)
    assert together == [decoding.texts(model, vocab, [p], stop, max_tokens=8)[0] for p in prompts]
    requests = [decoding.Request(prompt, 4, 4) for prompt in prompts]
    motions = decoding.motions(model, vocab, requests, GREEDY)
    assert motions == [decoding.motions(model, vocab, [request], GREEDY)[0] for request in requests]


def test_a_base_is_described(base_of: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    doctor(base=str(base_of("gemma2")), as_json=True)
    told = json.loads(capsys.readouterr().out)
    states = {check["name"]: check for check in told["checks"]}
    assert told["ok"] and "<end_of_turn>" in states["end"]["found"]
    assert states["packing"]["state"] == "ok" and states["system message"]["state"] == "note"
    doctor(base=str(base_of("opt")))
    assert "a row of its own" in capsys.readouterr().out
    with pytest.raises(MotionLLMError, match="chat template"):
        doctor(base="/nowhere/at/all")


def _overfitted(
    family: str, base: Path, tokenizer: Path, recipe: Callable[..., Recipe], folder: Path, caption: str
) -> tuple[Any, np.ndarray]:
    """(the model that has learned one caption, loaded from its run; the clip)."""
    from motionllm.lm.model import MotionLM
    from motionllm.training.train import train

    clip = builtin.joints(builtin.Spec((builtin.Part("wave", side="left"),)), 1)
    data = folder / "set"
    for name in ("new_joints", "texts"):
        (data / name).mkdir(parents=True)
    np.save(data / "new_joints" / "a.npy", clip)
    (data / "texts" / "a.txt").write_text(f"{caption}##0.0#0.0\n", "utf-8")
    for split in ("train", "val"):
        (data / f"{split}.txt").write_text("a\n", "utf-8")
    settings = recipe(base, tokenizer, steps=60, lr=5e-3, validate_every=60)
    settings.adapter.method = "full"
    settings.data.sources = [settings.data.sources[0].model_copy(update={"kind": "humanml3d", "path": str(data)})]
    settings.data.tasks = {"caption": 1.0}
    settings.data.system = ""
    train(settings, folder / "run")
    return MotionLM.load(folder / "run"), clip


@pytest.mark.slow
@pytest.mark.parametrize("family", TEMPLATES)
def test_a_caption_learned_comes_back_and_ends(
    family: str,
    base_of: Callable[[str], Path],
    tiny_tokenizer: Path,
    tiny_recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from motionllm.lm import decoding
    from motionllm.lm.merging import merge

    made: list[list[int]] = []
    real = decoding.texts
    monkeypatch.setattr(decoding, "texts", lambda *a, **k: made.extend(found := real(*a, **k)) or found)
    lm, clip = _overfitted(family, base_of(family), tiny_tokenizer, tiny_recipe, tmp_path, "a person waves")
    assert lm.caption(clip) == "a person waves"
    assert made == [lm.renderer.template.text("a person waves")]  # the end is not seen, and nothing follows it
    assert lm.recipe.data.packing == (family not in UNPACKED)
    merged = merge(tmp_path / "run", tmp_path / "merged")
    assert merged["logits_differ"] < 1e-4
    ends = json.loads((tmp_path / "merged" / "generation_config.json").read_text("utf-8"))["eos_token_id"]
    assert lm.renderer.stop in (ends if isinstance(ends, list) else [ends])


@pytest.mark.slow
@pytest.mark.parametrize("family", TEMPLATES)
def test_an_adapter_is_the_same_saved_and_merged(
    family: str,
    base_of: Callable[[str], Path],
    tiny_tokenizer: Path,
    tiny_recipe: Callable[..., Recipe],
    tmp_path: Path,
) -> None:
    from motionllm.lm.merging import merge
    from motionllm.lm.model import MotionLM
    from motionllm.training.train import train

    recipe = tiny_recipe(base_of(family), tiny_tokenizer, steps=3)
    recipe.adapter.targets = "all-linear"
    train(recipe, tmp_path / "run")
    assert merge(tmp_path / "run", tmp_path / "merged")["logits_differ"] < 1e-4
    lm = MotionLM.load(tmp_path / "run")
    assert lm.generate("a person waves", 1.0, seed=1, best_of=1).duration == pytest.approx(1.0)  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["opt", "gemma2", "bloom"])
def test_the_loss_is_the_same_packed_or_not(
    family: str,
    base_of: Callable[[str], Path],
    tiny_tokenizer: Path,
    tiny_recipe: Callable[..., Recipe],
    tmp_path: Path,
) -> None:
    from motionllm.training.train import train

    tokenizer = load_base_tokenizer(base_of(family))
    tokenizer.save_pretrained(tmp_path / "base")
    model_of(family, tokenizer, 0.3).save_pretrained(tmp_path / "base")
    losses = []
    for packing in (True, False):
        recipe = tiny_recipe(tmp_path / "base", tiny_tokenizer, steps=2, validate_examples=0, lr=1e-4)
        recipe.data.packing, recipe.adapter.targets = packing, "all-linear"
        train(recipe, tmp_path / str(packing))
        lines = (tmp_path / str(packing) / "log.jsonl").read_text("utf-8").splitlines()
        losses.append([json.loads(line)["loss"] for line in lines])
    assert np.allclose(*losses, atol=1e-4)


def test_a_loaded_base_says_nothing_where_nothing_was_mended(
    base_of: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    chat_template._tell.cache_clear()
    with caplog.at_level("INFO"):
        renderer_of(base_of("smollm"))
        assert not caplog.messages
        renderer_of(base_of("gemma2"))
        renderer_of(base_of("gemma2"))
    assert len(caplog.messages) == 1 and "system message" in caplog.messages[0]

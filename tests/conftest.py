"""What every test has: an offline model hub, two threads, and tiny base models made on the spot."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motionllm.config import Recipe

# Read by the libraries when they are first imported, so set before any test module is.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SENTENCES = [
    "A person walks forward, turns left and sits down on a chair.",
    "Someone waves with the right hand, then jumps twice.",
    "What does the person do in this motion? The person kicks with the left foot.",
    "Describe the motion. Generate a motion of 3.5 seconds: a man runs in a circle.",
]


LLAMA = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ message['content'] + eos_token }}"
    "{% else %}{{ bos_token + '[INST] ' + message['content'] + ' [/INST] ' }}{% endif %}{% endfor %}"
)


def byte_level_tokenizer() -> Any:
    """As GPT-2, Qwen and SmolLM have it: BPE over bytes, with ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        model_max_length=512,
    )
    tokenizer.chat_template = CHATML
    return tokenizer


def sentencepiece_tokenizer() -> Any:
    """As Llama 2 and Mistral have it: sentencepiece BPE with "▁" for spaces, bytes for what it does not know."""
    import sentencepiece
    from transformers import LlamaTokenizer

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20),
        model_writer=written,
        vocab_size=400,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    trained = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    vocab = {trained.id_to_piece(i): i for i in range(trained.get_piece_size())}
    # The pairs that make up a piece, in the order of the pieces: what a .model file leaves to be worked out.
    merges = [
        (piece[:i], piece[i:])
        for piece in vocab
        for i in range(1, len(piece))
        if piece[:i] in vocab and piece[i:] in vocab
    ]
    tokenizer = LlamaTokenizer(vocab=vocab, merges=merges, pad_token="</s>", model_max_length=512)
    tokenizer.chat_template = LLAMA
    return tokenizer


def save_tiny_base(folder: Path, *, untied: bool, width: int = 32, tokenizer: Any = None) -> Path:
    """Writes a randomly initialised causal LLM of 2 layers, with a byte-level tokenizer or the one given, to `folder`.

    Tied: a Llama with as many rows as tokens. Untied: a Qwen2 with 24 spare rows, as the real ones have.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    tokenizer = tokenizer or byte_level_tokenizer()
    tokenizer.save_pretrained(folder)
    shape = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if untied:
            model = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer) + 24, tie_word_embeddings=False, **shape))
        else:
            model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **shape))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def save_base() -> Callable[..., Path]:
    """`save_tiny_base`, for a base of another shape."""
    return save_tiny_base


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random Llama whose input and output embeddings are tied."""
    return save_tiny_base(tmp_path_factory.mktemp("tiny_base"), untied=False)


@pytest.fixture(scope="session")
def tiny_base_untied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random Qwen2: untied embeddings, and more rows than tokens."""
    return save_tiny_base(tmp_path_factory.mktemp("tiny_base_untied"), untied=True)


@pytest.fixture(scope="session")
def tiny_base_pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny tied Llama with a sentencepiece tokenizer."""
    folder = tmp_path_factory.mktemp("tiny_base_pieces")
    return save_tiny_base(folder, untied=False, tokenizer=sentencepiece_tokenizer())


@pytest.fixture(scope="session")
def tiny_base_wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tied one, 64 wide: bitsandbytes quantises blocks of 64, and packs whole ones on CPUs with AVX-512."""
    return save_tiny_base(tmp_path_factory.mktemp("tiny_base_wide"), untied=False, width=64)


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a motion tokenizer of two times 16 codes, trained for a second on the built-in corpus."""
    from motionllm.config import Network, Source, TokenizerRecipe, TokenizerTraining
    from motionllm.data.prepare import train_tokenizer

    recipe = TokenizerRecipe(
        name="tiny",
        sources=[Source(kind="builtin", clips=20)],
        network=Network(width=16, blocks=1, split="body", codes=16, code_dim=8),
        train=TokenizerTraining(steps=40, autoencode=20, batch=8, window=32),
    )
    folder = tmp_path_factory.mktemp("tokenizer") / "tiny"
    train_tokenizer(recipe, folder)
    return folder


def tiny_tree(base: Path, tokenizer: Path, **train: object) -> dict[str, object]:
    """A fine-tuning recipe of seconds, as a tree of plain values."""
    return {
        "name": "tiny",
        # float32: what is tested are equalities
        "model": {"base": str(base), "tokenizer": str(tokenizer), "dtype": "float32"},
        "adapter": {"rank": 4, "alpha": 8},
        "data": {"sources": [{"kind": "builtin", "clips": 20}], "max_length": 512},
        "train": {
            "steps": 6,
            "batch": 4,
            "lr": 1e-3,
            "warmup": 1,
            "validate_examples": 12,
            "validate_every": 3,
            "precision": "float32",
        }
        | train,
    }


@pytest.fixture(scope="session")
def tiny_recipe() -> Callable[..., Recipe]:
    """(base folder, tokenizer, **train settings) → a fine-tuning recipe of seconds."""
    from motionllm.config import Recipe, check_recipe

    return lambda base, tokenizer, **train: check_recipe(tiny_tree(base, tokenizer, **train), Recipe, "test")


@pytest.fixture(scope="session", params=["tied", pytest.param("untied", marks=pytest.mark.slow)])
def trained_run(
    request: pytest.FixtureRequest,
    tiny_base: Path,
    tiny_base_untied: Path,
    tiny_tokenizer: Path,
    tiny_recipe: Callable[..., Recipe],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """(run folder, base folder) of a short fine-tune on a tied base, and among the slow tests on an untied one."""
    from motionllm.training.train import train

    base = tiny_base if request.param == "tied" else tiny_base_untied
    run = tmp_path_factory.mktemp("runs") / request.param
    train(tiny_recipe(base, tiny_tokenizer), run)
    return run, base

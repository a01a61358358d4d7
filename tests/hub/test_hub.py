"""Models, motion tokenizers and data sets go to the hub and come back the same; what goes wrong is one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm import Motion, MotionLM, MotionTokenizer, cli, hub
from motionllm.config import load_recipe
from motionllm.data import hub_sets, sources
from motionllm.data.content import fingerprint
from motionllm.errors import MotionLLMError

CMU = Path(__file__).parents[1] / "data" / "cmu"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert cli.main([*map(str, words), "--json"]) == 0, capsys.readouterr().err
    return dict(json.loads(capsys.readouterr().out))


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert cli.main([*map(str, words)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    return lines[-1]


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one step."""
    from motionllm.training.train import train

    folder = tmp_path_factory.mktemp("runs") / "mine"
    train(tiny_recipe(tiny_base, tiny_tokenizer, steps=1, samples=["a person waves"], validate_examples=4), folder)
    return folder


# -- models ------------------------------------------------------------------------------------------------------


def test_a_run_comes_back_and_moves_the_same(
    trained: Path, tiny_base: Path, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tiny_base
    (trained / "adapter" / "secret.txt~").write_text("mine")
    here = MotionLM.load(trained, base=str(base)).generate("a person waves", seconds=2, seed=5)
    pushed = run(capsys, "push", trained, "acme/waves", "--base", "acme/base", "--licence", "apache-2.0")
    files = server.files("acme/waves")
    assert pushed["name"] == f"acme/waves@{server.repositories['model', 'acme/waves'].branches['main']}"
    assert {"adapter_model.safetensors", "recipe.yaml", "tokenizer/model.safetensors", "samples/1.gif"} <= files.keys()
    assert not {"secret.txt~", "checkpoint.pt", "log.jsonl"} & files.keys()
    assert not any(
        str(base).encode() in data for name, data in files.items() if name.endswith((".yaml", ".json", ".md"))
    )
    card = files["README.md"].decode()
    assert "base_model: acme/base" in card and "license: apache-2.0" in card
    assert "1 steps, 4 examples" in card and "*a person waves*" in card and 'MotionLM.load("acme/waves")' in card
    again = MotionLM.load("acme/waves", base=str(base)).generate("a person waves", seconds=2, seed=5)
    np.testing.assert_array_equal(again.joints, here.joints)


@pytest.mark.slow
def test_a_fresh_process_loads_by_name_and_moves_the_same(
    trained: Path, tiny_base: Path, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    here = MotionLM.load(trained).generate("a person waves", seconds=2, seed=5)
    run(capsys, "push", trained, "acme/waves", "--base", "acme/base")
    code = (
        "import sys\nsys.path.insert(0, sys.argv[1])\nfrom motionllm import MotionLM\n"
        "lm = MotionLM.load('acme/waves', base=sys.argv[2])\n"
        "lm.generate('a person waves', seconds=2, seed=5).save('there.npy')"
    )
    root = Path(hub.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code, root, tiny_base], check=True)
    np.testing.assert_array_equal(np.load("there.npy"), here.joints)


def test_an_adapter_of_a_local_base_is_pushed_only_with_the_base_s_name(
    trained: Path, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "give the base's name on the hub with --base" in refused(capsys, "push", trained, "acme/x")
    assert not server.repositories


def test_a_damaged_adapter_is_not_pushed(
    trained: Path, server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(trained / "adapter", copy)
    weights = copy / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "damaged" in refused(capsys, "push", copy, "acme/x", "--base", "acme/base")
    assert not server.repositories


def test_the_shipped_adapter_is_pushed_whole_with_its_own_card(
    server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from motionllm import shipped

    result = run(capsys, "push", "default", "acme/default", "--out", tmp_path / "there")
    there = tmp_path / "there"
    assert result["kind"] == "model" and not server.requests
    assert MotionTokenizer.load(there / "tokenizer").hash == MotionTokenizer.load("default").hash
    assert (there / "tokenizer" / "model.safetensors").is_file()  # the shipped one is a mere reference
    own = shipped.find("adapter", "default") / "README.md"
    assert (there / "README.md").read_text("utf-8") == own.read_text("utf-8")


def test_results_of_these_weights_are_on_the_card(
    trained: Path, server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from motionllm import shipped
    from motionllm.lm.results import adapter_hash

    known = next((shipped.root() / "eval" / "results" / "questions").glob("default.json"))
    for name, adapter in (("mine", adapter_hash(trained)), ("other", "0" * 16)):
        file = tmp_path / "runs" / "eval" / "questions" / name / "result.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(json.loads(known.read_text()) | {"model": f"/home/me/{name}", "adapter": adapter}))
    push = ("push", trained, "acme/x", "--base", "acme/base", "--out")
    run(capsys, *push, "out")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "## Results" in card and "acme/x" in card and "/home/me" not in card
    assert json.loads((tmp_path / "out" / "results" / "questions.json").read_text())["model"] == "acme/x"
    named = tmp_path / "runs" / "eval" / "questions" / "other" / "result.json"
    assert "of another adapter" in refused(capsys, *push, "out2", "--results", named)


def test_a_motion_tokenizer_comes_back(tiny_tokenizer: Path, server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "push", tiny_tokenizer, "acme/codes")
    assert MotionTokenizer.load("acme/codes").hash == MotionTokenizer.load(tiny_tokenizer).hash
    assert 'MotionTokenizer.load("acme/codes")' in server.files("acme/codes")["README.md"].decode()


def test_a_branch_and_a_commit_are_what_they_were(
    tiny_tokenizer: Path, server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(capsys, "push", tiny_tokenizer, "acme/codes")["name"]
    (tmp_path / "other").mkdir()
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    tokenizer.mean[0] += 1
    tokenizer.save(tmp_path / "other")
    run(capsys, "push", tmp_path / "other", "acme/codes", "--revision", "v2")
    old, new = MotionTokenizer.load(tiny_tokenizer).hash, tokenizer.hash
    assert old != new
    assert {n: MotionTokenizer.load(n).hash for n in (first, "acme/codes", "acme/codes@v2")} == {
        first: old,
        "acme/codes": old,
        "acme/codes@v2": new,
    }


def test_a_push_leaves_nothing_of_the_one_before(
    tiny_tokenizer: Path, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "push", tiny_tokenizer, "acme/codes")
    repository = server.repositories["model", "acme/codes"]
    repository.commit("main", {**server.files("acme/codes"), "adapter_config.json": b"{}", "old.json": b"{}"})
    run(capsys, "push", tiny_tokenizer, "acme/codes")
    assert not {"adapter_config.json", "old.json"} & server.files("acme/codes").keys()


def test_only_what_is_read_is_fetched(tiny_tokenizer: Path, server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "push", tiny_tokenizer, "acme/codes")
    repository = server.repositories["model", "acme/codes"]
    more = {"code.py": b"1/0", "weights.bin": b"pickle", "x.pt": b"pickle"}
    repository.commit("main", {**server.files("acme/codes"), **more})
    folder = hub.fetch("acme/codes")
    assert "model.safetensors" in {p.name for p in folder.iterdir()}
    assert not more.keys() & {p.name for p in folder.rglob("*")}


# -- data sets ---------------------------------------------------------------------------------------------------


def test_a_set_comes_back_clip_by_clip(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from motionllm.config import Source

    pushed = run(capsys, "push", "--data", CMU, "acme/cmu", "--terms", "Free for all uses.", "--private")
    assert server.repositories["dataset", "acme/cmu"].private
    there, here = Source(kind="humanml3d", path="acme/cmu"), Source(kind="humanml3d", path=str(CMU))
    for split in ("train", "val"):
        assert sources.has_split(there, split)
        mine = {s.id: s for s in sources.read(here, split)}
        theirs = {s.id: s for s in sources.read(there, split)}
        assert mine.keys() == theirs.keys()
        for name, sample in mine.items():
            assert (theirs[name].captions, theirs[name].labels) == (sample.captions, sample.labels)
            np.testing.assert_array_equal(theirs[name].load(), sample.load())
    assert not sources.has_split(there, "test")
    assert fingerprint(there, "train") == fingerprint(Source(kind="humanml3d", path=pushed["name"]), "train")
    card = server.files("acme/cmu", "dataset")["README.md"].decode()
    assert "Free for all uses." in card and "| train | 4 |" in card and "data/validation-*.parquet" in card
    imported = run(capsys, "data", "import", "acme/cmu", "--out", "copy")
    assert imported["from"] == pushed["name"] and {"train.txt", "labels.jsonl", "texts"} <= {
        p.name for p in Path("copy").iterdir()
    }


def test_a_set_is_streamed_without_a_copy(server: Any, tiny_tokenizer: Path, tmp_path: Path, capsys: Any) -> None:
    from motionllm.config import Source
    from motionllm.data.clips import encode

    pushed = run(capsys, "push", "--data", CMU, "acme/cmu", "--terms", "Free for all uses.")
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    here = encode(Source(kind="humanml3d", path=str(CMU)), "train", tokenizer)
    there = encode(Source(kind="humanml3d", path=pushed["name"], stream=True), "train", tokenizer)
    assert {c.sample.id: c.codes.tolist() for c in there} == {c.sample.id: c.codes.tolist() for c in here}
    assert there.content != here.content and server.sent
    assert not list(tmp_path.rglob("*.parquet")) and not (tmp_path / "cache" / "sets").exists()
    server.sent.clear()
    encode(Source(kind="humanml3d", path=pushed["name"], stream=True), "train", tokenizer)
    assert not server.sent  # what is encoded is not read again
    with pytest.raises(MotionLLMError, match="The hub has no data set acme/none"):
        encode(Source(kind="humanml3d", path="acme/none", stream=True), "train", tokenizer)


def test_a_set_is_one_of_datasets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import datasets

    run(capsys, "push", "--data", CMU, "acme/cmu", "--out", tmp_path / "set")
    files = {split: str(tmp_path / "set" / "data" / f"{split}-*") for split in ("train", "validation")}
    clips = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    row = clips["train"].with_format("numpy")[0]
    sample = next(s for s in sources.humanml3d(CMU, "train") if s.id == row["id"])
    np.testing.assert_array_equal(row["motion"], sample.load())
    assert [c["text"] for c in clips["train"][0]["captions"]] == sample.captions
    assert clips["train"][0]["preview"].size == (280, 210)
    assert len(clips["validation"]) == 2


def broken_set(tmp_path: Path, **columns: list[Any]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "set" / "data").mkdir(parents=True)
    pq.write_table(pa.table(columns), tmp_path / "set" / "data" / "train-00000-of-00001.parquet")
    return tmp_path / "set"


STILL = np.zeros((8, 263)).tolist()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"id": ["a"]}, "no column 'motion'"),
        ({"text": ["a"], "motion": [STILL]}, "no column 'id'"),
        ({"id": ["../a"], "motion": [STILL]}, "cannot be the name of a file"),
        ({"id": [".hidden"], "motion": [STILL]}, "cannot be the name of a file"),
        ({"id": [None], "motion": [STILL]}, "cannot be the name of a file"),
        ({"id": ["a"], "motion": [[[0.0] * 5]]}, "of shape (1, 5)"),
        ({"id": ["a"], "motion": [[[0.0] * 263, [0.0] * 262]]}, "damaged"),
        ({"id": ["a"], "motion": [[1.0, 2.0]]}, "damaged"),
        ({"id": ["a"], "motion": [[[float("nan")] * 263]]}, "NaN"),
        ({"id": ["a"], "motion": [STILL], "captions": [[7]]}, "caption that is no text"),
        ({"id": ["a"], "motion": [STILL], "captions": [[{"text": "x", "start": 3.0, "end": 1.0}]]}, "cannot be used"),
        ({"id": ["a"], "motion": [STILL], "labels": ["[1]"]}, "no JSON object"),
        ({"id": ["a"], "motion": [STILL], "labels": ["{"]}, "not valid JSON"),
    ],
)
def test_a_set_of_another_make_is_refused_and_leaves_nothing(
    tmp_path: Path, columns: dict[str, list[Any]], said: str
) -> None:
    with pytest.raises(MotionLLMError) as caught:
        hub_sets.unpack(broken_set(tmp_path, **columns), tmp_path / "out")
    assert said in str(caught.value) and str(caught.value).count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_captions_may_be_plain_texts(tmp_path: Path) -> None:
    folder = broken_set(tmp_path, id=["a", "b"], motion=[STILL, STILL], captions=[["a # b", "x\ny"], None])
    assert hub_sets.unpack(folder, tmp_path / "out") == {"train": 2}
    samples = sources.humanml3d(tmp_path / "out", "train")
    assert [s.captions for s in samples] == [["a b", "x y"]]


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    folder = broken_set(tmp_path, id=["a"], motion=[STILL])
    file = next((folder / "data").iterdir())
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(MotionLLMError, match="damaged"):
        hub_sets.unpack(folder, tmp_path / "out")


def test_a_model_is_no_set_and_a_set_no_model(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "push it with --data" in refused(capsys, "push", CMU, "acme/x")
    assert "has no train.txt" in refused(capsys, "push", "--data", CMU / "texts", "acme/x")
    (Path("empty")).mkdir()
    assert "is no run, adapter, merged model or motion tokenizer" in refused(capsys, "push", "empty", "acme/x")
    assert not server.repositories


# -- revisions ---------------------------------------------------------------------------------------------------


def test_a_run_records_the_commits_of_what_it_was_made_of(
    tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Any, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from motionllm.config import Source
    from motionllm.training.train import train

    base = server.repositories["model", "acme/base"] = stand_in_repository(tiny_base)
    codes = run(capsys, "push", tiny_tokenizer, "acme/codes")["name"]
    clips = run(capsys, "push", "--data", CMU, "acme/cmu", "--terms", "Free.")["name"]
    recipe = tiny_recipe("acme/base", "acme/codes", steps=1, validate_examples=2)
    recipe.data.sources = [Source(kind="humanml3d", path="acme/cmu")]
    recipe.data.tasks = {"text_to_motion": 1.0}
    train(recipe, Path("runs/mine"))
    saved = load_recipe(Path("runs/mine/adapter/recipe.yaml"))
    assert saved.model.base == f"acme/base@{base.branches['main']}"
    assert saved.model.tokenizer == codes
    assert saved.data.sources[0].path == clips
    base.commit("main", {"config.json": b"{}"})  # the next version of the base is of no concern
    lm = MotionLM.load("runs/mine")
    assert isinstance(lm.generate("a person waves", seconds=1, seed=1), Motion)
    config = json.loads(Path("runs/mine/adapter/adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("acme/base", saved.model.base.split("@")[1])
    run(capsys, "push", "runs/mine", "acme/mine")
    card = server.files("acme/mine")["README.md"].decode()
    assert "base_model: acme/base\n" in card and "- acme/cmu" in card and "its card has its terms" in card
    assert MotionLM.load("acme/mine").recipe.model.base == saved.model.base


def stand_in_repository(folder: Path) -> Any:
    repository = sys.modules["hub_stand_in"].Repository(private=False)
    repository.commit("main", {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})
    return repository


def test_a_pinned_name_needs_no_network_the_second_time(
    tiny_tokenizer: Path, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    name = run(capsys, "push", tiny_tokenizer, "acme/codes")["name"]
    first = MotionTokenizer.load(name).hash
    server.requests.clear()
    assert MotionTokenizer.load(name).hash == first
    assert server.requests == []


# -- what goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["mine", "a/b/c", "a b/c", "/a/b", "../x/y", "a/", "a/b@", "ä/b", "a/-b", "a" * 97 + "/b"]
)
def test_what_is_no_name_is_refused_before_anything_is_sent(
    tiny_tokenizer: Path, server: Any, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert "is no name of a repository; write owner/name" in refused(capsys, "push", tiny_tokenizer, name)
    assert server.requests == []


def test_names_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    assert hub.is_name("acme/x") and hub.is_name("acme/x@v1") and hub.is_name("runs/x@main")
    assert not any(map(hub.is_name, ("runs/x", "x", "./acme/x", "acme/x/y", "builtin:a/b", "", "a/b@", "acme/x@../y")))
    assert hub.split("acme/x@refs/pr/1") == ("acme/x", "refs/pr/1")


def test_a_missing_token_a_wrong_one_and_one_of_another(
    tiny_tokenizer: Path, server: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, "push", tiny_tokenizer, "acme/secret", "--private")
    monkeypatch.delenv("HF_TOKEN")
    assert "run `hf auth login`, or set HF_TOKEN" in refused(capsys, "push", tiny_tokenizer, "acme/x")
    said = refused(capsys, "tokenizer", "encode", "acme/secret", "clip.npy")
    assert "has no model acme/secret, or it is private" in said and "logged in" in said
    monkeypatch.setenv("HF_TOKEN", "hf_stranger")
    assert "the token may read it" in refused(capsys, "tokenizer", "encode", "acme/secret", "clip.npy")
    assert "right to write to acme" in refused(capsys, "push", tiny_tokenizer, "acme/x")
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    assert "does not know this token" in refused(capsys, "push", tiny_tokenizer, "acme/x")


def test_no_such_repository_revision_or_network(
    tiny_tokenizer: Path, server: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    run(capsys, "push", tiny_tokenizer, "acme/codes")
    with pytest.raises(MotionLLMError, match="neither as a path nor shipped: The hub has no model acme/nothing"):
        MotionLM.load("acme/nothing")
    with pytest.raises(MotionLLMError, match="The model acme/codes has no revision v9"):
        MotionTokenizer.load("acme/codes@v9")
    with pytest.raises(
        MotionLLMError, match="does not exist, and is not on the hub: The hub has no data set acme/codes"
    ):
        sources.humanml3d(Path("acme/codes"), "train")
    server.gated.add("acme/codes")
    monkeypatch.setenv("HF_TOKEN", "hf_stranger")
    with pytest.raises(MotionLLMError, match="is gated: accept its terms"):
        MotionTokenizer.load("acme/codes")
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    loaded = MotionTokenizer.load("acme/codes").hash
    server.close()
    assert MotionTokenizer.load("acme/codes").hash == loaded  # the copy of the last time
    with pytest.raises(MotionLLMError, match="cannot be reached for the model acme/other, and there is no copy"):
        MotionTokenizer.load("acme/other")
    assert "cannot be reached" in refused(capsys, "push", tiny_tokenizer, "acme/x")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert MotionTokenizer.load("acme/codes").hash == loaded
    with pytest.raises(MotionLLMError, match="not in the hub's cache, and HF_HUB_OFFLINE is set"):
        MotionTokenizer.load("acme/other")
    assert "HF_HUB_OFFLINE is set, and pushing needs the hub" in refused(capsys, "push", tiny_tokenizer, "acme/x")


def test_a_link_out_of_a_pushed_folder_is_refused(
    tiny_tokenizer: Path, server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    shutil.copytree(tiny_tokenizer, tmp_path / "copy")
    (tmp_path / "private.json").write_text("{}")
    (tmp_path / "copy" / "report.json").unlink()
    (tmp_path / "copy" / "report.json").symlink_to(tmp_path / "private.json")
    assert "outside its folder" in refused(capsys, "push", tmp_path / "copy", "acme/x")
    assert not server.repositories

"""A merged model behind `transformers serve`: the motions and texts that come back, and what is said of failures."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from transformers import GenerationConfig

from motionllm import Motion, MotionLM, cli
from motionllm import corpus as builtin
from motionllm.app.chat import Chat
from motionllm.config import Notes
from motionllm.errors import MotionLLMError
from motionllm.lm import servers
from motionllm.lm.decoding import OVERLAP
from motionllm.lm.merging import _plainly, merge
from motionllm.lm.sampling import GREEDY, Sampling
from motionllm.motion.notation import Notation

served = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "openai")),
    reason="what transformers serve needs is not installed (pip install 'motionllm[serve]')",
)


@pytest.fixture(scope="module")
def folder(trained_run: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "model"
    merge(trained_run[0], out)
    return out


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `transformers serve` serves the merged model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    start = "from transformers.cli.transformers import main; main()"
    words = ["serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with open(log, "wb") as out:
        server = subprocess.Popen([sys.executable, "-c", start, *words], stdout=out, stderr=out, env=dict(os.environ))
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                time.sleep(0.2)
        else:
            raise AssertionError(f"no server within two minutes:\n{log.read_text()}")
        yield address
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def lm(url: str, folder: Path) -> MotionLM:
    return MotionLM.connect(url, folder)


def wave() -> Motion:
    return Motion(builtin.joints(builtin.Spec((builtin.Part("wave", side="left"),)), 1))


@served
def test_motions_are_whole_and_as_long_as_asked(lm: MotionLM) -> None:
    one = lm.generate("a person waves", seconds=1.5, seed=4)
    assert isinstance(one, Motion) and one.duration == pytest.approx(1.5)
    again, other = (lm.generate("a person waves", seconds=1.5, seed=seed) for seed in (4, 5))
    assert np.array_equal(one.joints, again.joints)  # type: ignore[union-attr]
    assert not np.array_equal(one.joints, other.joints)  # type: ignore[union-attr]
    several = lm.generate_batch(["a person waves", "a person sits"], [(0.5, 1.0), None], seed=[1, 2])
    assert 0.5 <= several[0].duration <= 1.0 and len(several[1]) >= 8
    begun = lm.generate("then they bow", seconds=wave().duration + 1, start=wave(), seed=1)
    assert begun.duration == pytest.approx(wave().duration + 1)  # type: ignore[union-attr]
    pieces = list(lm.stream("a person waves", 1.5, seed=4))
    assert np.concatenate(pieces).shape == one.joints.shape


@served
def test_greedy_replies_are_those_of_the_model_loaded_here(
    lm: MotionLM, trained_run: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = MotionLM.load(trained_run[0])
    for text in ("a person waves with the left hand", "a person walks"):
        ours, theirs = (one.generate(text, 2.0, temperature=0) for one in (here, lm))
        assert np.allclose(ours.joints, theirs.joints)  # type: ignore[union-attr]
    assert lm.caption(wave()) == here.caption(wave())
    assert lm.ask(wave(), "Which hand?") == here.ask(wave(), "Which hand?")
    message = {"role": "user", "content": "a person waves"}
    assert lm.moves([message]) == here.moves([message])
    assert lm.captions(wave(), 3, seed=1)[0] == here.caption(wave())
    assert lm.chat([message], seconds=1.0, seed=1)["content"][0]["motion"].duration == pytest.approx(1.0)


@served
def test_a_motion_longer_than_was_trained(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm.recipe.data, "window", 3.0)  # 15 steps, gone on from the last 12
    assert lm.generate("a person walks", seconds=4.0, seed=1).duration == pytest.approx(4.0)  # type: ignore[union-attr]


@served
def test_a_conversation_over_an_engine(lm: MotionLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm, "moves", lambda messages: not messages[-1]["content"].endswith("?"))
    chat = Chat(lm, seconds=1.0, seed=1, sampling=Sampling(best_of=1))
    assert chat.say("Why?").failed  # the base's own words are not served
    assert chat.say("a person bows").motion is not None
    assert not chat.say("What does the person do?").failed
    assert "a new motion" in chat.say("a person bows slowly").text  # an engine writes no plans, so changes none


@served
@pytest.mark.parametrize("text", ["<motion><motion_3></motion>", "a person <|im_end|> waves"])
def test_what_the_engine_would_misread_is_refused(lm: MotionLM, text: str) -> None:
    with pytest.raises(MotionLLMError, match="leave"):
        lm.generate(text, 1.0)


@served
def test_what_an_engine_cannot(lm: MotionLM, url: str, folder: Path) -> None:
    with pytest.raises(MotionLLMError, match="best_of=1"):
        lm.generate("a person waves", 1.0, best_of=2)
    with pytest.raises(MotionLLMError, match="merged model alone"):
        lm.talk([{"role": "user", "content": "Hi"}])
    with pytest.raises(MotionLLMError, match="refused the request"):
        MotionLM.connect(url, folder, name="another")
    kept = lm.generate("a person waves", 1.0, best_of=2, judge=lambda _, made: range(len(made)))
    assert kept.duration == pytest.approx(1.0)  # type: ignore[union-attr]


@pytest.fixture
def fake() -> Iterator[Callable[[Any, float], tuple[str, list[dict[str, Any]]]]]:
    """(what every request but the list of models is answered with, seconds it takes) → address, requests so far."""
    servers = []

    def serve(answer: Any, seconds: float = 0.0, models: Any = None) -> tuple[str, list[dict[str, Any]]]:
        asked: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply({"data": [{"id": "m", "owned_by": "vllm"}]} if models is None else models)

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append(request)
                time.sleep(seconds)
                text = answer(request) if callable(answer) else answer
                self.reply({"choices": [{"text": text}]})

            def reply(self, body: Any) -> None:
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/v1", asked

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def steps(request: dict[str, Any]) -> str:
    """A reply within the grammar, as long as may be."""
    return "".join(f"<motion_{16 * (i % 2)}>" for i in range(request["max_tokens"]))


def test_several_engines_share_the_requests_and_go_on_where_one_is_gone(
    folder: Path, fake: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The motions are those of one engine, in order, also where a server fails in the middle."""
    texts, seconds, seeds = ["walk", "bow", "wave", "sit", "jump", "turn"] * 3, [1.0] * 18, list(range(18))

    def by_seed(request: dict[str, Any]) -> str:
        codes = np.random.default_rng(request["seed"]).integers(16, size=request["max_tokens"])
        return "".join(f"<motion_{code + 16 * (i % 2)}>" for i, code in enumerate(codes))

    def until_the_tenth(request: dict[str, Any]) -> str:
        if len(dying) >= 10:
            raise ConnectionAbortedError  # the connection is closed without a reply
        return by_seed(request)

    alone = MotionLM.connect(fake(by_seed)[0], folder)
    (first, one), (second, two) = fake(by_seed), fake(by_seed)
    (third, dying) = fake(until_the_tenth)
    both = MotionLM.connect([first, second], folder)
    expected = alone.generate_batch(texts, seconds, seed=seeds)
    assert len({motion.joints.tobytes() for motion in expected}) > 6
    shared = both.generate_batch(texts, seconds, seed=seeds)
    assert [np.array_equal(a.joints, b.joints) for a, b in zip(expected, shared, strict=True)] == [True] * 18
    assert min(len(one), len(two)) > 3
    losing = MotionLM.connect([third, first], folder)
    del dying[:]
    again = losing.generate_batch(texts * 2, seconds * 2, seed=[*seeds, *seeds])
    assert all(np.array_equal(a.joints, b.joints) for a, b in zip(expected * 2, again, strict=True))
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning.startswith(f"Nobody answers at {third.removesuffix('/v1')}") and warning.endswith(
        f"What it had is sent to {first.removesuffix('/v1')}."
    )
    assert losing.backend.servers.busy.keys() == {first.removesuffix("/v1")}  # type: ignore[attr-defined]


def test_an_engine_that_is_not_there_is_left_out_and_the_last_is_asked_again(
    folder: Path, fake: Callable[..., Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "PAUSES", (0.01, 0.01))
    failing: list[int] = []

    def answer(request: dict[str, Any]) -> str:
        if failing:
            failing.pop()
            raise ConnectionAbortedError
        return steps(request)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
        lm = MotionLM.connect([nobody, fake(answer)[0]], folder)
    assert f"Nobody answers at {nobody}" in caplog.text
    failing += [1, 1]
    assert lm.generate("walk", 1.0, seed=1).duration == pytest.approx(1.0)  # type: ignore[union-attr]
    failing += [1, 1, 1]
    with pytest.raises(MotionLLMError, match="Nobody answers"):
        lm.generate("walk", 1.0, seed=1)
    other = fake(steps, models={"data": [{"id": "m", "owned_by": "someone"}]})[0]
    with pytest.raises(MotionLLMError, match="several kinds"):
        MotionLM.connect([other, fake(steps)[0]], folder)


def test_verbs_take_an_engine(
    folder: Path, fake: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = fake(steps)[0], fake(steps)[0]
    where = ["--model", str(folder), "--engine", first, "--engine", second]
    clip = tmp_path / "a.npy"
    assert cli.main(["generate", "a person waves", "--seconds", "1", "--seed", "1", "--out", str(clip), *where]) == 0
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("walk\nbow\nsit\n")
    words = ["generate", "--prompts", str(prompts), "--seconds", "1", "--out", str(tmp_path / "out"), *where]
    assert cli.main([*words, "--format", "npy"]) == 0
    assert len(list((tmp_path / "out").glob("*.npy"))) == 3
    said = fake(lambda request: "words" if request["max_tokens"] > 20 else steps(request))[0]
    capsys.readouterr()
    assert cli.main(["caption", str(clip), "--model", str(folder), "--engine", said]) == 0
    assert capsys.readouterr().out == "words\n"
    suite = ["eval", "suite", "text-to-motion", "--out", str(tmp_path / "suite"), "--engine", first, "--model"]
    assert cli.main([*suite, "baseline:random"]) == 2
    assert "leave it out" in capsys.readouterr().err
    assert cli.main(["generate", "walk", "--engine", first]) == 2
    assert "give the one that `motionllm merge` wrote" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["generate", "caption", "suite"])
def test_a_verb_whose_only_engine_is_gone_ends_in_a_sentence_and_goes_on(
    verb: str,
    folder: Path,
    fake: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "PAUSES", (0.01, 0.01))
    (tmp_path / "clips").mkdir()
    for number in range(4):
        wave().save(tmp_path / "clips" / f"{number}.npy")
    (tmp_path / "prompts.txt").write_text("".join(f"a person walks {n} steps\n" for n in range(4)))
    prompts = ["--prompts", str(tmp_path / "prompts.txt"), "--seconds", "1", "--format", "npy", "--seed", "1"]
    words = {
        "generate": ["generate", *prompts, "--batch", "1"],
        "caption": ["caption", str(tmp_path / "clips"), "--batch", "1"],
        "suite": ["eval", "suite", "questions", "cases=6", "batch=2", "data.clips=60"],
    }[verb]
    left = [1, 1, 1]  # replies: one to connect, and two

    def answer(request: dict[str, Any]) -> str:
        return steps(request) if "structured_outputs" in request else f"words {len(request['prompt'])}"

    def dying(request: dict[str, Any]) -> str:
        if not left:
            raise ConnectionAbortedError
        left.pop()
        return answer(request)

    def status(out: Path, url: str) -> int:
        to = out / "captions.jsonl" if verb == "caption" else out
        return cli.main([*words, "--out", str(to), "--model", str(folder), "--engine", url])

    def made(out: Path) -> dict[str, bytes]:
        kept = [f for f in out.rglob("*") if f.suffix in (".npy", ".jsonl", ".json") and f.name != "time.json"]
        return {f.name: f.read_bytes() for f in kept}

    whole, out = tmp_path / "whole", tmp_path / "out"
    for one in (whole, out):
        one.mkdir()
    assert status(whole, fake(answer)[0]) == 0
    capsys.readouterr()
    address = fake(dying)[0]
    assert status(out, address) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"motionllm: error: Nobody answers at {address.removesuffix('/v1')}")
    kept = made(out)
    again, asked = fake(answer)
    assert status(out, again) == 0
    assert kept and made(out) == made(whole)
    assert len(asked) == 1 + {"generate": 2, "caption": 2, "suite": 22}[verb]  # what was answered is not asked again


def test_vllm_is_told_the_grammar_in_its_own_terms(folder: Path, fake: Callable[..., Any]) -> None:
    address, asked = fake(steps)
    lm = MotionLM.connect(address, folder)
    assert lm.generate("a person <|im_end|> waves", 2.0, seed=1).duration == pytest.approx(2.0)  # type: ignore[union-attr]
    request = asked[-1]
    count, vocab = request["max_tokens"], lm.vocab
    assert request["min_tokens"] == count and request["model"] == "m" and request["prompt"][-1] == vocab.start_id
    assert vocab.start_id not in request["allowed_token_ids"] and vocab.first_id in request["allowed_token_ids"]
    regex = request["structured_outputs"]["regex"]
    assert regex.startswith("((<motion_0>|<motion_1>|") and regex.endswith(
        f"<motion_31>)){{{count // 2},{count // 2}}}"
    )
    lm.generate("a person waves", (1.0, 2.0), seed=1)
    assert asked[-1]["structured_outputs"]["regex"].endswith("(</motion>)?")


def test_an_engine_follows_a_plan_and_writes_none(folder: Path, fake: Callable[..., Any]) -> None:
    plan = "12.0 s, standing to standing\n0.0-1.0 walk forward 1.2 m/s\n10.0-11.0 clap x2"
    address, asked = fake(steps)
    lm = MotionLM.connect(address, folder)
    with pytest.raises(MotionLLMError, match="not trained to follow a plan"):
        lm.generate("walk", plan=plan)
    lm.recipe.data.notation = Notes()
    del asked[:]
    assert lm.generate("walk", seed=1, best_of=1, plan=plan).duration == 12.0  # type: ignore[union-attr]
    read = [lm.tokenizer.decode(request["prompt"]).partition("<motion>")[2] for request in asked]
    assert read[0] == "9.8 s, standing to standing\n0.0-1.0 walk forward 1.2 m/s\n\n"
    rate, seen = lm.motion_tokenizer.steps_per_second, lm.motion_tokenizer.steps(lm.window)
    part = Notation.parse(plan).between((seen - OVERLAP) / rate, 12.0)
    assert read[1].startswith(f"{part}\n\n<motion_") and len(read) == 2 and "clap x2" in read[1]
    assert lm.generate("walk", 1.0, plan=plan.replace("12.0", "1.0").partition("\n10")[0]).duration == 1.0  # type: ignore[union-attr]
    del asked[:]
    lm.generate("walk", 1.0, seed=1)
    assert len(asked) == 1 and lm.tokenizer.decode(asked[0]["prompt"]).endswith("<motion>")
    for ask in (lambda: lm.plan("walk"), lambda: lm.generate("walk", plan=True)):
        with pytest.raises(MotionLLMError, match="cannot be held to the notation"):
            ask()


def test_every_request_undoes_what_a_base_was_sampled_with(folder: Path, fake: Callable[..., Any]) -> None:
    address, asked = fake(steps)
    lm = MotionLM.connect(address, folder)
    lm.generate("a person waves", 1.0, temperature=0)
    lm.generate("a person waves", 1.0, temperature=0.8, top_p=0.9, top_k=7, seed=1)
    neutral = {"repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0, "min_p": 0}
    wanted = [{"temperature": 0, "top_p": 1, "top_k": -1}, {"temperature": 0.8, "top_p": 0.9, "top_k": 7}]
    for request, own in zip(asked[-2:], wanted, strict=True):
        assert {name: request.get(name) for name in (neutral | own)} == neutral | own
    plain = lm.backend._plain(asked[-1]["prompt"][-1:], GREEDY, {"max": 2, "min": 2, "stop": 2, "barred": []})
    assert json.loads(plain["generation_config"])["repetition_penalty"] == 1


def test_a_merged_model_has_no_habits_of_sampling_but_its_end() -> None:
    habits = GenerationConfig(do_sample=True, repetition_penalty=1.1, temperature=0.7, eos_token_id=2, pad_token_id=0)
    lm: Any = SimpleNamespace(renderer=SimpleNamespace(stop=7))
    kept = _plainly(habits, lm)
    assert kept.eos_token_id == [2, 7] and kept.pad_token_id == 0
    assert kept.repetition_penalty in (None, 1.0) and kept.temperature in (None, 1.0) and not kept.do_sample


def test_a_key_is_sent_to_the_engine_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append((self.path, self.headers["Authorization"]))
            if self.path == "/away/v1/models":
                self.send_response(302)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                return
            right = self.headers["Authorization"] == "Bearer sesame"
            body = json.dumps({"data": [{"id": "m", "owned_by": "vllm"}]} if right else {"error": "no sesame"}).encode()
            self.send_response(200 if right else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append((self.path, self.headers["Authorization"]))
            body = json.dumps({"choices": [{"text": steps(request)}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(MotionLLMError, match="give its key by api_key= or MOTIONLLM_API_KEY"):
            MotionLM.connect(url, folder)
        for wrong in ("salami", "two\nlines", "schlüssel"):
            with pytest.raises(MotionLLMError, match=r"the right key|copy it anew") as caught:
                MotionLM.connect(url, folder, api_key=wrong)
            assert wrong not in str(caught.value)
        MotionLM.connect(url, folder, api_key="sesame\n").generate("a person waves", 1.0, seed=1)
        monkeypatch.setenv("MOTIONLLM_API_KEY", "sesame")
        MotionLM.connect(url, folder)
        assert heard[-1] == ("/v1/completions", "Bearer sesame")
        with pytest.raises(MotionLLMError):
            MotionLM.connect(f"{url}/away", folder)
        assert heard[-1] == ("/elsewhere", None)
        assert "sesame" not in caplog.text
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("reply", ["", "a person", "<motion_0>", "<motion_16><motion_0>", "<motion_0><motion_1>"])
def test_a_reply_that_is_no_motion_is_a_failure(folder: Path, fake: Callable[..., Any], reply: str) -> None:
    good = [1]  # the first, by which `connect` knows the model
    address, asked = fake(lambda request: steps(request) if good and good.pop() else reply)
    lm = MotionLM.connect(address, folder)
    with pytest.raises(MotionLLMError, match="gave a motion"):
        lm.generate("a person waves", 1.0)
    assert len(asked) == 1 + 3 and len({json.dumps(request["seed"]) for request in asked[1:]}) == 3


def test_errors_are_one_sentence(folder: Path, tmp_path: Path, fake: Callable[..., Any]) -> None:
    def error(*words: Any, **more: Any) -> str:
        with pytest.raises(MotionLLMError) as caught:
            MotionLM.connect(*words, **more)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert "Nobody answers" in error(f"http://127.0.0.1:{free.getsockname()[1]}", folder)
    assert "no OpenAI-compatible engine" in error(fake("", models=[])[0], folder)
    assert "no address" in error("localhost:8000", folder)
    assert "serves no model 'other'; it serves m" in error(fake("")[0], folder, name="other")
    assert "within 0.3 s" in error(fake("", 1.0)[0], folder, timeout=0.3)
    assert "gave a motion" in error(fake("words")[0], folder)  # a model without motion tokens
    assert "motion_vocab.json is missing" in error("http://127.0.0.1:1", tmp_path)

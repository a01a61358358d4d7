"""/capabilities and /generate of a running server: motion for programs, in the protocol's form and in the short one."""

from __future__ import annotations

import base64
import inspect
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from motionllm import MotionLM, MotionTokenizer
from motionllm.app import web
from motionllm.config import Recipe
from motionllm.data.templates import Templates
from motionllm.motion import Motion

programs = pytest.importorskip(
    "motionllm.app.programs", reason="starlette is not installed (pip install 'motionllm[web]')", exc_type=ImportError
)
pytest.importorskip("gradio", reason="gradio is not installed (pip install 'motionllm[web]')")
httpx = pytest.importorskip("httpx", reason="httpx is not installed (pip install 'motionllm[web]')")


@pytest.fixture(scope="module")
def served(tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Recipe]) -> Iterator[Any]:
    recipe = tiny_recipe(tiny_base, tiny_tokenizer)
    lm: Any = MotionLM.create(recipe, MotionTokenizer.load(tiny_tokenizer), Templates.load("default"))
    lm = lm.with_model(lm.model.merge_and_unload().eval())
    with socket.socket() as free:
        free.bind((web.LOOPBACK, 0))
        port = free.getsockname()[1]
    page = web.serve(lm, port=port, wait=False)
    address = f"http://{web.LOOPBACK}:{port}"
    yield SimpleNamespace(client=httpx.Client(base_url=address, timeout=120), address=address, lm=lm)
    page.close()
    page.work.close()


@pytest.fixture(scope="module")
def told(served: Any) -> dict[str, Any]:
    return dict(served.client.get("/capabilities").raise_for_status().json())


def asked(told: dict[str, Any], *prompts: tuple[str, int], **values: Any) -> dict[str, Any]:
    model = told["models"][0]
    segments = [{"type": "text", "prompt": text, "duration_frames": frames} for text, frames in prompts]
    request = {"protocol_version": "1.0", "model": model["id"], "skeleton": model["canonical_skeleton"]}
    return {**request, "segments": segments, "options": {"seed": 3}, **values}


def test_capabilities_name_the_skeleton_and_the_limits(served: Any, told: dict[str, Any]) -> None:
    model = told["models"][0]
    joints = model["canonical_skeleton"]["joints"]
    seen: set[str] = set()
    for joint in joints:  # a parent comes before its children
        assert joint["parent"] is None or joint["parent"] in seen
        seen.add(joint["name"])
    assert len(seen) == 22 and [joint["parent"] for joint in joints].count(None) == 1
    thigh = next(joint for joint in joints if joint["name"] == "left_knee")["rest_translation"]
    assert np.linalg.norm(thigh) == pytest.approx(0.38, abs=0.03)  # metres
    assert (model["fps"], model["supported_segments"]) == (20.0, ["text"])
    assert model["limits"]["max_prompt_length"] == web.LINE


def test_short_requests_give_files(served: Any, tmp_path: Path) -> None:
    for suffix, begins in (("glb", b"glTF"), ("bvh", b"HIERARCHY"), ("gltf", b"{")):
        ask = {"text": "a person bows", "seconds": 1.5, "seed": 3, "format": suffix}
        reply = served.client.post("/generate", json=ask)
        assert reply.status_code == 200 and reply.content.startswith(begins)
        assert reply.headers["content-type"] == programs.TYPES[suffix]
        (tmp_path / f"motion.{suffix}").write_bytes(reply.content)
    motion = Motion.load(tmp_path / "motion.bvh")
    assert (motion.duration, motion.fps) == (pytest.approx(1.5), pytest.approx(20))
    here = served.lm.generate("a person bows", 1.5, seed=3)
    assert np.abs(motion.body().joints - here.body().joints).max() < 0.05  # a file's rest pose is a mean
    again = served.client.post("/generate", json={"text": "a person bows", "seconds": 1.5, "seed": 3})
    assert again.content[:4] == b"glTF"
    fast = served.client.post("/generate", json={"text": "a person bows", "seconds": 1, "fps": 60, "format": "bvh"})
    assert b"Frame Time: 0.0166" in fast.content


def numbers(document: dict[str, Any], accessor: int) -> np.ndarray:
    about = document["accessors"][accessor]
    view = document["bufferViews"][about["bufferView"]]
    data = base64.b64decode(document["buffers"][0]["uri"].split(",")[1])
    count = about["count"] * {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[about["type"]]
    return np.frombuffer(data, "<f4", count, view.get("byteOffset", 0)).reshape(about["count"], -1)


def test_requests_in_the_protocols_form_give_gltf_of_exactly_the_frames(served: Any, told: dict[str, Any]) -> None:
    request = asked(told, ("a person bows", 31), ("a person waves", 40), timing={"fps": 30.0})
    document = served.client.post("/generate", json=request).raise_for_status().json()
    about = document["extensions"]["MMCP_motion"]
    assert (about["fps"], about["samples"][0]["num_frames"], about["model"]) == (30.0, 71, "motionllm")
    names = [node.get("name") for node in document["nodes"]]
    assert {joint["name"] for joint in told["models"][0]["canonical_skeleton"]["joints"]} <= set(names)
    (animation,) = document["animations"]
    paths = {(names[c["target"]["node"]], c["target"]["path"]): c["sampler"] for c in animation["channels"]}
    place = numbers(document, animation["samplers"][paths["pelvis", "translation"]]["output"])
    turns = numbers(document, animation["samplers"][paths["left_knee", "rotation"]]["output"])
    times = numbers(document, animation["samplers"][paths["left_knee", "rotation"]]["input"])[:, 0]
    assert place.shape == (71, 3) and turns.shape == (71, 4)
    np.testing.assert_allclose(np.linalg.norm(turns, axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(times, np.arange(71) / 30, atol=1e-5)
    binary = served.client.post("/generate", json=request, headers={"accept": "model/gltf-binary"})
    assert binary.content[:4] == b"glTF" and struct.unpack_from("<I", binary.content, 8)[0] == len(binary.content)


def test_the_protocols_own_client_reads_it(served: Any) -> None:
    client = pytest.importorskip(
        "motionmcp.client", reason="motionmcp-sdk is not installed (pip install motionmcp-sdk)"
    )
    from motionmcp.client.gltf_parser import parse_gltf

    capabilities = client.get_capabilities(served.address, use_cache=False)
    model = client.pick_model(capabilities)
    assert client.probe_server(served.address).ok and model["id"] == "motionllm"
    motion = parse_gltf(client.generate(served.address, asked(capabilities, ("a person bows", 30))))
    assert motion["num_frames"] == 30 and motion["fps"] == 20
    assert {"pelvis", "left_wrist"} <= set(motion["joint_names"])
    with pytest.raises(client.MmcpError) as refused:
        client.generate(served.address, asked(capabilities, ("a person bows", 30), model="other"))
    assert refused.value.code == "unknown_model"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"protocol_version": "2.0"}, 400, "version_unsupported"),
        ({"model": "other"}, 400, "unknown_model"),
        ({"segments": [{"type": "unconditioned", "duration_frames": 9}]}, 400, "unsupported_segment"),
        ({"segments": []}, 422, "schema_validation"),
        ({"segments": [{"type": "text", "prompt": "", "duration_frames": 9}]}, 422, "schema_validation"),
        ({"segments": [{"type": "text", "prompt": "a" * 2001, "duration_frames": 9}]}, 422, "schema_validation"),
        ({"segments": [{"type": "text", "prompt": "a person bows", "duration_frames": 9000}]}, 400, "invalid_options"),
        ({"constraints": [{"type": "root_path"}]}, 400, "unsupported_constraint"),
        ({"skeleton": {"joints": [{"name": "Hips"}]}}, 400, "retargeting_unsupported"),
        ({"options": {"num_samples": 4}}, 400, "invalid_options"),
        ({"options": {"loop": True}}, 400, "invalid_options"),
        ({"options": {"seed": -1}}, 422, "schema_validation"),
        ({"timing": {"fps": 1e9}}, 422, "schema_validation"),
        ({"colour": "red"}, 422, "schema_validation"),
    ],
)
def test_what_is_not_taken_is_refused_with_the_protocols_code(
    served: Any, told: dict[str, Any], change: dict[str, Any], status: int, code: str
) -> None:
    reply = served.client.post("/generate", json={**asked(told, ("a person bows", 20)), **change})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code) and error["message"].endswith(".")


def test_other_requests_are_refused_in_one_sentence(served: Any) -> None:
    for content, status in (
        (b"{", 400),
        (b"[]", 422),
        (b"[" * 100_000, 400),
        (b'{"text": "a person bows", "seconds": 0.05}', 400),
        (b'{"text": "a person bows", "seconds": NaN}', 400),
        (b'{"text": "a person bows", "seconds": 61}', 422),
        (b'{"text": "a person bows", "format": "fbx"}', 422),
        (b'{"text": " "}', 400),
        (b" " * 300_000, 413),
    ):
        reply = served.client.post("/generate", content=content)
        assert reply.status_code == status, content[:50]
        assert 10 < len(reply.json()["error"]["message"]) < 300 and "/tmp" not in reply.text
    assert served.client.get("/generate").status_code == 405
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        assert served.client.post("/generate", json={"text": "a person bows"}, headers=headers).status_code == 403


def test_one_request_at_a_time_uses_the_model(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    active, most, lock = 0, 0, threading.Lock()

    def slow(*_: Any, **__: Any) -> Motion:
        nonlocal active, most
        with lock:
            active += 1
            most = max(most, active)
        time.sleep(0.2)
        with lock:
            active -= 1
        raise ZeroDivisionError("of a library")

    monkeypatch.setattr(served.lm, "generate", slow)
    replies: list[Any] = []
    ask = {"text": "a person bows", "seconds": 1}
    threads = [
        threading.Thread(target=lambda: replies.append(httpx.post(f"{served.address}/generate", json=ask, timeout=60)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and [reply.status_code for reply in replies] == [500] * 3
    assert "ZeroDivisionError" in replies[0].json()["error"]["message"]
    assert json.loads(replies[0].text)["error"]["code"] == "internal_error"


def test_a_conversation_waits_while_a_request_uses_the_model(served: Any) -> None:
    """And holds the model itself until its turn is over, or closed."""
    model = threading.Lock()
    page = web.build(served.lm, model, Path("unused"))
    turn = next(fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == "turn")
    visitors = inspect.getclosurevars(turn).nonlocals["visitors"]
    who, request = visitors["someone"], SimpleNamespace(session_hash="someone")
    who.lines.append("a person bows")
    model.acquire()
    steps = turn("1", "3", 2, request)
    begun = threading.Thread(target=next, args=(steps,))
    begun.start()
    begun.join(0.3)
    assert begun.is_alive()
    model.release()
    begun.join(60)
    assert model.locked()
    steps.close()
    assert not model.locked()

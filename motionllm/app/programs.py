"""`/capabilities` and `/generate`: motion over HTTP for programs, such as Blender or a script.

Both take and give what the Motion Model Context Protocol, version 1, does (the package `motionmcp-sdk` has clients), as
far as text becomes motion: one or more text segments on the skeleton that `/capabilities` lists. `/generate` also takes
{"text", "seconds", "seed", "fps", "format"}, for whoever has no client. One request at a time uses the model.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from motionllm.errors import MotionLLMError
from motionllm.files import parse_json
from motionllm.lm.model import MotionLM
from motionllm.motion import Motion
from motionllm.motion.skeleton import Skeleton

PROTOCOL = "1.0"
MODEL = "motionllm"
LINE = 2000  # characters of a text
LONGEST = 60.0  # seconds of a motion
LARGEST = 256 << 10  # bytes of a request
SEGMENTS = 16  # of a request
BUSY = 300.0  # seconds that a request waits for the model
FPS = (1.0, 240.0)
TYPES = {"glb": "model/gltf-binary", "gltf": "model/gltf+json", "bvh": "text/plain; charset=utf-8"}
STATUS = {
    "payload_too_large": 413,
    "schema_validation": 422,
    "internal_error": 500,
    "resource_exhausted": 503,
}  # or 400

Fps = Annotated[float, Field(ge=FPS[0], le=FPS[1])]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Refused(Exception):
    """A request that is refused: the protocol's code, a sentence, and more for programs."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code, self.details = code, details


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Asked(_Strict):
    """The short form of a request."""

    text: str = Field(min_length=1, max_length=LINE)
    seconds: Annotated[float, Field(gt=0, le=LONGEST)] | None = None
    seed: Seed | None = None
    fps: Fps | None = None
    format: Literal["glb", "gltf", "bvh"] = "glb"


class Segment(_Strict):
    """A text and the number of frames that it is done in."""

    type: Literal["text"]
    prompt: str = Field(min_length=1, max_length=LINE)
    duration_frames: int = Field(gt=0)
    language: str | None = None
    seed: Seed | None = None


class Options(_Strict):
    """What the protocol lets a client choose; those of diffusion models are taken and have no effect."""

    num_samples: int = 1
    seed: Seed | None = None
    diffusion_steps: int | None = None
    post_processing: bool = True
    transition_frames: int | None = None
    guidance: dict[str, Any] | None = None
    loop: bool = False
    keyframe_budget: float | None = None
    model_options: dict[str, Any] | None = None


class Timing(_Strict):
    fps: Fps


class Generate(_Strict):
    """A request in the protocol's form. skeleton: that of `/capabilities`."""

    protocol_version: str = Field(pattern=r"^\d+\.\d+$")
    model: str
    skeleton: dict[str, Any]
    segments: list[Segment] = Field(min_length=1, max_length=SEGMENTS)
    constraints: list[dict[str, Any]] = []
    duration_frames: None = None
    timing: Timing | None = None
    options: Options | None = None


def routes(lm: MotionLM, lock: Lock) -> list[BaseRoute]:
    """The two endpoints. lock: held while the model is used."""
    skeleton = lm.motion_tokenizer.skeleton
    told = capabilities(skeleton)
    joints = [joint["name"] for joint in told["models"][0]["canonical_skeleton"]["joints"]]

    async def generate(request: Request) -> Response:
        body = await _body(request)
        return await run_in_threadpool(_answer, lm, lock, joints, body, request.headers.get("accept", ""))

    return [
        Route("/capabilities", lambda _: JSONResponse(told), methods=["GET"]),
        Route("/generate", _excused(generate), methods=["POST"]),
    ]


def capabilities(skeleton: Skeleton) -> dict[str, Any]:
    """What `/capabilities` answers: the model, its skeleton in its rest pose, and limits."""
    return {
        "protocol_version": PROTOCOL,
        "rotation_format": "quaternion_xyzw",
        "coordinate_system": "right_handed_y_up",
        "units": "meters",
        "response_formats": ["gltf_2.0_json", "glb"],
        "models": [
            {
                "id": MODEL,
                "fps": skeleton.fps,
                "canonical_skeleton": {
                    "joints": _joints(skeleton),
                    "coordinate_system": "right_handed_y_up",
                    "units": "meters",
                },
                "supports_retargeting": False,
                "supports_async": False,
                "supports_segment_seed": True,
                "supported_constraints": [],
                "supported_segments": ["text"],
                "supported_guidance_types": ["nocfg"],
                "predicted_contact_joints": [],
                "native_clip_seconds": 10.0,
                "chunking": "stitched",
                "recommended_max_duration_seconds": 10.0,
                "limits": {
                    "max_duration_seconds": LONGEST,
                    "max_num_samples": 1,
                    "max_constraints_per_request": 0,
                    "max_prompt_length": LINE,
                    "max_request_bytes": LARGEST,
                    "max_batch_size": 1,
                },
            }
        ],
    }


def _joints(skeleton: Skeleton) -> list[dict[str, Any]]:
    """The joints of generated files in their order, with offsets of the rest pose in metres."""
    bvh = Motion(_rest(skeleton)[None], skeleton.fps, skeleton).as_bvh()
    offsets = bvh.offsets * bvh.unit
    return [
        {
            "name": name,
            "parent": bvh.joints[parent] if parent >= 0 else None,
            "rest_translation": [round(float(v), 6) for v in offset],
            "rest_rotation": [0.0, 0.0, 0.0, 1.0],
        }
        for name, parent, offset in zip(bvh.joints, bvh.parents, offsets, strict=True)
    ]


def _rest(skeleton: Skeleton) -> np.ndarray:
    """(J, 3) metres: the rest pose, standing on the floor."""
    lengths = np.full(len(skeleton.joints), 0.2) if skeleton.lengths is None else skeleton.lengths
    places = np.zeros((len(skeleton.joints), 3))
    for joint, parent in enumerate(skeleton.parents):
        if parent >= 0:
            places[joint] = places[parent] + skeleton.axes[joint] * lengths[joint]
    places[:, 1] -= places[:, 1].min()
    return places


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise Refused("payload_too_large", f"A request may have {LARGEST} bytes; this one has more.")
    return body


def _answer(lm: MotionLM, lock: Lock, joints: list[str], body: bytes, accept: str) -> Response:
    value = parse_json(body.decode("utf-8", errors="replace"), "the request")
    if not isinstance(value, dict):
        raise Refused("schema_validation", "A request is a JSON object.")
    short = "protocol_version" not in value
    steps, fps, frames, suffix = _short(value) if short else _protocol(value, joints, lm, accept)
    if not lock.acquire(timeout=BUSY):
        raise Refused("resource_exhausted", "The model is busy with other requests; ask again later.")
    try:
        motion = _generated(lm, steps)
    finally:
        lock.release()
    motion = motion.resample(fps) if fps else motion
    if frames:  # where rounding left a frame too few, the last one stands
        places = np.arange(frames).clip(0, len(motion) - 1)
        motion = Motion(motion.joints[places], motion.fps, motion.skeleton, motion.name)
    content = _written(motion, "glb" if suffix == "gltf" else suffix)
    if suffix == "gltf":
        content = json.dumps(_document(content, motion, frames or len(motion))).encode()
    name = f'attachment; filename="motion.{suffix}"'
    return Response(content, media_type=TYPES[suffix], headers={"content-disposition": name})


Steps = list[tuple[str, float | None, int | None]]


def _short(value: dict[str, Any]) -> tuple[Steps, float | None, int, str]:
    asked = _read(Asked, value)
    return [(asked.text, asked.seconds, asked.seed)], asked.fps, 0, asked.format


def _protocol(value: dict[str, Any], joints: list[str], lm: MotionLM, accept: str) -> tuple[Steps, float, int, str]:
    """(texts with seconds and seeds, fps, number of frames, format) of a request in the protocol's form."""
    version = value.get("protocol_version")
    if isinstance(version, str) and not version.startswith("1."):
        raise Refused(
            "version_unsupported", f"Protocol {version[:20]!r} is not spoken here, but 1.", supported_majors=["1"]
        )
    segments = value.get("segments")
    for segment in segments if isinstance(segments, list) else ():
        kind = segment.get("type") if isinstance(segment, dict) else None
        if isinstance(kind, str) and kind != "text":
            raise Refused("unsupported_segment", f"Segments are text, not {kind[:40]!r}.", supported_segments=["text"])
    asked = _read(Generate, value)
    options = asked.options or Options()
    if asked.model != MODEL:
        raise Refused(
            "unknown_model", f"The model here is {MODEL!r}, not {asked.model[:60]!r}.", available_models=[MODEL]
        )
    if asked.constraints:
        raise Refused("unsupported_constraint", "Constraints are not taken: say in the text what is done.")
    rows = asked.skeleton.get("joints")
    named = [row.get("name") if isinstance(row, dict) else None for row in rows] if isinstance(rows, list) else []
    if named != joints:
        raise Refused("retargeting_unsupported", "Motion is on the skeleton of /capabilities; send that one.")
    if options.num_samples != 1 or options.loop or options.keyframe_budget or options.model_options:
        raise Refused("invalid_options", "One sample a request, without loop, keyframe_budget and model_options.")
    if options.guidance and options.guidance.get("type") != "nocfg":
        raise Refused("invalid_options", "The only guidance is 'nocfg'.")
    native = lm.motion_tokenizer.skeleton.fps
    fps = asked.timing.fps if asked.timing else native
    frames = sum(segment.duration_frames for segment in asked.segments)
    if frames / fps > LONGEST:
        raise Refused(
            "invalid_options", f"A motion lasts at most {LONGEST:g} s; this one would be {frames / fps:.1f} s."
        )
    steps: Steps = []
    until = 0
    for segment in asked.segments:
        until += segment.duration_frames
        seconds = math.ceil(round(until / fps * native, 6)) / native  # whole frames of the model, none too few
        steps.append((segment.prompt, seconds, options.seed if segment.seed is None else segment.seed))
    # A client that takes glTF as JSON gets that, one that takes GLB alone gets GLB.
    suffix = "glb" if TYPES["glb"] in accept and "json" not in accept else "gltf"
    return steps, fps, frames, suffix


def _read(kind: type[Any], value: dict[str, Any]) -> Any:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Refused("schema_validation", f"{where or 'the request'}: {first['msg']}.", where=where) from None


def _generated(lm: MotionLM, steps: Steps) -> Motion:
    """One motion that does what the texts say, one after another; seconds are from the beginning."""
    motion: Motion | None = None
    for text, seconds, seed in steps:
        made = lm.generate(text, seconds, seed=seed, start=motion)
        assert isinstance(made, Motion)
        motion = made
    assert motion is not None
    return motion


def _written(motion: Motion, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="motionllm-") as folder:
        path = Path(folder) / f"motion.{suffix}"
        motion.save(path)
        return path.read_bytes()


def _document(glb: bytes, motion: Motion, frames: int) -> dict[str, Any]:
    """A GLB as a glTF document with its data inside, and the protocol's extension."""
    (length,) = struct.unpack_from("<I", glb, 12)
    document: dict[str, Any] = json.loads(glb[20 : 20 + length])
    data = glb[28 + length :][: document["buffers"][0]["byteLength"]]
    document["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    sample = {"name": "sample_0", "num_frames": frames, "chunk_boundaries": []}
    about = {"version": PROTOCOL, "model": MODEL, "fps": motion.fps, "samples": [sample]}
    document["extensionsUsed"] = [*document.get("extensionsUsed", []), "MMCP_motion"]
    document["extensions"] = {**document.get("extensions", {}), "MMCP_motion": about}
    return document


def _excused(call: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint whose errors are {"error": {"code", "message", "details"}}, with the protocol's status."""

    async def endpoint(request: Request) -> Response:
        try:
            return await call(request)
        except ClientDisconnect:
            return Response(status_code=499)
        except Refused as error:
            return _refusal(error.code, str(error), error.details)
        except MotionLLMError as error:
            return _refusal("invalid_options", str(error), {})
        except Exception as error:
            from motionllm.app.chat import failure

            return _refusal("internal_error", failure(error).text, {})

    return endpoint


def _refusal(code: str, message: str, details: dict[str, Any]) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "details": details}}, STATUS.get(code, 400))

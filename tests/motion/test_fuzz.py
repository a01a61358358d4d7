"""Damaged and hostile motion files, made here by the hundred: each is read, or refused in one sentence, in time.

A made-up walk is written in every format and then spoilt: bytes flipped, cut and moved, headers that lie, numbers that
are none, hierarchies without end, archives that unpack to gigabytes, pickles, encodings, suffixes of another format.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import struct
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionllm.errors import MotionLLMError
from motionllm.motion import Motion, confined, features
from motionllm.motion.confined import load_confined

Generator = np.random.Generator
NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "1e999",
    "-1e308",
    "1e30",
    "1e-320",
    "0x10",
    "1_000",
    "1,5",
    "²",
    "٣",
    "--1",
    "1e",
    "",
    "x",
    "1.5-2.5",
    "9" * 400,
    "0." + "1" * 5000,
    "\x1b[31m",
    "None",
    "1 2",
    "1e5",
)
COUNTS = ("0", "-1", "1", "2", "59", "61", "1e3", "60.0", "1000000", "999999999999", "9" * 5000, "²", "", "nan", "0x3c")
TIMES = (
    "0",
    "-0.05",
    "1000",
    "1e9",
    "1e-9",
    "1e-320",
    "1e400",
    "nan",
    "inf",
    "0,05",
    "33.3",
    "20",
    "0.008",
    "1e",
    "",
    "²",
    "0.0000001",
    "." + "0" * 3000 + "1",
    "1",
    "0.05e0000000000000",
    "0.05 s",
)
SHAPES = (
    "(1000000000, 22, 3)",
    "(60, 22, 3, 1, 1, 1, 1, 1, 1, 1)",
    "(-60, 22, 3)",
    "(60, -22, 3)",
    "()",
    "(0,)",
    "(99999999999999999999, 3)",
    "(60, 22, 3L)",
    "[60, 22, 3]",
    "(60,, 22)",
    "(" + "1, " * 3000 + ")",
    "(0, 1000000000000, 1000000000000)",
    "(60.0, 22, 3)",
    "(61, 22, 3)",
    "(" * 9000,
)
KINDS = (
    "'|O'",
    "'<f4'",
    "'>f8'",
    "'<f7'",
    "'<c16'",
    "'|S100000'",
    "'<U999999999'",
    "'<M8[s]'",
    "'|V24'",
    "'|b1'",
    "[('a', '<f8')]",
    "'f8,f8'",
    "__import__('os')",
    "'<i8'",
    "'<f16'",
    "None",
    "'" + "f" * 500,
)
REMEDY = re.compile(
    r"\b(add|bring|copy|correct|cut|drop|export|fill|give|mend|name them|put|repair|replace|save|write|is read from)\b"
    r"|\bare (the|these)\b",
    re.IGNORECASE,
)


# -- whole files --------------------------------------------------------------------------------------------


def whole_files(folder: Path, walk: np.ndarray) -> dict[str, bytes]:
    """The walk in every format and kind that is read, by "kind.suffix"."""
    clip = Motion(walk, name="walk")
    clip.save(folder / "own.bvh")
    text = (folder / "own.bvh").read_text().replace("left_", "Left").replace("right_", "Right")
    (folder / "rig.bvh").write_text(text)
    rig = Motion.load(folder / "rig.bvh")
    rig.save(folder / "rig.npz")
    rig.save(folder / "rig.glb")
    clip.save(folder / "own.glb")
    doc, data = unpacked((folder / "rig.glb").read_bytes())
    doc["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    (folder / "text.gltf").write_text(json.dumps(doc))
    clip.save(folder / "plain.npz")
    np.save(folder / "joints.npy", walk)
    np.save(folder / "features.npy", features.joints_to_features(walk))
    np.save(folder / "kit.npy", walk[:, :21] * 1000)
    np.savez_compressed(
        folder / "amass.npz",
        poses=np.zeros((60, 156)),
        trans=walk[:, 0],
        mocap_framerate=20.0,
        betas=np.zeros(16),
        gender="male",
    )
    try:
        import c3d
    except ImportError:
        pass
    else:
        parts = {"hip": 1, "knee": 4, "ankle": 7, "shoulder": 16, "elbow": 18, "wrist": 20}
        at = {f"{s}_{part}": j + (s == "right") for part, j in parts.items() for s in ("left", "right")} | {"head": 15}
        points = np.zeros((60, len(at), 5), np.float32)
        points[..., :3] = walk[:, list(at.values())] * 1000
        writer = c3d.Writer(point_rate=20.0, analog_rate=0.0)
        writer.set_point_labels(list(at))
        writer.add_frames([(frame, np.zeros((0, 0))) for frame in points])
        with open(folder / "centres.c3d", "wb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            writer.write(stream)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# -- what is done to any of them ----------------------------------------------------------------------------


def flipped(content: bytes, r: Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(int(r.integers(1, 20))):
        changed[int(r.integers(len(changed)))] ^= 1 << int(r.integers(8))
    return bytes(changed)


def head_flipped(content: bytes, r: Generator) -> bytes:
    return flipped(content[:600], r) + content[600:]


def cut(content: bytes, r: Generator) -> bytes:
    return content[: int(r.integers(len(content)))]


def moved(content: bytes, r: Generator) -> bytes:
    a, b, c = sorted(int(x) for x in r.integers(0, len(content), 3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def filled(content: bytes, r: Generator) -> bytes:
    a, n = int(r.integers(len(content))), int(r.integers(1, 400))
    return content[:a] + r.choice([b"\0", b"\xff", b" ", b"\n", b"{", b"9"]) * n + content[a + n :]


def longer(content: bytes, r: Generator) -> bytes:
    return content + content[-int(r.integers(1, 300)) :]


def noise(content: bytes, r: Generator) -> bytes:
    return r.bytes(int(r.integers(0, 3000)))


def any_bytes(content: bytes, r: Generator) -> bytes:
    return r.choice([flipped, head_flipped, cut, moved, filled, longer, noise])(content, r)


# -- BVH ----------------------------------------------------------------------------------------------------


def bvh(content: bytes, r: Generator) -> bytes:
    lines = content.decode().splitlines()
    motion = lines.index("MOTION")
    pick = int(r.integers(16))
    k = int(r.integers(len(lines)))
    if pick == 0:  # a word becomes another
        words = lines[k].split(" ")
        words[int(r.integers(len(words)))] = str(r.choice(NUMBERS))
        lines[k] = " ".join(words)
    elif pick == 1:
        lines[motion + 1] = f"Frames: {r.choice(COUNTS)}"
    elif pick == 2:
        lines[motion + 2] = f"Frame Time: {r.choice(TIMES)}"
    elif pick == 3:
        k = int(r.choice([i for i, line in enumerate(lines) if "CHANNELS" in line]))
        lines[k] = re.sub(r"CHANNELS \d", f"CHANNELS {r.choice(COUNTS)}", lines[k])
    elif pick == 4:
        del lines[k : k + int(r.integers(1, 4))]
    elif pick == 5:
        lines[k:k] = lines[k : k + int(r.integers(1, 30))]
    elif pick == 6:  # no channels, or few, and more frames than there is memory
        head = [re.sub(r"CHANNELS \d.*", "CHANNELS 0", line) for line in lines[:motion]]
        rows = ["0"] * 2000 if r.integers(2) else []
        if rows:
            head = [line.replace("CHANNELS 0", "CHANNELS 1 Yrotation", i == 4) for i, line in enumerate(head)]
        lines = [*head, "MOTION", f"Frames: {r.choice(COUNTS)}", "Frame Time: 0.05", *rows]
    elif pick == 7:  # one long chain
        joints = int(r.choice([150, 250, 2500, 20000]))
        opened = [f"{'JOINT' if i else 'ROOT'} j{i}\n{{\nOFFSET 0 1 0\nCHANNELS 0" for i in range(joints)]
        lines = ["HIERARCHY", *opened, "}" * joints, "MOTION", "Frames: 1", "Frame Time: 0.05", ""]
    elif pick == 8:  # many joints on one line
        joints = int(r.choice([100, 1900, 5000]))
        inside = " ".join(f"JOINT j{i} {{" + "\n OFFSET 0 1 0\n }" for i in range(joints))
        head = "HIERARCHY\nROOT r\n{\nOFFSET 0 0 0\nCHANNELS 1 Yrotation\n"
        lines = [head + inside, "}\nMOTION\nFrames: 2000\nFrame Time: 0.05", "0 " * 2000]
    elif pick == 9:  # a name in another encoding
        codec, name = [("shift_jis", "左腕ボーン"), ("gbk", "骨骼右手"), ("cp1252", "Épaule"), ("latin-1", "\x85\xa0")][
            int(r.integers(4))
        ]
        return content.replace(b"spine3", name.encode(codec), 1)
    elif pick == 10:
        codec = str(r.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7"]))
        changed = content.decode().encode(codec)
        return changed if r.integers(2) else cut(changed, r)
    elif pick == 11:  # decimal commas; glued numbers
        rows = "\n".join(lines[motion + 3 :])
        rows = rows.replace(".", ",") if r.integers(2) else rows.replace(" -", "-")
        lines = [*lines[: motion + 3], rows]
    elif pick == 12:
        return content.replace(b"\n", bytes(r.choice([b"\r\n", b"\r", b"\n\n", b" \t\n", b"\x0b"])))
    elif pick == 13:  # a name that is none
        name = str(r.choice(["x" * 100_000, "", "\x1b[2J", "a\0b", "MOTION", "End Site", "{", "}", "\u202e", "spine2"]))
        return content.replace(b"spine3", name.encode(), 1)
    elif pick == 14:
        fill = str(r.choice(["{", "}", " ", "\n", "\t}", "ROOT a {", "0 "]))
        lines[k:k] = [fill * int(r.choice([10, 10_000, 300_000]))]
    else:  # numbers much too large everywhere
        scale = float(r.choice([1e6, 1e12, 1e30, 1e300]))
        rows = [" ".join(f"{float(v) * scale:.6g}" for v in line.split()) for line in lines[motion + 3 :]]
        lines = [*lines[: motion + 3], *rows]
    return "\n".join(lines).encode()


# -- NumPy --------------------------------------------------------------------------------------------------


def array(r: Generator, like: np.ndarray) -> Any:
    """Something that is not what `like` is."""
    spoilt = np.array(like, np.float64) if like.dtype.kind in "fiu" else np.zeros(like.shape)
    if spoilt.size:
        at = int(r.integers(spoilt.size))
        spoilt.reshape(-1)[at:] = r.choice([np.nan, np.inf, -np.inf, 1e30, -1e300, 0.5, -7, 2**62])
    real = like.dtype.kind in "fiu"
    choices: list[Any] = [
        spoilt,
        spoilt,
        spoilt,
        np.zeros(0),
        np.array("x"),
        np.array(["a", "b"]),
        np.array([{"a": 1}], dtype=object),
        7,
        -1.5,
        np.zeros(like.shape, complex),
        np.zeros(like.shape, bool),
        np.zeros((*like.shape, 2)),
        like[..., None],
        like[:1] * 0 if like.ndim and real else 0,
        np.zeros((3, 0, 3)),
        np.full(like.shape, b"\xff\xfe"),
        np.zeros(like.shape, [("a", "f4")]),
        np.zeros(like.shape, "M8[s]"),
        np.arange(like.size).reshape(like.shape),
        np.zeros(like.shape) - 1,
        np.float16(3),
        np.array(like, "f4" if real else "U300"),
        np.roll(like, 1, axis=0) if like.ndim else like,
        np.zeros((100_000, 22, 3), np.float16),
    ]
    return choices[int(r.integers(len(choices)))]


def npy_header(text: str, version: int = 1, length: int | None = None) -> bytes:
    header = text.encode("latin-1", "replace")
    n = len(header) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", n) + header


def npy(content: bytes, r: Generator) -> bytes:
    data, pick = content[128:], int(r.integers(4))
    if pick == 0:
        return npy_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {r.choice(SHAPES)}, }}\n") + data
    if pick == 1:
        return npy_header(f"{{'descr': {r.choice(KINDS)}, 'fortran_order': False, 'shape': (60, 22, 3), }}\n") + data
    if pick == 2:
        return (
            npy_header("{" * int(r.integers(1, 60_000)), int(r.choice([1, 2, 3, 9])), int(r.integers(0, 60_000))) + data
        )
    out = io.BytesIO()
    np.save(out, array(r, np.load(io.BytesIO(content))), allow_pickle=True)
    return out.getvalue()


def archived(members: list[tuple[str, bytes]], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name given twice
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def bombed(members: list[tuple[str, bytes]], name: str, megabytes: int, how: int) -> bytes:
    """An archive in which the array `name` is as many megabytes of zeros."""
    megabytes = megabytes if how == zipfile.ZIP_DEFLATED else min(megabytes, 30)  # the others take seconds to write
    shape = (megabytes << 20) // 528, 22, 3
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how, compresslevel=1) as archive:
        for other, data in members:
            archive.writestr(other, data)
        with archive.open(name, "w") as stream:
            stream.write(npy_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n"))
            for _ in range(shape[0] // 2000):
                stream.write(bytes(2000 * 528))
            stream.write(bytes(shape[0] % 2000 * 528))
    return out.getvalue()


def npz(content: bytes, r: Generator) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = str(r.choice([n for n in members if n not in ("betas.npy", "gender.npy")]))
    pick = int(r.integers(10))
    if pick <= 4:
        out = io.BytesIO()
        np.save(out, array(r, np.load(io.BytesIO(members[name]))), allow_pickle=True)
        members[name] = out.getvalue()
    elif pick == 5:  # gigabytes of nothing, in a member that is needed or in one that is not
        how = int(r.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], p=[0.8, 0.1, 0.1]))
        bomb = str(r.choice([name, "other.npy"]))
        return bombed([(n, d) for n, d in members.items() if n != bomb], bomb, int(r.choice([30, 300, 700])), how)
    elif pick == 6:
        members[name] = any_bytes(members[name], r)
    elif pick == 7:
        del members[name]
    elif pick == 8:
        return archived([*members.items(), *[(f"a{i}.npy", b"x") for i in range(int(r.choice([50, 30_000])))]], 0)
    else:  # flags, sizes and sums of the directory
        spoilt = bytearray(content)
        at = spoilt.rindex(b"PK\x01\x02") + int(r.integers(6, 46))
        spoilt[at : at + 4] = r.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x01\0\0\0", r.bytes(4)])
        return bytes(spoilt)
    return archived(list(members.items()), int(r.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])))


def c3d_file(content: bytes, r: Generator) -> bytes:
    changed = bytearray(content)
    if r.integers(2):  # a word of the header: counts, frames, scale, block, rate
        at = int(r.choice([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]))
        changed[at : at + 2] = r.choice([b"\0\0", b"\xff\xff", b"\xff\x7f", b"\1\0", r.bytes(2)])
    else:  # a byte of the parameters
        changed[int(r.integers(512, 1536))] = int(r.integers(256))
    return bytes(changed)


def unpacked(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The document and the data of a GLB file."""
    size = struct.unpack("<I", content[12:16])[0]
    return json.loads(content[20 : 20 + size]), content[28 + size :]


def glb(content: bytes, r: Generator) -> bytes:
    """A document that lies, or data that are no numbers, in a frame that holds."""
    doc, data = unpacked(content)
    changed = bytearray(data)
    if r.integers(3):
        for _ in range(int(r.integers(1, 4))):
            lie(doc, r)
    else:
        for at in r.integers(0, len(data) // 4, int(r.integers(1, 50))):
            number = r.choice([np.nan, np.inf, -1e38, 0, 1e-45, 1e9])
            changed[4 * at : 4 * at + 4] = struct.pack("<f", number)
    text = json.dumps(doc).encode()
    text += b" " * (-len(text) % 4)
    sizes = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(changed)), struct.pack("<II", len(text), 0x4E4F534A)
    return b"".join([*sizes, text, struct.pack("<II", len(changed), 0x004E4942), changed])


def gltf(content: bytes, r: Generator) -> bytes:
    doc = json.loads(content)
    for _ in range(int(r.integers(1, 4))):
        lie(doc, r)
    return json.dumps(doc).encode()


def lie(doc: Any, r: Generator) -> None:
    """Somewhere in a document a value is left out, said twice, or becomes one that nobody expects."""
    lies = (
        None,
        -1,
        0,
        1,
        2,
        7,
        10**6,
        10**12,
        10**400,
        1e308,
        float("nan"),
        0.5,
        True,
        "",
        "x",
        "../a",
        [],
        [0] * 9,
        {},
    )
    lies += ([0, 0, 0], [1e30] * 3, [0, 0, 0, 0], [[1]], {"a": 1}, "VEC3", "SCALAR", 5126, 5121, "STEP", "CUBICSPLINE")
    keys = ("nodes", "animations", "accessors", "bufferViews", "buffers", "skins", "")
    top = str(r.choice(keys, p=[0.3, 0.2, 0.2, 0.1, 0.05, 0.05, 0.1]))
    at = doc.get(top, doc) if isinstance(doc, dict) else doc
    while isinstance(at, dict | list) and at:
        key = list(at)[int(r.integers(len(at)))] if isinstance(at, dict) else int(r.integers(len(at)))
        if not isinstance(at[key], dict | list) or not at[key] or r.random() < 0.15:
            pick = int(r.integers(6))
            if pick == 0:
                del at[key]
            elif pick == 1 and isinstance(at, list):
                at.append(at[key])
            else:
                at[key] = lies[int(r.integers(len(lies)))]
            return
        at = at[key]


# -- all of them --------------------------------------------------------------------------------------------

SPOILT: dict[str, Callable[[bytes, Generator], bytes]] = {
    ".bvh": bvh,
    ".npy": npy,
    ".npz": npz,
    ".c3d": c3d_file,
    ".glb": glb,
    ".gltf": gltf,
}


def spoilt_files(files: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """(name, content) of `count` files."""
    r = np.random.default_rng(seed)
    names = list(files)
    for i in range(count):
        name = names[i % len(names)]
        suffix = Path(name).suffix
        content = (SPOILT[suffix] if r.random() < 0.7 else any_bytes)(files[name], r)
        if r.random() < 0.05:
            content = any_bytes(content or b"x", r)
        if r.random() < 0.04:
            suffix = str(r.choice(list(SPOILT)))
        yield f"{i:04d}_{Path(name).stem}{suffix}", content


def check(path: Path) -> str:
    """What is wrong with how a file is read; "" where it is a clip, or is refused as it should be."""
    start = time.monotonic()
    busy = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 1.0
    patience = 20 * max(1.0, busy)  # twenty seconds, of a machine that others use too
    try:
        motion = load_confined(path, seconds=patience) if confined.FORKS else Motion.load(path)
        canonical = motion.canonical()
        assert np.isfinite(canonical.joints).all()
    except MotionLLMError as error:
        said = str(error)
        named = said.startswith((f"{path}: ", f"{path.stem}: "))  # the name of the clip, where its body is asked for
        if not named or "\n" in said or len(said) > 1000 or not said.isprintable() or not REMEDY.search(said):
            return f"refused with {said[:1200]!r}"
        if "cannot be read within" in said:
            return said
    except Exception:  # what is looked for
        return traceback.format_exc()
    seconds = time.monotonic() - start
    return f"took {seconds:.0f} s" if seconds > patience else ""


def wrong(folder: Path, walk: np.ndarray, count: int, seed: int) -> list[str]:
    (folder / "whole").mkdir()
    files = whole_files(folder / "whole", walk)
    assert [problem for name in files if (problem := check(folder / "whole" / name))] == []
    found = []
    for name, content in spoilt_files(files, count, seed):
        path = folder / name
        path.write_bytes(content)
        if problem := check(path):
            found.append(f"{name}: {problem}")
        else:
            path.unlink()
    return found


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_hundred_spoilt_files_are_read_or_refused_in_a_sentence(tmp_path: Path, walk: np.ndarray) -> None:
    assert wrong(tmp_path, walk, 100, seed=1) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_two_thousand_are(tmp_path: Path, walk: np.ndarray) -> None:
    assert wrong(tmp_path, walk, 2000, seed=2) == []


def test_the_check_sees_what_it_is_to_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npy"
    monkeypatch.setattr(confined, "FORKS", False)
    outcomes = [
        (ValueError("x"), "ValueError"),
        (MotionLLMError("no name; save it"), "refused"),
        (MotionLLMError(f"{path}: is odd"), "refused"),
        (MotionLLMError(f"{path}: save\nit"), "refused"),
    ]
    for outcome, seen in outcomes:

        def load(_: Path, outcome: Exception = outcome) -> Motion:
            raise outcome

        monkeypatch.setattr(Motion, "load", load)
        assert seen in check(path)

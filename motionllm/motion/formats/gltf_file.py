"""glTF files as they are: the JSON document and its binary data, with arrays read from them and appended to them.

Documents are kept as plain JSON, so that whatever a character's file holds besides (materials, extensions, extras) is
written back unchanged. Data beside the document (in the text, or in files of its folder) is gathered into one piece.
"""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionLLMError
from motionllm.files import reading
from motionllm.motion import budget
from motionllm.motion.formats import rigs

FLOAT = 5126
_TYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, FLOAT: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_TEXT = 128 << 20  # bytes of the document: numbers in it take many times their size when they are read
_COMPRESSED = "holds compressed arrays; export it without compression (Draco, meshopt)."
_JSON, _BIN = 0x4E4F534A, 0x004E4942  # chunk types


class Gltf:
    """A glTF 2.0 document (`doc`, as JSON has it) and its binary chunk (`data`)."""

    def __init__(self, doc: dict[str, Any], data: bytes | bytearray = b"") -> None:
        self.doc = doc
        self.data = bytearray(data)

    @staticmethod
    def read(path: str | os.PathLike[str]) -> Gltf:
        """Read a .glb (.vrm, .vrma) or .gltf file, with the data that it keeps beside itself, in its own folder.

        Raises MotionFileError where it is none, cut short, or asks for data from elsewhere.
        """
        path = Path(path)
        with reading(path):
            budget.check_bytes(path.stat().st_size)
            content = path.read_bytes()
            text = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
            gltf = Gltf(_document(content), b"") if text else Gltf.parse(content)
            gltf._gather(path.parent)
            return gltf

    @staticmethod
    def parse(content: bytes) -> Gltf:
        """A GLB file's content."""
        if content[:4] != b"glTF" or len(content) < 20:
            raise MotionLLMError("is not a GLB file; export it as glTF binary (.glb).")
        _, version, length = struct.unpack("<4sII", content[:12])
        if version != 2:
            raise MotionLLMError(f"is glTF {version}; export it as glTF 2.0 (.glb).")
        doc, data, at = None, b"", 12
        if length > len(content):
            raise MotionLLMError("is cut short; copy or export the file again.")
        while at + 8 <= length:
            size, kind = struct.unpack("<II", content[at : at + 8])
            chunk = content[at + 8 : at + 8 + size]
            if len(chunk) < size:
                raise MotionLLMError("is cut short; copy or export the file again.")
            if kind == _JSON and doc is None:
                doc = _document(chunk)
            elif kind == _BIN and not data:
                data = chunk
            at += 8 + size
        if doc is None:
            raise MotionLLMError("holds no nodes; export it with its skeleton.")
        return Gltf(doc, data)

    def _gather(self, folder: Path) -> None:
        """Put the buffers that lie outside of `data` into it, and let the views look there."""
        buffers, views = self.doc.get("buffers") or [], self.doc.get("bufferViews") or []
        try:
            if len(buffers) <= 1 and not any("uri" in buffer for buffer in buffers):
                return
            data, starts, ends = bytearray(), [], []
            for n, buffer in enumerate(buffers):
                uri = buffer.get("uri")
                # Without an address only the first buffer has its data in a GLB; others stand for compressed arrays.
                piece = _fetched(uri, folder, len(data)) if uri is not None else bytes(self.data) if n == 0 else b""
                starts.append(len(data))
                data += piece
                ends.append(len(data))
                data += b"\0" * (-len(data) % 4)
            for view in views:
                buffer, offset = view.get("buffer", 0), view.get("byteOffset", 0)
                if offset < 0 or not starts[buffer] + offset + view["byteLength"] <= max(ends[buffer], starts[buffer]):
                    if ends[buffer] > starts[buffer]:
                        raise MotionLLMError("its arrays reach beyond their file; copy or export it again.")
                    view["byteOffset"] = len(data) + budget.BYTES  # no data: refused where it is asked for
                else:
                    view["byteOffset"] = starts[buffer] + offset
                view["buffer"] = 0
        except (AttributeError, KeyError, IndexError, TypeError):
            raise MotionLLMError("its buffers are not as glTF has them; export the file again.") from None
        self.doc["buffers"], self.data = [{"byteLength": len(data)}], data

    def to_bytes(self) -> bytes:
        """The file's content."""
        data = bytes(self.data) + b"\0" * (-len(self.data) % 4)
        doc = dict(self.doc)
        if data:
            doc["buffers"] = [{**(doc.get("buffers") or [{}])[0], "byteLength": len(data)}]
        text = json.dumps(doc, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<II", len(text), _JSON) + text
        if data:
            chunks += struct.pack("<II", len(data), _BIN) + data
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def array(self, index: int) -> np.ndarray:
        """An accessor's values: (count,) or (count, width), normalized integers as floats. Raises MotionLLMError where
        it is compressed, outside this file or not as glTF has it.
        """
        if not isinstance(index, int):
            raise MotionLLMError("an accessor is named by what is no number; export the file again.")
        try:
            accessor = self.doc["accessors"][index]
            dtype, width = np.dtype(_TYPES[accessor["componentType"]]), _WIDTHS[accessor["type"]]
            count = int(accessor["count"])
            if not 1 <= count <= budget.VALUES // width:
                raise MotionLLMError(f"accessor {index} has {count:.6g} rows; export the file again.")
            sparse = accessor.get("sparse")
            if "bufferView" in accessor:
                values = self._rows(index, accessor, dtype, width, count)
            elif sparse is None:
                raise MotionLLMError(_COMPRESSED)
            else:
                values = np.zeros((count, width), dtype)
            if sparse is not None:
                few = int(sparse["count"])
                if not 1 <= few <= count:
                    raise ValueError
                indices = sparse["indices"]
                rows = self._rows(index, indices, np.dtype(_TYPES[indices["componentType"]]), 1, few)[:, 0]
                values[rows.astype(np.int64)] = self._rows(index, sparse["values"], dtype, width, few)
        except (AttributeError, KeyError, IndexError, OverflowError, TypeError, ValueError):
            raise MotionLLMError(f"accessor {index} is not as glTF has it; export the file again.") from None
        if accessor.get("normalized") and dtype.kind in "iu":
            values = np.maximum(values.astype(np.float32) / (2 ** (8 * dtype.itemsize - (dtype.kind == "i")) - 1), -1.0)
        return values[:, 0] if width == 1 else values

    def _rows(self, index: int, source: Mapping[str, Any], dtype: np.dtype[Any], width: int, count: int) -> np.ndarray:
        """(count, width) values where a view says, from the byte that `source` says."""
        view, size = self.doc["bufferViews"][source["bufferView"]], dtype.itemsize * width
        if any("meshopt" in name for name in view.get("extensions") or ()):
            raise MotionLLMError(_COMPRESSED)
        if view.get("buffer", 0) != 0 or "uri" in (self.doc.get("buffers") or [{}])[0]:
            raise MotionLLMError("keeps its arrays in another file; export it as glTF binary (.glb).")
        stride = view.get("byteStride") or size
        start = view.get("byteOffset", 0) + source.get("byteOffset", 0)
        if stride < size or start < 0 or start + stride * (count - 1) + size > len(self.data):
            raise MotionLLMError(f"accessor {index} reaches beyond the file; copy or export it again.")
        return np.ndarray((count, width), dtype, self.data, start, (stride, dtype.itemsize)).copy()

    def add(self, values: np.ndarray, bounds: bool = False) -> int:
        """Append float values (count,), (count, 3), (count, 4) or (count, 16) and return the accessor's index."""
        values = np.ascontiguousarray(values, np.float32)
        flat = values.reshape(len(values), -1)
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[flat.shape[1]]
        self.data.extend(b"\0" * (-len(self.data) % 4))
        views, accessors = self.doc.setdefault("bufferViews", []), self.doc.setdefault("accessors", [])
        views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": values.nbytes})
        self.data.extend(values.tobytes())
        accessor: dict[str, Any] = {"bufferView": len(views) - 1, "componentType": FLOAT, "count": len(values)}
        accessor["type"] = kind
        if bounds:
            accessor |= {"min": flat.min(0).tolist(), "max": flat.max(0).tolist()}
        accessors.append(accessor)
        return len(accessors) - 1

    def parents(self) -> list[int]:
        """The parent of each node, -1 for those at the top. Raises MotionLLMError where nodes go round in a circle."""
        nodes = self.doc["nodes"]
        parents = [-1] * len(nodes)
        try:
            for n, node in enumerate(nodes):
                for child in node.get("children", []):
                    if not 0 <= child < len(nodes) or parents[child] >= 0:
                        raise ValueError
                    parents[child] = n
            reached = [n for n, parent in enumerate(parents) if parent < 0]
            for n in reached:  # grows as it goes: what no top leads to lies on a circle
                reached += nodes[n].get("children", [])
            if len(reached) < len(nodes):
                raise ValueError
        except (TypeError, ValueError, AttributeError):
            raise MotionLLMError("its nodes are no hierarchy; export the file again.") from None
        return parents

    def locals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Translations (N, 3), rotations (N, 3, 3) and scales (N, 3) of the nodes, relative to their parents."""
        nodes = self.doc["nodes"]
        places, turns, scales = (
            np.zeros((len(nodes), 3)),
            np.tile(np.eye(3), (len(nodes), 1, 1)),
            np.ones((len(nodes), 3)),
        )
        try:
            for n, node in enumerate(nodes):
                if "matrix" in node:
                    matrix = np.array(node["matrix"], np.float64).reshape(4, 4).T
                    scales[n] = np.linalg.norm(matrix[:3, :3], axis=0)
                    places[n], turns[n] = matrix[:3, 3], matrix[:3, :3] / np.maximum(scales[n], 1e-12)
                    if np.linalg.det(turns[n]) < 0:
                        raise MotionLLMError(
                            f"node {node.get('name', n)!r} is mirrored; apply scales, and export again."
                        )
                    continue
                places[n] = node.get("translation", places[n])
                scales[n] = node.get("scale", scales[n])
                if "rotation" in node:
                    quaternion = np.array(node["rotation"], np.float64)
                    if quaternion.shape != (4,):
                        raise ValueError
                    turns[n] = Rotation.from_quat(quaternion).as_matrix()
        except (OverflowError, TypeError, ValueError):
            raise MotionLLMError("a node's place or rotation is not as glTF has it; export the file again.") from None
        if not all(np.isfinite(values).all() for values in (places, turns, scales)):
            raise MotionLLMError("a node's place or rotation is not finite; export the file again.")
        return places, turns, scales


def _document(content: bytes) -> dict[str, Any]:
    """The JSON document of a glTF file."""
    if len(content) > _TEXT:
        raise MotionLLMError(f"its text has {len(content) >> 20} MB, up to {_TEXT >> 20} are read; export it as .glb.")
    try:
        doc = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise MotionLLMError("holds no valid JSON; export the file again.") from None
    if not isinstance(doc, dict) or not isinstance(doc.get("nodes"), list):
        raise MotionLLMError("holds no nodes; export it with its skeleton.")
    for key in ("accessors", "animations", "buffers", "bufferViews", "skins", "scenes"):
        if not isinstance(doc.get(key, []), list):
            raise MotionLLMError(f"its {key} are not as glTF has them; export the file again.")
    return doc


def _fetched(uri: str, folder: Path, before: int) -> bytes:
    """The bytes at an address: in the text itself, or in a file within the folder. before: bytes read already."""
    if uri.startswith("data:"):
        try:
            return base64.b64decode(uri.partition(",")[2], validate=True)
        except ValueError:
            raise MotionLLMError("the data in its text is damaged; export the file again.") from None
    name, folder = unquote(uri), folder.resolve()
    try:
        file = (folder / name).resolve()
        inside = "\0" not in name and file.is_relative_to(folder)
        there = inside and file.is_file()
    except (OSError, ValueError):  # a name too long, or none for this system
        inside = there = False
    shown = "".join(c if c.isprintable() else "?" for c in name[:60])
    if not inside or ":" in name:
        raise MotionLLMError(f"its data is at '{shown}', outside of its folder; export it as glTF binary (.glb).")
    if not there:
        raise MotionLLMError(f"its data '{shown}' is not beside it; copy that file too, or export it as .glb.")
    budget.check_bytes(before + file.stat().st_size, "its data")
    return file.read_bytes()


def names_of(gltf: Gltf, order: Sequence[int]) -> tuple[str, ...]:
    """The names of nodes, each once, without what a BVH could not hold."""
    names: dict[str, int] = {}
    for node in order:
        name = str(gltf.doc["nodes"][node].get("name") or f"node{node}")[:200]
        name = base = "".join(c if c.isprintable() and c not in "{}" else "_" for c in name)
        while name in names:
            names[base] += 1
            name = f"{base}_{names[base]}"
        names[name] = 0
    return tuple(names)


def vrm_places(gltf: Gltf, index: Mapping[int, int], joints: Sequence[str]) -> dict[str, str]:
    """HumanML3D place → joint of the humanoid bones that a VRM (0.x, 1.0) or VRMA file names; empty for other files.

    index: the joint of each node.
    """
    try:
        extensions = gltf.doc.get("extensions") or {}
        if "VRM" in extensions:
            bones = {row["bone"]: row["node"] for row in extensions["VRM"]["humanoid"]["humanBones"]}
        else:
            said = extensions.get("VRMC_vrm") or extensions.get("VRMC_vrm_animation")
            if said is None:
                return {}
            bones = {bone: row["node"] for bone, row in said["humanoid"]["humanBones"].items()}
        return {
            rigs.VRM[bone]: joints[index[node]] for bone, node in bones.items() if bone in rigs.VRM and node in index
        }
    except (KeyError, TypeError, AttributeError):
        raise MotionLLMError("its VRM humanoid bones are not as VRM has them; export the character again.") from None

"""GLB files as they are: the JSON document and its binary chunk, with arrays read from them and appended to them.

Documents are kept as plain JSON, so that whatever a character's file holds besides (materials, extensions, extras) is
written back unchanged.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion import budget

FLOAT = 5126
_TYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, FLOAT: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_JSON, _BIN = 0x4E4F534A, 0x004E4942  # chunk types


class Gltf:
    """A glTF 2.0 document (`doc`, as JSON has it) and its binary chunk (`data`)."""

    def __init__(self, doc: dict[str, Any], data: bytes | bytearray = b"") -> None:
        self.doc = doc
        self.data = bytearray(data)

    @staticmethod
    def read(path: str | os.PathLike[str]) -> Gltf:
        """Read a .glb (or .vrm) file. Raises MotionFileError where it is none, or cut short."""
        path = Path(path)
        try:
            budget.check_bytes(path.stat().st_size)
            return Gltf.parse(path.read_bytes())
        except OSError as error:
            raise MotionFileError(f"{path}: cannot be read ({error.strerror or error}).") from None
        except MotionLLMError as error:
            raise MotionFileError(f"{path}: {error}") from None

    @staticmethod
    def parse(content: bytes) -> Gltf:
        if content[:4] != b"glTF" or len(content) < 20:
            raise MotionLLMError("is not a GLB file; export the character as glTF binary (.glb).")
        _, version, length = struct.unpack("<4sII", content[:12])
        if version != 2:
            raise MotionLLMError(f"is glTF {version}; export the character as glTF 2.0 (.glb).")
        doc, data, at = None, b"", 12
        while at + 8 <= min(length, len(content)):
            size, kind = struct.unpack("<II", content[at : at + 8])
            chunk = content[at + 8 : at + 8 + size]
            if len(chunk) < size:
                raise MotionLLMError("is cut short; copy or export the file again.")
            if kind == _JSON and doc is None:
                try:
                    doc = json.loads(chunk)
                except ValueError:
                    raise MotionLLMError("holds no valid JSON; export the file again.") from None
            elif kind == _BIN:
                data = chunk
            at += 8 + size
        if not isinstance(doc, dict) or not isinstance(doc.get("nodes"), list):
            raise MotionLLMError("holds no nodes; export the character with its skeleton.")
        return Gltf(doc, data)

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
        it is compressed, sparse, outside this file or not as glTF has it.
        """
        try:
            accessor = self.doc["accessors"][index]
            dtype, width = np.dtype(_TYPES[accessor["componentType"]]), _WIDTHS[accessor["type"]]
            count, size = int(accessor["count"]), dtype.itemsize * width
            if "sparse" in accessor or "bufferView" not in accessor:
                raise MotionLLMError("holds sparse or compressed arrays; export the character without compression.")
            view = self.doc["bufferViews"][accessor["bufferView"]]
            if view.get("buffer", 0) != 0 or "uri" in self.doc["buffers"][0]:
                raise MotionLLMError("keeps its arrays in another file; export it as glTF binary (.glb).")
            stride = view.get("byteStride") or size
            start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
            if count < 1 or start < 0 or start + stride * (count - 1) + size > len(self.data):
                raise MotionLLMError(f"accessor {index} reaches beyond the file; copy or export it again.")
            raw = np.ndarray((count, width), dtype, bytes(self.data), start, (stride, dtype.itemsize))
        except (KeyError, IndexError, TypeError, ValueError):
            raise MotionLLMError(f"accessor {index} is not as glTF has it; export the file again.") from None
        values = raw.copy()
        if accessor.get("normalized") and dtype.kind in "iu":
            values = np.maximum(values.astype(np.float32) / (2 ** (8 * dtype.itemsize - (dtype.kind == "i")) - 1), -1.0)
        return values[:, 0] if width == 1 else values

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
            for n in range(len(nodes)):
                step, depth = n, 0
                while step >= 0:
                    step, depth = parents[step], depth + 1
                    if depth > len(nodes):
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
                    turns[n] = Rotation.from_quat(node["rotation"]).as_matrix()
        except (TypeError, ValueError):
            raise MotionLLMError("a node's place or rotation is not as glTF has it; export the file again.") from None
        if not all(np.isfinite(values).all() for values in (places, turns, scales)):
            raise MotionLLMError("a node's place or rotation is not finite; export the file again.")
        return places, turns, scales

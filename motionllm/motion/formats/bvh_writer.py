"""The BVH writer, and rotations solved from joint positions.

Bone directions come back exactly; upper arms and thighs turn about themselves as elbows and knees, which are hinges,
tell; any other twist about a bone is the smallest one, for positions do not hold it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation

from motionllm.errors import MotionLLMError
from motionllm.files import write_file
from motionllm.motion.formats.bvh import BVH, UNIT_MARKS, euler


def write_bvh(bvh: BVH, path: str | os.PathLike[str]) -> None:
    """Write a BVH file (beside and renamed), marked with its unit where that is cm or m (`UNIT_MARKS`).

    Raises MotionFileError where the folder cannot be written.
    """
    children: list[list[int]] = [[] for _ in bvh.joints]
    for j, parent in enumerate(bvh.parents):
        if parent >= 0:
            children[parent].append(j)
    lines = ["HIERARCHY"]

    def joint(j: int, indent: str) -> None:
        lines.append(f"{indent}{'ROOT' if bvh.parents[j] < 0 else 'JOINT'} {bvh.joints[j]}")
        lines.append(indent + "{")
        lines.append(f"{indent}\tOFFSET {_triple(bvh.offsets[j])}")
        lines.append(f"{indent}\tCHANNELS {len(bvh.channels[j])} {' '.join(bvh.channels[j])}".rstrip())
        for child in children[j]:
            joint(child, indent + "\t")
        if j in bvh.ends:
            lines.append(f"{indent}\tEnd Site")
            lines.append(indent + "\t{")
            lines.append(f"{indent}\t\tOFFSET {_triple(bvh.ends[j])}")
            lines.append(indent + "\t}")
        lines.append(indent + "}")

    # Files write joints depth first, and `values` follows the order of `joints`: both come from the same walk.
    joint(0, "")
    lines += ["MOTION", f"Frames: {len(bvh)}", f"Frame Time: {1 / bvh.fps:.9f}{UNIT_MARKS.get(bvh.unit, '')}"]
    template = " ".join(["%.6f"] * bvh.values.shape[1])
    lines += [template % tuple(row) for row in bvh.values]
    write_file(path, "\n".join(lines) + "\n")


def _triple(vector: np.ndarray) -> str:
    return " ".join(f"{value + 0.0:.6f}" for value in vector)


def swing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotations (T, 3, 3) that turn unit vectors a (T, 3) into b (T, 3) (Rodrigues' formula)."""
    axis, cosine = np.cross(a, b), (a * b).sum(-1)
    opposite = cosine < -1 + 1e-9
    x, y, z = axis.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    result = np.eye(3) + cross + cross @ cross / (1 + np.where(opposite, 0.0, cosine))[:, None, None]
    for t in np.flatnonzero(opposite):  # half a turn about any axis square to a
        square = np.cross(a[t], np.eye(3)[np.argmin(np.abs(a[t]))])
        square /= np.linalg.norm(square)
        result[t] = 2 * np.outer(square, square) - np.eye(3)
    return result


_SURE = 0.3  # the sine of a bend, 17 degrees, from which on a joint's side is known
_LITTLE = 0.12  # that of one, 7 degrees: joints that never bend by more tell nothing
_STRAIGHT = 0.03  # that of one, 2 degrees, below which a joint tells nothing


def _hinged(turned: np.ndarray, along: np.ndarray, lower: np.ndarray, fps: float) -> np.ndarray:
    """Turns (T, 3, 3) about a bone, which lies along the unit vector `along` (3,) of frames `turned` (T, 3, 3), after
    which the next bone, `lower` (T, 3) in the world, leaves it to one side always: elbows and knees are hinges.

    The straighter the joint, the less its side is known; there the turn goes on smoothly from frame to frame. One that
    is about straight throughout is told by the frames in which it bends most, or else not turned.
    """
    square = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    square /= np.linalg.norm(square)
    local = np.einsum("tba,tb->ta", turned, lower / np.maximum(np.linalg.norm(lower, axis=-1, keepdims=True), 1e-9))
    x, y = local @ square, local @ np.cross(along, square)
    bent = np.hypot(x, y)  # the sine of the angle between the bones
    sure = bent > np.clip(bent.max() / 2, _LITTLE, _SURE)
    if not sure.any() or len(bent) < 2:
        return np.broadcast_to(np.eye(3), turned.shape)
    angle, frames = np.arctan2(y, x), np.arange(len(bent))
    course = np.interp(frames, frames[sure], np.unwrap(angle[sure]))
    # A bend to the other side is a joint that is stretched beyond straight: its hinge is the same.
    angle = course + np.mod(angle - course + np.pi / 2, np.pi) - np.pi / 2
    # Least squares: near what is seen, the more the joint is bent, and little change between neighbours.
    seen = (np.maximum(bent - _STRAIGHT, 0) / 0.2) ** 2 * np.cos(angle - course)
    smooth = (fps / 60.0) ** 2
    bands = np.zeros((2, len(bent)))
    bands[0, 1:] = -smooth
    bands[1] = seen + 1e-9
    bands[1, 1:] += smooth
    bands[1, :-1] += smooth
    angle = solveh_banded(bands, seen * angle + 1e-9 * course)
    middle = np.arctan2((bent * np.sin(angle)).sum(), (bent * np.cos(angle)).sum())
    return Rotation.from_rotvec((angle - middle)[:, None] * along).as_matrix()


@dataclass(frozen=True)
class Solved:
    """Rotations that move a skeleton as joints do. names, parents: of the joints, in a file's order, root first.
    offsets: (J, 3) metres. ends: End Site offsets by joint, metres. local: per joint (T, 3, 3), relative to its parent.
    """

    names: list[str]
    parents: list[int]
    offsets: list[np.ndarray]
    ends: dict[int, np.ndarray]
    local: list[np.ndarray]


LOOSE = 0.3  # metres within which a bone's length stays in nine frames of ten


def _loose(joints: np.ndarray, parents: Sequence[int]) -> list[int]:
    """The joints whose distance from their parent is no bone's: it changes by more than LOOSE."""
    found = []
    for j, parent in enumerate(parents):
        if parent >= 0:
            low, high = np.percentile(np.linalg.norm(joints[:, j] - joints[:, parent], axis=-1), [5, 95])
            found += [j] * bool(high - low > LOOSE)
    return found


def solve_bvh(
    joints: np.ndarray,
    names: Sequence[str],
    parents: Sequence[int],
    rest: np.ndarray,
    fps: float,
    exact: float = 1e-4,
    hinges: Collection[int] = (),
) -> BVH:
    """A BVH, in centimetres, whose joints move as `joints` (T, J, 3) metres, Y up, do: see `solve`. A root that stands
    somewhere while the body below it goes is left out. Raises MotionLLMError for other bones that change so much.
    """
    while len(loose := _loose(joints, parents)) == 1:
        root, below = parents[loose[0]], loose[0]
        if parents[root] != -1 or list(parents).count(root) > 1:
            break
        kept = [j for j in range(len(names)) if j != root]
        now = {j: n for n, j in enumerate(kept)}
        parents = [-1 if j == below else now[parents[j]] for j in kept]
        joints, names, rest = np.asarray(joints)[:, kept], [names[j] for j in kept], np.asarray(rest)[kept]
        hinges = [now[j] for j in hinges if j in now]
    if loose:
        bone = f"{names[parents[loose[0]]]} to {names[loose[0]]}"
        raise MotionLLMError(
            f"{bone} changes its length by more than {LOOSE:g} m, and the bones of a BVH have one length; save .npz or "
            ".glb, which hold places."
        )
    solved = solve(joints, names, parents, rest, fps, exact, hinges)
    place = np.asarray(joints, np.float64)[:, list(parents).index(-1)]
    return bvh_of(solved.names, solved.parents, np.array(solved.offsets), solved.ends, place, solved.local, fps)


def solve(
    joints: np.ndarray,
    names: Sequence[str],
    parents: Sequence[int],
    rest: np.ndarray,
    fps: float,
    exact: float = 1e-4,
    hinges: Collection[int] = (),
) -> Solved:
    """Rotations whose joints move as `joints` (T, J, 3) metres, Y up, do.

    rest: (J, 3) directions of the bones in the rest pose (any length, zero for none). Bone lengths are
    the medians over the clip. A joint with one child turns by the smallest rotation relative to its
    parent that points its bone at the child; one with several by the best fit over its children (Kabsch
    1976). Where that leaves a child more than `exact` metres off (the angle between the bones changes,
    as at hips and collars), a joint of no length named CHILD_base is put before the child, as CMU's own
    files do with LHipJoint, and makes it exact. Lengths that change within the clip cannot be
    kept; each bone then points from where its joint came to stand, so that no error adds to the next.
    hinges: joints with one child that has one child (upper arm, thigh): these turn about their own bone too, so that
    the joint below (elbow, knee) bends about one axis of them.
    """
    joints = np.asarray(joints, np.float64)
    frames = len(joints)
    children: list[list[int]] = [[] for _ in names]
    for j, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(j)
    if list(parents).count(-1) != 1:
        raise MotionLLMError("BVH holds one body: the skeleton needs exactly one root.")
    lengths = np.zeros(len(names))
    for j, parent in enumerate(parents):
        if parent >= 0:
            lengths[j] = np.median(np.linalg.norm(joints[:, j] - joints[:, parent], axis=-1))
    norm = np.linalg.norm(rest, axis=-1, keepdims=True)
    rest = np.where(norm > 1e-9, rest / np.maximum(norm, 1e-9), [0.0, 1.0, 0.0])

    out_names: list[str] = []
    out_parents: list[int] = []
    out_offsets: list[np.ndarray] = []
    out_local: list[np.ndarray] = []
    ends: dict[int, np.ndarray] = {}

    def add(name: str, parent: int, offset: np.ndarray, local: np.ndarray) -> int:
        out_names.append(name)
        out_parents.append(parent)
        out_offsets.append(offset)
        out_local.append(local)
        return len(out_names) - 1

    def visit(j: int, parent: int, world: np.ndarray, place: np.ndarray) -> None:
        """Append joint j, which stands at `place` (T, 3), under `parent`, whose world rotation is `world` (T, 3, 3)."""
        bones = [k for k in children[j] if lengths[k] > 1e-6]
        aims = {k: joints[:, k] - place for k in bones}
        aims = {k: aim / np.maximum(np.linalg.norm(aim, axis=-1, keepdims=True), 1e-9) for k, aim in aims.items()}
        turned = world
        if len(bones) == 1:
            turned = swing(world @ rest[bones[0]], aims[bones[0]]) @ world
            below = [m for m in children[bones[0]] if lengths[m] > 1e-6]
            if j in hinges and len(below) == 1:
                turned = turned @ _hinged(turned, rest[bones[0]], joints[:, below[0]] - joints[:, bones[0]], fps)
        elif bones:
            # The parent's rotation enters with a tiny weight: it settles what collinear bones leave open.
            fit = sum((aims[k][:, :, None] * rest[k] for k in bones), start=1e-6 * world)
            u, _, v = np.linalg.svd(fit)
            u[..., -1] *= np.linalg.det(u @ v)[:, None]
            turned = u @ v
        offset = rest[j] * lengths[j] if parent >= 0 else np.zeros(3)
        index = add(names[j], parent, offset, world.transpose(0, 2, 1) @ turned)
        if not children[j]:
            ends[index] = rest[j] * max(lengths[j], 0.02) / 2
        for k in children[j]:
            own, above = turned, index
            if k in aims and lengths[k] * np.linalg.norm(turned @ rest[k] - aims[k], axis=-1).max() > exact:
                own = swing(turned @ rest[k], aims[k]) @ turned
                above = add(f"{names[k]}_base", index, np.zeros(3), turned.transpose(0, 2, 1) @ own)
            visit(k, above, own, place + own @ rest[k] * lengths[k])

    root = list(parents).index(-1)
    visit(root, -1, np.broadcast_to(np.eye(3), (frames, 3, 3)), joints[:, root])
    return Solved(out_names, out_parents, out_offsets, ends, out_local)


def bvh_of(
    names: Sequence[str],
    parents: Sequence[int],
    offsets: np.ndarray,
    ends: Mapping[int, np.ndarray],
    root: np.ndarray,
    local: Sequence[np.ndarray],
    fps: float,
) -> BVH:
    """A BVH, in centimetres, of rotations. offsets: (J, 3) metres. ends: End Site offsets by joint, metres. root: its
    places (T, 3), metres. local: per joint (T, 3, 3), relative to its parent.
    """
    offsets = offsets * 100.0
    columns, channels = [root * 100.0], []
    for index, turned in enumerate(local):
        # The middle angle of an order must stay away from ±90 degrees: about Y for bones that hang or stand (a knee
        # and a hip bend by more about X), about X for the root, which may face anywhere, and for arms, rest along X.
        along = offsets[min(index + 1, len(offsets) - 1)]
        upright = index > 0 and abs(along[1]) >= max(abs(along[0]), abs(along[2]))
        order = "ZYX" if upright else "ZXY"
        columns.append(euler(turned, order))
        place = ("Xposition", "Yposition", "Zposition") if index == 0 else ()
        channels.append((*place, *(f"{axis}rotation" for axis in order)))
    return BVH(
        tuple(names),
        tuple(parents),
        offsets,
        {joint: offset * 100.0 for joint, offset in ends.items()},
        tuple(channels),
        np.concatenate(columns, axis=1),
        float(fps),
        unit=0.01,
    )

"""Plausibility of a body, whatever file its 22 joints come from: size, proportions, speed, upright axis, left and
right.

Errors that are certain and can be corrected (units, up axis, a mirrored file) are corrected, with a note that begins
with "mended:"; doubtful values are kept, with a note that begins with "check:"; anything that cannot be a body is
refused. The thresholds lie far outside 3,000 takes of people who walk, fight, climb, crawl, lie and turn cartwheels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.motion.formats.bvh import UPRIGHT
from motionllm.motion.skeleton import HUMANML3D

MENDED, CHECK = "mended: ", "check: "
_FRAMES = 400  # frames sampled for what holds throughout a clip; speed is measured on all frames
_LEG = (0.25, 1.6)  # metres of thigh and shin together: refused outside this range
_PERSON = (0.45, 1.2)  # noted outside this range
_SPEED = (30.0, 300.0)  # metres per second of the fastest joint: noted above the first, refused above the second
_ACROSS = 1.0  # metres across a lying body, without rolling: it stands, and walks
_FAR = 1e5  # metres from the origin, beyond which float32 resolves only centimetres
_UNITS = (("centimetres", 0.01), ("millimetres", 0.001), ("inches", 0.0254))
# Name, bones (pairs of joints, averaged), and the ranges of their length relative to the leg: noted outside the first,
# refused outside the second.
_SHARES = (
    ("the torso (pelvis to neck) is", ("pelvis neck",), (0.25, 1.1), (0.08, 3.0)),
    ("the hips are", ("left_hip right_hip",), (0.05, 0.5), (0.005, 1.5)),
    ("the shoulders are", ("left_shoulder right_shoulder",), (0.15, 0.9), (0.02, 2.0)),
    ("the thighs are", ("left_hip left_knee", "right_hip right_knee"), (0.33, 0.67), (0.1, 0.9)),
    ("the upper arms are", ("left_shoulder left_elbow", "right_shoulder right_elbow"), (0.15, 0.7), (0.02, 2.0)),
    ("the forearms are", ("left_elbow left_wrist", "right_elbow right_wrist"), (0.1, 0.6), (0.01, 2.0)),
    ("the feet (ankle to toe) are", ("left_ankle left_foot", "right_ankle right_foot"), (0.05, 0.4), (0.0, 1.5)),
    ("the head is", ("neck head",), (0.03, 0.6), (0.0, 2.0)),
)
_AT = {name: j for j, name in enumerate(HUMANML3D.joints)}


@dataclass(frozen=True)
class Findings:
    """Corrections for a clip (scale it, rotate its axis `up` upwards, mirror it), and notes on what was noticed."""

    scale: float = 1.0
    up: str = "y"
    mirrored: bool = False
    notes: tuple[str, ...] = ()

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points (…, 3), corrected: metres, Y up."""
        if self.scale == 1.0 and self.up == "y" and not self.mirrored:
            return points
        return (points * self.scale) @ UPRIGHT[self.up].T * ([-1.0, 1.0, 1.0] if self.mirrored else 1.0)


def doubts(notes: Sequence[str]) -> list[str]:
    """The notes of a clip that a person should read: doubts first, then corrections."""
    return [n for n in notes if n.startswith(CHECK)] + [n for n in notes if n.startswith(MENDED)]


def inspect(body: np.ndarray, fps: float, units: bool = False, up: str | None = None) -> Findings:
    """Check a body (T, 22, 3), in metres, Y up. units: whether centimetres, millimetres and inches may be corrected.
    up: the up axis, where it is known. Raises MotionLLMError, in one sentence with the value and the remedy, for joints
    that cannot be a person's.
    """
    body = np.asarray(body, np.float64)
    few = body[:: max(1, len(body) // _FRAMES)]
    scale, notes = _size(few, units)
    few = few * scale
    _reach(body, scale)
    _proportions(few, notes)
    _speed(body, scale, fps, notes)
    if up is None:
        up, up_notes = up_axis(few)
        notes += up_notes
    few = few @ UPRIGHT[up].T
    mirrored = _sides(few, notes)
    return Findings(scale, up, mirrored, tuple(notes))


def _size(few: np.ndarray, units: bool) -> tuple[float, list[str]]:
    """Scale to metres, from the length of the legs, and notes."""
    leg = _leg(few)
    if _LEG[0] <= leg <= _LEG[1]:
        if _PERSON[0] <= leg <= _PERSON[1]:
            return 1.0, []
        return 1.0, [f"{CHECK}the legs (thigh and shin) are {leg:.2f} m long; an adult's are 0.7 to 1.0 m"]
    if units:
        for name, unit in _UNITS:
            if 0.55 <= leg * unit <= 1.15:
                return unit, [f"{MENDED}units taken for {name}, in which the legs are {leg * unit:.2f} m long"]
    raise MotionLLMError(
        f"the legs (thigh and shin) are {leg:.3g} m long, which is no person's; bring the joints to metres, "
        "and features to what they were before they were normalised."
    )


def _leg(few: np.ndarray) -> float:
    return float(
        np.mean(
            [
                _length(few, f"{s}_{a} {s}_{b}")
                for s in ("left", "right")
                for a, b in (("hip", "knee"), ("knee", "ankle"))
            ]
        )
        * 2
    )


def _length(few: np.ndarray, bone: str) -> float:
    a, b = bone.split()
    return float(np.median(np.linalg.norm(few[:, _AT[a]] - few[:, _AT[b]], axis=-1)))


def _reach(body: np.ndarray, scale: float) -> None:
    far = np.abs(body[:, 0]).max(-1) * scale
    if far.max() > _FAR:
        frame = int(np.argmax(far > _FAR))
        raise MotionLLMError(
            f"the body stands {far.max():.3g} m from the origin (first at frame {frame}), where its joints cannot be "
            "told apart; repair or cut the clip."
        )


def _proportions(few: np.ndarray, notes: list[str]) -> None:
    leg = _leg(few)
    for what, bones, usual, possible in _SHARES:
        share = float(np.mean([_length(few, bone) for bone in bones])) / leg
        text = f"{what} {share * leg:.2f} m for legs of {leg:.2f} m"
        if not possible[0] <= share <= possible[1]:
            raise MotionLLMError(
                f"{text}, which is no person's; are the joints in HumanML3D's order, features not normalised, and the "
                "rig's joints the ones meant?"
            )
        if not usual[0] <= share <= usual[1]:
            notes.append(f"{CHECK}{text}")
    for start, end in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        middle = []
        for side in ("left", "right"):
            bone = _norm(few[:, _AT[f"{side}_{start}"]] - few[:, _AT[f"{side}_{end}"]])
            least, median, most = (float(v) for v in np.percentile(bone, [5, 50, 95]))
            middle.append(median)
            text = f"{side} {start} to {end} changes between {least:.2f} and {most:.2f} m"
            if most > 3 * least:
                raise MotionLLMError(
                    f"{text} within the clip, and bones do not; are these joint positions, and in HumanML3D's order?"
                )
            if most > 1.5 * least:
                notes.append(CHECK + text)
        if max(middle) > 1.5 * min(middle):
            notes.append(f"{CHECK}{start} to {end} is {middle[0]:.2f} m on the left and {middle[1]:.2f} m on the right")


def _speed(body: np.ndarray, scale: float, fps: float, notes: list[str]) -> None:
    if len(body) < 2:
        return
    steps = np.diff(body, axis=0)
    speeds = np.sqrt(np.einsum("tjk,tjk->tj", steps, steps)) * (scale * fps)
    fastest = float(speeds.max())
    if fastest <= _SPEED[0]:
        return
    frame, joint = (int(i) for i in np.unravel_index(int(speeds.argmax()), speeds.shape))
    text = f"the {HUMANML3D.joints[joint].replace('_', ' ')} moves {fastest:.3g} m/s after frame {frame}"
    if fastest > _SPEED[1]:
        raise MotionLLMError(f"{text}, which no body does; repair or cut the clip, or correct its frame rate.")
    notes.append(f"{CHECK}{text}")


def up_axis(body: np.ndarray, rest: str | None = None) -> tuple[str, list[str]]:
    """The axis of the file along which a body (T, 22, 3), in metres, stands upright, and notes.

    rest: the axis along which the file's rest pose stands ("": it has none); None: the format defines Y up. A handstand
    must not count as an upside-down file, nor a lying person as one that stands along the floor: the hands, the
    direction of travel and the floor at 0 decide.
    """
    few = body[:: max(1, len(body) // _FRAMES)]
    stated = rest if rest is not None else "y"
    stands = _lean(few)
    if stands and stated and stands != stated and _ordered(few, stands) < 0.9:
        stands = ""  # not upright along that axis throughout: lies down and gets up
    if not stands or stands == stated:
        return stated or "y", _is_up(stated)
    if stands == _opposite(stated or "y"):
        if _on_hands(few, stated or "y"):
            return stated or "y", _is_up(stated)
        return stands, [f"{MENDED}turned upright (the body stood upside down, its head below its feet)"]
    if not stated:
        return stands, _is_up(stands)
    lies = _lies(few, stands, stated)
    if rest is not None:  # rest pose and motion disagree: take one of the two, by the lower floor if needed
        if lies is None:
            floor = {axis: abs(float(_along(few, axis).min(1).mean())) for axis in (stated, stands)}
            lies = floor[stated] < floor[stands]
        return (stated, _is_up(stated)) if lies else (stands, _is_up(stands))
    if lies is None:
        return stated, [f"{CHECK}the body lies along {stands} throughout; if it stands, turn that axis up"]
    return (stated, []) if lies else (stands, [f"{MENDED}turned upright ({_is_up(stands)[0]})"])


def _is_up(axis: str) -> list[str]:
    if axis in ("", "y"):
        return []
    return [f"{axis[-1].upper()} is {'down' if axis[0] == '-' else 'up'} in the file"]


def lean(upwards: np.ndarray) -> str:
    """The axis, as "y" or "-z", along which a vector (3,) points to within 37 degrees, or ""."""
    size = float(np.linalg.norm(upwards))
    k = int(np.argmax(np.abs(upwards)))
    if size < 1e-9 or abs(upwards[k]) < 0.8 * size:
        return ""
    return ("-" if upwards[k] < 0 else "") + "xyz"[k]


def _lean(few: np.ndarray) -> str:
    return lean((few[:, _AT["neck"]] - few[:, [_AT["left_knee"], _AT["right_knee"]]].mean(1)).mean(0))


def _opposite(axis: str) -> str:
    return axis[1:] if axis[0] == "-" else f"-{axis}"


def _along(points: np.ndarray, axis: str) -> np.ndarray:
    """Heights (…) of points (…, 3) over the origin where `axis` is up."""
    return points[..., "xyz".index(axis[-1])] * (-1.0 if axis[0] == "-" else 1.0)


def _ordered(few: np.ndarray, axis: str) -> float:
    """Share of frames in which the head is above the hips, and these above the ankles."""
    height = _along(few, axis)
    feet = height[:, [_AT["left_ankle"], _AT["right_ankle"]]].mean(1)
    return float(((height[:, _AT["head"]] > height[:, 0]) & (height[:, 0] > feet)).mean())


def _on_hands(few: np.ndarray, up: str) -> bool:
    """Whether an upside-down body has its hands near the floor: a handstand or headstand."""
    height = _along(few, up)
    hands = height[:, [_AT["left_wrist"], _AT["right_wrist"]]].max(1)
    return bool(np.median(hands - height.min(1)) < 0.35)


def _lies(few: np.ndarray, stands: str, up: str) -> bool | None:
    """Whether a body that extends along `stands` from feet to head is lying on a floor below `up`; None if
    undecided.
    """
    moved, rose = (float(np.ptp(_along(few[:, 0], axis))) for axis in (up, stands))
    if max(moved, rose) > 0.5:  # walking keeps the hips at one height, and lying does not move up
        return rose > moved
    (across,) = {*"xyz"} - {up[-1], stands[-1]}
    if float(np.ptp(_along(few[:, 0], across))) > _ACROSS and _faces_one_way(few):
        return False  # who lies and moves across the body rolls
    foot = abs(float(np.median(_along(few, stands).min(1))))
    other = _along(few, up)
    low = other.min(1)
    on_soles = foot < 0.05 and abs(float(np.median(low))) > foot + 0.1
    on_trunk = bool(np.median(other[:, [0, _AT["spine3"]]].max(1) - low) < 0.3)
    return None if on_soles == on_trunk else on_trunk


def _faces_one_way(few: np.ndarray) -> bool:
    """Whether the hips keep their direction, so that the body does not roll."""
    hips = few[:, _AT["left_hip"]] - few[:, _AT["right_hip"]]
    return bool(np.linalg.norm((hips / np.maximum(_norm(hips)[:, None], 1e-9)).mean(0)) > 0.8)


def _sides(few: np.ndarray, notes: list[str]) -> bool:
    """Detect a mirrored body: feet and knees point opposite to where hips and shoulders face."""
    hips = few[:, _AT["left_hip"]] - few[:, _AT["right_hip"]]
    shoulders = few[:, _AT["left_shoulder"]] - few[:, _AT["right_shoulder"]]
    if np.mean((hips * shoulders).sum(-1) < 0) > 0.6:
        notes.append(f"{CHECK}left and right are exchanged between hips and shoulders")
        return False
    toes, knees, down = [], [], []
    for side in ("left", "right"):
        hip, knee, ankle, foot = (few[:, _AT[f"{side}_{p}"]] for p in ("hip", "knee", "ankle", "foot"))
        shin, toe = ankle - knee, foot - ankle
        toes.append(float(np.mean((np.cross(shin, hips) * toe).sum(-1) > 0)))
        down.append(float(np.median((shin * toe).sum(-1) / np.maximum(_norm(shin) * _norm(toe), 1e-9))))
        fold = np.cross(knee - hip, shin)
        bent = _norm(fold) > 0.3 * _norm(knee - hip) * _norm(shin)
        if bent.any():
            knees.append(float(np.mean(((fold * hips).sum(-1) > 0)[bent])))
    ahead, bends = float(np.mean(toes)), float(np.mean(knees)) if knees else 0.5
    if ahead < 0.3 and bends < 0.3:
        notes.append(
            f"{MENDED}mirrored back, the names kept (feet and knees pointed backwards, as in a left-handed file)"
        )
        return True
    if ahead < 0.3:
        notes.append(f"{CHECK}the feet point backwards; the file may be mirrored (left-handed)")
    elif bends < 0.2:
        notes.append(f"{CHECK}the knees bend backwards")
    if min(down) > 0.93:
        notes.append(f"{CHECK}the feet point straight down along the shins throughout")
    return False


def _norm(v: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("...i,...i->...", v, v))

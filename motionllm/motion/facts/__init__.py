"""Measured facts about a clip of motion: rules over joint positions, no learning, no corpus.

`facts` works on any clip of the canonical 22 joints (mocap, procedural, decoded from codes): it reports duration,
distance, speed, turning, posture and a list of events (jumps, steps, waves, claps, kicks …) with their times. Every
rule is described in the docstring of its function, with its thresholds above it. All lengths in rules are for a body
with legs of 0.826 m (HumanML3D's target skeleton); other bodies are scaled to it first. A rule has a margin over the
effect of a few centimetres of noise.
"""

from __future__ import annotations

import numpy as np

from motionllm.motion.facts.arms import arm_events, looks
from motionllm.motion.facts.events import Event, Facts, direction_of, in_frame, spans_of
from motionllm.motion.facts.legs import jumping_jacks, leg_events
from motionllm.motion.facts.lowering import lowerings
from motionllm.motion.facts.travel import flights, steps, told_once, travels, turns
from motionllm.motion.posture import postures
from motionllm.motion.signals import NECK, SIDES, Signals, odd_frames, running_mean

__all__ = ["Event", "Facts", "events_of", "facts", "facts_of"]

ARM_EVENTS = ("raise", "wave", "throw", "punch", "clap", "arms out", "hands on hips", "hand at mouth", "jumping jack")
LEG_EVENTS = ("leg raised", "march", "lift", "step", "hop")
GONE = 0.3  # m from the start; further away, the clip has a direction
TURNED = 30.0  # degrees from the first heading; beyond, the clip turns to a side


def _peak_speed(s: Signals, e: Event) -> float:
    """Peak speed of an event, from 0.5 s before it to 0.5 s after (mean over 0.25 s; look 0.4 s).

    m/s of the hand relative to the pelvis, of the foot, or of the neck for the whole body; degrees/s for a look or a
    turn.
    """
    if e.name == "turn":
        return abs(e.size) / max(e.end - e.start, 1 / s.fps)
    a, b = max(0, int((e.start - 0.5) * s.fps)), min(len(s.p), int((e.end + 0.5) * s.fps) + 1)
    sides = [SIDES.index(e.side)] if e.side in SIDES else [0, 1]
    if e.name == "look":
        pace = np.abs(np.gradient(running_mean(s.look, 3)))[:, None] * s.fps
    elif e.name in ARM_EVENTS:
        pace = s.hand_speed[:, sides]
    elif e.name in LEG_EVENTS:
        pace = s.foot_speed[:, [1 - k for k in sides] if e.name == "leg raised" else sides]
        pace = np.hypot(pace, np.abs(np.gradient(s.lift, axis=0))[:, sides] * s.fps)
    else:
        pace = np.linalg.norm(np.gradient(s.p[:, NECK], axis=0), axis=1)[:, None] * s.fps
    seconds = 0.4 if e.name == "look" else 0.25
    return float(running_mean(pace, odd_frames(seconds * s.fps))[a:b].max(initial=0.0))


def events_of(s: Signals) -> list[Event]:
    """All events of a clip, with their speeds, sorted by start."""
    leaps = flights(s)
    gone, spans = travels(s, leaps)
    turned, handled, kicked = turns(s, spans), arm_events(s), leg_events(s, spans, leaps)
    gone = told_once(s, gone, turned)
    busy = spans_of(s, [*turned, *handled, *kicked], "turn", "throw", "punch", "kick", before=0.3, after=0.3)
    events = [*leaps, *gone, *steps(s, leaps), *turned, *lowerings(s, gone, leaps), *handled, *kicked]
    events = jumping_jacks(s, [*events, *looks(s, busy)])
    for e in events:
        e.speed = e.speed or _peak_speed(s, e)
    events.sort(key=lambda e: (e.start, e.end))
    return events


def facts(joints: np.ndarray, fps: float = 20.0) -> Facts:
    """Measure a clip: (T, 22, 3) metres, Y up, the canonical joint order -> Facts.

    The events are named walk, run, crouch walk, step, lift, turn, jump, hop, jumping jack, squat, bow, lunge,
    reach down, sit, seated (from the first frame on), kneel, lie, stand up, hand up, raise, wave, throw, punch, clap,
    arms out, hands on hips, hand at mouth, kick, leg raised, march and look; sorted by start.
    direction: of all travel, in the frame of the first heading ("" where it goes nowhere); turn: net, degrees, + to the
    left; busiest: the limb whose end travels most about the pelvis. Raises MotionLLMError for another shape,
    under 5 frames, or values that are not finite.
    """
    s = Signals(joints, fps)
    return facts_of(s, events_of(s), np.asarray(joints))


def facts_of(s: Signals, events: list[Event], joints: np.ndarray) -> Facts:
    """`facts` of a clip whose signals and events are known."""
    fps = s.fps
    root = joints[:, 0][:, [0, 2]].astype(np.float64)
    smooth = running_mean(root, odd_frames(0.3 * fps))
    pace = np.linalg.norm(np.diff(smooth, axis=0), axis=1) * fps
    # The mean shortens the path at its ends.
    distance = float(pace.sum() / fps) + float(np.linalg.norm(root[[0, -1]] - smooth[[0, -1]], axis=1).sum())
    net = root[-1] - root[0]
    away = float(np.hypot(*net))
    ends = np.linalg.norm(np.diff(s.local[:, [20, 21, 7, 8]], axis=0), axis=2).sum(0)
    jumps = [e for e in events if e.name in ("jump", "hop")]
    turn = float(np.degrees(s.yaw[-1] - s.yaw[0]))
    begun, ended = postures(s)
    return Facts(
        duration=round(len(joints) / fps, 3),
        distance=distance,
        displacement=away,
        mean_speed=distance * fps / (len(joints) - 1),
        top_speed=float(pace.max()),
        direction=direction_of(*in_frame(net, s.yaw[0])) if away > GONE else "",
        turn=turn,
        turn_side="left" if turn > TURNED else "right" if turn < -TURNED else "",
        jumps=len(jumps),
        jump_height=max((e.size for e in jumps), default=0.0) * s.scale,
        steps=sum(e.name == "step" for e in events),
        start_posture=begun,
        end_posture=ended,
        busiest=("left arm", "right arm", "left leg", "right leg")[int(ends.argmax())],
        events=events,
    )

"""The pictures and playable motions of the site, computed by the toolkit itself.

python dev/pictures.py             docs/pictures/code.svg and notation.svg: seconds, no model
python dev/pictures.py --motions   plan.svg, the gallery and the moving picture of the README too: minutes
python dev/pictures.py --flow RUN  decoders.svg too, with the flow decoder of a run of tokenizer/flow.yaml

The same weights give the same pictures on the same machine.
"""

from __future__ import annotations

import argparse
import html
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from decoders import BANDS, by_seed
from PIL import Image

from motionllm import Motion, MotionLM, MotionTokenizer
from motionllm import corpus as builtin
from motionllm.files import read_json
from motionllm.motion.notation import Notation, measure
from motionllm.motion.show.pictures import frames as shown
from motionllm.motion.skeleton import HUMANML3D

ROOT = Path(__file__).parents[1]
PICTURES, GALLERY = ROOT / "docs" / "pictures", ROOT / "docs" / "gallery"
WIDTH, MARGIN, FIGURE = 860, 30, 150  # pixels: of the picture, at its sides, of a figure's height
LEFT, RIGHT, MIDDLE, TEXT = "#e67830", "#2b6cb8", "#6b7280", "#374151"
# Of codes and events: none of them orange or blue, which are left and right.
TINTS = ("#ddd6ee", "#d9efe3", "#e5e7eb", "#f3ecc8", "#efe0f3")
LETTER = 7.6  # pixels, at most, of a letter of size 14

DECODED, HAND = "009863", 3  # clip of the picture of decoders, metres a second at the top of its axis
DECODERS = ("real", "default: one motion for these codes", "flow, seed 0", "flow, seed 1")
LINES = ("#9ca3af", "#111827", "#9333ea", "#15803d")
FLOW = "flow-10min@4"  # row of the measurements

PLAN = """\
4.0 s, standing to standing
0.0-2.0 walk forward 1.1 m/s
2.2-3.8 wave right hand x3
"""
ASKED = "a person walks forward and waves with the right hand three times"
PROMPTS = (
    "a person kicks with the right leg",
    "a person walks forward and waves with the left hand",
    "a person squats three times",
    "a person jumps forward, then turns around to the left",
    "a person sits down and stands up again",
    "a person punches with both hands",
)
# Of which the adapter's motion library has clips, and seconds, where not all of a clip is shown.
RECORDED: tuple[tuple[str, float | None], ...] = (
    ("a person runs forward", None),
    ("a person does jumping jacks", None),
    ("a person dances salsa", 6.0),
    ("a person is boxing", 6.0),
    ("a person does a cartwheel", None),
    ("a person climbs a ladder", 6.0),
    ("a person does karate", 6.0),
    ("a person crawls forward on hands and knees", None),
    ("a person does jumping jacks, then sits down", None),
)


class Svg:
    """Marks on a white card, so that it is read on a dark page too."""

    def __init__(self, height: float) -> None:
        self.marks = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif">',
            f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="#ffffff"/>',
        ]

    def text(self, x: float, y: float, text: str, size: float = 14, anchor: str = "middle", fill: str = TEXT) -> None:
        self.marks.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}">'
            f"{html.escape(text)}</text>"
        )

    def box(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        self.marks.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3" fill="{fill}"/>'
        )

    def figures(self, motion: Motion, times: Sequence[float], floor: float, height: float = FIGURE) -> None:
        """Poses over their place in time, three quarters from the front; `floor` is where they stand."""
        joints = motion.joints
        scale = height / max(float(np.ptp(joints[..., 1])), 1.6)
        angle = 0.7
        for time in times:
            pose = joints[min(round(time * motion.fps), len(joints) - 1)]
            flat = (pose[:, 0] - pose[0, 0]) * np.cos(angle) - (pose[:, 2] - pose[0, 2]) * np.sin(angle)
            points = np.stack([at(time, motion.duration) + flat * scale, floor - pose[:, 1] * scale], 1)
            for joint, parent in enumerate(HUMANML3D.parents):
                if parent >= 0:
                    name = HUMANML3D.joints[joint]
                    colour = LEFT if name.startswith("left") else RIGHT if name.startswith("right") else MIDDLE
                    (a, b), (c, d) = points[parent], points[joint]
                    self.marks.append(
                        f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}" stroke="{colour}" '
                        f'stroke-width="{height / 30:.1f}" stroke-linecap="round"/>'
                    )
            head = points[HUMANML3D.joints.index("head")]
            x, y = head - (0, 4)
            self.marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{height * 0.06:.1f}" fill="{MIDDLE}"/>')

    def line(self, points: np.ndarray, colour: str) -> None:
        """A line through points (n, 2)."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.marks.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')

    def axis(self, y: float, seconds: float) -> None:
        for time in np.arange(0, seconds + 0.01, 0.5):
            self.text(at(time, seconds), y, f"{time:.1f} s", 14, fill="#6b7280")

    def bars(self, y: float, notation: Notation, seconds: float) -> float:
        """A bar for each event; returns where the next row would be."""
        for number, line in enumerate(notation.lines):
            left, right = at(line.start, seconds), at(line.end, seconds)
            self.box(left, y, max(right - left, 4), 24, TINTS[number % len(TINTS)])
            words = str(line).split(" ", 1)[1]
            if right - left > LETTER * len(words):
                place, anchor = (left + right) / 2, "middle"
            elif left > WIDTH / 2:
                place, anchor = left - 6, "end"
            else:
                place, anchor = right + 6, "start"
            self.text(place, y + 17, words, 14, anchor)
            y += 29
        return y

    def save(self, name: str) -> None:
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / name).write_text("\n".join([*self.marks, "</svg>\n"]), encoding="utf-8")


def at(time: float, seconds: float) -> float:
    """Pixels from the left, so that the first and the last figure are whole."""
    return MARGIN + 30 + (WIDTH - 2 * MARGIN - 60) * time / seconds


def code_picture() -> None:
    """A clip of CMU mocap and its codes, a pair for each fifth of a second, under its pose."""
    motion = Motion(np.load(ROOT / "tests" / "data" / "cmu" / "new_joints" / "012946.npy")).canonical()
    tokenizer = MotionTokenizer.load("default")
    codes = tokenizer.encode(motion).reshape(-1, tokenizer.parts)[:18]
    seconds = len(codes) / tokenizer.steps_per_second
    motion = Motion(motion.joints[: round(seconds * motion.fps)], motion.fps)
    svg = Svg(FIGURE + 130)
    middles = (np.arange(len(codes)) + 0.5) / tokenizer.steps_per_second
    svg.figures(motion, middles.tolist(), FIGURE + 20)
    step = (at(seconds, seconds) - at(0, seconds)) / len(codes)
    for part in range(tokenizer.parts):
        for number, code in enumerate(codes[:, part]):
            x = at(0, seconds) + number * step
            svg.box(x, FIGURE + 40 + 32 * part, step - 3, 26, TINTS[part])
            svg.text(x + step / 2 - 1.5, FIGURE + 58 + 32 * part, str(code), 14)
    svg.axis(FIGURE + 122, seconds)
    svg.save("code.svg")


def notation_picture() -> None:
    """A clip of the built-in corpus and the notation that is measured on it."""
    parts = (builtin.Part("walk", direction="forward"), builtin.Part("wave", side="right"))
    motion = Motion(builtin.joints(builtin.Spec(parts, "then"), 3)).canonical()
    notation = measure(motion.joints)
    rows = len(notation.lines)
    svg = Svg(FIGURE + 80 + 29 * rows)
    svg.figures(motion, np.linspace(0, motion.duration - 0.05, 10).tolist(), FIGURE + 20)
    y = svg.bars(FIGURE + 40, notation, motion.duration)
    svg.axis(y + 18, motion.duration)
    svg.save("notation.svg")


def plan_picture(lm: MotionLM) -> None:
    """A plan, and the notation measured on the motion that was made from it."""
    plan = Notation.parse(PLAN)
    motion = lm.generate(ASKED, seed=1, plan=plan)
    assert isinstance(motion, Motion)
    measured = measure(motion.joints)
    svg = Svg(FIGURE + 130 + 29 * (len(plan.lines) + len(measured.lines)))
    svg.text(MARGIN, 22, "plan", 14, "start", "#6b7280")
    y = svg.bars(32, plan, motion.duration)
    svg.figures(motion, np.linspace(0, motion.duration - 0.05, 10).tolist(), y + FIGURE + 10)
    svg.text(MARGIN, y + FIGURE + 34, "measured", 14, "start", "#6b7280")
    y = svg.bars(y + FIGURE + 42, measured, motion.duration)
    svg.axis(y + 18, motion.duration)
    svg.save("plan.svg")


def decoders_picture(run: str) -> None:
    """A held-out clip and what decoders make of its codes, above how fast a hand moves; and from the measurements how
    much jerk they have at which frequencies.
    """
    clip = np.load(ROOT / "tests" / "data" / "cmu" / "new_joints" / f"{DECODED}.npy")
    plain, flow = MotionTokenizer.load("default"), MotionTokenizer.load(run)
    codes = plain.encode(Motion(clip))
    real = plain.representation.motion(plain.features(Motion(clip)))
    motions = [real, plain.decode(codes), flow.decode(codes, 0), flow.decode(codes, 1)]
    seconds, height, label = motions[1].duration, 92, 24
    times = np.linspace(0.1, seconds - 0.1, 9).tolist()
    svg, y = Svg(4 * (height + label) + 388), 0.0
    for name, motion, colour in zip(DECODERS, motions, LINES, strict=True):
        svg.text(MARGIN, y + 18, name, 13, "start", colour)
        svg.figures(motion, times, y + label + height - 4, height - 12)
        y += height + label
    y += 26
    svg.text(MARGIN, y, "speed of the right hand, m/s", 13, "start")
    hand = HUMANML3D.joints.index("right_wrist")
    for motion, colour in reversed(list(zip(motions, LINES, strict=True))):
        moved = np.diff(motion.joints[: round(seconds * motion.fps), hand], axis=0)
        speed = np.linalg.norm(moved, axis=-1) * motion.fps
        x = [at(time, seconds) for time in (np.arange(len(speed)) + 0.5) / motion.fps]
        svg.line(np.stack([x, y + 118 - 100 * speed / HAND], 1), colour)
    for speed in (0, HAND):
        svg.text(MARGIN + 24, y + 122 - 100 * speed / HAND, f"{speed:g}", 11, "end", MIDDLE)
    svg.axis(y + 140, seconds)
    _frequencies(svg, y + 180)
    svg.save("decoders.svg")


def _frequencies(svg: Svg, y: float) -> None:
    """Bars of the jerk of each band of frequencies: real clips, and those decoded by the two decoders, on both sets."""
    results = by_seed(read_json(ROOT / "tokenizer" / "results" / "decoders.json"))
    names = {"cmu": "CMU, on which they were trained", "bandai": "Bandai-Namco, which they never saw"}
    for column, (place, title) in enumerate(names.items()):
        left = MARGIN + column * (WIDTH - 2 * MARGIN + 20) / 2
        svg.text(left, y, f"jerk by frequency, m/s³: {title}", 13, "start")
        sets = [one["sets"][place] for one in results["default"]]
        rows = [[sets[0]["real"]], [sets[0]["reconstruction"]]]
        rows.append([one["sets"][place]["reconstruction"] for one in results[FLOW]])
        for band, (low, high) in enumerate(pairwise(BANDS)):
            for number, (ones, colour) in enumerate(zip(rows, LINES, strict=False)):
                value = float(np.mean([one[f"jerk to {high} Hz"] for one in ones]))
                x, tall = left + 96 * band + 26 * number, value * 0.6
                svg.box(x, y + 120 - tall, 22, tall, colour)
                svg.text(x + 11, y + 116 - tall, f"{value:.0f}", 10, fill=MIDDLE)
            svg.text(left + 96 * band + 38, y + 138, f"{low:g} to {high:g} Hz", 11, fill=MIDDLE)


def gallery(lm: MotionLM) -> None:
    """A motion for each prompt, of which the site makes a page (dev/site.py), their frames in docs/gallery.md, and the
    README's moving picture.
    """
    GALLERY.mkdir(exist_ok=True)
    prompts = [*PROMPTS, *(prompt for prompt, _ in RECORDED)]
    seconds = [*(None for _ in PROMPTS), *(one for _, one in RECORDED)]
    motions = lm.generate_batch(prompts, seconds, seed=[4] * len(prompts))
    frames = []
    for prompt, motion in zip(prompts, motions, strict=True):
        name = re.sub(r"\W+", "-", prompt.removeprefix("a person ")).strip("-")
        motion.save(GALLERY / f"{name}.npz")
        frames.append(f'<iframe src="gallery/{name}.html" title="{prompt}" loading="lazy"></iframe>\n')
    moving(motions[:3], ROOT / "docs" / "motions.gif")
    page = ROOT / "docs" / "gallery.md"
    begin, end = "<!-- gallery: python dev/pictures.py -->", "<!-- end of gallery -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    inside = '\n<div class="gallery" markdown="0">\n' + "".join(frames) + "</div>\n"
    page.write_text(f"{before}{begin}\n{inside}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def moving(motions: Sequence[Motion], path: Path, fps: int = 10, seconds: float = 4.0) -> None:
    """A GIF of motions side by side for `seconds`; a shorter one begins again."""
    drawn = [shown(motion.resample(fps), size=(230, 230)) for motion in motions]
    images = []
    for k in range(round(seconds * fps)):
        image = np.concatenate([poses[k % len(poses)] for poses in drawn], axis=1)
        images.append(Image.fromarray(image).quantize(40, dither=Image.Dither.NONE))
    images[0].save(path, save_all=True, append_images=images[1:], duration=1000 // fps, loop=0, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motions", action="store_true", help="also what the shipped adapter generates")
    parser.add_argument("--flow", metavar="RUN", help="a tokenizer with a flow decoder, for decoders.svg")
    options = parser.parse_args()
    code_picture()
    notation_picture()
    if options.flow:
        decoders_picture(options.flow)
    if options.motions:
        lm = MotionLM.load("default")
        plan_picture(lm)
        gallery(lm)


if __name__ == "__main__":
    main()

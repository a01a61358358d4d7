"""Pictures of motion: a strip of poses (PNG), and animations (GIF, MP4) whose camera follows the body.

Everything is projected here (orthographic, three-quarter view from the front), drawn with Pillow at twice the size,
then halved: this needs no display, and a frame takes a few milliseconds. The body's left is orange, its right blue.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter1d

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.files import whole
from motionllm.motion.skeleton import HUMANML3D

if TYPE_CHECKING:
    from motionllm.motion.clip import Motion

FPS = 20.0
_SCALE = 2  # drawn at twice the size: anti-aliasing
_PAPER, _TILE, _SHADOW = (255, 255, 255), (236, 239, 243), (214, 219, 226)
_TEXT, _FAINT, _PATH = (45, 50, 58), (130, 138, 148), (176, 184, 195)
_COLOURS = {"left": (230, 120, 48), "right": (43, 108, 184), "": (62, 68, 78)}
_AZIMUTH, _ELEVATION = np.radians(-48.0), np.radians(16.0)
_REACH = 2.6  # metres of floor shown around the body

# (from, to, side, width in metres) of the 22 joints: the trunk is drawn as one shape, limbs bone by bone.
_Bone = tuple[int, int, str, float]
_TRUNK: list[_Bone] = [
    (a, b, "", 0.1)
    for a, b in ((0, 3), (3, 6), (6, 9), (1, 2), (1, 3), (2, 3), (16, 17), (16, 6), (17, 6), (9, 12), (12, 15))
]
_LIMBS: list[_Bone] = [
    *[(a, b, "left", w) for a, b, w in ((1, 4, 0.095), (4, 7, 0.078), (7, 10, 0.062), (16, 18, 0.07), (18, 20, 0.056))],
    *[
        (a, b, "right", w)
        for a, b, w in ((2, 5, 0.095), (5, 8, 0.078), (8, 11, 0.062), (17, 19, 0.07), (19, 21, 0.056))
    ],
]
_CHEST = (16, 17, 2, 1)  # the trunk's outline: shoulders and hips


class _Figure:
    """Drawing data of a clip: joints (T, J, 3), bones, heading (T, 2) on the floor, floor height."""

    def __init__(self, motion: Motion) -> None:
        try:
            body = motion.body()
            self.joints = body.joints.astype(np.float64)
            self.trunk, self.limbs = _TRUNK, _LIMBS
            self.head: int | None = HUMANML3D.joints.index("head")
            right_hip, left_hip, right_shoulder, left_shoulder = HUMANML3D.face
            across = self.joints[:, left_hip] - self.joints[:, right_hip]
            across = across + self.joints[:, left_shoulder] - self.joints[:, right_shoulder]
        except MotionLLMError:  # an unknown rig is drawn as is, without left and right
            self.joints = motion.joints.astype(np.float64)
            self.trunk, self.limbs = [], [(p, j, "", 0.04) for j, p in enumerate(motion.skeleton.parents) if p >= 0]
            self.head = None
            across = np.broadcast_to([1.0, 0.0, 0.0], (len(motion), 3))
        heading = np.stack([-across[:, 2], across[:, 0]], axis=-1)  # across × up, as (x, z)
        self.heading = heading / np.maximum(np.linalg.norm(heading, axis=-1, keepdims=True), 1e-9)
        self.floor = float(self.joints[..., 1].min())
        self.height = max(float(np.ptp(self.joints[..., 1])), 1.2)


class _Canvas:
    """An orthographic view of the world onto an image; `target` (x, z) is where the camera looks."""

    def __init__(self, size: tuple[int, int], scale: float, azimuth: float, floor: float, ground: float) -> None:
        self.width, self.height = size[0] * _SCALE, size[1] * _SCALE
        self.image = Image.new("RGB", (self.width, self.height), _PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.scale = scale * _SCALE  # pixels per metre
        self.toward = np.array([np.sin(azimuth), 0.0, np.cos(azimuth)])  # from the body to the camera
        self.right = np.array([self.toward[2], 0.0, -self.toward[0]])
        self.floor = floor
        self.ground = ground * _SCALE  # image row of the floor under the target
        self.target = np.zeros(3)
        self.column = self.width / 2

    def look(self, x: float, z: float, column: float | None = None) -> None:
        self.target = np.array([x, self.floor, z])
        self.column = self.width / 2 if column is None else column * _SCALE

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points (N, 3) → image points (N, 2) and depth (N,), larger nearer to the camera."""
        offset = points - self.target
        near = offset @ self.toward
        x = self.column + self.scale * (offset @ self.right)
        y = self.ground - self.scale * (offset[:, 1] * np.cos(_ELEVATION) - near * np.sin(_ELEVATION))
        return np.stack([x, y], axis=-1), near

    def flat(self, points: np.ndarray) -> list[tuple[float, float]]:
        """Floor points (N, 2) as x, z → image points."""
        world = np.stack([points[:, 0], np.full(len(points), self.floor), points[:, 1]], axis=-1)
        return [(float(x), float(y)) for x, y in self.project(world)[0]]

    def tiles(self, edge: float = 0.5) -> None:
        """A chequered floor, fixed in the world, that fades out away from the target."""
        centre = self.target[[0, 2]]
        first = np.floor((centre - _REACH) / edge).astype(int)
        last = np.ceil((centre + _REACH) / edge).astype(int)
        for i in range(first[0], last[0]):
            for k in range(first[1], last[1]):
                away = float(np.linalg.norm((np.array([i, k]) + 0.5) * edge - centre)) / _REACH
                if (i + k) % 2 or away >= 1:
                    continue
                corners = np.array([[i, k], [i + 1, k], [i + 1, k + 1], [i, k + 1]]) * edge
                self.draw.polygon(self.flat(corners), fill=_mix(_TILE, _PAPER, away**2))

    def path(self, points: np.ndarray) -> None:
        """The path of the root over the floor."""
        if len(points) > 1:
            self.draw.line(self.flat(points), fill=_PATH, width=round(1.5 * _SCALE), joint="curve")

    def body(self, figure: _Figure, t: int) -> None:
        joints = figure.joints[t]
        points, depth = self.project(joints)
        root = joints[0, [0, 2]]
        turn = np.linspace(0, 2 * np.pi, 40)
        self.draw.polygon(self.flat(root + 0.25 * np.stack([np.cos(turn), np.sin(turn)], -1)), fill=_SHADOW)
        if figure.head is not None:
            self.arrow(root, figure.heading[t])
        middle = float(depth.mean())
        parts: list[tuple[float, partial[None]]] = []
        for a, b, side, width in figure.limbs:
            away = float(depth[a] + depth[b]) / 2 - middle
            colour = _mix(_COLOURS[side], _PAPER, float(np.clip(0.1 - 0.6 * away, 0.0, 0.34)))
            parts.append((away, partial(self._capsules, points, [(a, b, side, width)], colour)))
        if figure.head is not None:
            trunk = sorted({joint for bone in figure.trunk for joint in bone[:2]})
            paint = partial(self._capsules, points, figure.trunk, _COLOURS[""], _CHEST)
            parts.append((float(depth[trunk].mean()) - middle, paint))
            neck, head = joints[12], joints[figure.head]
            up = (head - neck) / max(float(np.linalg.norm(head - neck)), 1e-9)
            centre, near = self.project((head + 0.05 * up)[None])
            parts.append((float(near[0]) - middle, partial(self._ball, centre[0], 0.105, _COLOURS[""])))
        for _, paint in sorted(parts, key=lambda part: part[0]):
            paint()

    def arrow(self, root: np.ndarray, heading: np.ndarray) -> None:
        """The heading, on the floor in front of the body."""
        side = np.array([-heading[1], heading[0]])
        tip, base = root + 0.62 * heading, root + 0.36 * heading
        self.draw.polygon(self.flat(np.array([tip, base + 0.13 * side, base - 0.13 * side])), fill=_FAINT)

    def _capsules(
        self, points: np.ndarray, bones: list[_Bone], colour: tuple[int, int, int], outline: tuple[int, ...] = ()
    ) -> None:
        """Round-ended bones of one colour, outlined in the background colour to separate crossing limbs."""
        for extra, fill in ((0.018, _PAPER), (0.0, colour)):
            if outline:
                self.draw.polygon([(float(x), float(y)) for x, y in points[list(outline)]], fill=fill)
            for a, b, _, width in bones:
                w = (width + extra) * self.scale
                self.draw.line([*points[a], *points[b]], fill=fill, width=max(round(w), 1))
                for x, y in points[[a, b]]:
                    self.draw.ellipse([x - w / 2, y - w / 2, x + w / 2, y + w / 2], fill=fill)

    def _ball(self, centre: np.ndarray, radius: float, colour: tuple[int, int, int]) -> None:
        for extra, fill in ((0.009, _PAPER), (0.0, colour)):
            r = (radius + extra) * self.scale
            self.draw.ellipse([centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r], fill=fill)

    def text(
        self, x: float, y: float, text: str, size: float, colour: tuple[int, int, int], anchor: str = "la"
    ) -> None:
        font = ImageFont.load_default(round(size * _SCALE))
        self.draw.text((x * _SCALE, y * _SCALE), text, fill=colour, font=font, anchor=anchor)

    def legend(self, x: float, y: float) -> None:
        """The legend of left and right colours, right-aligned at x."""
        self.text(x, y, "right", 12, _COLOURS["right"], "ra")
        self.text(x - 36, y, "left", 12, _COLOURS["left"], "ra")

    def title(self, title: str, room: float) -> None:
        font = ImageFont.load_default(15 * _SCALE)
        while title and font.getlength(title) > room * _SCALE:
            title = title.rstrip("…")[:-1].rstrip() + "…" if len(title) > 2 else ""
        self.text(16, 14, title, 15, _TEXT)

    def finish(self) -> Image.Image:
        return self.image.reduce(_SCALE)


def _mix(a: tuple[int, int, int], b: tuple[int, int, int], weight: float) -> tuple[int, int, int]:
    red, green, blue = (round(p + (q - p) * weight) for p, q in zip(a, b, strict=True))
    return red, green, blue


def _azimuth(figure: _Figure) -> float:
    """Camera direction: three quarters from the front of the first pose."""
    x, z = figure.heading[0]
    return float(np.arctan2(x, z) + _AZIMUTH)


def strip(motion: Motion, path: str | os.PathLike[str], frames: int = 8) -> None:
    """A PNG of `frames` poses side by side, at equal steps from the first frame to the last.

    Under each pose its time in seconds and an arrow for its heading; jumps show against the common floor.
    On top stands the clip's name. Raises MotionFileError where it cannot be written.
    """
    if frames < 1:
        raise MotionLLMError(f"A strip needs at least one pose, not {frames}.")
    figure = _Figure(motion)
    chosen = np.unique(np.linspace(0, len(motion) - 1, frames).round().astype(int))
    azimuth = _azimuth(figure)
    scale = 270 / max(figure.height, 1.5)
    right = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])
    spread = (figure.joints - figure.joints[:, :1])[chosen] @ right
    left_edge, right_edge = np.minimum(spread.min(1), -0.34) * scale, np.maximum(spread.max(1), 0.34) * scale
    gap, margin = 18.0, 24.0
    columns, x = [], margin
    for a, b in zip(left_edge, right_edge, strict=True):
        columns.append(x - a)
        x += b - a + gap
    width, height = max(round(x - gap + margin), 320), 400
    canvas = _Canvas((width, height), scale, azimuth, figure.floor, height - 70.0)
    canvas.draw.rectangle(
        [0, (height - 104) * _SCALE, canvas.width, (height - 40) * _SCALE], fill=_mix(_TILE, _PAPER, 0.45)
    )
    for t, column in zip(chosen, columns, strict=True):
        root = figure.joints[t, 0]
        canvas.look(float(root[0]), float(root[2]), column)
        canvas.body(figure, int(t))
        canvas.text(column, height - 30, f"{t / motion.fps:.1f} s", 12, _FAINT, "ma")
    canvas.title(motion.name, width - 130)
    if figure.head is not None:
        canvas.legend(width - 16, 16)
    image = canvas.finish()
    _write(Path(path), lambda place: image.save(place, format="PNG"))


def contact_sheet(clips: Sequence[tuple[str, Motion]], path: str | os.PathLike[str], across: int = 5) -> None:
    """A PNG of many clips to look over: for each its name, its seconds, and three poses (start, middle, end).

    clips: (name, motion). across: clips per row. Raises MotionFileError where it cannot be written.
    """
    if not clips:
        raise MotionLLMError("A contact sheet needs at least one clip.")
    width, height, edge = 260, 190, 10
    across = min(across, len(clips))
    rows = -(-len(clips) // across)
    sheet = Image.new("RGB", (across * (width + edge) + edge, rows * (height + edge) + edge), _PAPER)
    for number, (name, motion) in enumerate(clips):
        figure = _Figure(motion)
        canvas = _Canvas((width, height), 112 / max(figure.height, 1.6), _azimuth(figure), figure.floor, height - 24.0)
        canvas.draw.rectangle([0, 0, canvas.width, canvas.height], fill=_mix(_TILE, _PAPER, 0.45))
        for column, t in zip((50, 130, 210), (0, len(motion) // 2, len(motion) - 1), strict=True):
            root = figure.joints[t, 0]
            canvas.look(float(root[0]), float(root[2]), column)
            canvas.body(figure, t)
        canvas.text(width - 10, 10, f"{motion.duration:.1f} s", 11, _FAINT, "ra")
        canvas.title(name, width - 60)
        place = (edge + number % across * (width + edge), edge + number // across * (height + edge))
        sheet.paste(canvas.finish(), place)
    _write(Path(path), lambda place: sheet.save(place, format="PNG"))


def frames(motion: Motion, size: tuple[int, int] = (480, 480), title: str | None = None) -> list[np.ndarray]:
    """The clip at 20 fps as images, a list of (height, width, 3) uint8; the camera follows the body.

    size: (width, height) in pixels, even numbers as H.264 requires. title: a caption on top.
    """
    if min(size) < 64 or size[0] % 2 or size[1] % 2:
        raise MotionLLMError(f"Picture size is {size[0]}x{size[1]}; even numbers from 64 on are needed.")
    clip = motion.resample(FPS)
    figure = _Figure(clip)
    scale = min(0.7 * size[1] / max(figure.height, 1.75), size[0] / 2.4)
    ground = size[1] * 0.84
    azimuth = _azimuth(figure)
    root = figure.joints[:, 0][:, [0, 2]]
    camera = gaussian_filter1d(root, 0.4 * FPS, axis=0, mode="nearest")
    images = []
    for t in range(len(clip)):
        canvas = _Canvas(size, scale, azimuth, figure.floor, ground)
        canvas.look(*camera[t])
        canvas.tiles()
        canvas.path(root[max(t - 60, 0) : t + 1])
        canvas.body(figure, t)
        if title:
            canvas.title(title, size[0] - 32)
        canvas.text(size[0] - 16, size[1] - 26, f"{t / FPS:.1f} s", 12, _FAINT, "ra")
        images.append(np.asarray(canvas.finish()))
    return images


def animate(
    motion: Motion, path: str | os.PathLike[str], size: tuple[int, int] = (480, 480), title: str | None = None
) -> None:
    """Write `frames` as a looping GIF or as MP4 (H.264, yuv420p), by suffix, at 20 fps.

    Raises MotionFileError for another suffix or a place that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".gif", ".mp4"):
        raise MotionFileError(f"{path}: an animation is .gif or .mp4, not '{path.suffix}'.")
    write_movie(frames(motion, size, title), path)


def write_movie(images: list[np.ndarray], path: Path, fps: float = FPS) -> None:
    """Write images (height, width, 3) uint8 as a looping GIF, or else as MP4, by the suffix."""
    write = _gif if path.suffix.lower() == ".gif" else _mp4
    _write(path, lambda place: write(images, place, fps))


def _gif(images: list[np.ndarray], path: Path, fps: float) -> None:
    # One palette for all frames, computed from three of them: no flicker, and the unchanged floor compresses away.
    sample = np.concatenate([images[0], images[len(images) // 2], images[-1]])
    palette = Image.fromarray(sample).quantize(96, dither=Image.Dither.NONE)
    pages = [Image.fromarray(image).quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    # A GIF counts in hundredths of a second: a page's share is rounded so that the whole lasts as long as the motion.
    ends = np.round(100 * np.arange(len(pages) + 1) / fps)
    durations = (10 * np.diff(ends)).astype(int).tolist()
    pages[0].save(path, format="GIF", save_all=True, append_images=pages[1:], duration=durations, loop=0)


def _mp4(images: list[np.ndarray], path: Path, fps: float) -> None:
    import imageio_ffmpeg

    height, width = images[0].shape[:2]
    # imageio_ffmpeg.write_frames is not used because it ignores ffmpeg's exit status.
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-y",
        "-v",
        "error",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{width}x{height}",
        "-r",
        f"{fps:g}",
        "-i",
        "-",
        "-an",
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "-crf",
        "20",
        "-preset",
        "veryfast",
        "-movflags",
        "+faststart",
        f"file:{path}",
    ]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output)
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # ffmpeg's message is clearer
                for image in images:
                    pipe.write(np.ascontiguousarray(image).data)
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
        output.seek(0)
        message = output.read().decode(errors="replace").strip()
    if process.returncode or message:  # on a full disk some versions print it and exit with 0
        reason = (
            re.sub(r"\[[^]]* @ 0x\w+\] ", "", message.splitlines()[-1]) if message else f"status {process.returncode}"
        )
        raise OSError(f"ffmpeg: {reason[:200]}")


def _write(path: Path, write: Callable[[Path], object]) -> None:
    if not path.parent.is_dir():
        raise MotionFileError(f"{path}: its folder does not exist.")
    with whole(path) as part:
        write(part)

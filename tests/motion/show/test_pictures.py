"""Pictures: files of the promised kind and size, left and right told apart, travel and headings visible."""

from __future__ import annotations

import subprocess
import time

import numpy as np
import pytest
from PIL import Image

from motionllm.errors import MotionFileError, MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.formats.rigs import Rig
from motionllm.motion.show import pictures


def coloured(image: np.ndarray, side: str) -> int:
    """How many pixels show a limb of that side."""
    red, blue = image[..., 0].astype(int), image[..., 2].astype(int)
    return int(((red - blue > 60) if side == "left" else (blue - red > 60)).sum())


def test_strip_is_a_png_as_wide_as_its_poses(tmp_path, walk):
    clip = Motion(walk, name="walk")
    pictures.strip(clip, tmp_path / "four.png", frames=4)
    pictures.strip(clip, tmp_path / "eight.png", frames=8)
    four, eight = Image.open(tmp_path / "four.png"), Image.open(tmp_path / "eight.png")
    assert four.format == "PNG" and four.height == eight.height and 1.7 < eight.width / four.width < 2.1
    pixels = np.asarray(eight)
    assert coloured(pixels, "left") > 3000 and coloured(pixels, "right") > 3000
    assert not list(tmp_path.glob(".*"))


def test_a_strip_of_one_frame_and_of_more_poses_than_frames(tmp_path, walk):
    pictures.strip(Motion(walk[:1]), tmp_path / "one.png")
    pictures.strip(Motion(walk[:3]), tmp_path / "three.png", frames=8)
    assert Image.open(tmp_path / "one.png").width < Image.open(tmp_path / "three.png").width
    with pytest.raises(MotionLLMError, match="at least one pose"):
        pictures.strip(Motion(walk), tmp_path / "none.png", frames=0)


def test_the_side_that_is_missing_is_not_drawn(walk):
    # The right arm and leg are folded into the pelvis: only the left ones can show.
    joints = walk
    for j in (5, 8, 11, 17, 19, 21):
        joints[:, j] = joints[:, 2] if j in (5, 8, 11) else joints[:, 14]
    image = pictures.frames(Motion(joints[:2]))[0]
    assert coloured(image, "left") > 4 * coloured(image, "right")


def test_frames_are_20_a_second_of_the_size_asked(walk):
    images = pictures.frames(Motion(walk).resample(60), size=(200, 240), title="a person walks")
    assert len(images) == 60 and all(i.shape == (240, 200, 3) and i.dtype == np.uint8 for i in images)
    assert np.abs(images[0].astype(int) - images[10]).max() > 100
    with pytest.raises(MotionLLMError, match="even numbers"):
        pictures.frames(Motion(walk), size=(201, 240))


def test_the_floor_shows_travel_while_the_body_stays_in_view(walk):
    joints = walk
    still = np.repeat(joints[:1], 40, axis=0)
    gliding = still + np.linspace(0, 2, 40)[:, None, None] * [0, 0, 1]
    standing, moving = pictures.frames(Motion(still)), pictures.frames(Motion(gliding))
    np.testing.assert_array_equal(standing[10][:440], standing[12][:440])  # the clock below goes on
    floor = np.s_[400:440, :200]
    assert np.abs(moving[10][floor].astype(int) - moving[12][floor]).max() > 10
    assert coloured(moving[-1], "left") > 0.7 * coloured(moving[0], "left")


def test_gif_plays_at_20_fps_and_loops(tmp_path, walk):
    Motion(walk[:20]).save(tmp_path / "clip.gif")
    with Image.open(tmp_path / "clip.gif") as image:
        assert (image.format, image.n_frames, image.info["duration"], image.info["loop"]) == ("GIF", 20, 50, 0)


@pytest.mark.parametrize("fps", [15, 24, 30])
def test_a_gif_lasts_as_long_as_the_motion(tmp_path, fps):
    pages = [np.full((8, 8, 3), 8 * n, np.uint8) for n in range(30)]
    pictures.write_movie(pages, tmp_path / "clip.gif", fps)
    with Image.open(tmp_path / "clip.gif") as image:
        durations = []
        for n in range(image.n_frames):
            image.seek(n)
            durations.append(image.info["duration"])
    assert sum(durations) == pytest.approx(1000 * 30 / fps, abs=5)


def test_mp4_is_h264_yuv420p_of_the_clips_length(tmp_path, walk):
    import imageio_ffmpeg

    Motion(walk).save(tmp_path / "clip.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "clip.mp4")]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "h264" in told and "yuv420p" in told and "480x480" in told and "20 fps" in told and "00:00:03.0" in told
    assert not list(tmp_path.glob(".*"))


def test_five_seconds_take_less_than_six(tmp_path, walk):
    clip = Motion(np.concatenate([walk, walk[:40]]))
    start = time.process_time()
    clip.save(tmp_path / "clip.gif")
    assert time.process_time() - start < 6


def test_an_unknown_rig_is_drawn_as_it_is(tmp_path):
    rig = Rig("snake", ("a", "b", "c"), (-1, 0, 1), np.zeros((3, 3)))
    joints = np.zeros((5, 3, 3))
    joints[:, 1, 1], joints[:, 2, 1] = 0.5, 1.0
    Motion(joints, 20, rig).save(tmp_path / "snake.png")
    assert Image.open(tmp_path / "snake.png").convert("L").getextrema()[0] < 150


def test_other_suffixes_and_missing_folders_are_refused(tmp_path, walk):
    with pytest.raises(MotionFileError, match=r"\.gif or \.mp4"):
        pictures.animate(Motion(walk[:3]), tmp_path / "clip.avi")
    with pytest.raises(MotionFileError, match="does not exist"):
        pictures.animate(Motion(walk[:3]), tmp_path / "nowhere" / "clip.gif")


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".png"])
def test_a_file_that_cannot_grow_leaves_nothing_under_its_name(tmp_path, walk, suffix):
    resource = pytest.importorskip("resource", reason="Windows has no limits on the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / f"clip{suffix}"
    Motion(walk[:20]).save(path)
    older, size = path.read_bytes(), path.stat().st_size
    random = np.random.default_rng(3)
    try:
        for limit in (0, 1, size - 1, *random.integers(1, size, 3)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), before[1]))  # as a disk that is full
            with pytest.raises(MotionFileError, match="cannot be written"):
                Motion(walk[:20]).save(path)
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            assert path.read_bytes() == older and [p.name for p in tmp_path.iterdir()] == [path.name]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_ffmpeg_says_is_an_error_whatever_its_exit_status(tmp_path, walk, monkeypatch):
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text(
        '#!/bin/sh\ncat > /dev/null\nfor last; do :; done\necho cut > "${last#file:}"\n'
        "echo '[out#0/mp4 @ 0x5f] No space left on device' >&2\n"
    )
    stand_in.chmod(0o755)
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda: str(stand_in))
    with pytest.raises(MotionFileError, match=r"clip.mp4: cannot be written \(ffmpeg: No space left on device\)"):
        Motion(walk[:3]).save(tmp_path / "clip.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["ffmpeg"]

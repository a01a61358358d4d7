"""Files read in a process of their own: the same clip, the same sentence, and an end to what takes too much."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from motionllm.errors import MotionFileError
from motionllm.motion import Motion, confined
from motionllm.motion.confined import load_confined
from motionllm.motion.formats.bvh import BVH
from motionllm.motion.formats.bvh_writer import write_bvh
from motionllm.motion.formats.rigs import Rig


def renamed(walk: np.ndarray, path: Path) -> Path:
    """The walk as a BVH whose joints are a rig's of its own."""
    Motion(walk).save(path)
    path.write_text(path.read_text().replace("left_", "Left").replace("right_", "Right"))
    return path


def same(a: Motion, b: Motion) -> None:
    assert (a.fps, a.name, a.notes, a.places) == (b.fps, b.name, b.notes, b.places)
    assert (a.skeleton.joints, a.skeleton.parents) == (b.skeleton.joints, b.skeleton.parents)
    assert isinstance(a.skeleton, Rig) == isinstance(b.skeleton, Rig)
    np.testing.assert_array_equal(a.joints, b.joints)
    np.testing.assert_array_equal(a.canonical().joints, b.canonical().joints)
    assert (a.bvh is None) == (b.bvh is None)
    if a.bvh is not None and b.bvh is not None:
        np.testing.assert_array_equal(a.bvh.world()[1], b.bvh.world()[1])
        for j, end in a.bvh.end_sites().items():
            np.testing.assert_array_equal(end, b.bvh.end_sites()[j])


@pytest.mark.parametrize("forks", [True, False])
def test_the_clip_is_the_one_that_load_reads(
    tmp_path: Path, walk: np.ndarray, forks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if forks and not confined.FORKS:
        pytest.skip("no fork here")
    monkeypatch.setattr(confined, "FORKS", forks)
    path = renamed(walk, tmp_path / "a.bvh")
    same(Motion.load(path), load_confined(path))
    monkeypatch.chdir(tmp_path)
    Motion.load(path).save("b.npz")
    if forks:
        same(Motion.load("b.npz"), load_confined("b.npz"))
        same(Motion.load(path, {"unit": 0.011}), load_confined(path, {"unit": 0.011}))
    Path("c.npy").write_bytes(b"nothing")
    with pytest.raises(MotionFileError) as plain:
        Motion.load("c.npy")
    with pytest.raises(MotionFileError) as held:
        load_confined("c.npy")
    assert str(plain.value) == str(held.value)


@pytest.mark.skipif(not confined.FORKS, reason="no limits on memory here")
def test_what_takes_too_long_or_too_much_is_ended_and_others_are_served(tmp_path: Path, walk: np.ndarray) -> None:
    path = renamed(walk, tmp_path / "a.bvh")
    turns = ("Zrotation", "Xrotation", "Yrotation")
    values = np.random.default_rng(0).uniform(-90, 90, (6000, 96))
    channels = (("Xposition", "Yposition", "Zposition", *turns), *[turns] * 30)
    names = tuple(f"j{i}" for i in range(31))
    write_bvh(BVH(names, (-1, *range(30)), np.ones((31, 3)), {}, channels, values, 120.0), tmp_path / "long.bvh")
    load_confined(path)  # the helper is there
    start = time.monotonic()
    with pytest.raises(MotionFileError, match=r"long\.bvh: cannot be read within 0\.05 s .* cut the take"):
        load_confined(tmp_path / "long.bvh", seconds=0.05)
    assert time.monotonic() - start < 5
    with pytest.raises(MotionFileError, match=r"and 1 MB of memory; cut the take"):
        load_confined(tmp_path / "long.bvh", megabytes=1)
    clips: list[Motion] = []
    threads = [threading.Thread(target=lambda: clips.append(load_confined(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clips) == 8


@pytest.mark.skipif(not confined.FORKS, reason="no helper here")
def test_a_killed_helper_is_replaced(tmp_path: Path, walk: np.ndarray) -> None:
    path = renamed(walk, tmp_path / "a.bvh")
    load_confined(path)
    assert confined._helper is not None
    confined._helper[1].kill()
    assert len(load_confined(path)) == len(walk)

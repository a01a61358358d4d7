"""The standard evaluator: the checkpoint's layout, a forward pass written out in NumPy, and files that are refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit

from motionllm.errors import MotionLLMError
from motionllm.eval.evaluator import StandardEvaluator, read_tagged

# Names and shapes of text_mot_match/model/finest.tar.
LAYOUT: dict[str, dict[str, tuple[int, ...]]] = {
    "movement_encoder": {
        "main.0.weight": (512, 259, 4),
        "main.0.bias": (512,),
        "main.3.weight": (512, 512, 4),
        "main.3.bias": (512,),
        "out_net.weight": (512, 512),
        "out_net.bias": (512,),
    },
    "text_encoder": {
        "hidden": (2, 1, 512),
        "pos_emb.weight": (300, 15),
        "pos_emb.bias": (300,),
        "input_emb.weight": (512, 300),
        "input_emb.bias": (512,),
        "output_net.0.weight": (512, 1024),
        "output_net.0.bias": (512,),
        "output_net.1.weight": (512,),
        "output_net.1.bias": (512,),
        "output_net.3.weight": (512, 512),
        "output_net.3.bias": (512,),
    },
    "motion_encoder": {
        "hidden": (2, 1, 1024),
        "input_emb.weight": (1024, 512),
        "input_emb.bias": (1024,),
        "output_net.0.weight": (1024, 2048),
        "output_net.0.bias": (1024,),
        "output_net.1.weight": (1024,),
        "output_net.1.bias": (1024,),
        "output_net.3.weight": (512, 1024),
        "output_net.3.bias": (512,),
    },
}
for part, width in (("text_encoder", 512), ("motion_encoder", 1024)):
    for way in ("", "_reverse"):
        for kind in ("ih", "hh"):
            LAYOUT[part] |= {f"gru.weight_{kind}_l0{way}": (3 * width, width), f"gru.bias_{kind}_l0{way}": (3 * width,)}
WORDS = ["sos", "eos", "unk", "a", "person", "walks", "slowly", "left"]


def save(folder: Path, **changed: Any) -> Path:
    """A folder as users have it, with random weights."""
    draw = np.random.default_rng(0)
    model, meta, glove = folder / "text_mot_match" / "model", folder / "Comp_v6" / "meta", folder / "glove"
    for place in (model, meta, glove):
        place.mkdir(parents=True)
    weights: dict[str, Any] = {
        part: {
            name: torch.from_numpy(draw.normal(size=shape).astype(np.float32) / np.sqrt(shape[-1]))
            for name, shape in names.items()
        }
        for part, names in LAYOUT.items()
    }
    torch.save(weights | {"epoch": 268} | changed, model / "finest.tar")
    np.save(meta / "mean.npy", draw.normal(size=263).astype(np.float32))
    np.save(meta / "std.npy", draw.uniform(0.5, 2, 263).astype(np.float32))
    np.save(glove / "our_vab_data.npy", draw.normal(size=(len(WORDS), 300)))
    for name, value in (("words", WORDS), ("idx", {word: i for i, word in enumerate(WORDS)})):
        (glove / f"our_vab_{name}.pkl").write_bytes(pickle.dumps(value))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("evaluator"))


@pytest.fixture(scope="module")
def evaluator(folder: Path) -> StandardEvaluator:
    return StandardEvaluator.load(folder)


# -- the networks once more, in NumPy --------------------------------------------------------------------------


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(T, in) → (T / 2, out): kernel 4, stride 2, padding 1."""
    x = np.pad(x, ((1, 1), (0, 0)))
    return np.stack([np.einsum("ki,oik->o", x[t : t + 4], weight) + bias for t in range(0, len(x) - 3, 2)])


def gru(x: np.ndarray, w: dict[str, np.ndarray], way: str, state: np.ndarray) -> np.ndarray:
    """The last state of one direction (Cho et al. 2014, PyTorch's order: reset, update, new)."""
    for row in x[::-1] if way else x:
        inner = w[f"gru.weight_ih_l0{way}"] @ row + w[f"gru.bias_ih_l0{way}"]
        outer = w[f"gru.weight_hh_l0{way}"] @ state + w[f"gru.bias_hh_l0{way}"]
        (ir, iz, new), (hr, hz, hn) = np.split(inner, 3), np.split(outer, 3)
        reset, update = expit(ir + hr), expit(iz + hz)
        state = (1 - update) * np.tanh(new + reset * hn) + update * state
    return state


def head(x: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    x = x @ w["input_emb.weight"].T + w["input_emb.bias"]
    ends = [gru(x, w, way, w["hidden"][i, 0]) for i, way in enumerate(("", "_reverse"))]
    y = w["output_net.0.weight"] @ np.concatenate(ends) + w["output_net.0.bias"]
    y = (y - y.mean()) / np.sqrt(y.var() + 1e-5) * w["output_net.1.weight"] + w["output_net.1.bias"]
    return w["output_net.3.weight"] @ leaky(y) + w["output_net.3.bias"]


def weights(folder: Path, part: str) -> dict[str, np.ndarray]:
    stored = torch.load(next(folder.rglob("finest.tar")), weights_only=True)[part]
    return {name: value.double().numpy() for name, value in stored.items()}


def motion_by_hand(folder: Path, clip: np.ndarray) -> np.ndarray:
    w, mean, std = (
        weights(folder, "movement_encoder"),
        *(np.load(next(folder.rglob(f"{n}.npy"))) for n in ("mean", "std")),
    )
    x = np.zeros((196, 259))
    x[: len(clip)] = ((clip - mean) / std)[:, :259]
    for layer in ("main.0", "main.3"):
        x = leaky(conv(x, w[f"{layer}.weight"], w[f"{layer}.bias"]))
    x = x @ w["out_net.weight"].T + w["out_net.bias"]
    return head(x[: len(clip) // 4], weights(folder, "motion_encoder"))


def test_layout_loads_strict_and_is_complete(evaluator: StandardEvaluator) -> None:
    for part, names in LAYOUT.items():
        assert {n: tuple(v.shape) for n, v in getattr(evaluator, part).state_dict().items()} == names


def test_motions_as_written_out(folder: Path, evaluator: StandardEvaluator) -> None:
    draw = np.random.default_rng(1)
    clips = [draw.normal(size=(frames, 263)).astype(np.float32) for frames in (40, 196, 64)]
    found = evaluator.embed_motions(clips)
    assert found.shape == (3, 512)
    for row, clip in zip(found, clips, strict=True):
        np.testing.assert_allclose(row, motion_by_hand(folder, clip), atol=2e-5)
    # What stands beside a clip in its batch is nothing to it.
    np.testing.assert_allclose(evaluator.embed_motions(clips[:1])[0], found[0], atol=1e-6)


def test_lengths_are_divided_once(evaluator: StandardEvaluator) -> None:
    clip = np.random.default_rng(2).normal(size=(160, 263)).astype(np.float32)
    late = clip.copy()
    late[120:] += 1.0  # the last quarter, which dividing twice would never see
    whole, changed, double = evaluator.embed_motions([clip, late, np.concatenate([clip, clip[:36]])])
    assert np.abs(whole - changed).max() > 0.01
    assert np.abs(whole - double).max() > 0.01
    cut = evaluator.embed_motions([np.concatenate([clip, clip[:3]]), np.concatenate([clip, clip])])
    np.testing.assert_allclose(cut[0], whole, atol=1e-6)  # three frames over fall off
    np.testing.assert_allclose(cut[1], double, atol=1e-6)  # and what is beyond 196


def test_contacts_are_dropped_and_the_own_std_counts(evaluator: StandardEvaluator) -> None:
    clip = np.random.default_rng(3).normal(size=(48, 263)).astype(np.float32)
    contacts, root = clip.copy(), clip.copy()
    contacts[:, 259:] += 5
    root[:, 0] += 5
    plain, with_contacts, with_root = evaluator.embed_motions([clip, contacts, root])
    np.testing.assert_array_equal(plain, with_contacts)
    assert np.abs(plain - with_root).max() > 0.01


def test_texts_as_written_out(folder: Path, evaluator: StandardEvaluator) -> None:
    w = weights(folder, "text_encoder")
    vectors = np.load(next(folder.rglob("our_vab_data.npy")))

    def by_hand(rows: list[tuple[str, int]]) -> np.ndarray:
        return head(
            np.stack(
                [vectors[WORDS.index(word)] + w["pos_emb.weight"][:, tag] + w["pos_emb.bias"] for word, tag in rows]
            ),
            w,
        )

    texts = [
        ["a/DET", "person/NOUN", "walks/VERB", "slowly/ADV"],
        ["a/DET", "zebra/NOUN", "left/VERB", "walks/SCONJ"],
        ["a/DET"] * 30,
    ]
    expected = [
        [("sos", 14), ("a", 2), ("person", 1), ("walks", 0), ("slowly", 13), ("eos", 14)],  # slowly is on a list
        [("sos", 14), ("a", 2), ("unk", 14), ("left", 9), ("walks", 14), ("eos", 14)],
        [("sos", 14), *[("a", 2)] * 20, ("eos", 14)],
    ]
    found = evaluator.embed_tagged(texts)
    for row, rows in zip(found, expected, strict=True):
        np.testing.assert_allclose(row, by_hand(rows), atol=2e-5)
    np.testing.assert_allclose(evaluator.embed_tagged(texts[:1]), found[:1], atol=1e-6)


def test_captions_are_looked_up(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "000001.txt").write_text("A person walks.#a/DET person/NOUN walks/VERB#0.0#0.0\nno tags##0.0#0.0\n")
    assert read_tagged(tmp_path) == {"A person walks.": ["a/DET", "person/NOUN", "walks/VERB"]}
    evaluator = StandardEvaluator.load(folder, tmp_path)
    np.testing.assert_array_equal(
        evaluator.embed_texts(["A person walks."]), evaluator.embed_tagged([["a/DET", "person/NOUN", "walks/VERB"]])
    )
    with pytest.raises(MotionLLMError, match=r"1 of 1 captions have none.*'no tags'"):
        evaluator.embed_texts(["no tags"])


# -- what is refused -------------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (Path(self.mark),))  # type: ignore[attr-defined]


def test_pickles_run_no_code(tmp_path: Path) -> None:
    bomb = Bomb()
    bomb.mark = str(tmp_path / "ran")  # type: ignore[attr-defined]
    place = save(tmp_path / "a")
    next(place.rglob("our_vab_idx.pkl")).write_bytes(pickle.dumps(bomb))
    with pytest.raises(MotionLLMError, match=r"our_vab_idx\.pkl is refused"):
        StandardEvaluator.load(place)
    place = save(tmp_path / "b", epoch=bomb)
    with pytest.raises(MotionLLMError, match=r"finest\.tar is no checkpoint"):
        StandardEvaluator.load(place)
    assert not (tmp_path / "ran").exists()


def test_what_does_not_fit_is_said_in_one_sentence(tmp_path: Path, evaluator: StandardEvaluator) -> None:
    with pytest.raises(MotionLLMError, match="does not exist"):
        StandardEvaluator.load(tmp_path / "none")
    place = save(tmp_path / "twice")
    (place / "std.npy").write_bytes(next(place.rglob("std.npy")).read_bytes())
    with pytest.raises(MotionLLMError, match=r"one std.npy .* there are 2"):
        StandardEvaluator.load(place)
    place = save(tmp_path / "other", motion_encoder={"gru.weight": torch.zeros(1)})
    with pytest.raises(MotionLLMError, match="no checkpoint of the standard evaluator"):
        StandardEvaluator.load(place)
    next(place.rglob("finest.tar")).unlink()
    with pytest.raises(MotionLLMError, match=r"one finest.tar .* there are 0; put it there"):
        StandardEvaluator.load(place)
    for shape in ((3, 263), (40, 251)):
        with pytest.raises(MotionLLMError, match="of 4 frames or more"):
            evaluator.embed_motions([np.zeros(shape, np.float32)])

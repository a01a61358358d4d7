"""The motion tokenizer: saved is loaded, a hash that notices, and refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from motionllm import corpus as builtin
from motionllm.cli import main
from motionllm.config import FSQ_LEVELS, Augmentation, Network, Source, TokenizerRecipe, TokenizerTraining, load_recipe
from motionllm.data.prepare import train_tokenizer
from motionllm.errors import MotionLLMError
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints
from motionllm.motion.representation import HUMANML3D_263
from motionllm.tokenizer import MotionTokenizer
from motionllm.tokenizer.losses import Losses
from motionllm.tokenizer.network import MotionAutoencoder, body_parts
from motionllm.tokenizer.report import report
from motionllm.tokenizer.train import CHECKPOINT, fit


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return builtin.sample(0, split="val").load()


def test_encode_and_decode(tiny_tokenizer: Path, clip: np.ndarray) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    codes = tokenizer.encode(clip)
    assert codes.shape == (len(clip) // 4 * 2,)
    assert (codes // 16 == np.arange(len(codes)) % 2).all()  # legs, arms, legs, arms …
    assert codes.dtype == np.int64
    motion = tokenizer.decode(codes)
    assert isinstance(motion, Motion)
    assert (len(motion), motion.fps) == (len(codes) * 2, 20)


def test_motion_joints_and_features_give_the_same_codes(tiny_tokenizer: Path) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    sample = builtin.sample(3, split="val")
    features = sample.load()
    joints = builtin.joints(builtin.Spec.of(sample.labels["spec"]), sample.labels["seed"])
    assert (tokenizer.encode(joints) == tokenizer.encode(features)).all()
    assert (tokenizer.encode(Motion(joints)) == tokenizer.encode(features)).all()


def test_saved_and_loaded_is_the_same(tiny_tokenizer: Path, clip: np.ndarray, tmp_path: Path) -> None:
    first = MotionTokenizer.load(tiny_tokenizer)
    first.save(tmp_path / "copy")
    second = MotionTokenizer.load(tmp_path / "copy")
    assert second.hash == first.hash
    assert (second.encode(clip) == first.encode(clip)).all()
    assert (second.decode_features(first.encode(clip)) == first.decode_features(first.encode(clip))).all()
    assert sorted(p.name for p in (tmp_path / "copy").iterdir()) == ["config.json", "model.safetensors"]


def test_the_representation_is_saved_by_name(tiny_tokenizer: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_tokenizer, tmp_path / "t"))
    config = json.loads((folder / "config.json").read_text())
    assert config.pop("representation") == "humanml3d"
    (folder / "config.json").write_text(json.dumps(config))  # as folders were saved before there were names
    assert MotionTokenizer.load(folder).representation is HUMANML3D_263
    for name, problem in (("kit", "263 wide, and kit has 251"), ("smpl", "no representation is called 'smpl'")):
        (folder / "config.json").write_text(json.dumps(config | {"representation": name}))
        with pytest.raises(MotionLLMError, match=f"damaged .*{problem}"):
            MotionTokenizer.load(folder)


def test_the_hash_notices_weights_and_normalisation(tiny_tokenizer: Path) -> None:
    first, second, third = (MotionTokenizer.load(tiny_tokenizer) for _ in range(3))
    second.std[0] *= 1.5
    next(iter(third.network.decoder.parameters())).data[0] += 1
    assert len({first.hash, second.hash, third.hash}) == 3


def test_training_learns_and_reports(tmp_path: Path) -> None:
    def error(steps: int) -> float:
        recipe = TokenizerRecipe(
            sources=[Source(kind="builtin", clips=12)],
            network=Network(width=32, blocks=1, codes=64, code_dim=16),
            train=TokenizerTraining(steps=steps, autoencode=steps // 2, batch=8, window=32, lr=2e-3),
        )
        result = train_tokenizer(recipe, tmp_path / str(steps))
        assert (tmp_path / str(steps) / "recipe.yaml").is_file()
        assert result["steps"] == steps
        return result["val"]["mpjpe_root_mm"]

    assert error(150) < 0.8 * error(2)


def test_the_report_of_a_perfect_tokenizer_is_zero(tiny_tokenizer: Path, clip: np.ndarray) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    reachable = tokenizer.decode_features(tokenizer.encode(clip))

    class Perfect(MotionTokenizer):
        def decode_features(self, codes: np.ndarray) -> np.ndarray:
            return reachable

    perfect = Perfect(tokenizer.config, tokenizer.mean, tokenizer.std, tokenizer.network)
    result = report(perfect, [reachable])
    assert result["mpjpe_root_mm"] == pytest.approx(0, abs=1e-3)
    assert result["mpjpe_root_world_mm"] == pytest.approx(0, abs=1e-3)
    assert result["mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert result["dead_codes"] == tokenizer.size - round(result["codes_used"] * tokenizer.size)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((3, 263)), "3 feature frame"),
        (np.zeros((50, 100)), "(50, 100)"),
        (np.full((20, 263), np.inf), "NaN or infinity"),
    ],
)
def test_unusable_motion_is_refused(tiny_tokenizer: Path, given: np.ndarray, words: str) -> None:
    with pytest.raises(MotionLLMError) as caught:
        MotionTokenizer.load(tiny_tokenizer).encode(given)
    assert words in str(caught.value)


def test_codes_of_another_tokenizer_are_refused(tiny_tokenizer: Path) -> None:
    with pytest.raises(MotionLLMError, match="another tokenizer"):
        MotionTokenizer.load(tiny_tokenizer).decode(np.array([0, 32]))


@pytest.mark.parametrize("codes", [[0, 16, 1], [16, 0], [0, 1]])
def test_codes_out_of_order_are_refused(tiny_tokenizer: Path, codes: list[int]) -> None:
    with pytest.raises(MotionLLMError, match="in order"):
        MotionTokenizer.load(tiny_tokenizer).decode(np.array(codes))


def test_a_code_tells_of_its_half_of_the_body_alone(tiny_tokenizer: Path, clip: np.ndarray) -> None:
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    lower, upper = body_parts(HUMANML3D_263)
    assert not set(lower) & set(upper)
    other = clip.copy()
    other[:, upper] = np.random.default_rng(0).normal(size=(len(clip), len(upper))) * tokenizer.std[upper] * 3
    before, after = tokenizer.encode(clip), tokenizer.encode(other)
    assert (before[0::2] == after[0::2]).all()
    assert (before[1::2] != after[1::2]).any()


@pytest.mark.parametrize("quantizer", ["vq", "fsq", "lfq"])
@pytest.mark.parametrize(
    ("split", "groups", "levels"), [("none", 1, 1), ("body", 1, 1), ("body", 2, 3), ("none", 1, 2)]
)
def test_every_quantizer_decodes_what_it_quantized(quantizer: str, split: str, groups: int, levels: int) -> None:
    torch.manual_seed(0)
    config = Network(
        width=16, blocks=1, quantizer=quantizer, split=split, groups=groups, levels=levels, codes=64, code_dim=8
    )
    network = MotionAutoencoder(HUMANML3D_263, config)
    x = torch.randn(2, 32, 263)
    if quantizer == "vq":
        network.start_codebooks(torch.randn(40, 32, 263))
    network.eval()
    with torch.no_grad():
        z, codes, _ = network.quantized(x)
        output = network.decoder(z)
        assert network.parts == (1 + (split == "body")) * groups * levels
        assert codes.shape == (2, 8 * network.parts)
        # Every part has a sub-vocabulary of its own, in the order of the parts.
        assert torch.equal(codes[0] // 64, torch.arange(8 * network.parts) % network.parts)
        assert torch.equal(codes, network.encode(x))
        assert torch.allclose(network.decode(codes), output, atol=1e-5)
        assert network.codebook.shape == (64 * network.parts, 8 // groups)
        assert len(network.codebook.unique(dim=0)) > 64 * network.parts // 2


def test_residual_levels_leave_less_over() -> None:
    torch.manual_seed(0)
    windows, errors = torch.randn(64, 32, 263), []
    for levels in (1, 2, 4):
        torch.manual_seed(1)
        network = MotionAutoencoder(HUMANML3D_263, Network(width=16, blocks=1, levels=levels, codes=64, code_dim=8))
        network.start_codebooks(windows)
        network.eval()
        with torch.no_grad():
            encoding = network.encodings(windows)[0]
            errors.append(float((network.vectors(network.encode(windows)) - encoding).pow(2).mean()))
    assert errors[0] > 1.5 * errors[1] > 2 * errors[2]


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of three nested levels."""
    recipe = TokenizerRecipe(
        sources=[Source(kind="builtin", clips=12)],
        network=Network(width=32, blocks=1, split="body", codes=32, code_dim=8, levels=3, nested=True),
        train=TokenizerTraining(steps=150, autoencode=50, batch=8, window=32, lr=2e-3),
    )
    train_tokenizer(recipe, folder := tmp_path_factory.mktemp("nested"))
    return folder


def test_the_first_levels_of_nested_codes_are_a_tokenizer(nested: Path, clip: np.ndarray, tmp_path: Path) -> None:
    whole = MotionTokenizer.load(nested)
    levels = whole.encode(clip).reshape(-1, 2, 3) - 32 * np.arange(6).reshape(2, 3)  # steps, halves, levels
    errors, left = [], []
    for first in (1, 2, 3):
        some = MotionTokenizer.load(f"{nested}:{first}")
        assert some.config.levels == first and some.parts == 2 * first and some.size == 64 * first
        codes = some.encode(clip)
        own = codes.reshape(-1, 2, first) - 32 * np.arange(2 * first).reshape(2, first)
        assert (own == levels[..., :first]).all()
        flat = torch.from_numpy(whole.encode(clip))[None]
        with torch.inference_mode():
            vectors = whole.network.vectors(flat, first)
            wanted = whole.network.decoder(vectors)[0].numpy()
            halves = whole.network.encodings(torch.from_numpy((clip - whole.mean) / whole.std)[None])
            encoding = torch.cat([*halves], dim=-1)[:, : vectors.shape[1]]
            left.append(float((vectors - encoding).pow(2).mean()))
        assert np.allclose(some.decode_features(codes), wanted * whole.std + whole.mean, atol=1e-4)
        some.save(tmp_path / str(first))
        assert MotionTokenizer.load(tmp_path / str(first)).hash == some.hash
        errors.append(report(some, [builtin.sample(i, split="val").load() for i in range(6)])["mpjpe_root_mm"])
    assert left[0] > left[1] > left[2]  # of what each level leaves over
    assert errors[0] < 2 * errors[2]  # trained to decode by itself
    assert len({MotionTokenizer.load(f"{nested}:{first}").hash for first in (1, 2, 3)}) == 3
    assert MotionTokenizer.load(f"{nested}:3").hash == whole.hash


def test_levels_that_a_tokenizer_has_not_are_refused(nested: Path, tiny_tokenizer: Path) -> None:
    for name in (f"{nested}:4", f"{nested}:0", f"{tiny_tokenizer}:2"):
        with pytest.raises(MotionLLMError, match=r"levels"):
            MotionTokenizer.load(name)
    assert MotionTokenizer.load(f"{tiny_tokenizer}:1").hash == MotionTokenizer.load(tiny_tokenizer).hash


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"quantizer": "fsq", "codes": 500}, "fsq"),
        ({"quantizer": "lfq", "codes": 96}, "lfq"),
        ({"groups": 3}, "groups"),
        ({"nested": True}, "nested"),
        ({"nested": True, "levels": 2, "quantizer": "fsq"}, "nested"),
    ],
)
def test_settings_that_fit_no_quantizer_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Network(**given)


def test_damaged_folders_are_refused(tiny_tokenizer: Path, tmp_path: Path) -> None:
    MotionTokenizer.load(tiny_tokenizer).save(tmp_path / "t")
    config = json.loads((tmp_path / "t" / "config.json").read_text())
    (tmp_path / "t" / "config.json").write_text(json.dumps(config | {"hash": "0" * 16}))
    with pytest.raises(MotionLLMError, match="hash"):
        MotionTokenizer.load(tmp_path / "t")
    (tmp_path / "t" / "model.safetensors").write_bytes(b"short")
    with pytest.raises(MotionLLMError, match="damaged") as caught:
        MotionTokenizer.load(tmp_path / "t")
    assert "\n" not in str(caught.value)


def test_clips_shorter_than_the_window_cannot_train(tmp_path: Path) -> None:
    recipe = TokenizerRecipe(sources=[Source(kind="builtin", clips=3)], train=TokenizerTraining(window=640))
    with pytest.raises(MotionLLMError, match="640 frames"):
        train_tokenizer(recipe, tmp_path / "t")


def test_training_goes_on_from_an_earlier_tokenizer(tiny_tokenizer: Path, tmp_path: Path) -> None:
    network = MotionTokenizer.load(tiny_tokenizer).config
    recipe = TokenizerRecipe(
        start=str(tiny_tokenizer),
        sources=[Source(kind="builtin", clips=12)],
        network=network,
        train=TokenizerTraining(steps=60, batch=8, window=32, lr=2e-3),
    )
    before = report(MotionTokenizer.load(tiny_tokenizer), [builtin.sample(i, split="val").load() for i in range(6)])
    train_tokenizer(recipe, tmp_path / "more")
    more = MotionTokenizer.load(tmp_path / "more")
    assert (more.mean == MotionTokenizer.load(tiny_tokenizer).mean).all()
    after = report(more, [builtin.sample(i, split="val").load() for i in range(6)])
    assert after["mpjpe_root_mm"] < before["mpjpe_root_mm"]
    recipe.network = Network(width=24, blocks=1, codes=32, code_dim=8)
    with pytest.raises(MotionLLMError, match="another network"):
        train_tokenizer(recipe, tmp_path / "other")


@pytest.mark.parametrize(
    ("augment", "network"),
    [
        (Augmentation(), {}),
        (Augmentation(pace=0.2, tilt=5, halves=0.3, noise=3), {}),
        (Augmentation(), {"levels": 2, "nested": True}),
    ],
)
def test_training_resumes_where_it_was_stopped(augment: Augmentation, network: dict[str, Any], tmp_path: Path) -> None:
    clips = [builtin.sample(i).load() for i in range(8)]

    def recipe() -> TokenizerRecipe:
        return TokenizerRecipe(
            sources=[Source(kind="builtin", clips=8)],
            network=Network(width=16, blocks=1, codes=16, code_dim=8, **network),
            train=TokenizerTraining(steps=40, autoencode=10, batch=4, window=32, validate_every=10, augment=augment),
        )

    whole = fit(recipe(), clips, clips[:2], tmp_path / "whole")

    class Killed(Exception):
        pass

    def stop(done: float, **numbers: Any) -> None:
        raise Killed

    with pytest.raises(Killed):
        fit(recipe(), clips, clips[:2], tmp_path / "parts", progress=stop)
    assert (tmp_path / "parts" / CHECKPOINT).is_file()
    resumed = fit(recipe(), clips, clips[:2], tmp_path / "parts")
    assert resumed.hash == whole.hash
    assert not (tmp_path / "parts" / CHECKPOINT).exists()
    steps = [json.loads(line)["step"] for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert steps[-1] == 40


def test_training_goes_on_from_another_working_directory(
    tiny_tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_tokenizer.parent)
    network = MotionTokenizer.load(tiny_tokenizer).config
    recipe = TokenizerRecipe(
        sources=[Source(kind="builtin", clips=8)],
        network=network,
        start=tiny_tokenizer.name,
        train=TokenizerTraining(steps=20, batch=4, window=32, validate_every=10),
    )

    def stop(done: float, **numbers: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_tokenizer(recipe, tmp_path / "run", stop)
    monkeypatch.chdir(tmp_path)
    assert load_recipe(Path("run/recipe.yaml"), (), TokenizerRecipe).start == str(tiny_tokenizer)
    assert main(["tokenizer", "train", "--resume", "run"]) == 0


def test_training_keeps_the_best_and_stops_early(tmp_path: Path) -> None:
    clips = [builtin.sample(i).load() for i in range(6)]
    recipe = TokenizerRecipe(
        sources=[Source(kind="builtin", clips=6)],
        network=Network(width=16, blocks=1, quantizer="fsq", codes=64, code_dim=8),
        # A rate this high undoes what was learned.
        train=TokenizerTraining(steps=400, batch=4, window=32, lr=0.5, warmup=0, validate_every=5, patience=3),
    )
    fit(recipe, clips, clips[:2], tmp_path / "t")
    result = json.loads((tmp_path / "t" / "report.json").read_text())
    log = [json.loads(line) for line in (tmp_path / "t" / "log.jsonl").read_text().splitlines()]
    assert result["steps"] < 400
    assert log[-1]["step"] == result["steps"]
    assert result["val"]["mpjpe_root_mm"] <= log[-1]["val_mpjpe_root_mm"] + 1


@pytest.mark.parametrize("quantizer", ["vq", "fsq"])
def test_the_cycle_loss_teaches_what_decodes_alone(quantizer: Literal["vq", "fsq"]) -> None:
    torch.manual_seed(0)
    codes = min(FSQ_LEVELS) if quantizer == "fsq" else 16
    network = MotionAutoencoder(
        HUMANML3D_263, Network(quantizer=quantizer, width=16, blocks=1, levels=2, codes=codes, code_dim=8)
    )
    x = torch.randn(8, 32, 263)
    network.start_codebooks(x)
    network.eval()
    network.confusion(network.encode(x)).backward()
    moved = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert "decoder.0.product.weight" in moved
    assert not any(name.startswith("encoders.") or name.endswith("project_in.weight") for name in moved)


@pytest.mark.parametrize("causal", [False, True])
def test_a_frozen_encoder_keeps_every_code(tiny_tokenizer: Path, tmp_path: Path, causal: bool) -> None:
    before = MotionTokenizer.load(tiny_tokenizer)
    clips = [builtin.sample(i).load() for i in range(8)]
    settings = TokenizerTraining(steps=60, batch=8, window=32, lr=2e-3, encoder_lr=0, cycle=0.05)
    network = before.config.model_copy(update={"causal": causal})
    recipe = TokenizerRecipe(
        start=str(tiny_tokenizer), sources=[Source(kind="builtin")], network=network, train=settings
    )
    after = fit(recipe, clips, clips, tmp_path / "t")
    first, second = report(before, clips), report(after, clips)
    assert after.stream().ahead == (0 if causal else before.stream().ahead)
    for clip in clips:
        assert (after.encode(clip) == before.encode(clip)).all()
    assert torch.equal(after.codebook, before.codebook)
    assert second["mpjpe_root_mm"] < first["mpjpe_root_mm"]
    assert second["stable"] > first["stable"]


def test_feet_that_stand_do_not_move_in_the_loss(clip: np.ndarray) -> None:
    mean, std = np.zeros(263, np.float32), np.ones(263, np.float32)
    losses = Losses(TokenizerTraining(contact=1.0, joints=1.0), HUMANML3D_263, mean, std, torch.device("cpu"))
    feet = features_to_joints(clip)[:, [7, 10, 8, 11]]
    moved = np.linalg.norm(np.diff(feet, axis=0), axis=-1)
    assert losses._foot_moves(torch.from_numpy(clip)[None])[0].norm(dim=-1).numpy() == pytest.approx(moved, abs=1e-5)
    same = losses(torch.from_numpy(clip)[None], torch.from_numpy(clip)[None])
    assert same["joints"] == same["features"] == same["velocity"] == same["path"] == 0
    sliding = torch.from_numpy(clip.copy())[None]
    sliding[..., 1] += 0.05
    worse = losses(sliding, torch.from_numpy(clip)[None])
    assert worse["contact"] > same["contact"] + 0.03


def test_the_report_counts_by_part_and_by_picture(tiny_tokenizer: Path, clip: np.ndarray) -> None:
    result = report(MotionTokenizer.load(tiny_tokenizer), [clip, clip[:41]])
    parts = result["mpjpe_root_mm_by_part"]
    assert set(parts) == {"legs", "trunk", "arms"}
    # 8 joints of the legs, 6 of the trunk (the root among them), 8 of the arms.
    whole = (8 * parts["legs"] + 6 * parts["trunk"] + 8 * parts["arms"]) / 22
    assert whole == pytest.approx(result["mpjpe_root_mm"], rel=1e-6)
    assert result["mpjpe_root_mm"] < result["mpjpe_root_world_mm"] < result["mpjpe_mm"]
    assert 0 < result["stable"] <= 1


def test_the_report_says_how_much_of_the_notation_survives(tiny_tokenizer: Path) -> None:
    """A tokenizer of which everything comes back keeps every event, one whose codes say nothing hardly any."""
    clips = [builtin.sample(i, split="val").load() for i in range(6)]
    clips = [clip[: len(clip) // 4 * 4] for clip in clips]
    tokenizer = MotionTokenizer.load(tiny_tokenizer)
    poor = report(tokenizer, clips)
    came_back = iter(clips)
    tokenizer.decode_features = lambda codes: next(came_back)  # type: ignore[method-assign, assignment]
    perfect = report(tokenizer, clips)
    assert perfect["notation_kept"] == perfect["notation_agreement"] == 1
    assert all(kind["right"] == 1 for kinds in perfect["notation"].values() for kind in kinds.values())
    assert poor["notation_kept"] < 0.5 and poor["notation_agreement"] < 0.9
    assert poor["notation"]["verbs"].keys() == perfect["notation"]["verbs"].keys()


@pytest.mark.parametrize(
    "change",
    [
        {"width": 8192},
        {"width": 8},
        {"blocks": 10**6},
        {"codes": 10**6},
        {"code_dim": 64},
        {"levels": 60},
        {"groups": 8},
        {"quantizer": "lfq"},
        {"quantizer": "fsq", "codes": 64},
        {"split": "none"},
        {"down": 2},
        {"width": "x"},
        {"width": -1},
        {"down": 3},
    ],
)
def test_settings_that_the_weights_do_not_bear_out(tiny_tokenizer: Path, tmp_path: Path, change: dict) -> None:
    folder = Path(shutil.copytree(tiny_tokenizer, tmp_path / "tokenizer"))
    config = json.loads((folder / "config.json").read_text())
    config["network"] |= change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(MotionLLMError, match=r"is damaged"):
        MotionTokenizer.load(folder)


def test_a_folder_may_stand_for_a_shipped_tokenizer(tmp_path: Path) -> None:
    whole = MotionTokenizer.load("default")
    stands = {"format": 1, "shipped": "default", "hash": whole.hash}
    (tmp_path / "config.json").write_text(json.dumps(stands))
    assert MotionTokenizer.load(tmp_path).hash == whole.hash
    for change in (
        {"hash": "0" * 16},
        {"shipped": "../default"},
        {"shipped": "none"},
        {"shipped": 3},
        {"shipped": "default.yaml"},
    ):
        (tmp_path / "config.json").write_text(json.dumps(stands | change))
        with pytest.raises(MotionLLMError, match="stands for the shipped motion tokenizer"):
            MotionTokenizer.load(tmp_path)
    whole.save(tmp_path / "copy")
    assert (tmp_path / "copy" / "model.safetensors").stat().st_size > 8e6

"""Our own text–motion embedder: two small networks that map a caption and its motion to the same point of a sphere.

It measures data sets that have no standard evaluator, and is trained like a model: by a recipe, on train splits only.
Captions enter as frozen features of a base LLM, motion as its 263-d features without rotations and contacts. Its
numbers compare motions measured by the same embedder (`id`), and are never comparable with the standard evaluator's.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from motionllm import shipped, weights
from motionllm.config import EmbedderRecipe, drop_unknown, dump_recipe, placed
from motionllm.data.sources import read
from motionllm.errors import MotionLLMError, RecipeError
from motionllm.eval.metrics import GROUP, r_precision
from motionllm.files import Kind, check_format, lock, read_json, tidy, whole_folder, write_file, write_json
from motionllm.language.bases import load_base
from motionllm.motion.representation import of_width
from motionllm.runs.run import rate
from motionllm.samples import Sample

log = logging.getLogger(__name__)

FORMAT = 1  # version of an embedder's folder
KIND = Kind("embedder", "config.json", ("recipe",), ("config.json", "model.safetensors"))
DOWN = 4  # frames per step of the recurrent network
LONGEST = 400  # frames; the rest of a longer clip is ignored
Progress = Callable[..., None]


class Networks(nn.Module):
    """dim: width of the motion features. sentence: width of the captions' features."""

    def __init__(self, dim: int, sentence: int, width: int, out: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.columns = _columns(dim)
        self.convs = nn.ModuleList([nn.Conv1d(len(self.columns), width, 4, 2, 1), nn.Conv1d(width, width, 4, 2, 1)])
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.motion_head = nn.Sequential(
            nn.LayerNorm(4 * width),
            nn.Dropout(dropout),
            nn.Linear(4 * width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, out),
        )
        self.text_head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(sentence, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, out),
        )
        self.log_scale = nn.Parameter(torch.zeros(()))

    def motions(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, dim) normalised, lengths (B,) frames → (B, out) of length 1."""
        x, left = features[..., self.columns].transpose(1, 2), lengths
        for conv in self.convs:
            left = left // 2
            # Mask everything past a clip's end, so that the result does not depend on the rest of the batch.
            x = F.gelu(conv(x)) * (torch.arange(x.shape[2] // 2) < left[:, None])[:, None]
        packed = pack_padded_sequence(x.transpose(1, 2), left, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        inside = (torch.arange(states.shape[1]) < left[:, None])[..., None]
        mean = (states * inside).sum(1) / left[:, None]
        most = states.masked_fill(~inside, -torch.inf).amax(1)
        return F.normalize(self.motion_head(torch.cat([mean, most], dim=-1)), dim=-1)

    def texts(self, sentences: Tensor) -> Tensor:
        """(B, sentence) standardised → (B, out) of length 1."""
        return F.normalize(self.text_head(sentences), dim=-1)


def _columns(dim: int) -> list[int]:
    """Indices of root, joint positions and velocities; rotations follow from positions, except the twist."""
    return of_width(dim).columns("turn", "path", "height", "positions", "velocities").tolist()


class Embedder:
    """Texts and motions → embeddings (N, dim) of length 1.

    statistics: "mean", "std" (dim,) of the motion features, and "text_mean", "text_std" of the captions'. scores: its
    own retrieval on held-out clips.
    """

    kind = "own"

    def __init__(
        self, recipe: EmbedderRecipe, statistics: dict[str, Tensor], scores: dict[str, Any] | None = None
    ) -> None:
        self.recipe, self.statistics, self.scores = recipe, statistics, scores or {}
        self.networks = Networks(
            len(statistics["mean"]), len(statistics["text_mean"]), recipe.width, recipe.dim, recipe.train.dropout
        ).eval()
        self._sentences: Sentences | None = None
        self._id: str | None = None  # as saved

    @property
    def id(self) -> str:
        """16 hex digits of the SHA-256 of recipe, statistics and weights as they were saved."""
        return self._id or self._digest()

    def _digest(self) -> str:
        digest = hashlib.sha256(self.recipe.model_dump_json(exclude={"sources"}).encode())
        for name, tensor in sorted(self._tensors().items()):
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]

    def normalised(self, features: np.ndarray) -> Tensor:
        """Features (T, dim) as the network reads them: whole steps, at most LONGEST frames."""
        if features.ndim != 2 or features.shape[1] != len(self.statistics["mean"]) or len(features) < DOWN:
            raise MotionLLMError(
                f"The embedder {self.recipe.name} reads features (frames, {len(self.statistics['mean'])}) of {DOWN} "
                f"frames or more, not {features.shape}."
            )
        cut = torch.from_numpy(np.asarray(features[: min(len(features), LONGEST) // DOWN * DOWN], np.float32))
        return (cut - self.statistics["mean"]) / self.statistics["std"]

    @torch.inference_mode()
    def embed_motions(self, features: Sequence[np.ndarray], batch: int = 64) -> np.ndarray:
        """(N, dim) embeddings of clips [(T, 263 or 251)], un-normalised. Raises MotionLLMError for under 4 frames."""
        rows = []
        for start in range(0, len(features), batch):
            rows.append(self.networks.motions(*_padded([self.normalised(f) for f in features[start : start + batch]])))
        return torch.cat(rows).numpy() if rows else np.zeros((0, self.recipe.dim), np.float32)

    @torch.inference_mode()
    def embed_texts(self, captions: Sequence[str]) -> np.ndarray:
        """(N, dim) embeddings of captions; an empty one is allowed, and is near nothing in particular."""
        self._sentences = self._sentences or Sentences(self.recipe.base, self.recipe.layer)
        sentences = (self._sentences(captions) - self.statistics["text_mean"]) / self.statistics["text_std"]
        return self.networks.texts(sentences).numpy()

    def save(self, folder: Path) -> None:
        """Write `config.json`, `model.safetensors` (half precision), `recipe.yaml`; replaces an older folder in one
        step. Raises MotionFileError where another model is there.
        """
        with whole_folder(folder, keep=True, replaces=KIND) as beside:
            save_file(self._tensors(), beside / "model.safetensors")
            config = {"format": FORMAT, "recipe": self.recipe.model_dump(), "id": self.id, "scores": self.scores}
            write_json(beside / "config.json", config)
            write_file(beside / "recipe.yaml", dump_recipe(self.recipe))

    @classmethod
    def load(cls, name: str | Path) -> Embedder:
        """Load a folder, or a shipped embedder by name ("default").

        Raises MotionLLMError where there is none, or it is damaged or was altered.
        """
        folder = find_embedder(name)
        weights.within(folder)
        if not (folder / "config.json").is_file():
            raise MotionLLMError(f"{folder} is no embedder, but {shipped.kind_of(folder)}: config.json is missing.")
        config = read_json(folder / "config.json", "configuration")
        if "recipe" not in config:
            raise MotionLLMError(
                f"{folder} is no embedder, but {shipped.kind_of(folder)}; give the folder that "
                "`motionllm eval train-embedder` wrote."
            )
        check_format(config.get("format"), FORMAT, folder / "config.json")
        if not (folder / "model.safetensors").is_file():
            raise MotionLLMError(f"{folder} is no embedder: model.safetensors is missing.")
        try:
            tree = config["recipe"]
            passed = drop_unknown(tree, EmbedderRecipe)
            recipe = EmbedderRecipe.model_validate(tree)
            total = sum(stored.count for stored in weights.header(folder / "model.safetensors").values())
            if recipe.width * recipe.width > total:
                raise MotionLLMError(f"width {recipe.width} is more than its weights hold")
            tensors = {key: value.float() for key, value in weights.read(folder / "model.safetensors").items()}
            statistics = {key: tensors.pop(key) for key in ("mean", "std", "text_mean", "text_std")}
            embedder = cls(recipe, statistics, config["scores"])
            embedder.networks.load_state_dict(tensors)
            embedder._id = str(config["id"])
        except Exception as error:  # damaged settings, damaged weights, weights of another network
            first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise MotionLLMError(f"The embedder in {folder} is damaged ({first}); train it anew.") from None
        if passed or _keys(recipe.model_dump()) != _keys(tree):
            # The hash covers every key of its time, so that only the version that wrote it can check it.
            log.warning("%s: was saved by another version; %s", folder, ", ".join(passed) or "it had other keys")
        elif embedder._digest() != embedder._id:
            raise MotionLLMError(f"The weights in {folder} do not match their hash; copy or train the embedder anew.")
        return embedder

    def _tensors(self) -> dict[str, Tensor]:
        halves = {
            name: value.detach().to(torch.float16).contiguous() for name, value in self.networks.state_dict().items()
        }
        return {**{name: value.float().contiguous() for name, value in self.statistics.items()}, **halves}


def _keys(tree: dict[str, Any]) -> dict[str, Any]:
    """The keys of a recipe, with those of its sections nested."""
    return {key: _keys(value) if isinstance(value, dict) else None for key, value in tree.items() if key != "sources"}


class Sentences:
    """Captions → frozen features: the hidden states of an intermediate layer of a base LLM, as their mean over the
    caption's tokens and their mean weighted from −1 (first token) to 1 (last), which tells "walks, then waves" from
    "waves, then walks".
    """

    def __init__(self, base: str, layer: int) -> None:
        self.model, self.tokenizer = load_base(base, "float32")
        if layer > (layers := self.model.config.get_text_config().num_hidden_layers):
            raise RecipeError(f"The embedder's layer {layer} is not among the {layers} of base {base}.")
        self.layer = layer
        body = self.model.get_decoder()  # type: ignore[no-untyped-call]
        if isinstance(getattr(body, "layers", None), nn.ModuleList):
            # Later layers are dropped; one more is kept, because states after the last layer are normalised.
            body.layers = body.layers[: layer + 1]
        self.known: dict[str, Tensor] = {}

    @torch.inference_mode()
    def __call__(self, captions: Sequence[str], batch: int = 64, progress: Progress | None = None) -> Tensor:
        """(N, 2 · width of the base) features; each distinct caption is computed once."""
        # Sorted by length, so that little is padded; a row does not see the padding after it.
        every = sorted(set(captions) - self.known.keys(), key=lambda text: (len(text), text))
        # The first token is an attention sink, its state far larger than the others': put a neutral one there.
        first = [
            self.tokenizer.bos_token_id if self.tokenizer.bos_token_id is not None else self.tokenizer.eos_token_id
        ]
        body = self.model.get_decoder()  # type: ignore[no-untyped-call]
        for start in range(0, len(every), batch):
            texts = every[start : start + batch]
            ids = [first + self.tokenizer.encode(f" {text.strip()}", add_special_tokens=False) for text in texts]
            padded = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
            for row, these in enumerate(ids):
                padded[row, : len(these)] = torch.tensor(these)
            states = body(input_ids=padded, output_hidden_states=True, use_cache=False).hidden_states[self.layer]
            for text, row, these in zip(texts, states, ids, strict=True):
                inside = row[1 : len(these)]
                tilt = torch.linspace(-1, 1, len(inside))[:, None]
                self.known[text] = torch.cat([inside.mean(0), (inside * tilt).mean(0)])
            if progress:
                progress(min(1.0, (start + batch) / len(every)), captions=min(start + batch, len(every)))
        return torch.stack([self.known[text] for text in captions])


def find_embedder(name: str | Path) -> Path:
    """The folder of an embedder: a path, or else a shipped name. Raises MotionLLMError where neither exists."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    there = shipped.root() / "eval" / "embedders"
    if (there / folder.name / "config.json").is_file() and len(folder.parts) == 1:
        return there / folder.name
    names = sorted(path.parent.name for path in there.glob("*/config.json"))
    raise MotionLLMError(
        f"There is no embedder {str(name)!r}, neither as a folder nor shipped (shipped: {', '.join(names) or 'none'}); "
        "train one with `motionllm eval train-embedder RECIPE`."
    )


# -- training --------------------------------------------------------------------------------------------------


def train_embedder(recipe: EmbedderRecipe, folder: Path, progress: Progress | None = None) -> Embedder:
    """Train on the recipe's train splits, measure on its val splits, save in `folder`. Returns the embedder, with
    `scores`.

    The loss is InfoNCE both ways (van den Oord et al. 2018) within the batch; clips with the same caption are not
    contrasted. The same recipe gives the same embedder. Raises MotionLLMError for a source without captions or clips,
    where another process uses the folder, and where the disk is full.
    """
    with lock(folder):
        tidy(folder)
        return _train(placed(recipe), folder, progress)


def _train(recipe: EmbedderRecipe, folder: Path, progress: Progress | None) -> Embedder:
    settings = recipe.train
    clips, weights, held_out = [], [], {}
    for number, source in enumerate(recipe.sources):
        samples = _usable(read(source, "train"))
        clips += samples
        weights += [source.weight / len(samples)] * len(samples)
        try:
            named = f"{number}: {Path(source.path).name if source.path else source.kind}"
            held_out[named] = _usable(read(source, "val"))
        except MotionLLMError:  # training also works without a validation split, or with a tiny one
            continue
    features = []
    for i, sample in enumerate(clips):
        features.append(sample.load())
        if progress:
            progress(0.2 * (i + 1) / len(clips), clips=i + 1)
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    sentences = Sentences(recipe.base, recipe.layer)
    captions = sorted({caption for sample in clips for caption in sample.captions})
    place = {caption: i for i, caption in enumerate(captions)}
    texts = sentences(captions, progress=progress and (lambda done, **now: progress(0.2 + 0.2 * done, **now)))
    frames = np.concatenate(features)
    statistics = {
        "mean": torch.from_numpy(frames.mean(0, dtype=np.float64)).float(),
        # Lower bound of the std, so that features which hardly vary in training are not amplified.
        "std": torch.from_numpy(frames.std(0, dtype=np.float64)).float().clamp(min=0.02),
        "text_mean": texts.mean(0),
        "text_std": texts.std(0).clamp(min=1e-3),
    }
    embedder = Embedder(recipe, statistics)
    embedder._sentences = sentences
    texts = (texts - statistics["text_mean"]) / statistics["text_std"]
    motions = [embedder.normalised(f) for f in features]
    networks = embedder.networks.train()
    with torch.no_grad():
        networks.log_scale.fill_(-math.log(settings.temperature))
    optimizer = torch.optim.AdamW(networks.parameters(), settings.lr, weight_decay=settings.weight_decay)
    share = np.array(weights) / sum(weights)
    begun, step, done, spent = time.monotonic(), 0, 0.0, 0.0
    while done < 1:
        picked = random.choice(len(clips), min(settings.batch, len(clips)), replace=False, p=share)
        batch_captions = [place[clips[i].captions[random.integers(len(clips[i].captions))]] for i in picked]
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * rate(step, settings.warmup, done, spent)
        a = networks.texts(texts[batch_captions])
        b = networks.motions(*_padded([_cropped(motions[i], settings.crop, random) for i in picked]))
        # The scale is clamped to 100, or a few pairs dominate the gradient (Radford et al. 2021).
        scores = a @ b.T * networks.log_scale.exp().clamp(max=100)
        same = (
            torch.tensor(batch_captions)[:, None] == torch.tensor(batch_captions)
            if len(batch_captions)
            else torch.zeros(0)
        )
        scores = scores.masked_fill(same & ~torch.eye(len(batch_captions), dtype=torch.bool), -torch.inf)
        target = torch.arange(len(batch_captions))
        loss = (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimizer.step()
        step += 1
        spent = (time.monotonic() - begun) / (60 * settings.minutes) if settings.minutes else 0.0
        done = min(1.0, max(step / settings.steps, spent))
        if progress and (step % 10 == 0 or done >= 1):
            progress(0.4 + 0.6 * done, step=step, loss=loss.item())
    networks.eval().to(torch.float16).to(torch.float32)  # so that what is measured is what is saved
    embedder.scores = {"steps": step} | {name: retrieval(embedder, samples) for name, samples in held_out.items()}
    embedder.save(folder)
    return embedder


def retrieval(embedder: Any, samples: Sequence[Sample], group: int = GROUP) -> dict[str, Any]:
    """An embedder's own scores on real clips: {"clips", "group", "text_to_motion", "motion_to_text": [R@1, R@2, R@3]}.

    Each clip is paired with its first caption; a set smaller than a group is one group.
    """
    group = min(group, len(samples))
    text = embedder.embed_texts([sample.captions[0] for sample in samples])
    motion = embedder.embed_motions([sample.load() for sample in samples])
    order = np.random.default_rng(0).permutation(len(samples))  # neighbours in the list are similar clips
    text, motion = text[order], motion[order]
    return {
        "clips": len(samples),
        "group": group,
        "text_to_motion": r_precision(text, motion, group=group).tolist(),
        "motion_to_text": r_precision(motion, text, group=group).tolist(),
    }


def _usable(samples: Sequence[Sample]) -> list[Sample]:
    captioned = [sample for sample in samples if sample.captions]
    if len(captioned) < 4:
        raise MotionLLMError(f"{len(captioned)} clips with captions are too few for an embedder; bring more.")
    return captioned


def _cropped(motion: Tensor, most: float, random: np.random.Generator) -> Tensor:
    """A clip cropped at its ends by up to `most` of its length."""
    keep = max(DOWN, len(motion) - int(random.integers(int(len(motion) * most) + 1)))
    start = int(random.integers(len(motion) - keep + 1))
    return motion[start : start + keep]


def _padded(motions: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(m) // DOWN * DOWN for m in motions])
    padded = torch.zeros(len(motions), int(lengths.max()), motions[0].shape[1])
    for row, motion in enumerate(motions):
        padded[row, : lengths[row]] = motion[: lengths[row]]
    return padded, lengths

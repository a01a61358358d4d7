"""An adapter goes on from its own results: sample, judge, learn, look at the guards; round after round.

One round: draw prompts, let the adapter as it stands reply several times to each, judge the replies, make units of
them (the best ones; pairs; all with their advantage), take `steps` optimizer steps on these. The loss is over the same
rows and grammar as in fine-tuning. One process. What is drawn depends on seed, round and step alone, so a run that was
killed goes on to the same adapter.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionllm import checkpoint
from motionllm.bases import fast_dtype, takes_positions
from motionllm.config import Improvement, dump_recipe, load_recipe
from motionllm.data.conversations import Tokens
from motionllm.data.examples import collate
from motionllm.data.sources import fingerprints
from motionllm.data.templates import Templates
from motionllm.errors import MotionLLMError
from motionllm.eval.embedder import Embedder
from motionllm.feedback import objectives
from motionllm.feedback.guards import Watch, fallen, plain_language, verdict
from motionllm.feedback.judges import Panel, Scores
from motionllm.feedback.report import write_report
from motionllm.feedback.sampling import Pool, Prompt, planned, rehearsal, replies, result
from motionllm.files import (
    lock,
    make_folder,
    read_json,
    read_jsonl,
    whole_stream,
    write_file,
    write_json,
    write_jsonl,
    writing,
)
from motionllm.loss import token_losses
from motionllm.model import MotionLM, find_adapter
from motionllm.results import adapter_hash
from motionllm.runs import Log, Signals, Stopped, logged, losses, on_full_disk, rate
from motionllm.sampling import Sampling
from motionllm.stepping import pack
from motionllm.tokenizer import MotionTokenizer
from motionllm.tracking import Bar
from motionllm.vocab import MotionVocab

log = logging.getLogger(__name__)

TEXTS = 128  # texts to rehearse, at most: a quarter of a minute of a CPU core, and no step sees one often


@dataclass
class Unit:
    """What one gradient is made of: a sequence and its advantage, or for DPO the chosen and the rejected one."""

    sequences: list[Tokens]
    advantage: float = 1.0
    old: list[Tensor] = field(default_factory=list)
    reference: list[Tensor] = field(default_factory=list)


def improve(recipe: Improvement, run: Path, resume: bool = False, changed: bool = False) -> dict[str, Any]:
    """Improve the adapter `recipe.start` into a run folder; returns what `result.json` holds.

    The folder gets `recipe.yaml`, `log.jsonl`, `checkpoint.pt`, `rounds/NNN.jsonl` (what was made and how it was
    judged), `adapter/` (of the rounds whose guards hold the one of most reward; the last where none does), `report.md`
    and `result.json`. changed: resume though adapter or data are others than the run began with. Raises MotionLLMError
    for anything wrong in recipe or data, for a judge that fails, where another process is in the folder, and where the
    disk is full; `Stopped`, after saving what there is, on Ctrl-C or SIGTERM.
    """
    if recipe.start is None:
        raise MotionLLMError("An improvement goes on from an adapter; give the run, the folder or the shipped name.")
    with (
        lock(run),
        on_full_disk(lambda: f"Make room; what was made and learned is whole, and goes on with {_resuming(run)}"),
        Signals("Stopped before anything was made.") as signals,
    ):
        return _improve(recipe, run, resume, changed, signals)


def _resuming(run: Path) -> str:
    return f"motionllm improve --resume {run}"


def _improve(recipe: Improvement, run: Path, resume: bool, changed: bool, signals: Signals) -> dict[str, Any]:
    settings, guards = recipe.train, recipe.guards
    if (run / "recipe.yaml").is_file() and not resume:  # replies of another recipe may lie there
        raise MotionLLMError(f"{run} holds an earlier run; go on with --resume, or choose another --out.")
    panel, reporting = _panel(recipe, run)
    assert recipe.start
    lm = learner(recipe.start)
    make_folder(run)
    make_folder(run / "rounds")
    write_file(run / "recipe.yaml", dump_recipe(recipe))
    signals.message = f"Stopped; what was made and learned is kept, and goes on with {_resuming(run)}"
    held_out = Pool(recipe.sources, "val", recipe.tasks, lm).draw(guards.cases, [settings.seed, 0, 1],
                                                                 recipe.sampling.seconds)  # fmt: skip
    if "agreement" in panel.judges and not lm.plans and not any(prompt.real for prompt in held_out):
        raise MotionLLMError(
            "`agreement` compares with what is measured on real clips, which are of 22 joints, and no clip of the "
            "sources is; name other `judges`, as physics or likeness."
        )
    # As motion is generated by default: what users see is what is guarded. Guidance is left out, as in learning.
    sampling = replace(lm.sampling, guidance=1.0, best_of=1)
    watch = Watch(held_out, panel, reporting, sampling, batch=recipe.sampling.batch, seed=settings.seed)
    first = _once(run / "before.json", lambda: _first(recipe, lm, watch))
    before, made_of = first["before"], _made_of(recipe)
    others_now = [name for name, value in first.get("made_of", {}).items() if made_of.get(name) != value]
    if others_now and not changed:
        raise MotionLLMError(
            f"{' and '.join(others_now)} changed since {run} began, so that it would not go on as the same run; start "
            "a new one, or go on all the same with --changed."
        )
    pool = Pool(recipe.sources, "train", recipe.tasks, lm) if settings.rounds else None
    texts = _plain(recipe, lm, run) if settings.rounds else []

    parameters = {name: p for name, p in lm.model.named_parameters() if p.requires_grad}
    start = {name: p.detach().clone() for name, p in parameters.items()}
    rows = [p for name, p in parameters.items() if "trainable_tokens" in name]
    others = [p for name, p in parameters.items() if "trainable_tokens" not in name]
    optimizer = torch.optim.AdamW(
        [{"params": others, "factor": 1.0}, {"params": rows, "factor": settings.rows_lr}],
        lr=settings.lr,
        weight_decay=0.0,  # away from the base, where the adapter is not to go
    )
    state: dict[str, Any] = {"step": 0, "round": 0, "seconds": 0.0, "best": -math.inf, "kept": None, "after": None}
    state |= {"events": []}  # of each round that was measured, which kinds of event fail
    state |= {"over": False, "open": False, "drift": 0.0}  # open: a round has begun and is not measured yet
    if resume and (run / checkpoint.FILE).is_file():
        state |= checkpoint.load(run, lm.model, optimizer)
        del state["stream"]
    journal = Log(run / "log.jsonl", lambda row: _holds(row, state, settings.steps))
    saved = time.monotonic()
    measured: list[Any] = []
    total = max(settings.rounds * settings.steps, 1)
    with Bar(f"improve {recipe.name}") as bar:
        while state["round"] < settings.rounds and (state["open"] or not state["over"]):
            number, state["open"] = state["round"], True
            assert pool
            prompts = pool.draw(recipe.sampling.prompts, [settings.seed, number, 2], recipe.sampling.seconds)
            with signals.finishing():
                groups = _sampled(recipe, lm, panel, prompts, number, run, bar, signals)
            told = _told(groups, panel)
            units = _units(recipe, lm, prompts, groups, number)
            row = {"round": number + 1, "units": len(units), **told}
            if state["step"] == number * settings.steps:
                journal.write(row)
            log.info("round %d: reward %.3f (best of each %.3f), %s; %d units", number + 1, told["reward"],
                     told["best"], ", ".join(f"{k} {v:.3f}" for k, v in told["judges"].items() if v is not None),
                     len(units))  # fmt: skip
            if not units:
                log.warning("No group of round %d has results to choose between; the run ends here.", number + 1)
                state["over"] = True
                break
            _remember(recipe, lm, units, start, run / "rounds" / f"{number:03d}.pt")
            lm.model.train()
            with signals.finishing():
                while state["step"] < (number + 1) * settings.steps and not state["over"]:
                    begun = time.monotonic()
                    in_round = state["step"] - number * settings.steps
                    drawn, beside = _drawn(recipe, lm, units, prompts, texts, number, in_round)
                    progress = max(state["step"] / total, _spent(state, settings))
                    spent = _spent(state, settings)
                    factor = rate(state["step"], settings.warmup, progress, spent, settings.min_lr)
                    for group in optimizer.param_groups:
                        group["lr"] = settings.lr * group["factor"] * factor
                    torch.manual_seed(
                        settings.seed * 1_000_003 + state["step"]
                    )  # of dropout, where the adapter has any
                    loss, drift = _backward(recipe, lm, drawn, beside)
                    norm = float(torch.nn.utils.clip_grad_norm_(parameters.values(), settings.clip))
                    if not math.isfinite(loss) or not math.isfinite(norm):  # a step by these would spoil every weight
                        known = losses(run / "log.jsonl") | {state["step"] + 1: loss}
                        how = checkpoint.advice(run, known, _resuming(run))
                        raise MotionLLMError(
                            f"The loss is {loss} and the gradient's norm {norm} at step {state['step'] + 1}: training "
                            f"has diverged. Lower train.lr in {run}/recipe.yaml; then {how}."
                        )
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                    state["step"] += 1
                    state["drift"] = drift
                    state["seconds"] += time.monotonic() - begun
                    state["over"] = _spent(state, settings) >= 1
                    journal.write({"step": state["step"], "seconds": round(state["seconds"], 1), "loss": loss,
                                   "kl": drift, "norm": norm, "lr": settings.lr * factor})  # fmt: skip
                    bar.update(state["step"] / total, round=number + 1, step=state["step"], loss=loss, kl=drift,
                               reward=told["reward"])  # fmt: skip
                    due = settings.save_minutes and time.monotonic() - saved >= 60 * settings.save_minutes
                    ends = state["step"] == (number + 1) * settings.steps or state["over"]  # measuring may take long
                    if due or ends or signals.asked or state["step"] % settings.save_every == 0:
                        _save(run, lm, optimizer, state)
                        saved = time.monotonic()
                    if signals.asked:
                        raise Stopped(
                            signals.asked,
                            f"Stopped after step {state['step']}, whose checkpoint is saved; go "
                            f"on with {_resuming(run)}",
                        )
            state["round"] += 1
            last = state["over"] or state["round"] == settings.rounds
            if last or state["round"] % guards.every == 0:
                found, looked = watch.measure(snapshot(lm))
                falls = fallen(before, found, guards)
                journal.write({"round": state["round"], "guards": found, "fallen": falls})
                state["events"].append({"round": state["round"], **found.get("events", {})})
                log.info("round %d: %s", state["round"], verdict(before, found, guards))
                holds = not falls
                # The first is kept whatever it is; after it what holds is better than what does not.
                if state["kept"] is None or (holds, found["reward"]) > (state["kept_holds"], state["best"]):
                    state |= {"kept": state["round"], "kept_holds": holds, "best": found["reward"], "after": found}
                    with writing(run / "adapter"):
                        lm.save(run / "adapter", settings.store if last else "float32")
                    measured = looked
                state["over"] |= guards.stop and not holds
            state["open"] = False
            _save(run, lm, optimizer, state)
    if not measured:  # no round, or the one that was kept was before the run was resumed
        there = (run / "adapter").is_dir()
        found, measured = watch.measure(MotionLM.load(run) if there else snapshot(lm))
        state["after"] = state["after"] or found
    journal.close()
    after = state["after"]
    falls, rose = fallen(before, after, guards), after["reward"] > before["reward"]
    outcome = {
        "run": str(run),
        "name": recipe.name,
        "method": recipe.method,
        "weights": dict(recipe.judges),
        "start": recipe.start,
        "start_adapter": first["adapter"],
        "steps": state["step"],
        "rounds": state["round"],
        "kept_round": state["kept"],
        "train_seconds": round(state["seconds"], 1),
        "kl": state["drift"],
        "verdict": verdict(before, after, guards),
        "gamed": rose and bool(falls),
        "holds": not falls,
        "fallen": falls,
        "plain_of_base": first["plain_of_base"],
        "events": [{"round": 0, **before.get("events", {})}, *state["events"]],
        "before": before,
        "after": after,
        "protocol": _protocol(recipe, panel, reporting, watch.sampling),
    }
    with writing(run / "report.md"):
        write_report(run, outcome, measured)
    write_json(run / "result.json", outcome)
    return outcome


def learner(name: str) -> MotionLM:
    """An adapter to go on from, with its weights trainable. See `MotionLM.create`."""
    folder = find_adapter(name)
    settings = load_recipe(folder / "recipe.yaml", saved=True)
    if settings.adapter.method == "full":
        raise MotionLLMError(
            f"{folder} holds a whole model; feedback goes on from an adapter: train one (method lora)."
        )
    settings.adapter.start = str(folder)
    tokenizer, templates = MotionTokenizer.load(folder / "tokenizer"), Templates.load_saved(folder / "templates.yaml")
    lm = MotionLM.create(settings, tokenizer, templates, bpe=MotionVocab.load(folder).bpe)
    if torch.cuda.is_available():
        lm.model = lm.model.to("cuda")
    return lm


def snapshot(lm: MotionLM) -> MotionLM:
    """The model as it stands, merged as `MotionLM.load` would: what samples is what would be given away."""
    if lm.recipe.model.quantization:  # cannot be merged in place
        lm.model.eval()
        return lm
    merged = copy.deepcopy(lm.model).float().merge_and_unload().eval()
    dtype = fast_dtype() if lm.recipe.model.dtype == "auto" else lm.recipe.model.dtype
    merged = merged.to(getattr(torch, dtype))
    pack(merged.get_decoder())
    return MotionLM(merged, lm.tokenizer, lm.vocab, lm.motion_tokenizer, lm.templates, lm.recipe)


def log_probs(lm: MotionLM, sequences: Sequence[Tokens]) -> list[Tensor]:
    """(n,) log-probabilities, in nats, of each sequence's supervised tokens, over the rows the grammar allows."""
    # The longest shares a row with the shortest, and so on: a quarter would else be padding.
    order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i].ids))
    rows = [list(dict.fromkeys((order[i], order[-1 - i]))) for i in range((len(order) + 1) // 2)]
    if not lm.recipe.data.packing:  # as of a base whose packed examples would see each other
        rows = [[i] for i in order]
    batch = collate([[sequences[i] for i in row] for row in rows], lm.tokenizer.pad_token_id or 0)
    base = lm.model.get_base_model()
    device = base.device
    body = base.get_decoder()
    places = {"position_ids": batch.positions.to(device)} if takes_positions(body) else {}
    hidden = body(input_ids=batch.ids.to(device), **places, use_cache=False).last_hidden_state
    losses, _ = token_losses(hidden, batch.targets.to(device), base, lm.vocab)
    placed = [i for row in rows for i in row]
    found = (-losses).split([sum(sequences[i].supervised[1:]) for i in placed])
    return [one for _, one in sorted(zip(placed, found, strict=True), key=lambda pair: pair[0])]


# -- a round ---------------------------------------------------------------------------------------------------


def _sampled(
    recipe: Improvement,
    lm: MotionLM,
    panel: Panel,
    prompts: list[Prompt],
    number: int,
    run: Path,
    bar: Bar,
    signals: Signals,
) -> list[dict[str, Any]]:
    """A group a prompt: {"task", "clip", "asked", "plan", "replies", "scores", "rewards"}; None where no judge spoke.

    The plan, which the prompt then has too, is one for all replies, so that they differ in how they keep to it.
    Kept line by line in `rounds/NNN.jsonl`; what is there already is not made again.
    """
    sampling = recipe.sampling
    path = run / "rounds" / f"{number:03d}.jsonl"
    groups = [group for _, group in logged(path)]
    each = max(1, sampling.batch // sampling.samples)  # groups made side by side
    if len(groups) < len(prompts):
        groups = groups[: len(groups) // each * each]
    _follow(prompts, groups)
    if len(groups) < len(prompts):
        given = _given(recipe, prompts) if sampling.replies and number == 0 else None
        if given:
            _follow(prompts, given)
        policy = lm if given else snapshot(lm)
        write_jsonl(path, groups)
        lines = Log(path)
        for first in range(len(groups), len(prompts), each):
            seed = ((recipe.train.seed * 7_919 + number) * 1_000_003 + first) % 2**31
            drawing = Sampling(temperature=sampling.temperature, top_p=sampling.top_p)
            if not given:
                prompts[first : first + each] = planned(
                    policy, prompts[first : first + each], drawing, batch=sampling.batch, seed=seed
                )
            mine = prompts[first : first + each]
            many = [prompt for prompt in mine for _ in range(sampling.samples)]
            if given:
                made = [reply for group in given[first : first + each] for reply in group["replies"]]
            else:
                made = replies(policy, many, drawing, batch=sampling.batch, seed=seed)
            scores = panel([result(policy, prompt, reply) for prompt, reply in zip(many, made, strict=True)])
            for i, prompt in enumerate(mine):
                own = slice(i * sampling.samples, (i + 1) * sampling.samples)
                group = {"task": prompt.task, "clip": prompt.samples[0].id, "asked": prompt.asked,
                         **({"plan": prompt.plan} if prompt.plan else {}), "replies": made[own], "scores": scores[own],
                         "rewards": [panel.reward(score) for score in scores[own]]}  # fmt: skip
                groups.append(group)
                lines.write(group)
            told = _told(groups, panel)
            by_judge = {name: value for name, value in told["judges"].items() if value is not None}
            bar.update(number / max(recipe.train.rounds, 1), round=number + 1,
                       sampled=f"{len(groups)}/{len(prompts)}", reward=told["reward"], **by_judge)  # fmt: skip
            if signals.asked:
                raise Stopped(
                    signals.asked,
                    f"Stopped after {len(groups)} of {len(prompts)} prompts of round "
                    f"{number + 1}, all kept; go on with {_resuming(run)}",
                )
        lines.close()
    return groups


def _follow(prompts: list[Prompt], groups: Sequence[dict[str, Any]]) -> None:
    """Give the prompts of groups that are there the plans that their replies follow."""
    for i, group in enumerate(groups):
        prompts[i] = replace(prompts[i], plan=group.get("plan", ""))


def _given(recipe: Improvement, prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """The first round's groups of the run `sampling.replies`, one a prompt."""
    run = Path(recipe.sampling.replies or "")
    try:
        sampler = read_json(run / "before.json")["adapter"]
        groups = [group for _, group in read_jsonl(run / "rounds" / "000.jsonl")]
    except (MotionLLMError, KeyError) as error:
        raise MotionLLMError(
            f"{run} has no first round to judge again ({error}); give a run that has sampled."
        ) from None
    theirs = [(group["task"], group["clip"], group["asked"], len(group["replies"])) for group in groups]
    ours = [(prompt.task, prompt.samples[0].id, prompt.asked, recipe.sampling.samples) for prompt in prompts]
    if theirs != ours or sampler != adapter_hash(recipe.start or ""):
        raise MotionLLMError(
            f"The replies in {run} are of another adapter or of other prompts; keep its start, sources, tasks, sampling"
            " and seed."
        )
    return groups


def _told(groups: Sequence[dict[str, Any]], panel: Panel) -> dict[str, Any]:
    """{"reward": mean of all, "best": mean of each group's best, "judges": {name: mean}}."""
    judged = [[r for r in group["rewards"] if r is not None] for group in groups]
    judged = [rewards for rewards in judged if rewards]
    scores: list[Scores] = [score for group in groups for score in group["scores"]]
    means: dict[str, float | None] = {}
    for name in panel.judges:
        said = [value for score in scores if (value := score.get(name)) is not None]
        means[name] = float(np.mean(said)) if said else None
    return {
        "reward": float(np.mean([r for rewards in judged for r in rewards])) if judged else 0.0,
        "best": float(np.mean([max(rewards) for rewards in judged])) if judged else 0.0,
        "judges": means,
    }


def _units(
    recipe: Improvement, lm: MotionLM, prompts: Sequence[Prompt], groups: Sequence[dict[str, Any]], number: int
) -> list[Unit]:
    """What the groups teach by the recipe's method; no more than the steps of the round will see."""
    settings, units = recipe.train, []
    for prompt, group in zip(prompts, groups, strict=True):
        spoken = [i for i, reward in enumerate(group["rewards"]) if reward is not None and group["replies"][i]]
        rewards = [group["rewards"][i] for i in spoken]
        if not rewards:
            continue
        sequences = [prompt.tokens(lm, group["replies"][i]) for i in spoken]
        if recipe.method == "rejection":
            units += [Unit([sequences[i]]) for i in objectives.best(rewards, settings.keep, settings.least)]
        elif recipe.method == "dpo":
            for top, low in objectives.pairs(rewards, settings.keep, settings.margin):
                units.append(Unit([sequences[top], sequences[low]]))
        else:
            gains = objectives.advantages(rewards)
            units += [Unit([s], float(gain)) for s, gain in zip(sequences, gains, strict=True) if gain]
    if len(units) > (seen := settings.steps * settings.batch):
        random = np.random.default_rng([settings.seed, number, 5])
        units = [units[i] for i in sorted(random.choice(len(units), seen, replace=False).tolist())]
    return units


def _remember(recipe: Improvement, lm: MotionLM, units: Sequence[Unit], start: dict[str, Tensor], file: Path) -> None:
    """Fill in the log-probabilities that do not change within a round: those of the sampling policy, and those of the
    adapter that was started from. Kept as a file, because a resumed run has another policy by then.
    """
    needs_old = recipe.method == "grpo"
    needs_reference = recipe.method == "dpo" or recipe.train.kl > 0
    if file.is_file():
        stored = torch.load(file, map_location="cpu", weights_only=True)
    else:
        lm.model.eval()
        stored = {"old": _frozen(recipe, lm, units) if needs_old else []}
        with _weights(lm.model, start):
            stored["reference"] = _frozen(recipe, lm, units) if needs_reference else []
        with whole_stream(file) as stream:
            torch.save(stored, stream)
    for name, found in stored.items():
        for unit, these in zip(units, found, strict=False):
            setattr(unit, name, these)


@torch.no_grad()
def _frozen(recipe: Improvement, lm: MotionLM, units: Sequence[Unit]) -> list[list[Tensor]]:
    found: list[list[Tensor]] = []
    for i in range(0, len(units), recipe.train.micro_batch):
        some = units[i : i + recipe.train.micro_batch]
        with _autocast(recipe, lm):
            rows = iter(log_probs(lm, [tokens for unit in some for tokens in unit.sequences]))
        found += [[next(rows).cpu() for _ in unit.sequences] for unit in some]
    return found


def _drawn(
    recipe: Improvement, lm: MotionLM, units: Sequence[Unit], prompts: Sequence[Prompt], texts: Sequence[Tokens],
    number: int, step: int,
) -> tuple[list[Unit], list[tuple[float, list[Tokens]]]]:  # fmt: skip
    """The units of a step, and what stands beside them with its weight: true examples, and texts to rehearse. Every
    unit comes once before any twice; seed, round and step alone decide.
    """
    settings = recipe.train
    count = min(settings.batch, len(units))
    drawn = []
    for place in range(step * count, (step + 1) * count):
        turn, at = divmod(place, len(units))
        order = np.random.default_rng([settings.seed, number, 3, turn]).permutation(len(units))
        drawn.append(units[order[at]])
    random = np.random.default_rng([settings.seed, number, 4, step])
    picked = random.choice(len(prompts), min(round(settings.truth * settings.batch), len(prompts)), replace=False)
    truths = [prompts[i].tokens(lm, prompts[i].truth) for i in picked]
    share = min(round(settings.rehearsal * settings.batch), len(texts))
    said = [texts[i] for i in random.choice(len(texts), share, replace=False)] if share else []
    return drawn, [(settings.truth, truths), (settings.rehearsal, said)]


def _backward(
    recipe: Improvement, lm: MotionLM, units: list[Unit], beside: list[tuple[float, list[Tokens]]]
) -> tuple[float, float]:
    """Gradients of one step; (loss, divergence from the start in nats a token, where it was computed).

    Of tokens the mean over the whole step, of pairs the mean over pairs; never by micro-batch.
    """
    settings = recipe.train
    units = sorted(units, key=lambda unit: -len(unit.sequences[0].ids))  # neighbours are alike: little is padded
    tokens = sum(sum(t.supervised[1:]) for unit in units for t in unit.sequences)
    total = apart = 0.0
    for i in range(0, len(units), settings.micro_batch):
        some = units[i : i + settings.micro_batch]
        with _autocast(recipe, lm):
            rows = iter(log_probs(lm, [t for unit in some for t in unit.sequences]))
        loss = drift = torch.zeros((), device=lm.model.device)
        for unit in some:
            new = [next(rows) for _ in unit.sequences]
            reference = [r.to(new[0].device) for r in unit.reference]
            if recipe.method == "dpo":
                pair = objectives.dpo((new[0], new[1]), (reference[0], reference[1]), settings.beta)
                loss = loss + pair / len(units)
            elif recipe.method == "grpo":
                old = unit.old[0].to(new[0].device)
                loss = loss + objectives.clipped(new[0], old, unit.advantage, settings.clip_ratio) / tokens
            else:
                loss = loss - new[0].sum() / tokens
            for n, r in zip(new, reference, strict=False):
                drift = drift + objectives.divergence(n, r) / tokens
        loss = loss + settings.kl * drift
        loss.backward()
        total, apart = total + float(loss.detach()), apart + float(drift.detach())
    for weight, sequences in beside:
        supervised = sum(sum(t.supervised[1:]) for t in sequences)
        for i in range(0, len(sequences), settings.micro_batch):
            with _autocast(recipe, lm):
                rows_ = log_probs(lm, sequences[i : i + settings.micro_batch])
            loss = -weight * torch.cat(rows_).sum() / supervised
            loss.backward()
            total += float(loss.detach())
    return total, apart


def _save(run: Path, lm: MotionLM, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    # No stream of examples to go on with: what is drawn follows from round and step.
    checkpoint.save(run, checkpoint.gather(lm.model, optimizer) | state | {"stream": None})


def _holds(row: dict[str, Any], state: dict[str, Any], steps: int) -> bool:
    """Whether a row of the log is from before the state that a run goes on from; the others are written again."""
    if "step" in row:
        return bool(row["step"] <= state["step"])
    # Of a round: told before its first step, its guards after its last.
    done = row["round"] <= state["round"] if "guards" in row else (row["round"] - 1) * steps < state["step"]
    return bool(done)


@contextmanager
def _weights(model: Any, weights: dict[str, Tensor]) -> Iterator[None]:
    """The trained parameters exchanged for others of the same names, for as long as it lasts."""
    parameters = {name: p for name, p in model.named_parameters() if name in weights}
    own = {name: p.data for name, p in parameters.items()}
    try:
        for name, p in parameters.items():
            p.data = weights[name]
        yield
    finally:
        for name, p in parameters.items():
            p.data = own[name]


def _autocast(recipe: Improvement, lm: MotionLM) -> Any:
    precision = fast_dtype() if recipe.train.precision == "auto" else recipe.train.precision
    return torch.autocast(lm.model.device.type, torch.bfloat16, enabled=precision == "bfloat16")


def _spent(state: dict[str, Any], settings: Any) -> float:
    return float(state["seconds"]) / (60 * settings.minutes) if settings.minutes else 0.0


# -- before and around -----------------------------------------------------------------------------------------


def _panel(recipe: Improvement, run: Path) -> tuple[Panel, Embedder | None]:
    """The judges that reward, and the embedder that reports. Raises MotionLLMError where the two share one."""
    judging = Embedder.load(recipe.embedder) if recipe.embedder else None
    reporting = Embedder.load(recipe.guards.embedder) if recipe.guards.embedder else None
    if judging and reporting and judging.id == reporting.id:
        raise MotionLLMError(
            f"Embedder {judging.id} both judges and reports; what is optimised is no measure: train another one for "
            "`embedder` (another seed, another share of the clips)."
        )
    panel = Panel(recipe.judges, judging, run / "failed")
    idle = [name for name, judge in panel.judges.items() if judge.task not in recipe.tasks]
    if idle:
        raise MotionLLMError(
            f"The judge {idle[0]!r} is of the task {panel.judges[idle[0]].task}, which `tasks` lacks; leave one out."
        )
    unjudged = set(recipe.tasks) - {judge.task for judge in panel.judges.values()}
    if unjudged:
        raise MotionLLMError(f"No judge is of the task {sorted(unjudged)[0]!r}; add one, or leave the task out.")
    return panel, reporting


def _plain(recipe: Improvement, lm: MotionLM, run: Path) -> list[Tokens]:
    """Texts to rehearse, kept, so that a resumed run rehearses the same."""
    settings = recipe.train
    count = min(round(settings.rehearsal * settings.batch) * settings.steps, TEXTS)
    if not count:
        return []
    made = _once(run / "rehearsal.json", lambda: {"ids": [t.ids for t in rehearsal(lm, count, settings.seed)]})
    return [Tokens(ids, [False] + [True] * (len(ids) - 1)) for ids in made["ids"]]


def _first(recipe: Improvement, lm: MotionLM, watch: Watch) -> dict[str, Any]:
    base = lm.model.eval()
    with base.disable_adapter():
        plain = plain_language(lm)
    return {
        "adapter": adapter_hash(recipe.start or ""),
        "made_of": _made_of(recipe),
        "plain_of_base": plain,
        "before": watch.measure(snapshot(lm))[0],
    }


def _made_of(recipe: Improvement) -> dict[str, str]:
    """What a run is made of besides its recipe, by name: the same run needs the same."""
    return fingerprints(recipe.sources) | {"the adapter it started from": adapter_hash(recipe.start or "")}


def _once(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A result made once in a run, and read from its file after that."""
    if not path.is_file():
        write_json(path, make())
    return read_json(path)


def _protocol(recipe: Improvement, panel: Panel, reporting: Embedder | None, sampling: Sampling) -> str:
    judged = ", ".join(f"{name} {weight:g}" for name, weight in recipe.judges.items())
    embedders = f"judged by embedder `{panel.embedder.id}`; " if panel.embedder else ""
    embedders += f"FID and diversity by embedder `{reporting.id}`; " if reporting else ""
    return (
        f"Method {recipe.method}; judges and weights: {judged}; {embedders}"
        f"{recipe.guards.cases} held-out prompts, one reply each at temperature {sampling.temperature:g} and "
        f"top-p {sampling.top_p:g}, own stop, seed {recipe.train.seed}."
    )

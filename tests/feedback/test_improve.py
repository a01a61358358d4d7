"""Improvements of a tiny adapter: rewards rise, killed runs go on to the same weights, guards speak."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from motionllm.cli import main
from motionllm.config import Guards, Improvement, check_recipe, load_recipe
from motionllm.data.examples import collate
from motionllm.errors import MotionLLMError
from motionllm.feedback import improve as improving
from motionllm.feedback import rounds
from motionllm.feedback.guards import fallen, verdict
from motionllm.feedback.improve import improve
from motionllm.feedback.judges import JUDGES, Judge, Panel
from motionllm.feedback.learner import learner, log_probs, snapshot
from motionllm.feedback.ranking import Ranking
from motionllm.feedback.report import compare
from motionllm.feedback.sampling import Pool, rehearsal
from motionllm.lm.loss import cross_entropy
from motionllm.lm.model import MotionLM
from motionllm.motion.agreement import agreement_of
from motionllm.motion.notation import Notation
from motionllm.runs import checkpoint

Make = Callable[..., Improvement]


@pytest.fixture(scope="module")
def run(
    tiny_base: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    from motionllm.training.train import train

    folder = tmp_path_factory.mktemp("sft") / "tied"
    train(tiny_recipe(tiny_base, tiny_tokenizer), folder)
    return folder


@pytest.fixture
def recipe(run: Path) -> Make:
    def make(**more: Any) -> Improvement:
        tree: dict[str, Any] = {
            "name": "tiny",
            "start": str(run),
            "judges": {"physics": 1.0},
            "sources": [{"kind": "builtin", "clips": 40}],
            "sampling": {"prompts": 4, "samples": 4, "batch": 16},
            "train": {
                "rounds": 2,
                "steps": 3,
                "batch": 4,
                "micro_batch": 2,
                "least": 0.0,
                "save_every": 1,
                "lr": 1e-3,
                "precision": "float32",
                "margin": 0.0,
            },
            "guards": {"cases": 2, "stop": False},
        }
        for key, value in more.items():
            tree[key] = (
                tree[key] | value if isinstance(value, dict) and key in ("train", "sampling", "guards") else value
            )
        return check_recipe(tree, Improvement, "test")

    return make


def brief(result: Any) -> float:
    """A toy: short motions are good."""
    return 1 - min(1.0, float(result.motion.duration) / 10)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(JUDGES, "brief", Judge("brief", "text_to_motion", brief, "1 − seconds / 10"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


@pytest.mark.parametrize("method", ["rejection", "dpo", "grpo"])
def test_a_reward_rises_on_a_toy(toy: None, recipe: Make, tmp_path: Path, method: str) -> None:
    found = improve(
        recipe(
            method=method,
            judges={"brief": 1.0},
            sampling={"prompts": 8, "samples": 8, "batch": 64},
            train={
                "rounds": 3,
                "steps": 8,
                "batch": 32,
                "micro_batch": 32,
                "lr": 5e-3,
                "truth": 0.0,
                "kl": 0.0,
                "beta": 0.1,
            },
            guards={"cases": 16, "every": 3},
        ),
        tmp_path / "run",
    )
    assert found["after"]["reward"] > found["before"]["reward"] + 0.04, found["verdict"]
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    rewards = [row["reward"] for row in rows if "reward" in row]
    assert len(rewards) == 3
    report = (tmp_path / "run" / "report.md").read_text()
    assert found["verdict"] in report and "brief" in report and (tmp_path / "run" / "worst" / "brief.png").is_file()
    assert MotionLM.load(tmp_path / "run").generate("a person walks", seed=0, best_of=1)


@pytest.mark.parametrize(
    ("method", "killed"), [("rejection", "while sampling"), ("dpo", "between steps"), ("grpo", "between steps")]
)
def test_killed_and_resumed_gives_the_same_adapter(
    recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, killed: str
) -> None:
    settings = recipe(method=method, sampling={"batch": 8}, train={"kl": 0.1})
    whole = improve(settings, tmp_path / "whole")
    module, name, when = (rounds, "replies", 4) if killed == "while sampling" else (improving, "backward", 5)
    real, calls = getattr(module, name), [0]

    def dies(*args: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == when:
            raise KeyboardInterrupt
        return real(*args, **more)

    monkeypatch.setattr(module, name, dies)
    with pytest.raises(KeyboardInterrupt):
        improve(settings, tmp_path / "killed")
    assert (tmp_path / "killed" / checkpoint.FILE).is_file()
    with pytest.raises(MotionLLMError, match="--resume"):
        improve(settings, tmp_path / "killed")
    resumed = improve(settings, tmp_path / "killed", resume=True)
    assert resumed["after"] == whole["after"] and resumed["steps"] == whole["steps"] == 6
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    rows = [[{**json.loads(line), "seconds": 0} for line in lines] for lines in logs]
    assert rows[0] == rows[1]  # each line once
    a, b = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_all_tasks_are_judged_and_learned(recipe: Make, tmp_path: Path) -> None:
    tasks = {"text_to_motion": 1.0, "caption": 1.0, "question": 1.0}
    judges = {"physics": 1.0, "facts": 1.0, "duration": 1.0, "references": 1.0, "caption_facts": 1.0, "answer": 1.0}
    sampling = {"prompts": 6, "samples": 3, "seconds": 1.0}
    found = improve(
        recipe(tasks=tasks, judges=judges, method="grpo", sampling=sampling, guards={"cases": 6}), tmp_path / "run"
    )
    groups = [json.loads(line) for line in (tmp_path / "run" / "rounds" / "000.jsonl").read_text().splitlines()]
    assert [g["task"] for g in groups] == ["text_to_motion"] * 2 + ["caption"] * 2 + ["question"] * 2
    assert all(len(g["replies"]) == len(g["rewards"]) == 3 for g in groups)
    assert groups[0]["scores"][0]["duration"] is not None and set(groups[4]["scores"][0]) == {"answer"}
    assert found["before"]["judges"].keys() == judges.keys() and "skating" in found["before"]["unseen"]


def test_log_probs_are_those_of_the_loss(run: Path) -> None:
    lm = learner(str(run))
    lm.model.eval()
    sources = [Improvement(judges={"facts": 1.0}, sources=[{"kind": "builtin", "clips": 20}]).sources[0]]
    tasks = {"text_to_motion": 1.0, "caption": 1.0, "question": 1.0}
    prompts = Pool(sources, "train", tasks, lm).draw(7, [0])  # an odd one stands alone in its row
    sequences = [prompt.tokens(lm, prompt.truth) for prompt in prompts]
    with torch.no_grad():
        together = log_probs(lm, sequences)
        for tokens, found in zip(sequences, together, strict=True):
            batch = collate([[tokens]], 0)
            base = lm.model.get_base_model()
            hidden = base.get_decoder()(input_ids=batch.ids, position_ids=batch.positions).last_hidden_state
            expected = -sum(cross_entropy(hidden, batch.targets, base, lm.vocab))
            assert len(found) == sum(tokens.supervised)
            assert found.sum().item() == pytest.approx(float(expected), rel=1e-4)
    # Of a motion the codes and the end are drawn; its start and the end of the turn are not.
    assert sum(sequences[0].supervised) == len(prompts[0].values["motion"]) + 1


def test_agreement_with_real_clips_is_the_default_judge_and_the_report_says_which_events_fail(
    recipe: Make, tmp_path: Path
) -> None:
    settings = recipe(train={"rounds": 2, "steps": 1}, guards={"cases": 6})
    settings.judges = Improvement(sources=settings.sources).judges
    assert set(settings.judges) == {"agreement"}
    found = improve(settings, tmp_path / "run")
    assert 0 < found["before"]["reward"] < 1
    assert [row["round"] for row in found["events"]] == [0, 1, 2]
    assert found["events"][0]["verbs"] == found["before"]["events"]["verbs"]
    lines = (tmp_path / "run" / "report.md").read_text().split("## Which events fail")[1].splitlines()
    assert "| event | asked | before | round 1 | round 2 |" in "\n".join(lines).replace(" (kept)", "")
    verb = next(line for line in lines if line.startswith("| event"))
    first = [word.strip() for word in lines[lines.index(verb) + 2].split("|")]
    row = found["events"][0]["verbs"][first[1]]
    assert first[2] == str(row["asked"]) and first[3] == f"{100 * row['right']:.0f} %"
    failed = {name: r["asked"] * (1 - r["right"]) for name, r in found["events"][0]["verbs"].items()}
    assert failed[first[1]] == max(failed.values())


def test_agreement_needs_clips_that_can_be_measured(
    recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Pool.draw

    def of_other_bodies(*args: Any) -> Any:
        return [replace(prompt, real=[]) for prompt in drawn(*args)]

    monkeypatch.setattr(Pool, "draw", of_other_bodies)
    with pytest.raises(MotionLLMError, match=r"`agreement` compares with .* 22 joints"):
        improve(recipe(judges={"agreement": 1.0}), tmp_path / "run")


def planner(run: Path, folder: Path) -> Path:
    """A copy of the run whose recipe says that it plans: what it has not learned, the grammar sees to."""
    shutil.copytree(run / "adapter", folder)
    tree = yaml.safe_load((folder / "recipe.yaml").read_text())
    tree["data"]["notation"] = {}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(tree))
    return folder


def test_an_adapter_that_plans_is_judged_by_its_plans_and_learns_to_follow_them(
    run: Path, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = recipe(
        judges={"agreement": 1.0}, train={"rounds": 1, "steps": 2, "least": 0.0}, sampling={"samples": 6, "batch": 12}
    )
    settings.start = str(planner(run, tmp_path / "planner"))
    whole = improve(settings, tmp_path / "whole")
    groups = [json.loads(line) for line in (tmp_path / "whole" / "rounds" / "000.jsonl").read_text().splitlines()]
    tokenizer = MotionLM.load(run).motion_tokenizer
    for group in groups:  # one plan for all replies, each judged by it and as long as it
        plan = Notation.parse(group["plan"])
        motions = [tokenizer.decode(np.array(reply)).canonical() for reply in group["replies"]]
        assert all(abs(motion.duration - plan.seconds) < 0.2 for motion in motions)
        judged = [agreement_of(plan, motion.joints, motion.fps).score for motion in motions]
        assert [score["agreement"] for score in group["scores"]] == pytest.approx(judged)
    real, calls = rounds.replies, [0]

    def dies(*args: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:  # the first batch of replies is kept, with its plans
            raise KeyboardInterrupt
        return real(*args, **more)

    monkeypatch.setattr(rounds, "replies", dies)
    with pytest.raises(KeyboardInterrupt):
        improve(settings, tmp_path / "killed")
    resumed = improve(settings, tmp_path / "killed", resume=True)
    assert resumed["after"] == whole["after"]
    a, b = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_of_a_reply_the_codes_are_learned_and_of_a_true_one_the_plan_too(run: Path, tmp_path: Path) -> None:
    lm = learner(str(planner(run, tmp_path / "planner")))
    sources = Improvement(sources=[{"kind": "builtin", "clips": 20}]).sources  # type: ignore[list-item]
    tasks = {"text_to_motion": 1.0, "caption": 1.0}
    moving, captioned = (next(p for p in Pool(sources, "train", tasks, lm).draw(4, [0]) if p.task == t) for t in tasks)
    assert "notation" in captioned.values["motion"]  # as `caption` gives it
    own = "2.0 s, standing to standing\n0.0-1.0 clap x2"
    reply, true = replace(moving, plan=own).tokens(lm, [3, 20]), moving.tokens(lm, moving.values["motion"])
    learned = [[i for i, yes in zip(t.ids, t.supervised, strict=True) if yes] for t in (reply, true)]
    plans = [lm.renderer.notation(text) for text in (own, moving.values["motion"]["notation"])]
    assert learned[0] == lm.vocab.encode(np.array([3, 20]))[1:]
    assert learned[1] == [*plans[1], *lm.vocab.encode(moving.values["motion"]["codes"])[1:]]
    start = reply.ids.index(lm.vocab.start_id) + 1
    assert reply.ids[start : start + len(plans[0])] == plans[0]
    assert moving.values["motion"]["notation"] == str(moving.real[0])


def test_a_snapshot_says_what_the_learner_says(run: Path) -> None:
    lm = learner(str(run))
    still = snapshot(lm)
    clip = np.zeros((24, 22, 3), np.float32) + np.linspace(0, 1, 22)[None, :, None]
    lm.model.eval()
    prompts = [[lm.vocab.start_id], lm.tokenizer.encode("walk")]
    from motionllm.lm.decoding import likelihoods

    reply = [lm.tokenizer.encode(" a person walks")] * 2
    assert likelihoods(lm.model, lm.vocab, prompts, reply) == pytest.approx(
        likelihoods(still.model, still.vocab, prompts, reply), rel=1e-4
    )
    assert still.caption(clip) == MotionLM.load(run).caption(clip)
    assert any(p.requires_grad for p in lm.model.parameters())


def test_texts_to_rehearse_are_the_bases_own(run: Path) -> None:
    lm = learner(str(run))
    texts = rehearsal(lm, 12, seed=3, longest=10)
    assert [t.ids for t in texts] == [t.ids for t in rehearsal(lm, 12, seed=3, longest=10)]
    assert [t.ids for t in texts] != [t.ids for t in rehearsal(lm, 12, seed=4, longest=10)]
    assert len(texts) == 12 and len({tuple(t.ids) for t in texts}) > 6
    for text in texts:
        assert 2 <= len(text.ids) <= 11 and max(text.ids) < lm.vocab.text_size
        assert text.supervised == [False] + [True] * (len(text.ids) - 1)
        assert lm.tokenizer.eos_token_id not in text.ids[:-1]
    with torch.no_grad():  # whatever the adapter says now, it is the base that writes
        for name, parameter in lm.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    assert [t.ids for t in texts] == [t.ids for t in rehearsal(lm, 12, seed=3, longest=10)]


def test_rehearsal_keeps_plain_language(
    tiny_base_untied: Path, tiny_tokenizer: Path, tiny_recipe: Callable[..., Any], recipe: Make, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    from motionllm.training.train import train

    opinionated = shutil.copytree(tiny_base_untied, tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(opinionated)
    with torch.no_grad():  # as it is made, it says every token alike
        model.get_output_embeddings().weight.mul_(20)
    model.save_pretrained(opinionated)
    start = tmp_path / "start"
    train(tiny_recipe(opinionated, tiny_tokenizer), start)

    def plain(folder: Path) -> float:
        lm = learner(str(folder))
        texts = rehearsal(lm, 32, seed=99)  # others than were rehearsed
        with torch.no_grad():
            lm.model.eval()
            return float(torch.cat(log_probs(lm, texts)).mean())

    before, after = plain(start), {}
    for share in (0.0, 1.0):
        out = tmp_path / str(share)
        improve(recipe(start=str(start), train={"rounds": 1, "steps": 24, "lr": 5e-3, "rehearsal": share}), out)
        after[share] = plain(out)
    assert before - after[1.0] < 0.3 * (before - after[0.0]), (before, after)
    assert (tmp_path / "1.0" / "rehearsal.json").is_file() and not (tmp_path / "0.0" / "rehearsal.json").exists()


def test_no_rounds_judge_alone(recipe: Make, tmp_path: Path) -> None:
    found = improve(recipe(train={"rounds": 0}), tmp_path / "run")
    assert found["steps"] == 0 and found["before"] == found["after"] and not (tmp_path / "run" / "adapter").exists()
    assert (tmp_path / "run" / "worst" / "physics.png").is_file()


def test_replies_are_judged_again(toy: None, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    improve(recipe(train={"rounds": 1}), tmp_path / "first")
    real, sampled = rounds.replies, [0]

    def counted(*args: Any, **more: Any) -> Any:
        sampled[0] += 1
        return real(*args, **more)

    monkeypatch.setattr(rounds, "replies", counted)
    again = recipe(
        train={"rounds": 1}, judges={"brief": 1.0}, method="dpo", sampling={"replies": str(tmp_path / "first")}
    )
    improve(again, tmp_path / "again")
    assert sampled == [0]
    both = [
        [json.loads(line) for line in (tmp_path / name / "rounds" / "000.jsonl").read_text().splitlines()]
        for name in ("first", "again")
    ]
    assert [g["replies"] for g in both[0]] == [g["replies"] for g in both[1]]
    assert [g["rewards"] for g in both[0]] != [g["rewards"] for g in both[1]]
    other = recipe(train={"rounds": 1, "seed": 1}, sampling={"replies": str(tmp_path / "first")})
    with pytest.raises(MotionLLMError, match="of other prompts"):
        improve(other, tmp_path / "other")
    nothing = recipe(train={"rounds": 1}, sampling={"replies": str(tmp_path / "nothing")})
    with pytest.raises(MotionLLMError, match="no first round"):
        improve(nothing, tmp_path / "none")


def test_a_judge_that_fails_stops_the_run(recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(JUDGES, "broken", Judge("broken", "text_to_motion", lambda result: float("nan"), ""))
    with pytest.raises(MotionLLMError, match=r"'broken' says nan.*failed"):
        improve(recipe(judges={"broken": 1.0}), tmp_path / "run")
    assert (tmp_path / "run" / "failed" / "broken.json").is_file()


def test_a_run_goes_on_from_another_working_directory(
    recipe: Make, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    settings = recipe(start=run.name, train={"rounds": 0})
    improve(settings, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    saved = load_recipe(tmp_path / "run" / "recipe.yaml", (), Improvement)
    assert saved.start == str(run) and settings.start == run.name
    assert main(["improve", "--resume", "run"]) == 0


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"tasks": {"caption": 1.0}}, "'physics' is of the task text_to_motion"),
        ({"tasks": {"text_to_motion": 1.0, "caption": 1.0}}, "No judge is of the task 'caption'"),
        ({"judges": {"similarity": 1.0}}, "compares embeddings"),
        ({"start": None}, "goes on from an adapter"),
    ],
)
def test_wrong_recipes_are_refused(recipe: Make, tmp_path: Path, more: dict[str, Any], says: str) -> None:
    with pytest.raises(MotionLLMError, match=says):
        improve(recipe(**more), tmp_path / "run")


def measure(reward: float, **more: Any) -> dict[str, Any]:
    return {
        "reward": reward,
        "judges": {},
        "unseen": {"skating": 0.9},
        "fid": 0.5,
        "diversity": 1.0,
        "plain": -3.0,
        **more,
    }


def test_a_gamed_reward_is_marked() -> None:
    before, limits = measure(0.5), Guards()
    assert fallen(before, measure(0.8, fid=0.52, diversity=0.95), limits) == []
    assert verdict(before, measure(0.8), limits).endswith("and the guards hold.")
    for worse in ({"fid": 0.6}, {"diversity": 0.8}, {"plain": -3.2}, {"unseen": {"skating": 0.7}}):
        said = verdict(before, measure(0.8, **worse), limits)
        assert said.startswith("GAMED: ") and len(fallen(before, measure(0.8, **worse), limits)) == 1
    assert not verdict(before, measure(0.4, fid=0.9), limits).startswith("GAMED")


def test_runs_are_compared_in_one_table() -> None:
    row = {
        "name": "a",
        "method": "dpo",
        "weights": {"facts": 1.0},
        "before": measure(0.5),
        "after": measure(0.8),
        "gamed": False,
        "holds": True,
    }
    lines = compare([row, row | {"name": "b", "gamed": True}]).splitlines()
    assert len(lines) == 4 and "0.500 → 0.800" in lines[2] and lines[2].endswith("holds |")
    assert lines[3].endswith("gamed |") and len({line.count("|") for line in lines}) == 1


def test_the_best_of_several_is_the_one_the_judges_prefer(toy: None, run: Path) -> None:
    lm = MotionLM.load(run)
    texts = ["a person walks", "a person jumps"]
    ranking = Ranking(lm, Panel({"brief": 1.0}))
    kept = lm.generate_batch(texts, seed=5, best_of=4, judge=ranking)
    all_ = lm.generate_batch([t for t in texts for _ in range(4)], seed=5, best_of=1)
    shortest = [min(m.duration for m in all_[i : i + 4]) for i in (0, 4)]
    assert [m.duration for m in kept] == shortest
    told = ranking.told(4)
    assert told["made"] == 8 and told["brief"]["kept"] > told["brief"]["mean"]
    with pytest.raises(MotionLLMError, match="nothing to say"):
        lm.generate("gloom", best_of=2, judge=Ranking(lm, Panel({"facts": 1.0})))
    with pytest.raises(MotionLLMError, match="give a plan"):
        lm.generate("a person walks", best_of=2, judge=Ranking(lm, Panel({"agreement": 1.0})))
    with pytest.raises(MotionLLMError, match="judges words"):
        Ranking(lm, Panel({"answer": 1.0}))


def test_commands(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "out"
    recipe.write_text(
        "judges: {physics: 1.0}\nsources: [{kind: builtin, clips: 40}]\nsampling: {prompts: 2, samples: 2}\n"
        "train: {steps: 2, least: 0.0, precision: float32}\nguards: {cases: 2}\n"
    )
    assert main(["improve", str(run), str(recipe), "--out", str(out), "train.steps=1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["start"] == str(run) and result["steps"] == 1 and (out / "adapter").is_dir()
    assert main(["improve", "--resume", str(out), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["after"] == result["after"]
    assert main(["improve", "--compare", str(out), "--compare", str(out)]) == 0
    assert capsys.readouterr().out.count("rejection") == 2
    assert main(["improve", str(run)]) == 2
    clip = tmp_path / "clip.npy"
    words = ["generate", "a person walks", "--model", str(run), "--out", str(clip), "--best-of", "2", "--seed", "1"]
    assert main([*words, "--judge", "facts,physics=0.2", "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)["judged"]
    assert judged["made"] == 2 and judged["reward"]["kept"] >= judged["reward"]["mean"]
    assert main([*words, "--judge", "fact"]) == 2

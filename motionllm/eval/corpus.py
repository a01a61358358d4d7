"""How well a model speaks motion, on held-out clips of the built-in corpus: it makes, captions and answers.

Everything is free-running and measured: motion by the corpus' own check on its joints, captions by the actions
they name, answers by exact truth. Beside each figure stand its bounds: what the true motion scores, what it
scores once through the motion tokenizer, and what motion or words of another clip would score.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

import motionllm
from motionllm.data import builtin
from motionllm.data.builtin import Sample, Spec
from motionllm.data.samples import Question
from motionllm.errors import MotionLLMError, each
from motionllm.eval.text import caption_scores
from motionllm.generation import Judge
from motionllm.model import MotionLM
from motionllm.motion import Motion
from motionllm.motion.skeleton import HUMANML3D
from motionllm.sampling import BEST_OF, Sampling

SPLIT = "test"
EXAMPLES = 8
KINDS = ("action", "side", "direction", "count", "speed", "order")
ALL_OF = ("action", "side", "direction")


def evaluate(
    lm: MotionLM,
    cases: int = 100,
    seed: int = 0,
    batch: int = 32,
    progress: Callable[..., None] | None = None,
    sampling: Sampling | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Generation, captions and answers of a model on the first `cases` clips of the held-out split of corpus `seed`.

    Generation: the clip's first caption is the prompt; the model stops by itself, and it or `judge`, which sees no more
    than the prompt, keeps one of `sampling.best_of` (None: of BEST_OF). Shares of cases where the motion has what the
    prompt asks, each over the cases that ask for it: "action" … "order"; "asked": of all actions, sides and directions
    asked for, those that are there; "facts": of all that is asked for; "all_of": the action and, where asked, its side
    and direction, at once; "everything": all that is asked.
    Captions of the true motion: "action" (all actions named, no other, in order), "side", "direction", "all_of";
    "text": BLEU, ROUGE-L and CIDEr against the clip's captions. Answers: one question of each kind drawn a clip,
    beside it what always giving the commonest answer of its kind would score.
    What fails (motion that cannot be measured, a refused input) is counted and is wrong.
    progress(done, **numbers) is called after each batch. Raises MotionLLMError for fewer than 2 cases.
    """
    if cases < 2 or batch < 1:
        raise MotionLLMError(f"{cases} cases in batches of {batch}: give at least 2 cases and batches of at least 1.")
    sampling = (sampling or Sampling()).but(best_of=BEST_OF if not sampling or not sampling.best_of else None)
    samples = builtin.corpus(cases, seed, SPLIT)
    specs = [Spec.of(sample.labels["spec"]) for sample in samples]
    features = [sample.load() for sample in samples]
    asked = draw_questions(samples, seed)
    todo, done = 2 * cases + len(asked), 0
    seconds: dict[str, float] = {}

    def run(what: str, call: Callable[..., Sequence[Any]], *columns: Sequence[Any]) -> list[Any]:
        nonlocal done
        begun, results = time.monotonic(), []
        for start in range(0, len(columns[0]), batch):
            rows = [column[start : start + batch] for column in columns]
            made = each(lambda numbers, *rows: call(numbers[0], *rows), range(start, start + len(rows[0])), *rows)
            results += [None if isinstance(one, MotionLLMError) else one for one in made]
            done += len(rows[0])
            if progress:
                progress(done / todo, **{what: len(results)})
        seconds[what] = round(time.monotonic() - begun, 2)
        return results

    prompts = [sample.captions[0] for sample in samples]
    made = run(
        "generation",
        lambda first, texts: lm.generate_batch(texts, None, seed + first, sampling=sampling, judge=judge),
        prompts,
    )
    said = run("captions", lambda _, motions: lm.caption_batch(motions), features)
    answers = run(
        "answers",
        lambda _, motions, questions: lm.ask_batch(motions, questions),
        [features[clip] for clip, _ in asked],
        [question.text for _, question in asked],
    )

    checks = [checked(spec, motion) for spec, motion in zip(specs, made, strict=True)]
    heard = [text or "" for text in said]  # a failed caption says nothing
    named = [names_rightly(spec, text) for spec, text in zip(specs, heard, strict=True)]
    true = [Motion(builtin.joints(s, sample.labels["seed"])) for s, sample in zip(specs, samples, strict=True)]
    tokens = lm.motion_tokenizer
    decoded = each(lambda clips: [tokens.decode(tokens.encode(clip)) for clip in clips], features)
    again = [None if isinstance(one, MotionLLMError) else one for one in decoded]
    others = [*range(1, cases), 0]
    right = [
        answer is not None and builtin.right_answer(question, answer)
        for (_, question), answer in zip(asked, answers, strict=True)
    ]
    return {
        "suite": "builtin",
        "split": SPLIT,
        "cases": cases,
        "cases_hash": _hash_of_cases(samples, asked),
        "seed": seed,
        "batch": batch,
        "decoding": {
            "motion": {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                **({"guidance": sampling.guidance} if sampling.guidance != 1 else {}),
                "best_of": sampling.best_of,
            },
            "text": "greedy" if lm.shown == "codes" else "captions checked by the notation, answers greedy",
            "length": "own stop",
        },
        "base": lm.recipe.model.base,
        "motion_tokenizer": tokens.hash,
        "versions": {
            "motionllm": motionllm.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "peft", "numpy")},
        },
        "seconds": seconds,
        "failures": {
            "generation": sum(check is None for check in checks),
            "captions": sum(text is None for text in said),
            "answers": sum(answer is None for answer in answers),
        },
        "generation": {
            **shares(specs, checks),
            "bounds": {
                "true": shares(specs, [checked(s, m) for s, m in zip(specs, true, strict=True)]),
                "tokenized": shares(specs, [checked(s, m) for s, m in zip(specs, again, strict=True)]),
                "shuffled": shares(specs, [checked(s, made[i]) for s, i in zip(specs, others, strict=True)]),
            },
        },
        "captions": {
            **shares(specs, named),
            "text": caption_scores(
                {sample.id: text for sample, text in zip(samples, heard, strict=True)},
                {sample.id: sample.captions for sample in samples},
            ),
            "bounds": {
                "true": shares(specs, [names_rightly(s, text) for s, text in zip(specs, prompts, strict=True)]),
                "shuffled": shares(specs, [names_rightly(s, heard[i]) for s, i in zip(specs, others, strict=True)]),
            },
        },
        "answers": _answer_shares([question for _, question in asked], right),
        "examples": [
            {
                "id": samples[i].id,
                "prompt": prompts[i],
                "generated": None if made[i] is None else {"seconds": round(made[i].duration, 2), "has": checks[i]},
                "true_seconds": round(true[i].duration, 2),
                "caption": said[i],
                "true_captions": samples[i].captions,
                "names": named[i],
                "answers": [
                    {"kind": q.kind, "question": q.text, "answer": answer, "true": q.answer, "right": ok}
                    for (clip, q), answer, ok in zip(asked, answers, right, strict=True)
                    if clip == i
                ],
            }
            for i in range(min(cases, EXAMPLES))
        ],
    }


def _asks(spec: Spec) -> list[str]:
    """What a specification asks for, of KINDS."""
    there = {kind for part in spec.parts for kind in ("side", "direction", "count", "speed") if getattr(part, kind)}
    return [kind for kind in KINDS if kind in there or kind == "action" or (kind == "order" and spec.relation)]


def checked(spec: Spec, motion: Motion | None) -> dict[str, bool] | None:
    """What a motion has of what is asked; None where there is none or it cannot be measured."""
    if motion is None:
        return None
    try:
        clip = motion.resample(HUMANML3D.fps) if motion.skeleton is HUMANML3D else motion.canonical()
        return {kind: bool(has) for kind, has in builtin.check(spec, clip.joints).items()}
    except MotionLLMError:
        return None


def names_rightly(spec: Spec, text: str) -> dict[str, bool]:
    """What a caption names rightly: the actions, and the sides and directions that were asked, in order."""
    parts = builtin.named(text)["parts"]
    result = {"action": builtin.names_action(text, spec)}
    for kind in ("side", "direction"):
        # Where an action has one direction only, nobody need say it.
        open_ = [part for part in spec.parts if len(getattr(builtin.ACTIONS[part.action], kind)) > 1]
        wanted = [getattr(part, kind) for part in open_ if getattr(part, kind)]
        if wanted:
            single = {part.action for part in spec.parts if part not in open_}
            found = [part[kind] for part in parts if part[kind] and part["action"] not in single]
            result[kind] = found == wanted or (spec.relation == "while" and sorted(found) == sorted(wanted))
    return result


def shares(specs: Sequence[Spec], results: Sequence[Mapping[str, bool] | None]) -> dict[str, Any]:
    """{kind: share of the cases that ask for it and have it}, "asked", "facts", "all_of", "everything", and "cases".

    A failed case (None) asks for what its specification does and has nothing of it.
    """
    rows = [dict.fromkeys(_asks(s), False) if r is None else r for s, r in zip(specs, results, strict=True)]
    cases = {kind: sum(kind in row for row in rows) for kind in KINDS}
    cases = {kind: n for kind, n in cases.items() if n}
    found: dict[str, Any] = {kind: sum(row.get(kind, False) for row in rows) / n for kind, n in cases.items()}
    return {
        **found,
        "asked": sum(row.get(kind, False) for row in rows for kind in ALL_OF) / sum(cases.get(k, 0) for k in ALL_OF),
        "facts": sum(sum(row.values()) for row in rows) / sum(map(len, rows)),
        "all_of": sum(all(row.get(kind, True) for kind in ALL_OF) for row in rows) / len(rows),
        "everything": sum(all(row.values()) for row in rows) / len(rows),
        "cases": cases,
    }


def draw_questions(samples: Sequence[Sample], seed: int) -> list[tuple[int, Question]]:
    """(clip, question): one question of each kind that a clip has."""
    random = np.random.default_rng([seed, 2])
    drawn = []
    for clip, sample in enumerate(samples):
        for kind in sorted({question.kind for question in sample.questions}):
            of_kind = [question for question in sample.questions if question.kind == kind]
            drawn.append((clip, of_kind[int(random.integers(len(of_kind)))]))
    return drawn


def _answer_shares(questions: Sequence[Question], right: Sequence[bool]) -> dict[str, Any]:
    """Shares of right answers, and of the commonest true answer of each kind, by kind and over all."""
    kinds, always = {}, 0
    for kind in sorted({question.kind for question in questions}):
        mine = [i for i, question in enumerate(questions) if question.kind == kind]
        common, often = Counter(questions[i].answer for i in mine).most_common(1)[0]
        always += often
        kinds[kind] = {
            "questions": len(mine),
            "right": sum(right[i] for i in mine) / len(mine),
            "majority": often / len(mine),
            "majority_answer": common,
        }
    total = len(questions)
    return {"questions": total, "right": sum(right) / total, "majority": always / total, "kinds": kinds}


def _hash_of_cases(samples: Sequence[Sample], asked: Sequence[tuple[int, Question]]) -> str:
    """Results can be compared where this is the same: clips, captions and questions."""
    rows = [[s.id, s.labels, s.captions] for s in samples], [[clip, q.text, q.answer] for clip, q in asked]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]

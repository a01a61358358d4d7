"""The tasks of the suites: what each asks of a contestant, and how its results are measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from motionllm import corpus as builtin
from motionllm.config import Suite
from motionllm.corpus import Spec
from motionllm.data.clips import Clip
from motionllm.data.sources import read
from motionllm.data.tasks import TASKS, Draw
from motionllm.data.templates import conversation
from motionllm.errors import MotionLLMError, each, unknown
from motionllm.eval import corpus, gaps, metrics
from motionllm.eval.classifier import Classifier
from motionllm.eval.contestants import Made, Model
from motionllm.eval.corpus import draw_questions
from motionllm.eval.embedder import Embedder
from motionllm.eval.evaluator import StandardEvaluator
from motionllm.eval.labels import label_scores
from motionllm.eval.passes import SAMPLES, Case, Measured, Run, write_samples
from motionllm.eval.text import caption_scores
from motionllm.motion import Motion
from motionllm.motion.features import features_to_joints
from motionllm.motion.representation import of_data, of_width
from motionllm.tokenizer.report import code_use

EXAMPLES = 8  # cases shown in the result
WORDLESS = "a person moves"  # text for a clip to be filled where no caption is given


def text_to_motion(run: Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    suite, more = run.suite, run.suite.multimodality
    few = cases[: more.texts] if more else []
    run.todo = suite.replications * len(cases) + (more.repeats * len(few) if more else 0)
    true_seconds = [case.seconds for case in cases]
    seconds = true_seconds if suite.length == "given" else None
    classifiers = _classifiers(suite, run.embedder)
    rows: dict[str, list[dict[str, Any]]] = {"real": [], "made": []}
    samples: list[Measured] = []
    lengths: list[float] = []
    failed = 0
    whole = [Measured(e, features_to_joints(case.features)) for e, case in zip(real, cases, strict=True)]
    for number in range(suite.replications):
        captions = captions_of(cases, suite, number)
        text = run.embedder.embed_texts(captions)
        generated = run.motions("replication", number, captions, seconds)
        samples = samples or generated
        failed += sum(m.joints is None for m in generated)
        for name, motions in (("real", whole), ("made", generated)):
            rows[name].append(_replication(run, cases, text, motions, real, number, classifiers))
        lengths += [
            m.joints.shape[0] / case.fps - wanted
            for m, case, wanted in zip(generated, cases, true_seconds, strict=True)
            if m.joints is not None
        ]
    result: dict[str, Any] = {name: _intervals(scores) for name, scores in rows.items()}
    if lengths:
        result["made"]["duration"] = metrics.duration_error(lengths, [0.0] * len(lengths))
    if more:
        captions = [case.sample.captions[0] for case in few]
        asked = [case.seconds for case in few] if suite.length == "given" else None
        passes = [run.motions("repeat", k, captions, asked) for k in range(more.repeats)]
        whole_ = [row for row in zip(*passes, strict=True) if all(m.embedding is not None for m in row)]
        if whole_:
            stacked = np.stack([[m.embedding for m in row] for row in whole_])
            draw = np.random.default_rng([suite.seed, 3])
            result["made"]["multimodality"] = metrics.multimodality(stacked, draw, more.pairs)
    result["failures"] = failed
    write_samples(run.parts.parents[1] / "samples.npz", cases, samples)
    return result | _probe_scores(classifiers)


def _replication(
    run: Run,
    cases: Sequence[Case],
    text: np.ndarray,
    motions: Sequence[Measured],
    real: np.ndarray,
    number: int,
    classifiers: dict[str, Classifier],
) -> dict[str, Any]:
    """Every measure of one replication; a failed motion counts as a miss in measures that have hits."""
    suite = run.suite
    order = [
        i
        for i in np.random.default_rng([suite.seed, 2, number]).permutation(len(cases))
        if motions[i].embedding is not None
    ]
    there = len(order) / len(cases)
    if len(order) < max(suite.group, suite.pairs, 2):
        raise MotionLLMError(
            f"Only {len(order)} of {len(cases)} motions could be measured; suite {suite.name} ranks among "
            f"{suite.group} and compares {suite.pairs} pairs."
        )
    embeddings = np.stack([motions[i].embedding for i in order])  # type: ignore[misc]
    precision = metrics.r_precision(text[order], embeddings, group=suite.group) * there
    row: dict[str, Any] = {f"r{k}": float(r) for k, r in enumerate(precision, 1)}
    row |= {
        "mm_dist": metrics.mm_dist(text[order], embeddings),
        "fid": metrics.frechet_distance(embeddings, real),
        "diversity": metrics.diversity(embeddings, np.random.default_rng([suite.seed, 1, number]), suite.pairs),
    }
    measures = [motions[i].measure(cases[i]) for i in order]
    # A clip too short for a notation has no agreement.
    row |= {
        key: float(np.mean([one[key] for one in measures if key in one]))
        for key in dict.fromkeys(key for one in measures for key in one)
    }
    if "agreement" in row:
        row["agreement"] *= there
    for key, classifier in classifiers.items():
        truth = [cases[i].sample.labels.get(key) for i in order]
        row[f"label_{key}"] = there * float(
            np.mean([a == b for a, b in zip(classifier(embeddings), truth, strict=True)])
        )
    if suite.data.kind == "builtin" and suite.captions == "first":
        specs = [Spec.of(case.sample.labels["spec"]) for case in cases]
        checks = [motion.check(case) for motion, case in zip(motions, cases, strict=True)]
        shares = corpus.shares(specs, checks)
        row |= {name: shares[name] for name in ("asked", "all_of")}
    return row


def filling(run: Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    suite = run.suite
    run.todo = suite.replications * len(cases)
    true = [features_to_joints(case.features) for case in cases]
    rows: dict[str, list[dict[str, Any]]] = {"real": [], "made": []}
    samples: list[Measured] = []
    failed = 0
    for number in range(suite.replications):
        texts = [WORDLESS] * len(cases) if suite.captions == "none" else captions_of(cases, suite, number)
        asked = [gaps.gap(c.features, suite.task, suite.given, text) for c, text in zip(cases, texts, strict=True)]
        filled_clips = run.passed("replication", number, lambda seed, some: run.contestant.fillings(some, seed), asked)
        # A clip of another length than the truth's cannot be compared with it frame by frame.
        filled_clips = [
            m if m.joints is not None and m.joints.shape == t.shape else Measured()
            for m, t in zip(filled_clips, true, strict=True)
        ]
        samples = samples or filled_clips
        failed += sum(m.joints is None for m in filled_clips)
        whole = [Measured(e, t) for e, t in zip(real, true, strict=True)]
        for name, motions in (("real", whole), ("made", filled_clips)):
            there = [i for i, motion in enumerate(motions) if motion.joints is not None]
            if len(there) < max(suite.pairs, 2):
                raise MotionLLMError(
                    f"Only {len(there)} of {len(cases)} clips could be filled; suite {suite.name} compares "
                    f"{suite.pairs} pairs."
                )
            embeddings = np.stack([motions[i].embedding for i in there])  # type: ignore[misc]
            measured = [gaps.measures(asked[i], motions[i].joints, true[i]) for i in there]  # type: ignore[arg-type]
            draw = np.random.default_rng([suite.seed, 1, number])
            rows[name].append(
                {key: float(np.mean([one[key] for one in measured])) for key in measured[0]}
                | {
                    "fid": metrics.frechet_distance(embeddings, real),
                    "diversity": metrics.diversity(embeddings, draw, suite.pairs),
                }
            )
    write_samples(run.parts.parents[1] / "samples.npz", cases, samples)
    return {name: _intervals(embeddings) for name, embeddings in rows.items()} | {"failures": failed}


def captioning(run: Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    run.todo = len(cases)
    captions = run.words("captions", run.contestant.captions, [case.features for case in cases])
    predicted = [text or "" for text in captions]  # a failed caption says nothing
    references = {case.sample.id: case.sample.captions for case in cases}
    first = [case.sample.captions[0] for case in cases]
    result: dict[str, Any] = {
        "text": caption_scores(dict(zip(references, predicted, strict=True)), references),
        "failures": sum(text is None for text in captions),
        "examples": [
            {"id": case.sample.id, "said": text, "true": case.sample.captions}
            for case, text in list(zip(cases, captions, strict=True))[: 2 * SAMPLES]
        ],
    }
    for name, texts in (("real", first), ("made", predicted)):
        if isinstance(run.embedder, StandardEvaluator) and not set(texts) <= run.embedder.tagged.keys():
            result[name] = None  # parts of speech are known only for the data set's own captions
            continue
        order = np.random.default_rng([run.suite.seed, 2]).permutation(len(cases))
        text = run.embedder.embed_texts(texts)
        precision = metrics.r_precision(real[order], text[order], group=run.suite.group)
        result[name] = {f"r{k}": float(r) for k, r in enumerate(precision, 1)}
        result[name]["mm_dist"] = metrics.mm_dist(text, real)
    if run.suite.labels:
        train = read(run.suite.data, "train")
        scores = label_scores(dict(zip(references, predicted, strict=True)), train, [case.sample for case in cases])
        result["labels"] = {
            key: {"accuracy": scores["labels"][key]["accuracy"], "chance": scores["labels"][key]["chance"]}
            for key in run.suite.labels
            if key in scores["labels"]
        }
    return result


def questions(run: Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    asked = draw_questions([case.sample for case in cases], run.suite.seed)
    if not asked:
        raise MotionLLMError(f"No clip of suite {run.suite.name} has questions; the built-in corpus has.")
    run.todo = len(asked)
    questions = [question for _, question in asked]
    features = [cases[clip].features for clip, _ in asked]
    answers = run.words("answers", run.contestant.answers, features, [question.text for question in questions])
    true, kinds = [q.answer for q in questions], [q.kind for q in questions]
    known = [(q.text, q.answer, q.kind) for sample in read(run.suite.data, "train") for q in sample.questions]
    blind = metrics.text_only_answers(known, [(q.text, q.kind) for q in questions])
    right = [a is not None and builtin.right_answer(q, a) for q, a in zip(questions, answers, strict=True)]
    return {
        "answers": metrics.answer_scores(answers, true, kinds) | {"understood": sum(right) / len(right)},
        "text_only": metrics.answer_scores(blind, true, kinds),
        "failures": sum(answer is None for answer in answers),
    }


def in_words(run: Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    """Any other task with a text answer: the share of answers that equal the true ones, and the scores of captions."""
    if not isinstance(run.contestant, Model):
        raise MotionLLMError("Every result of this task has its baseline inside (majority); give a model.")
    lm, task, asked = run.contestant.lm, TASKS[run.suite.task], []
    tokenizer, template = lm.motion_tokenizer, lm.templates.phrasings(run.suite.task)[0]
    assert task.fill
    for number, case in enumerate(cases):
        clip = Clip(case.sample, tokenizer.encode(case.features), {}, str(case.notation or ""))
        if task.serves(clip, tokenizer.parts):
            draw = Draw(np.random.default_rng([run.suite.seed, number]), tokenizer.codes_per_second, tokenizer.parts)
            values = task.fill(clip, draw)[0]
            if "motion" in task.given:
                values["motion"] = lm.motion_part(case.features)
            question, answer, *_ = conversation(template, values)
            asked.append((case, [question], "".join(part["text"] for part in answer["content"])))
    if not asked:
        raise MotionLLMError(f"No clip of suite {run.suite.name} has what the task {task.name!r} needs.")
    run.todo = len(asked)
    answers = run.words("answers", lm.say, [question for _, question, _ in asked])
    scores: dict[str, Any] = {
        "answers": metrics.answer_scores(answers, [true for *_, true in asked], [task.name] * len(asked)),
        "failures": sum(answer is None for answer in answers),
    }
    if task.answer == "caption":
        references = {case.sample.id: case.sample.captions for case, *_ in asked}
        predicted = {case.sample.id: text or "" for (case, *_), text in zip(asked, answers, strict=True)}
        scores["text"] = caption_scores(predicted, references)
    return scores


def builtin_corpus(run: Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    """Generation, captions and answers on clips of the built-in corpus; beside each figure are its bounds.

    Generation: a clip's first caption is the prompt; the model stops by itself. Shares of cases where the motion has
    what the prompt asks, each over the cases that ask for it: see `corpus.shares`. Captions of the true motion: all
    actions named, no others, in order, with side and direction; "text": BLEU, ROUGE-L and CIDEr. Answers: one question
    of each kind per clip. Bounds: the score of the true motion, of the same after the motion tokenizer, and of another
    clip's motion or words; for answers, the most common answer of each kind.
    """
    if run.suite.data.kind != "builtin" or not isinstance(run.contestant, Model):
        raise MotionLLMError("The task `builtin` is of the built-in corpus and has its bounds inside; give a model.")
    samples, features = [case.sample for case in cases], [case.features for case in cases]
    specs, prompts = [Spec.of(s.labels["spec"]) for s in samples], [s.captions[0] for s in samples]
    asked = draw_questions(samples, run.suite.seed)
    run.todo = 2 * len(cases) + len(asked)
    lm, others = run.contestant.lm, [*range(1, len(cases)), 0]
    data = of_data(lm.motion_tokenizer.skeleton)  # the representation of the contestants' motion

    def generate(seed: int, texts: Sequence[str]) -> list[Made]:
        return run.contestant.motions(texts, None, seed)

    joints = [motion.joints for motion in run.passed("generation", 0, generate, prompts)]
    generated = [None if one is None else Motion(one, data.fps, data.skeleton) for one in joints]
    captions = run.words("captions", run.contestant.captions, features)
    questions = [question for _, question in asked]
    answers = run.words(
        "answers",
        run.contestant.answers,
        [features[clip] for clip, _ in asked],
        [question.text for question in questions],
    )

    def checks(motions: Sequence[Motion | None]) -> list[dict[str, bool] | None]:
        return [corpus.checked(spec, motion) for spec, motion in zip(specs, motions, strict=True)]

    def names(texts: Sequence[str]) -> list[dict[str, bool]]:
        return [corpus.names_rightly(spec, text) for spec, text in zip(specs, texts, strict=True)]

    true = [Motion(builtin.joints(spec, sample.labels["seed"])) for spec, sample in zip(specs, samples, strict=True)]
    decoded = each(lambda clips: [lm.motion_tokenizer.decode(lm.motion_tokenizer.encode(c)) for c in clips], features)
    again = [None if isinstance(one, MotionLLMError) else one for one in decoded]
    predicted = [text or "" for text in captions]  # a failed caption says nothing
    has, named = checks(generated), names(predicted)
    right = [a is not None and builtin.right_answer(q, a) for q, a in zip(questions, answers, strict=True)]
    references = {sample.id: sample.captions for sample in samples}
    sampling = run.contestant.sampling
    return {
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
        "failures": {
            "generation": sum(one is None for one in has),
            "captions": sum(text is None for text in captions),
            "answers": sum(answer is None for answer in answers),
        },
        "generation": {
            **corpus.shares(specs, has),
            "bounds": {
                "true": corpus.shares(specs, checks(true)),
                "tokenized": corpus.shares(specs, checks(again)),
                "shuffled": corpus.shares(specs, checks([generated[i] for i in others])),
            },
        },
        "captions": {
            **corpus.shares(specs, named),
            "text": caption_scores(dict(zip(references, predicted, strict=True)), references),
            "bounds": {
                "true": corpus.shares(specs, names(prompts)),
                "shuffled": corpus.shares(specs, names([predicted[i] for i in others])),
            },
        },
        "answers": corpus.answer_shares(questions, right),
        "examples": [
            {
                "id": sample.id,
                "prompt": sample.captions[0],
                "generated": motion and {"seconds": round(motion.duration, 2), "has": has[i]},
                "true_seconds": round(true[i].duration, 2),
                "caption": captions[i],
                "true_captions": sample.captions,
                "names": named[i],
                "answers": [
                    {"kind": q.kind, "question": q.text, "answer": answer, "true": q.answer, "right": ok}
                    for (clip, q), answer, ok in zip(asked, answers, right, strict=True)
                    if clip == i
                ],
            }
            for i, (sample, motion) in enumerate(list(zip(samples, generated, strict=True))[:EXAMPLES])
        ],
    }


def tokenizer(run: Run, cases: Sequence[Case], real: np.ndarray) -> dict[str, Any]:
    """Reconstruction of the clips by a motion tokenizer. A clip shorter than a step is a failure."""
    tokenizer = run.contestant.motion_tokenizer
    rows, codes, again, failed = [], [], [], 0
    representation = tokenizer.representation
    fps, parents = representation.fps, representation.skeleton.parents
    feet = [foot for _, foot in representation.skeleton.feet]
    for i, case in enumerate(cases):
        try:
            clip = representation.read(case.features)
            code = tokenizer.encode(clip)
            features = tokenizer.decode_features(code)
            embedding = run.embedder.embed_motions([of_width(case.features.shape[1]).read(features)])[0]
            reconstructed, true = representation.decode(features), representation.decode(clip[: len(features)])
            rows.append(
                {
                    "root_aligned_mpjpe_mm": 1000 * metrics.root_aligned_mpjpe(reconstructed, true),
                    "mpjpe_mm": 1000 * metrics.mpjpe(reconstructed, true),
                    "pa_mpjpe_mm": 1000 * metrics.pa_mpjpe(reconstructed, true),
                    "acceleration_error": metrics.acceleration_error(reconstructed, true, fps),
                    "skating": metrics.foot_skating(reconstructed, fps, feet),
                    "penetration_mm": 1000 * metrics.floor_penetration(reconstructed),
                    "jerk": metrics.jerk(reconstructed, fps),
                    "bone_drift": metrics.bone_length_drift(reconstructed, parents),
                    "frames": len(reconstructed),
                }
            )
        except MotionLLMError:
            failed += 1
            continue
        codes.append(code)
        again.append(embedding)
        if run.progress:
            run.progress((i + 1) / len(cases), clips=i + 1)
    if len(rows) < 2:
        raise MotionLLMError(f"{failed} of {len(cases)} clips cannot be tokenized; there is nothing to measure.")
    # Averaged over frames, as reconstruction is reported, not over clips.
    frames = np.array([row.pop("frames") for row in rows])
    means = {key: float(np.average([row[key] for row in rows], weights=frames)) for key in rows[0]}
    means |= code_use(np.concatenate(codes), tokenizer.size)
    means |= {"fid": metrics.frechet_distance(np.stack(again), real), "codes_per_second": tokenizer.codes_per_second}
    return {"made": means | {"codes": tokenizer.size}, "failures": failed}


def captions_of(cases: Sequence[Case], suite: Suite, number: int) -> list[str]:
    """The captions of a replication."""
    if suite.captions in ("first", "none"):
        return [case.sample.captions[0] for case in cases]
    draw = np.random.default_rng([suite.seed, 4, number])
    return [case.sample.captions[draw.integers(len(case.sample.captions))] for case in cases]


def _classifiers(suite: Suite, embedder: Embedder | StandardEvaluator) -> dict[str, Classifier]:
    """A classifier of each label, trained on real train clips."""
    if not suite.labels:
        return {}
    samples = read(suite.data, "train")
    embeddings = embedder.embed_motions([sample.load() for sample in samples])
    result = {}
    for key in suite.labels:
        known = [i for i, sample in enumerate(samples) if isinstance(sample.labels.get(key), str)]
        result[key] = Classifier.fit(embeddings[known], [samples[i].labels[key] for i in known], key)
    return result


def _probe_scores(classifiers: dict[str, Classifier]) -> dict[str, Any]:
    if not classifiers:
        return {}
    return {"classifiers": {key: {"classes": len(c.classes), "train": c.accuracy} for key, c in classifiers.items()}}


def _intervals(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {key: metrics.interval([row[key] for row in rows]) for key in rows[0]}


@dataclass(frozen=True)
class SuiteTask:
    """measure(run, cases, embeddings of the real clips): returns the result's own entries. settings: names of those
    settings of the suite that affect its numbers. optional: further ones with their defaults, which results name only
    where they differ. embeds: whether motion is embedded; answers are right or wrong by themselves.
    """

    measure: Callable[[Run, Sequence[Case], np.ndarray], dict[str, Any]]
    settings: tuple[str, ...] = ()
    optional: dict[str, Any] = field(default_factory=dict)
    embeds: bool = True


_MADE = ("replications", "group", "pairs", "temperature", "top_p", "best_of", "batch")
SUITE_TASKS = {
    "text_to_motion": SuiteTask(
        text_to_motion,
        ("captions", "length", *_MADE, "labels"),
        {"guidance": 1, "plan": True, "multimodality": None},
    ),
    "captioning": SuiteTask(captioning, ("group", "labels", "batch"), {"shown": None}),
    "questions": SuiteTask(questions, ("batch",), {"shown": None}, embeds=False),
    "prediction": SuiteTask(filling, ("captions", "given", *_MADE)),
    "in_between": SuiteTask(filling, ("captions", "given", *_MADE)),
    "tokenizer": SuiteTask(tokenizer),
    "builtin": SuiteTask(builtin_corpus, ("best_of", "batch"), embeds=False),
}


def task_of(suite: Suite) -> SuiteTask:
    """How a suite's task is measured. Raises MotionLLMError for an unknown one, or one measured under another name."""
    if suite.task in SUITE_TASKS:
        return SUITE_TASKS[suite.task]
    record = TASKS.get(suite.task)
    if record and record.suite:
        raise MotionLLMError(f"Suite {suite.name}: {suite.task} is measured by `task: {record.suite}`; write that.")
    words = [task.name for task in TASKS.values() if task.fill and not task.moves and not task.suite]
    if suite.task not in words:
        raise MotionLLMError(f"Suite {suite.name}: {unknown('task', suite.task, [*SUITE_TASKS, *words])}.")
    return SuiteTask(in_words, ("batch",), {"shown": None}, embeds=False)

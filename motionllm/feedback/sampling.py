"""Prompts from clips, and a model's replies to them: several each, judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from motionllm.config import Source
from motionllm.data.clips import Clip
from motionllm.data.sources import read
from motionllm.data.tasks import TASKS, Draw, Values
from motionllm.data.templates import conversation
from motionllm.errors import MotionLLMError
from motionllm.feedback.judges import JUDGES, Result
from motionllm.language.conversations import Tokens
from motionllm.lm import decoding
from motionllm.lm.model import MotionLM
from motionllm.lm.prompting import drained
from motionllm.lm.sampling import Sampling
from motionllm.motion.features import features_to_joints
from motionllm.motion.notation import Notation, measure
from motionllm.motion.representation import HUMANML3D_263, of_data
from motionllm.samples import Question, Sample


@dataclass
class Prompt:
    """A task given to the model.

    samples: the clip, then others with the same caption. values: for the template's placeholders, the true answer
    included. seconds: the duration stated. real: for a prompt for motion, the notations of its clips (with 22 joints).
    plan: the text of the plan that the model wrote for it, which every reply follows.
    """

    task: str
    samples: list[Sample]
    template: Any
    values: dict[str, Any]
    question: Question | None = None
    seconds: float | None = None
    real: list[Notation] = field(default_factory=list)
    plan: str = ""

    @property
    def moves(self) -> bool:
        """Whether the reply is motion."""
        return TASKS[self.task].moves

    @property
    def asked(self) -> str:
        """The text of the prompt; "" where only motion is given."""
        return " ".join(text for name in TASKS[self.task].given if isinstance(text := self.values[name], str))

    @property
    def truth(self) -> Any:
        """The true reply."""
        return self.values[TASKS[self.task].answer]

    def opening(self, lm: MotionLM) -> list[int]:
        """Token ids up to the assistant's turn."""
        return lm.renderer(conversation(self.template, self.values, answered=False), reply=True).ids

    def tokens(self, lm: MotionLM, reply: Any) -> Tokens:
        """The conversation with a reply (codes or text), rendered as in fine-tuning. Supervised are the tokens that a
        model draws: the codes and the motion's end, or the text and the end of the turn. The prompt's plan is not
        supervised; one in the reply itself, {"codes", "notation"}, as in the true reply, is.
        """
        own_plan = isinstance(reply, Mapping)
        if self.moves and not own_plan:
            reply = {"codes": reply, "notation": self.plan}
        tokens = lm.renderer(conversation(self.template, self.values | {TASKS[self.task].answer: reply}))
        if self.moves:
            start, end = tokens.ids.index(lm.vocab.start_id), tokens.ids.index(lm.vocab.end_id)
            tokens.supervised = [
                start < i <= end and (own_plan or id_ >= lm.vocab.text_size) for i, id_ in enumerate(tokens.ids)
            ]
        return tokens


class Pool:
    """Clips from some sources' split to draw prompts from. Raises MotionLLMError where a task has no clip."""

    def __init__(self, sources: Sequence[Source], split: str, tasks: Mapping[str, float], lm: MotionLM) -> None:
        self.lm, self.tasks = lm, dict(tasks)
        self.sets = [read(source, split) for source in sources]
        self.weights = [source.weight for source in sources]
        self.same: dict[str, list[Sample]] = {}
        for sample in (sample for samples in self.sets for sample in samples):
            for caption in dict.fromkeys(sample.captions):
                self.same.setdefault(caption, []).append(sample)
        judged = dict.fromkeys(judge.task for judge in JUDGES.values())
        for task in tasks:
            if task not in judged:
                raise MotionLLMError(f"Feedback knows the tasks {', '.join(judged)}, not {task!r}.")
            if not any(_serves(task, sample) for samples in self.sets for sample in samples):
                raise MotionLLMError(f"No clip of the {split} split has what the task {task!r} needs; leave it out.")

    def draw(self, count: int, seed: Sequence[int], seconds: float = 0.0) -> list[Prompt]:
        """Prompts from `count` clips: each task by its share, each source by its weight; the same seed gives the same
        ones.

        seconds: share of the motion prompts that state the clip's duration.
        """
        random = np.random.default_rng([*seed])
        prompts: list[Prompt] = []
        total = sum(self.tasks.values())
        for number, (task, weight) in enumerate(self.tasks.items()):
            # Shares are counts, not probabilities, so that a small round has all tasks. The last takes the rest.
            share = round(count * weight / total) if number < len(self.tasks) - 1 else count - len(prompts)
            fitting = [[s for s in samples if _serves(task, s)] for samples in self.sets]
            odds = np.array([w * bool(f) for w, f in zip(self.weights, fitting, strict=True)])
            orders = [random.permutation(len(f)).tolist() for f in fitting]
            for _ in range(share):
                of = int(random.choice(len(fitting), p=odds / odds.sum()))
                orders[of] = orders[of] or random.permutation(len(fitting[of])).tolist()
                prompts.append(self._prompt(task, fitting[of][orders[of].pop()], random, seconds))
        return prompts

    def _prompt(self, name: str, sample: Sample, random: np.random.Generator, seconds: float) -> Prompt:
        features, lm, task = sample.load(), self.lm, TASKS[name]
        codes = lm.motion_tokenizer.encode(features)
        rate = lm.motion_tokenizer.codes_per_second
        states = task.moves and random.random() < seconds
        templates = lm.templates.phrasings(name, states if task.moves else None)
        templates = [template for template in templates if len(template.turns) == 1]  # only one reply is judged
        if not templates:
            raise MotionLLMError(f"The templates have no phrasing of {name!r} in one turn; add one.")
        template = templates[random.integers(len(templates))]
        known_values: Values = {"motion": lm.motion_part(features)} if "motion" in task.given else {}
        if name == "question":  # a single one, because the judge needs its kind
            question = sample.questions[random.integers(len(sample.questions))]
            known_values |= {"seconds": len(codes) / rate, "question": question.text, "answer": question.answer}
            return Prompt(name, [sample], template, known_values, question)
        assert task.fill
        values = task.fill(Clip(sample, codes), Draw(random, rate, lm.vocab.parts))[0] | known_values
        caption = values.get("caption", "")
        values["caption"] = caption.strip()
        samples = [sample, *[other for other in self.same.get(caption, []) if other is not sample][:7]]
        prompt = Prompt(name, samples, template, values, None, values["seconds"] if states else None)
        if task.moves:
            clips = [features, *(other.load() for other in samples[1:])]
            prompt.real = [
                measure(features_to_joints(clip))
                for clip in clips
                if clip.shape[1] == HUMANML3D_263.dim and len(clip) > 5
            ]
            noted = lm.plans and prompt.real
            values["motion"] = {"codes": codes, "notation": str(prompt.real[0])} if noted else codes
        return prompt


def _serves(task: str, sample: Sample) -> bool:
    """Whether a clip, not yet encoded, has what a task needs."""
    return TASKS[task].serves(Clip(sample, np.zeros(0, np.int64)), 1)


def planned(lm: MotionLM, prompts: Sequence[Prompt], sampling: Sampling, *, batch: int, seed: int) -> list[Prompt]:
    """The prompts, those for motion with a plan that the model writes if it was trained to; `batch` are decoded at
    once.
    """
    with_plans = list(prompts)
    mine = [i for i, prompt in enumerate(with_plans) if lm.plans and prompt.moves]
    for start in range(0, len(mine), batch):
        rows = mine[start : start + batch]
        orders = [_order(lm, with_plans[i]) for i in rows]
        written = drained(lm.planned(orders, [True] * len(rows), [seed + i for i in rows], sampling, tries=1))
        for i, order in zip(rows, written, strict=True):
            with_plans[i] = replace(with_plans[i], plan=str(order.plan))
    return with_plans


def _order(lm: MotionLM, prompt: Prompt) -> Any:
    """The request to decode for a prompt: like `generate`'s, with the prompt's own phrasing and plan."""
    order = replace(lm.order(prompt.asked, prompt.seconds, [], []), prompt=prompt.opening(lm))
    return lm.following(order, Notation.parse(prompt.plan)) if prompt.plan else order


def replies(lm: MotionLM, prompts: Sequence[Prompt], sampling: Sampling, *, batch: int, seed: int) -> list[Any]:
    """The model's reply to each prompt, `batch` decoded at once: codes [int], or text. It stops by itself; a motion
    with a plan is as long as the plan.
    """
    answers: list[Any] = [None] * len(prompts)
    longest = lm.motion_tokenizer.steps(lm.window)
    stop = lm.renderer.stop
    for moving in (True, False):
        mine = [i for i, prompt in enumerate(prompts) if prompt.moves == moving]
        for start in range(0, len(mine), batch):
            rows = mine[start : start + batch]
            if moving:
                orders = [_order(lm, prompts[i]) for i in rows]
                orders = [o if o.plan else replace(o, min_steps=2, max_steps=longest) for o in orders]
                decoded = decoding.motions(lm.model, lm.vocab, orders, sampling, seed=seed + start)
            else:
                openings = [prompts[i].opening(lm) for i in rows]
                decoded = decoding.texts(lm.model, lm.vocab, openings, stop, sampling, seed=seed + start)
            for i, one in zip(rows, decoded, strict=True):
                answers[i] = (
                    [int(c) for c in one] if moving else lm.tokenizer.decode(one, skip_special_tokens=True).strip()
                )
    return answers


def rehearsal(lm: MotionLM, count: int, seed: int, longest: int = 48) -> list[Tokens]:
    """Texts that the base, with the adapter switched off, continues from a random word (Liu et al. 2023, LLM-QAT):
    plain language to rehearse, because an adapter does not come with the base's training texts. All but the first token
    are supervised.
    """
    ids = sorted(set(range(lm.vocab.text_size)) - set(lm.tokenizer.all_special_ids))
    words = [i for i in ids if (word := lm.tokenizer.decode([i])).strip().isalpha() and word.isascii()]
    first = np.random.default_rng([seed, 6]).choice(words or ids, count)
    rows = lm.model.get_output_embeddings().weight.shape[0]
    opening = torch.tensor(first, device=lm.model.device)[:, None]
    torch.manual_seed(seed)
    with torch.no_grad(), lm.model.disable_adapter():
        generated = lm.model.eval().generate(
            input_ids=opening,
            attention_mask=torch.ones_like(opening),
            do_sample=True,
            top_k=0,
            max_new_tokens=longest,
            suppress_tokens=list(range(lm.vocab.text_size, rows)),
            pad_token_id=lm.tokenizer.eos_token_id,
        )
    stop, texts = lm.tokenizer.eos_token_id, []
    for row in generated.tolist():
        end = row.index(stop) + 1 if stop in row else len(row)
        texts.append(Tokens(row[:end], [False] + [True] * (end - 1)))
    return texts


def result(lm: MotionLM, prompt: Prompt, reply: Any) -> Result:
    """A reply in the form that judges read."""
    plans = [Notation.parse(prompt.plan)] if prompt.plan else prompt.real
    judged = Result(prompt.task, prompt.asked, prompt.seconds, prompt.samples, plans, prompt.question)
    if prompt.moves:
        look(lm, judged, reply)
    else:
        judged.said = reply
    return judged


def look(lm: MotionLM, found: Result, codes: Sequence[int]) -> Result:
    """Fill in a result's joints (as decoded), motion (finished) and features (of that motion) from its codes."""
    decoded = lm.motion_tokenizer.decode(codes)
    found.joints = decoded.joints
    found.motion = lm.motion_tokenizer.representation.finished(decoded)
    found.features = of_data(lm.motion_tokenizer.skeleton).encode(found.motion)
    return found

"""`motionllm generate TEXT` or `--prompts FILE`: motion from text, to a file or a folder of them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionllm.cli import Engine, check_used, emit, read_clip
from motionllm.motion.formats import WRITERS

if TYPE_CHECKING:
    from motionllm.lm.model import MotionLM
    from motionllm.lm.planning import Seconds
    from motionllm.lm.sampling import Sampling


def generate(
    ctx: typer.Context,
    text: Annotated[str | None, typer.Argument(help="What the person does.")] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Instead of TEXT: a file of prompts, a line each, or JSONL of text (id, seconds, seed, plan)."
        ),
    ] = None,
    seconds: Annotated[
        str | None, typer.Option(help="Exact duration as 4, or bounds as 2-4; default: the model decides.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help=f"File to write: {' '.join(WRITERS)} (motion.bvh); with --prompts a folder."),
    ] = None,
    suffix: Annotated[str, typer.Option("--format", help="With --prompts: the suffix of the files.")] = ".bvh",
    model: Annotated[str, typer.Option(help="Adapter or run folder, or a shipped adapter's name.")] = "default",
    engine: Engine = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same motion; default: one is drawn, and printed.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="0 is greedy; default: the adapter's own, else 0.8.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Share of the likeliest codes that are drawn from; default: the adapter's own, else 0.95."),
    ] = None,
    top_k: Annotated[int, typer.Option(help="Number of the likeliest codes that are drawn from; 0: all.")] = 0,
    best_of: Annotated[
        int | None,
        typer.Option(
            help="Make this many motions and keep the best match to the plan or the text; "
            "default: the adapter's own, else 8."
        ),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            help="Above 1: closer to the text; for adapters trained with data.drop_text; default: the adapter's own, "
            "else 1."
        ),
    ] = None,
    start: Annotated[Path | None, typer.Option(help="A clip that the motion begins with.")] = None,
    end: Annotated[Path | None, typer.Option(help="A clip that it ends with; needs --seconds, clips included.")] = None,
    batch: Annotated[int, typer.Option(help="With --prompts: how many are decoded side by side.")] = 8,
    judge: Annotated[
        str | None,
        typer.Option(help="Keep the best by these judges instead: facts,physics=0.2 … (docs/feedback.md has all)."),
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Embedder of the judge `similarity`: a folder or a shipped name.")
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="A file with the notation that the motion is to follow; it says the seconds too."),
    ] = None,
    no_plan: Annotated[bool, typer.Option("--no-plan", help="The model writes no plan before it moves.")] = False,
    show_plan: Annotated[bool, typer.Option("--show-plan", help="Print the plan that the motion follows.")] = False,
    library: Annotated[
        Path | None,
        typer.Option(help="A motion library (`motionllm data library`) in place of the adapter's own."),
    ] = None,
    no_library: Annotated[
        bool, typer.Option("--no-library", help="Every motion is the model's own, none a clip of the library.")
    ] = False,
    lock_feet: Annotated[bool, typer.Option("--lock-feet", help="Standing feet do not slide.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Generate motion from text. With --prompts, exit status 2 where some could not be generated."""
    from motionllm.errors import MotionFileError, MotionLLMError
    from motionllm.lm.planning import parse_seconds

    # Check everything that can be wrong before loading a model.
    if (text is None) == (prompts is None):
        raise MotionLLMError("Give either a text or --prompts with a file of them.")
    wanted = None if seconds is None else parse_seconds(seconds)
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    target = out or Path("motions" if prompts else "motion.bvh")
    if (suffix if prompts else target.suffix).lower() not in WRITERS:
        raise MotionFileError(f"{target}: a motion is written as {', '.join(WRITERS)}; choose one of these suffixes.")
    if library and no_library:
        raise MotionLLMError("--no-library leaves --library without use; give one of the two.")
    if library is not None and not library.is_file():
        wrong = "is a folder" if library.is_dir() else "no such file"
        raise MotionFileError(f"{library}: {wrong}; give --library the file that `motionllm data library` wrote.")
    if prompts is None:
        check_used(ctx, "suffix batch", "without --prompts")
    if judge is None:
        check_used(ctx, "embedder", "without --judge similarity")
    if judge is not None or plan is not None or show_plan:
        check_used(ctx, "library", "with --judge, --plan or --show-plan: a clip of it follows none of these")
    if temperature == 0:
        check_used(ctx, "top_p top_k best_of judge", "at --temperature 0, where every motion is the likeliest")
    if best_of == 1:
        check_used(ctx, "judge", "with --best-of 1: it chooses among several motions")
    options = {"temperature": temperature, "top_p": top_p, "top_k": top_k, "guidance": guidance, "best_of": best_of}
    options["library"] = False if no_library else None
    order = _Order(wanted, seed, target, model, engine, options, no_plan, library, lock_feet, as_json)
    if prompts is not None:
        if batch < 1:
            raise MotionLLMError(f"--batch {batch} must be at least 1.")
        if start or end or judge or plan or show_plan:
            raise MotionLLMError(
                "--start, --end, --judge, --plan and --show-plan go with one text; leave them out with --prompts "
                '(a row may have its "plan").'
            )
        _many(prompts, suffix, batch, order)
    else:
        assert text is not None
        _one(text, order, start, end, judge, embedder, plan, show_plan)


@dataclass(frozen=True)
class _Order:
    """What is asked for of one motion or many. target: the file of the one, the folder of the many. options: of
    sampling; None: the adapter's own.
    """

    seconds: Seconds
    seed: int | None
    target: Path
    model: str
    engine: list[str] | None
    options: dict[str, Any]
    no_plan: bool
    library: Path | None
    lock_feet: bool
    as_json: bool

    def sampling(self) -> Sampling:
        """The adapter's own sampling with the options given; on an engine without its guidance and candidates, for
        which engines have no likelihoods.
        """
        from motionllm.lm.adapters import own_sampling

        own = own_sampling(self.model)
        return (replace(own, guidance=1.0, best_of=None) if self.engine else own).but(**self.options)

    def loaded(self) -> MotionLM:
        """The model, or the one that engines serve, with this library in place of its own. Raises what loading does."""
        from motionllm.lm.library import Library
        from motionllm.lm.model import MotionLM

        lm = MotionLM.connect(self.engine, self.model) if self.engine else MotionLM.load(self.model)
        if self.library:
            lm.library = Library.load(self.library, lm.motion_tokenizer)
        return lm


def _many(prompts: Path, suffix: str, batch: int, order: _Order) -> None:
    """The motions of a file of prompts, into a folder."""
    from motionllm.app.prompts import generate_files, read_prompts
    from motionllm.files import reading
    from motionllm.lm.results import content_hash, made_by

    given = read_prompts(prompts, order.seconds, order.seed)
    by = {}
    if order.library:
        with reading(order.library):
            by["library"] = content_hash(order.library)
    report = generate_files(
        order.loaded,
        made_by(order.model, **by),
        given,
        order.target,
        order.sampling(),
        suffix=suffix,
        batch=batch,
        lock_feet=order.lock_feet,
        plan=False if order.no_plan else None,
    )
    lines = [
        f"{report['made']} motions made ({report['seconds']:.0f} s), {report['kept']} kept, in {order.target}",
        *(f"failed {name}: {why}" for name, why in report["failed"].items()),
    ]
    emit(report, order.as_json, "\n".join(lines))
    if report["failed"]:
        raise typer.Exit(2)


def _one(
    text: str,
    order: _Order,
    start: Path | None,
    end: Path | None,
    judge: str | None,
    embedder: str | None,
    plan: Path | None,
    show_plan: bool,
) -> None:
    """The motion of one text, into a file."""
    from motionllm.errors import MotionLLMError, about, check_text
    from motionllm.files import check_place, read_text
    from motionllm.lm.sampling import BEST_OF
    from motionllm.motion import Motion
    from motionllm.motion.notation import Notation

    check_text(text, "The text")
    check_place(order.target)
    if order.no_plan and (plan or show_plan):
        raise MotionLLMError("--no-plan leaves no plan to give or to show; leave it out, or --plan and --show-plan.")
    follows: Notation | bool | None = False if order.no_plan else None
    if plan:
        written = read_text(plan, "plan")
        with about(plan):
            follows = Notation.parse(written)
    first, last = (None if clip is None else read_clip(clip) for clip in (start, end))
    if order.seed is None:  # drawn here, so that whoever likes the motion can have it again
        order = replace(order, seed=secrets.randbelow(2**31))
    sampling = order.sampling()
    lm, ranking = order.loaded(), None
    if judge:
        from motionllm.feedback.ranking import Ranking

        ranking = Ranking.of(lm, judge, embedder)
    begun = time.monotonic()
    if follows is None and (lm.plans_first or show_plan):
        follows = lm.plan(text, order.seconds, order.seed, sampling=sampling, start=first)
    if ranking and isinstance(follows, Notation):
        ranking.plan = follows
    if show_plan and not order.as_json:
        typer.echo(str(follows) + "\n")
    motion = lm.generate(
        text, order.seconds, seed=order.seed, sampling=sampling, start=first, end=last, judge=ranking, plan=follows
    )
    assert isinstance(motion, Motion)
    result: dict[str, Any] = {
        "out": order.target,
        "seconds": motion.duration,
        "frames": len(motion),
        "text": text,
        "seed": order.seed,
    }
    if isinstance(follows, Notation):
        result["plan"] = str(follows)
    if motion.notes:
        result["notes"] = motion.notes if order.as_json else "; ".join(motion.notes)
    if ranking:
        result["judged"] = {
            "generation_seconds": round(time.monotonic() - begun, 2),
            **ranking.told(sampling.best_of or BEST_OF),
        }
    motion = motion.lock_feet() if order.lock_feet else motion
    motion.save(order.target)
    emit(result if order.as_json else {key: value for key, value in result.items() if key != "plan"}, order.as_json)

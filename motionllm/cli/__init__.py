"""The command line: `motionllm VERB …`, one small module per verb, imported when it is called.

A verb is a file `motionllm/cli/VERB.py` with either a function of the verb's name or, where
it has verbs of its own, a `typer.Typer` called `app`. Heavy libraries are imported inside
these functions, so that help costs no more than Python and typer.

Results go to standard output, everything else to standard error. Exit status: 0 success, 2 wrong input (MotionLLMError,
one line), 130 interrupted, 143 terminated (SIGTERM), 1 a bug (traceback).
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import json
import logging
import math
import numbers
import os
import pkgutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core
import typer.main

from motionllm.errors import MotionLLMError, unknown
from motionllm.runs.run import Stopped

if TYPE_CHECKING:
    from motionllm.motion import Motion

# In the order of use; a verb without a file is not offered.
VERBS = (
    "doctor",
    "demo",
    "recipes",
    "start",
    "data",
    "tokenizer",
    "train",
    "improve",
    "eval",
    "generate",
    "edit",
    "caption",
    "ask",
    "chat",
    "web",
    "merge",
    "push",
    "mcp",
)

CONTEXT = {"help_option_names": ["-h", "--help"]}

Engine = Annotated[
    list[str] | None,
    typer.Option(
        "--engine",
        metavar="URL",
        help="An engine that serves the model, which is not loaded here; one --engine for each of several. --model is "
        "then the folder that `motionllm merge` wrote.",
    ),
]


def read_clip(clip: Path, rig: Path | None = None) -> Motion:
    """A motion file, as every verb reads one: doubts about it, and corrections to it, are printed on standard error."""
    from motionllm.motion import Motion
    from motionllm.motion.plausible import doubts

    motion = Motion.load(clip, rig)
    for note in doubts(motion.notes):
        typer.echo(f"{clip}: {note}", err=True)
    return motion


def check_used(ctx: typer.Context, names: str, why: str) -> None:
    """Raise MotionLLMError for those of these parameters (words of `names`) that the command line gives: what nobody
    reads there is not what was meant. why: where they do nothing, as "with --narrate".
    """
    options = {param.name: max(param.opts, key=len) for param in ctx.command.params}
    given = [options[name] for name in names.split() if str(ctx.get_parameter_source(name)).endswith("COMMANDLINE")]
    if given:
        raise MotionLLMError(
            f"{' and '.join(given)} would do nothing {why}; leave {'it' if len(given) == 1 else 'them'} out."
        )


def check_resumed(resume: Path | None, out: Path | None, changed: bool = False) -> None:
    """Raise MotionLLMError for options of a run that would do nothing: a place besides that of the run that goes on,
    and what is said of such a run where there is none.
    """
    if resume is not None and out is not None:
        raise MotionLLMError(f"--out would do nothing: the run goes on in {resume}; leave it out.")
    if changed and resume is None:
        raise MotionLLMError("--changed would do nothing without --resume; leave it out.")


def emit(result: dict[str, Any], as_json: bool, text: str | None = None) -> None:
    """Print a verb's result to standard output, once: one line of JSON, or `text`, or `key: value` lines. In JSON,
    paths become strings, and numbers that are not finite null: NaN is not JSON.
    """
    if as_json:
        line = json.dumps(_plain(result), ensure_ascii=False, allow_nan=False)
        try:
            line.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        except UnicodeEncodeError:  # escaped, so that nothing is lost, undecodable file names included
            line = json.dumps(_plain(result), allow_nan=False)
        print(line)
    elif text is not None:
        print(text)
    else:
        print("\n".join(f"{key}: {value}" for key, value in result.items()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (default `sys.argv`) and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # consoles lack characters (cp1252), file names may be undecodable
            stream.reconfigure(errors="replace")
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("motionllm").setLevel(logging.INFO)
    if not sys.warnoptions:  # between libraries: peft uses a deprecated name of transformers
        warnings.simplefilter("ignore", FutureWarning)
    try:
        try:
            typer.main.get_command(app).main(None if argv is None else list(argv), prog_name="motionllm")
        finally:
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()  # here, where a full disk is one sentence
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"motionllm: error: The output cannot be written ({error.strerror}); make room.", file=sys.stderr)
        with contextlib.suppress(OSError, ValueError):  # what is left in the buffer goes nowhere, without a word
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except MotionLLMError as error:
        print(f"motionllm: error: {error}", file=sys.stderr)
        return 2
    except Stopped as stop:
        if stop.message:
            print(f"motionllm: {stop.message}", file=sys.stderr)
        return 128 + stop.number
    except SystemExit as done:  # typer exits this way, also on usage errors (2) and interruption (130)
        return done.code if isinstance(done.code, int) else 0
    return 0


class _Verbs(typer.core.TyperGroup):
    """Imports a verb's module when it is called, or when all verbs are listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        there = {module.name for module in pkgutil.iter_modules(__path__)}
        return [verb for verb in VERBS if verb in there]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in (there := self.list_commands(ctx)):
            raise MotionLLMError(unknown("verb", cmd_name, there))
        module = importlib.import_module(f"{__name__}.{cmd_name}")
        verb = getattr(module, "app", None)
        if verb is None:
            verb = typer.Typer(add_completion=False)
            verb.command(cmd_name, context_settings=CONTEXT)(getattr(module, cmd_name))
        command = typer.main.get_command(verb)
        command.name = cmd_name
        return command


app = typer.Typer(cls=_Verbs, add_completion=False, no_args_is_help=True, context_settings=CONTEXT)


def _version(wanted: bool) -> None:
    if wanted:
        from motionllm import __version__

        print(f"motionllm {__version__}")
        raise typer.Exit


@app.callback()
def _motionllm(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Human motion as a language: one model generates motion from text, captions motion and answers questions on it."""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    raise TypeError(f"a result of type {type(value).__name__} has no place in JSON")

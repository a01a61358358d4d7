"""A base model's own chat template: rendered within limits, and verified to give the same ids in training and
inference.

A template is a program that comes with a model. It runs in a sandbox without clock and random numbers, limited in time
and memory, and gets placeholders in place of texts, so that its output depends on the roles only and can be cached. The
output is verified when a base is loaded, because a model that is prompted with other ids than in training, or whose end
token is not the one decoding stops at, fails silently:

- the ids that a reply is asked with are those that stand before it in training, also in a conversation that goes on;
- every assistant's turn ends in one token, which is learned and which decoding stops at;
- two dates give one prompt;
- the token of the text's beginning stands there once where the tokenizer has one of its own accord.

Where a template does not do so it is mended by rule, and `ChatTemplate.mended` says what was done; where no rule
helps, the base is refused.
"""

from __future__ import annotations

import ctypes
import datetime
import json
import logging
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from motionllm.errors import MotionLLMError

try:
    import resource  # not on Windows
except ImportError:
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

_MARK = "\ue000{}\ue001"  # private-use characters, without meaning to any template or tokenizer
_MARKS = re.compile("\ue000([0-9]+)\ue001")

TODAY = datetime.datetime(2024, 7, 26)  # for templates that write the date: the same day in training and inference
SECONDS, MEMORY = 5.0, 512 << 20  # time limit for compiling and rendering a template
KEPT = 100  # characters of the longest texts whose ids are kept
LONGEST = 200_000  # largest template and output, in characters: real ones have at most 20,000

PROVED = {
    "prompt": "what a reply is asked with is what stands before it in training",
    "end": "one token ends every reply, and is learned and stopped at",
    "system message": "has a place of its own",
    "roles": "may follow one another in any order",
    "beginning": "is that of the tokenizer, once",
    "date": "two days give one prompt",
}

# (role, number of parts) of every message: all that a template gets to know.
Shape = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Fixed:
    """Ids that the template writes between the parts of a conversation. learned: this many of the first are supervised,
    because they end an assistant's turn.
    """

    ids: tuple[int, ...]
    learned: int = 0


class ChatTemplate:
    """The chat template of a base's tokenizer.

    stop: the id that ends an assistant's turn. folds: whether a system message is put before the first user message,
    for lack of a system role. mended: corrections, by the names in `PROVED`. Raises MotionLLMError where the template
    cannot be used, with the reason.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer, self.mended = tokenizer, dict[str, str]()
        if not tokenizer.chat_template:
            raise MotionLLMError(
                f"The base model {tokenizer.name_or_path} has no chat template; give an instruction-tuned base."
            )
        self.folds = self._merges = self._lists = False
        self._opening: str | None = None
        self._bos: int | None = None  # to be put at the beginning
        self.layout = lru_cache(1024)(self._layout)
        self._kept_ids = lru_cache(8192)(self._ids)
        self._ends = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
        self._compiled = self._compile()
        self._fit_roles()
        self._fit_opening()
        self.stop = self._fit_end()
        self._fit_beginning()
        self._fit_date()
        self._prove()
        self._controls = self._plain_controls()
        if self.mended:
            done = "; ".join(f"the {name} {said}" for name, said in self.mended.items())
            _tell(f"Of the chat template of {tokenizer.name_or_path}, {done}.")

    def __reduce__(self) -> tuple[type[ChatTemplate], tuple[Any]]:
        return ChatTemplate, (self.tokenizer,)  # a compiled template cannot go to another process

    # -- what the renderer asks for -------------------------------------------------------------------------

    def _layout(self, shape: Shape, reply: bool) -> list[Fixed | int]:
        """The sequence of a conversation of this shape: ids of the template, and indices of the parts.

        reply: end where the assistant's turn opens. `layout` is this, kept. Raises MotionLLMError where the template
        refuses such a conversation or leaves a part of it out.
        """
        pieces, opens, closes = self._pieces(shape, reply)
        slots: list[Fixed | int] = []
        for place, piece in enumerate(pieces):
            if place % 2:
                slots.append(int(piece))
                continue
            if self._opening is not None and place + 1 in opens:
                piece = self._opening
            if place - 1 in closes:
                slots.append(self._ending(piece))
            elif piece:
                slots.append(Fixed(tuple(self._encode(piece))))
        if self._bos is not None:
            slots.insert(0, Fixed((self._bos,)))
        return slots

    def text(self, text: str) -> list[int]:
        """Ids of a user's text, without any control token, whatever it contains."""
        # Phrasings and short answers come again and again in training.
        return list(self._kept_ids(text) if len(text) <= KEPT else self._ids(text))

    def _ids(self, text: str) -> tuple[int, ...]:
        if self._controls is None or not self._controls.search(text):
            return tuple(self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
        # Control tokens that are not marked as special would be recognised in any text: split each after its first
        # character.
        cuts = [0, *(match.start() + 1 for match in self._controls.finditer(text)), len(text)]
        return tuple(
            one
            for begin, end in pairwise(cuts)
            for one in self.tokenizer.encode(text[begin:end], add_special_tokens=False, split_special_tokens=True)
        )

    # -- rendering ------------------------------------------------------------------------------------------

    def _compile(self) -> Any:
        import jinja2
        from jinja2.ext import loopcontrols

        source = self.tokenizer.chat_template
        try:
            source = self.tokenizer.get_chat_template()  # of several, the one for plain conversations
            if len(source) > LONGEST:
                raise ValueError(f"it has {len(source)} characters")
            sandbox, names, generation = _classes()
            environment = sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[generation, loopcontrols])
            environment.filters["tojson"] = _tojson
            # Without functions whose result changes over time or between calls.
            environment.filters.pop("random", None)
            environment.globals.pop("lipsum", None)
            environment.globals |= {
                "raise_exception": _raise,
                "strftime_now": TODAY.strftime,
                "dict": _dict,
                "namespace": names,
            }
            return _bounded(lambda: environment.from_string(source))
        except jinja2.TemplateSyntaxError as error:
            raise self._refused(f"line {error.lineno}: {_first(error)}") from None
        except Exception as error:  # the template is foreign code, compiled by a foreign library
            raise self._refused(_first(error)) from None

    def _render(self, given: list[dict[str, str]], ask: bool = False, **values: Any) -> str:
        """Render messages. ask: with the template's opening of an assistant's turn at the end."""
        messages: list[dict[str, Any]] = [dict(message) for message in given]
        if self._lists:
            messages = [m | {"content": [{"type": "text", "text": m["content"]}]} for m in messages]
        known = {**self.tokenizer.special_tokens_map, "tools": None, "documents": None, **values}
        try:
            written = _bounded(lambda: self._compiled.render(messages=messages, add_generation_prompt=ask, **known))
        except Exception as error:  # the template is foreign code and can raise anything
            raise _Refusal(_first(error)) from None
        if len(written) > LONGEST + sum(len(m["content"]) for m in given):
            raise _Refusal(f"it writes {len(written)} characters for {len(given)} messages")
        return str(written)

    def _pieces(self, shape: Shape, reply: bool) -> tuple[list[str], set[int], set[int]]:
        """(the template's text and the parts' numbers in turn, the places of the parts that open an assistant's turn
        after a user's, those that end one)."""
        turns: list[tuple[str, str, int, int]] = []  # role, content, first and last part
        part = 0
        for role, count in shape:
            role = "user" if role == "system" and self.folds else role
            content, first, part = "".join(_MARK.format(n) for n in range(part, part + count)), part, part + count
            if turns and turns[-1][0] == role and (self._merges or (self.folds and role == "user")):
                _, before, first, _ = turns.pop()
                content = f"{before}\n\n{content}" if before and content else before or content
            turns.append((role, content, first, part - 1))
        if reply:
            turns.append(("assistant", _MARK.format(part), part, part))
            part += 1
        try:
            text = self._render([{"role": role, "content": content} for role, content, _, _ in turns])
        except _Refusal as error:
            raise self._refused(f"for {_roles(shape)}: {error}") from None
        pieces = _MARKS.split(text)
        if [int(number) for number in pieces[1::2]] != list(range(part)):
            raise self._refused(f"for {_roles(shape)}, it leaves out a message, repeats one or puts it elsewhere")
        opens = {
            2 * first + 1
            for (before, *_), (role, _, first, last) in pairwise(turns)
            if (before, role) == ("user", "assistant") and last >= first
        }
        closes = {2 * last + 1 for role, _, first, last in turns if role == "assistant" and last >= first}
        if reply:
            pieces = pieces[:-2]
        return pieces, opens, closes

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _ending(self, piece: str) -> Fixed:
        """The ids after an assistant's part, supervised up to the token that ends the turn, which is added where the
        template writes none.
        """
        ids = self._encode(piece)
        if (place := self._end_of(piece, ids)) is not None and ids[place] == self.stop:
            return Fixed(tuple(ids), place + 1)
        return Fixed((self.stop, *ids), 1)

    def _end_of(self, piece: str, ids: Sequence[int]) -> int | None:
        """Index of the control token that a text begins with, after white space."""
        for place, one in enumerate(ids):
            token = self.tokenizer.convert_ids_to_tokens(one)
            # The text must contain the token's name: unknown characters also become a special token.
            if one in self._ends and token.strip() and piece.lstrip().startswith(token):
                return place
            if self.tokenizer.decode([one]).strip():
                return None
        return None

    # -- proofs and mends -----------------------------------------------------------------------------------

    def _fit_roles(self) -> None:
        """Determine whether the template accepts a system message, and two consecutive messages of one role."""
        simple: Shape = (("user", 1), ("assistant", 1))
        try:
            self._pieces(simple, False)
        except MotionLLMError as error:
            self._lists = True  # a list of parts, as templates of vision models expect
            if not self._takes(simple):
                raise error
        if not self._takes((("system", 1), *simple, *simple)) or not self._grows((("system", 1), *simple, *simple)):
            self.folds = True
            self.mended["system message"] = "has no place, and is put before the user's first words"
        users, answers = (("user", 1), *simple), (*simple, ("assistant", 1))
        if not self._takes(users) or not self._takes(answers):
            self._merges = True
            self.mended["roles"] = "must alternate: neighbours of one role become one message"

    def _takes(self, shape: Shape) -> bool:
        try:
            self._pieces(shape, False)
        except MotionLLMError:
            return False
        return True

    def _grows(self, shape: Shape) -> bool:
        """Whether the text before the first reply is unchanged when the conversation continues."""
        first = next(n for n, (role, _) in enumerate(shape) if role == "assistant")
        short, whole = self._pieces(shape[:first], True)[0], self._pieces(shape, False)[0]
        return short[:-1] == whole[: len(short) - 1]  # the last piece is the opening, which has a rule of its own

    def _fit_opening(self) -> None:
        """Make prompts end in what precedes replies in training, everywhere in a conversation."""
        pieces, opens, _ = self._pieces((("user", 1), ("assistant", 1)) * 2, False)
        first, last = (pieces[place - 1] for place in sorted(opens))
        try:
            asked = _MARKS.split(self._render([{"role": "user", "content": _MARK.format(0)}], ask=True))[-1]
        except _Refusal as error:
            raise self._refused(str(error)) from None
        if first == last == asked:
            return
        # White space before a reply is not part of it: drop it, so that the reply is tokenized like the start of a
        # text.
        self._opening = asked if asked.strip() == last.strip() else last
        self.mended["prompt"] = (
            f"before a reply stands {first!r} in a conversation, {last!r} at its end and {asked!r} to ask for one: "
            f"here it is {self._opening!r} always"
        )

    def _fit_end(self) -> int:
        """Determine the token that ends an assistant's turn."""
        piece = self._pieces((("user", 1), ("assistant", 1)), False)[0][-1]
        ids = self._encode(piece)
        if (place := self._end_of(piece, ids)) is not None:
            return ids[place]
        if self.tokenizer.eos_token_id is None:
            raise self._refused(
                "no token ends the assistant's turn, and the tokenizer has none for it: name an eos_token in its "
                "tokenizer_config.json"
            )
        self.mended["end"] = f"is marked by no token: {self.tokenizer.eos_token} is added, learned and stopped at"
        return int(self.tokenizer.eos_token_id)

    def _fit_beginning(self) -> None:
        """Make the text begin with the tokenizer's start token, exactly once."""
        bos, plain = self.tokenizer.bos_token_id, self._encode("a")
        own = list(self.tokenizer.encode("a"))
        if bos is None or own[:1] != [bos] or plain[:1] == [bos]:
            return
        written = self.layout((("user", 1), ("assistant", 1)), False)
        self.layout.cache_clear()
        if not isinstance(written[0], Fixed) or written[0].ids[0] != bos:
            self._bos = bos
            self.mended["beginning"] = f"lacks {self.tokenizer.bos_token}, which the tokenizer begins with: it is added"

    def _fit_date(self) -> None:
        """Note whether the template writes the date, which is `TODAY` here."""
        messages = [{"role": "user", "content": _MARK.format(0)}]
        later = TODAY + datetime.timedelta(days=400, hours=7, minutes=1)
        if self._render(messages) != self._render(messages, strftime_now=later.strftime):
            self.mended["date"] = f"is the day's: here it is always {TODAY:%d %B %Y}"

    def _prove(self) -> None:
        """Raise MotionLLMError where, after all corrections, training and inference would still differ."""
        turn: Shape = (("user", 1), ("assistant", 1))
        for shape in (turn, turn * 3, (("system", 1), *turn * 2)):
            whole = self.layout(shape, False)
            for n, (role, _) in enumerate(shape):
                asked = self.layout(shape[:n], True) if role == "assistant" else []
                if asked != whole[: len(asked)]:
                    raise self._refused(
                        f"what it writes before a reply depends on what comes after it ({_roles(shape)})"
                    )
            ends = [one for one in whole if isinstance(one, Fixed) and one.learned]
            if len(ends) != sum(role == "assistant" for role, _ in shape) or any(
                one.ids[one.learned - 1] != self.stop for one in ends
            ):
                raise self._refused("its assistant's turns do not end alike")
            if isinstance(whole[0], Fixed) and (bos := self.tokenizer.bos_token_id) is not None:
                first = [*whole[0].ids[:2], *(whole[1].ids[:1] if isinstance(whole[1], Fixed) else ())]
                if first[:2] == [bos, bos]:
                    raise self._refused(f"it writes {self.tokenizer.bos_token} twice at the beginning")

    def _plain_controls(self) -> re.Pattern[str] | None:
        """A pattern for tokens that the template writes and the tokenizer does not mark as special."""
        turn: Shape = (("user", 1), ("assistant", 1))
        written = "".join(self._pieces(turn * 2, False)[0][::2]) + (self._opening or "")
        tokens = [
            token.content
            for token in self.tokenizer.added_tokens_decoder.values()
            if not token.special and len(token.content.strip()) > 1 and token.content in written
        ]
        return re.compile("|".join(map(re.escape, tokens))) if tokens else None

    def _refused(self, why: str) -> MotionLLMError:
        return MotionLLMError(
            f"The chat template of base model {self.tokenizer.name_or_path} cannot be used ({why}): put back "
            "the template that it was released with, or choose another base."
        )


class _Refusal(Exception):
    """The template's own error, or what is wrong with its output."""


class _TooLong(BaseException):
    """Timeout. Not an Exception, so that no handler within jinja catches it."""


_ALONE = threading.RLock()  # the limit of memory is the process's


def _bounded(work: Callable[[], Any]) -> Any:
    """Run `work` and return its result. Raises TimeoutError or MemoryError beyond SECONDS or MEMORY.

    A timer thread raises in this one, which works in any thread; memory is limited for the process, where the system
    allows lowering and raising the limit.
    """
    this, over, guard = threading.get_ident(), threading.Event(), threading.Lock()

    def stop() -> None:
        with guard:
            if not over.is_set():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(this), ctypes.py_object(_TooLong))

    timer = threading.Timer(SECONDS, stop)
    timer.daemon = True
    with _ALONE:
        timer.start()
        former = _lower()
        try:
            try:
                return work()
            finally:
                with guard:
                    over.set()
                timer.cancel()  # an exception raised by the timer arrives here at the latest
        except _TooLong:
            raise TimeoutError(f"it takes more than {SECONDS:g} s") from None
        except MemoryError:
            raise MemoryError("it takes too much memory") from None
        finally:
            if former:
                resource.setrlimit(resource.RLIMIT_AS, former)


def _lower() -> tuple[int, int] | None:
    """Lower this process's memory limit; returns the former limits, or None where that is not possible."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            held = int(file.read().split()[0]) * resource.getpagesize()
        former = resource.getrlimit(resource.RLIMIT_AS)
        limits = [held + MEMORY, *(limit for limit in former if limit != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_AS, (min(limits), former[1]))
    except (OSError, ValueError, AttributeError):
        return None
    return former


@lru_cache(1)
def _classes() -> tuple[Any, Any, Any]:
    """(the sandbox, its namespaces, its tag `generation`); made late: jinja2 takes a while to import."""
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError
    from jinja2.utils import Namespace

    class Sandbox(ImmutableSandboxedEnvironment):
        """Checks operators that can blow up their operands first: a single call cannot be interrupted."""

        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            sizes = [abs(x).bit_length() if isinstance(x, int) else 64 for x in (left, right)]
            if operator == "**":
                cost = sizes[0] * abs(right) if isinstance(right, int) else 64
            elif operator == "*":
                count = next((x for x in (left, right) if isinstance(x, int)), 1)
                cost = sum(sizes) + sum(len(x) * max(0, count) for x in (left, right) if hasattr(x, "__len__"))
            else:  # of texts, "%999999999d" % 1
                wide = isinstance(left, str) and re.search(r"%[^a-zA-Z%]*(\*|\d{4})", left)
                cost = LONGEST + 1 if wide else 0
            if cost > LONGEST:
                raise MemoryError
            return super().call_binop(context, operator, left, right)

    class Names(Namespace):  # type: ignore[misc]
        """Like transformers' namespace, but stores no private names."""

        def __init__(*args: Any, **given: Any) -> None:  # a name may be "self"
            for name in (own := dict(*args[1:], **given)):
                _public(name)
            Namespace.__init__(args[0], own)

        def __setitem__(self, name: str, value: Any) -> None:
            _public(name)
            super().__setitem__(name, value)

    def _public(name: Any) -> None:
        if str(name).startswith("_"):
            raise SecurityError(f"it stores {name!r}, which is private")

    class Generation(Extension):
        """`{% generation %}`, by which templates mark the assistant's words: they are written as they are."""

        tags = {"generation"}  # noqa: RUF012 (jinja2 asks for it as it is)

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    return Sandbox, Names, Generation


@lru_cache(100)
def _tell(said: str) -> None:
    """Once."""
    log.info(said)


def _raise(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _dict(*args: Any, **given: Any) -> dict[Any, Any]:
    return dict(*args, **given)


def _tojson(value: Any, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _first(error: BaseException) -> str:
    """The first line of an error's message, shortened."""
    line = (str(error).strip().splitlines() or [""])[0]
    return (line or type(error).__name__)[:200].rstrip(".")


def _roles(shape: Shape) -> str:
    return ", ".join(role for role, _ in shape)

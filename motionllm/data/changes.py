"""Changes of a motion's plan (`change_language`), applied to it.

Times stay consistent: later events move along, and the clip grows or shrinks. What is added has its own plan.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

from motionllm.data.acts import (
    AMPLE,
    CHANGES_POSTURE,
    ORDINALS,
    REPEATED,
    Act,
    act_of,
    acts,
    alone,
    besides,
    edge,
    numbered,
    rolled,
    summary,
    unrolled,
)
from motionllm.data.change_language import EVERY, LASTING, OTHERWISE, PACED, PATHS, Change, each, parse, parts
from motionllm.data.timeline import (
    heading,
    lasting,
    made,
    mirrored,
    opposite,
    paced,
    quicker,
    reversed_in_time,
    shifted,
    stretched,
    turned_back,
)
from motionllm.errors import MotionLLMError
from motionllm.motion.notation import VERBS, Line, Notation, joined
from motionllm.motion.notation.verbs import BY_LENGTH, GAITS, TRAVEL

LONGEST = 16.0  # seconds; a change may not make a plan longer
LONGEST_REPEATED = 60.0  # seconds
_HOWS = (
    *("other side", "other way", "left", "right", "forward", "backward", "both hands", "both arms"),
    *("once more", "once less", "twice as often", "x1", "x2", "x3", "x4", "x5"),
    *("longer", "shorter", "twice as long", "half as long", "faster", "slower", "more", "less"),
    *("straight", "circle left", "circle right", "45", "90", "180", "270", "360"),
)
TIGHTEST = 0.6  # metres; radius of the smallest circle that a body is made to go in


def changed(old: Notation, change: str, planned: Callable[[str], Notation]) -> Notation:
    """The notation after a change, or several, with what is then done again at once as one event. planned: returns the
    plan of a text that is to be added.

    Raises MotionLLMError, naming the change, where it is not valid or cannot be applied to this motion.
    """
    for part in parts(change) or [change]:
        new = old
        for one in each(old, part):
            apart = unrolled(new, one)
            after = _changed(apart, one, planned)
            new = after if apart == new else rolled(after)
        old = new if new.lines == old.lines else joined(new)
    return old


def _changed(old: Notation, change: str, planned: Callable[[str], Notation]) -> Notation:
    one = parse(change)
    match one.form:
        case "pace":
            return paced(old, one.value)
        case "mirror":
            return mirrored(old)
        case "reversed":
            return reversed_in_time(old)
        case "lasting":
            return lasting(old, one.value)
        case "seconds":
            return lasting(old, one.value / old.seconds)
        case "part":
            return _part(old, *one.span)
        case "then" | "first" | "meanwhile":
            return {"then": _then, "first": _first, "meanwhile": _meanwhile}[one.form](old, planned(one.text))
        case "after" | "before":
            return _inserted(old, act_of(old, one.act), one.form, planned(one.text))
        case "repeat":
            return _repeated(old, round(one.value))
        case "wait":
            return _waiting(old, one)
        case "becomes":
            return _becomes(old, act_of(old, one.act), planned(one.text))
        case "order":
            return _before(old, act_of(old, one.act), act_of(old, one.other))
        case "no":
            return without(old, act_of(old, one.act))
        case "only":
            return _only(old, one.act)
    change = " ".join(change.split())
    act, how = addressed(old, change)
    if act is None:
        raise MotionLLMError(
            f"That was understood as {change[:60]!r}, which is no change of a motion; say it in other words."
        )
    return _of_act(old, act, how)


def addressed(old: Notation, change: str) -> tuple[Act | None, str]:
    """The act that a change addresses by its verb, or by verb and limb ("hop right leg faster"), or as one of several
    ("2nd hop faster"), and how it is to be; None without one. Raises MotionLLMError where the motion does not show it.
    """
    begin = len(change) - len(numbered(change)[1])
    verb = next((v for v in BY_LENGTH if change.startswith(f"{v} ", begin)), None)
    if verb is None:
        return None, ""
    end = begin + len(verb)
    part = next((f" {p}" for p in VERBS[verb].parts if change.startswith(f" {p} ", end)), "")
    return act_of(old, change[: end + len(part)]), change[end + len(part) + 1 :]


def applies(old: Notation, change: str) -> bool:
    """Whether a change can be made of this plan, or is one of OTHERWISE."""
    if change in OTHERWISE:
        return True
    try:
        changed(old, change, lambda _: old)  # any plan will do for what it adds
    except MotionLLMError:
        return False
    return True


def alternatives(old: Notation, change: str) -> list[str]:
    """All that can be made of this plan, to choose from in place of a change that cannot: where that one puts something
    in an act's place or beside it, the same for each act; else every change that adds nothing, and OTHERWISE. Acts are
    left out only where the change leaves some out. None of a change of an act that is there: it was understood, and is
    to be refused.
    """
    verbs, one = list(dict.fromkeys(act.main.verb for act in acts(old))), parse(change)
    of = re.sub(rf"^(?:{EVERY}|(?:{'|'.join(ORDINALS)}) )", "", change)
    if one.form == "repeat" or (one.form == "act" and any(of.startswith(f"{verb} ") for verb in verbs)):
        return []
    if one.form == "becomes":
        tries = [f"{verb} becomes {one.text}" for verb in verbs]
    elif one.form in ("after", "before"):
        tries = [f"{one.form} {verb} {one.text}" for verb in verbs]
    else:
        tries = [*PACED, *LASTING, "mirror", "reversed", "wait 1 s first", "wait 1 s at the end"]
        tries += [f"{verb} {how}" for verb in verbs for how in _HOWS]
        tries += [f"{one.form} {verb}" for verb in verbs if one.form in ("no", "only")]
        tries += [f"{a} before {b}" for a in verbs for b in verbs if a != b]
    return [one for one in tries if applies(old, one)] + list(OTHERWISE)


def _of_act(old: Notation, act: Act, how: str) -> Notation:
    """Change an attribute of one act: its side, way, count, size, pace or duration."""
    lines, main, row = list(old.lines), act.main, act.rows[0]
    spec, last = VERBS[main.verb], act.main.end - act.main.start
    way = heading(main)
    if how == "other side" and main.part and not main.part.startswith("both"):
        how = opposite(main).part
    if how in spec.parts:
        turned = main.part and not main.part.startswith("both") and not how.startswith("both") and how != main.part
        for i in act.rows:
            if turned:
                lines[i] = opposite(lines[i])
            elif lines[i].verb == main.verb:
                lines[i] = replace(lines[i], part=how)
        return replace(old, lines=tuple(lines))
    if how in ("other way", "left", "right", "forward", "backward") and way and how != way:
        along = way in ("forward", "backward") and (how in ("other way", "forward", "backward"))
        if not along and how in ("forward", "backward"):
            lines[row] = replace(main, way=how) if how in spec.ways else main
            return replace(old, lines=tuple(lines))
        if not along and way in ("forward", "backward"):  # straight travel becomes sideways travel
            lines[row] = replace(main, way=how) if how in spec.ways else main
            return replace(old, lines=tuple(lines))
        for i in act.rows:
            lines[i] = turned_back(lines[i]) if along else opposite(lines[i])
        return made(old.seconds, old.postures, lines)
    if count := count_after(main, how):
        for i in act.rows:
            if i == row:
                lines[i] = replace(main, count=count)
            elif lines[i].verb in ("swing", "step", "raise", "lower", "lift"):
                lines[i] = replace(lines[i], count=max(1, round(lines[i].count * count / main.count)))
        rest = 0.1 if main.verb in REPEATED else 0.5
        each = last / main.count if main.count > 1 else last + rest
        return stretched(replace(old, lines=tuple(lines)), main.start, main.end, each * (count - main.count))
    factor = lasting_after(main, how)
    if how in PATHS and main.verb in GAITS:
        factor = 1 + longer_for(main, PATHS[how]) / last if last else 1.0
        lines[row] = replace(main, size=PATHS[how])
    if factor:
        for i, line in enumerate(lines):  # what is repeated meanwhile is repeated as long
            meanwhile = min(line.end, main.end) - max(line.start, main.start) > 0.5 * (line.end - line.start)
            if meanwhile and line.count > 1 and line.verb not in TRAVEL:
                lines[i] = replace(line, count=max(1, round(line.count * factor)))
        return stretched(replace(old, lines=tuple(lines)), main.start, main.end, (factor - 1) * last)
    if how in ("more", "less") and main.verb in AMPLE:
        return old  # how large a gesture is no notation says
    if how in ("faster", "slower"):
        pace = PACED[how]
        for i in act.rows:
            lines[i] = quicker(lines[i], pace)
        return stretched(replace(old, lines=tuple(lines)), main.start, main.end, (1 / pace - 1) * last)
    size = size_after(main, how)
    if size:
        lines[row] = replace(main, size=size)
        new = replace(old, lines=tuple(lines))
        if main.verb != "turn":
            return new
        return stretched(
            new, main.start, main.end, (min(3, max(0.5, size / main.size)) - 1) * last
        )  # at the same speed
    if how == "more" and main.verb == "raise":
        lines[row] = replace(main, verb="reach up", part=main.part.replace("arm", "hand"))
        return replace(old, lines=tuple(lines))
    raise MotionLLMError(
        f"That was understood as {f'{main.verb} {how}'[:60]!r}, which cannot be made of {summary(old)!r}; say it in "
        "other words."
    )


def count_after(main: Line, how: str) -> int:
    """How often a line is done after a change of its count; 0 where that is none, or nothing that can be counted."""
    counts = {"once more": main.count + 1, "once less": main.count - 1, "twice as often": 2 * main.count}
    count = counts.get(how, int(how[1:]) if re.fullmatch(r"x\d{1,2}", how) else 0)
    return 0 if VERBS[main.verb].speed else max(0, count)


def lasting_after(main: Line, how: str) -> float:
    """How many times as long a line lasts after a change of its duration, or of the metres that it goes, at its speed;
    0 where that is none.
    """
    factors = {"longer": 1.5, "shorter": 0.6, "twice as long": 2.0, "half as long": 0.5}
    match = re.fullmatch(r"(\d{1,2}\.\d) (s|m)", how)
    if not match or main.end - main.start < 0.1:
        return factors.get(how, 0.0)
    now = (main.end - main.start) * (1.0 if match[2] == "s" else main.speed)
    return max(0.2, float(match[1])) / now if now else 0.0


def longer_for(main: Line, size: float) -> float:
    """Seconds more that a body takes to turn by so many degrees on its way, where its path is too short for that."""
    least = abs(math.radians(size)) * TIGHTEST / max(main.speed, 0.1)
    return max(0.0, least - (main.end - main.start))


def size_after(main: Line, how: str) -> float:
    """The size of a line after a change of it; 0 where that is none, or a line without a size."""
    spec = VERBS[main.verb]
    if not main.size or spec.speed:
        return 0.0
    if spec.size == "m":
        return (
            max(0.1, round(main.size * {"more": 1.5, "less": 0.6}.get(how, 0.0), 1)) if how in ("more", "less") else 0.0
        )
    if re.fullmatch(r"[1-9]\d{1,2}", how):
        return float(how)
    factor = {"more": 2.0, "less": 0.5} if main.verb == "turn" else {"more": 1.5, "less": 0.6}
    return 15.0 * max(1, round(min(360, main.size * factor[how]) / 15)) if how in factor else 0.0


def _then(old: Notation, more: Notation) -> Notation:
    lines = [*old.lines, *shifted(more.lines, old.seconds)]
    return made(old.seconds + more.seconds, (old.postures[0], more.postures[1]), lines)


def _repeated(old: Notation, times: int) -> Notation:
    if old.postures[0] != old.postures[1]:
        raise MotionLLMError(
            f"The motion ends {old.postures[1]} and begins {old.postures[0]}, so it cannot be repeated as it is; say "
            "what is to be done in between."
        )
    if times * old.seconds > LONGEST_REPEATED:
        raise MotionLLMError(
            f"{times} times {old.seconds:g} s are more than {LONGEST_REPEATED:g} s; repeat it less often."
        )
    whole = old
    for _ in range(times - 1):
        whole = _then(whole, old)
    return whole


def _first(old: Notation, more: Notation) -> Notation:
    lines = [*more.lines, *shifted(old.lines, more.seconds)]
    return made(more.seconds + old.seconds, (more.postures[0], old.postures[1]), lines)


def _meanwhile(old: Notation, more: Notation) -> Notation:
    """Put the acts of `more` within the longest travel of `old`, or its longest act, replacing arm movements there."""
    every = acts(old)
    if not every:
        return more
    act = max(every, key=lambda a: (a.main.verb in TRAVEL, a.main.end - a.main.start))
    mains = [a.main for a in acts(more) if a.main.verb not in TRAVEL] or list(more.lines)
    if not mains:
        raise MotionLLMError("What is to be done meanwhile was not understood; say it in other words.")
    a, b = min(x.start for x in mains), max(x.end for x in mains)
    room = act.main.end - act.main.start
    factor = min(1.0, max(0.2, room - 0.4) / max(b - a, 0.1))
    start = act.main.start + min(0.5, (room - factor * (b - a)) / 2)
    put = [replace(x, start=start + factor * (x.start - a), end=start + factor * (x.end - a)) for x in mains]
    rest = [x for i, x in enumerate(old.lines) if i not in act.rows or "arm" not in x.part]
    return made(old.seconds, old.postures, [*rest, *put])


def _becomes(old: Notation, act: Act, other: Notation) -> Notation:
    """Replace an act by `other`; between two gaits the way is kept."""
    every, theirs = acts(old), acts(other)
    last = act.end >= max(a.end for a in every)
    if theirs and act.main.verb in GAITS and theirs[0].main.verb in GAITS and len(theirs) == 1:
        lines = list(old.lines)
        lines[act.rows[0]] = replace(act.main, verb=theirs[0].main.verb, speed=theirs[0].main.speed, pace="")
        return made(old.seconds, old.postures, lines)
    if not other.lines:
        raise MotionLLMError("What is to be done instead was not understood; say it in other words.")
    a, b = min(x.start for x in other.lines), max(x.end for x in other.lines)
    rest = replace(old, lines=tuple(x for i, x in enumerate(old.lines) if i not in act.rows))
    rest = stretched(rest, act.start, act.end, (b - a) - (act.end - act.start))
    postures = (old.postures[0], other.postures[1] if last else old.postures[1])
    return made(rest.seconds, postures, [*rest.lines, *shifted(other.lines, act.start - a)])


def _inserted(old: Notation, act: Act, where: str, more: Notation) -> Notation:
    """Put `more` right after or before an act, and what else goes on at that moment; later lines move along."""
    at = edge(old, act, where)
    earlier = {i for o in acts(old) if (o.end <= at if where == "after" else o.start < at) for i in o.rows}
    first, last = len(earlier) == 0, len(earlier) == len(old.lines)
    lines = [line for i, line in enumerate(old.lines) if i in earlier]
    later = shifted([line for i, line in enumerate(old.lines) if i not in earlier], more.seconds)
    postures = (more.postures[0] if first else old.postures[0], more.postures[1] if last else old.postures[1])
    return made(old.seconds + more.seconds, postures, [*lines, *shifted(more.lines, at), *later])


def _part(old: Notation, start: float, end: float) -> Notation:
    """The seconds that are kept. Raises MotionLLMError for too few, or some that are not there."""
    if end - start < 0.5 or start >= old.seconds:
        raise MotionLLMError(
            f"From {start:g} to {end:g} s nothing is left of {old.seconds:g} s; keep half a second or more."
        )
    return old.between(start, min(end, old.seconds))


def _only(old: Notation, name: str) -> Notation:
    """The notation without any other act."""
    other, name = besides(old, name)
    while other:
        old = without(old, other)
        other, name = besides(old, name)
    return old


def _before(old: Notation, one: Act, two: Act) -> Notation:
    """Swap two consecutive acts: `one` comes first."""
    if one == two:
        raise MotionLLMError(f"{one.main.verb!r} cannot come before itself.")
    if one.start < two.start:
        raise MotionLLMError(f"{one.main.verb!r} comes before {two.main.verb!r} as it is.")
    lines = list(old.lines)
    for act, by in ((two, one.end - two.end), (one, two.start - one.start)):
        for i in act.rows:
            lines[i] = replace(lines[i], start=lines[i].start + by, end=lines[i].end + by)
    return made(old.seconds, old.postures, lines)


def _waiting(old: Notation, one: Change) -> Notation:
    """Insert a rest at the end, at the beginning, or before an act."""
    longer = one.value
    after = old.seconds if one.where == "at the end" else act_of(old, one.act).start if one.act else 0.0
    lines = [x if x.start < after else replace(x, start=x.start + longer, end=x.end + longer) for x in old.lines]
    return made(old.seconds + longer, old.postures, lines)


def without(old: Notation, act: Act) -> Notation:
    """The notation without the act; if nothing else was done meanwhile, its time is removed too.

    Raises MotionLLMError where the remaining events would not fit together.
    """
    postures = old.postures
    every = acts(old)
    others = [o for o in every if o != act]
    stays = MotionLLMError(f"{act.main.verb!r} cannot be left out: what comes after begins from there.")
    before, after = [o for o in others if o.end <= act.start + 0.25], [o for o in others if o.start >= act.end - 0.25]
    if act.main.verb in CHANGES_POSTURE:
        if any(o.main.verb in CHANGES_POSTURE for o in others):
            raise stays
        if not after:
            postures = (postures[0], postures[0])
        elif not before and act.main.verb == "stand up":
            postures = (postures[1], postures[1])
        else:
            raise stays
    rest = replace(old, postures=postures, lines=tuple(x for i, x in enumerate(old.lines) if i not in act.rows))
    if not alone(act, every):
        return rest
    if before:
        a, b = max(o.end for o in before), act.end
    elif after:
        a, b = act.start, min(o.start for o in after)
    else:
        return rest
    return stretched(rest, a, b, a - b) if b - a > 0.05 else rest

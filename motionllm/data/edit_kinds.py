"""The kinds of edits: each looks for something in a notation that it can change, and how a user may ask for it.

A kind returns the key of its phrasings (`edit_requests`), the values of their placeholders, and the change
(`change_language`); None where it does not apply: a clip without a turn has none to turn the other way. Acts to be
added were measured on another clip, the donor. A new kind is a function here, its row in KINDS, and its phrasings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from motionllm.data.acts import ACTS, AMPLE, CHANGES_POSTURE, COUNTED, FREE_HANDS, ORDINALS, Act, acts, alone
from motionllm.data.change_language import PACED
from motionllm.data.changes import LONGEST
from motionllm.data.edit_requests import requests
from motionllm.data.edit_words import WORDINGS, Words, act_words, times_words
from motionllm.data.timeline import LONG, heading
from motionllm.motion.notation import SMALL, VERBS, Notation
from motionllm.motion.notation.verbs import CIRCLE, GAITS
from motionllm.numerals import NUMBERS

SELDOM = (
    "side",
    "way",
    "count",
    "append",
    "while",
    "remove",
    "replace",
    "insert",
    "keep",
    "size",
    "order",
    "act pace",
    "act duration",
    "path",
    "gesture",
    "repeat",
)  # kinds that seldom apply


@dataclass(frozen=True)
class Donor:
    """A clip whose only act may be put into another. caption: one of its captions, or ""."""

    caption: str
    notation: Notation
    act: Act


@dataclass
class Donors:
    """Sources of acts: `every` clip (caption, notation), and by verb those with one short act."""

    every: list[tuple[str, Notation]] = field(default_factory=list)
    single: dict[str, list[Donor]] = field(default_factory=dict)

    @classmethod
    def of(cls, clips: Iterable[tuple[str, str]]) -> Donors:
        """From (caption, text of the notation) of each clip."""
        donors = cls()
        for caption, text in clips:
            notation = Notation.parse(text)
            donors.every.append((caption, notation))
            own = acts(notation)
            if len(own) == 1 and own[0].main.verb not in SMALL and len(own[0].rows) <= 5 and notation.seconds < 7:
                donors.single.setdefault(own[0].main.verb, []).append(Donor(caption, notation, own[0]))
        return donors

    def lend(self, random: np.random.Generator, fits: Callable[[Donor], bool]) -> Donor | None:
        """A donor that fits: first a verb is drawn, then one among a few donors of that verb; None where none fits."""
        for verb in random.permutation(sorted(self.single)).tolist():
            some = self.single[verb]
            for i in random.integers(len(some), size=4).tolist():
                if fits(some[i]):
                    return some[i]
        return None


NO_DONORS = Donors()
# (key of the phrasings, values of their placeholders, change, donor of what is added), or None.
Asked = tuple[str, Words, str] | tuple[str, Words, str, Donor] | None
Kind = Callable[[Notation, np.random.Generator, Donors], Asked]


@dataclass(frozen=True)
class Picked:
    """An act that a request names. name: its verb, and which of several; words: of its verb in the request. repetition:
    it is one of an act that is done several times.
    """

    act: Act
    name: str
    words: Words
    repetition: bool = False

    @property
    def verb(self) -> str:
        return self.act.main.verb

    def second(self) -> Words:
        """The words, where the act is the second one that a request names."""
        return {f"{key}2": word for key, word in self.words.items() if key in ("verb", "which")}


def _pick(
    candidates: Sequence[Act], every: Sequence[Act], random: np.random.Generator, counted: bool = False
) -> Picked | None:
    """One of several acts of a clip, of which `every` is one: by its verb, and where others have the same verb by which
    of these it is, or all of them; None where there is none. counted: also one of an act's repetitions, or all of them.
    """
    if len(every) > ACTS:  # whose summary leaves some out
        verbs = [act.main.verb for act in every]
        candidates = [act for act in candidates if verbs.count(act.main.verb) == 1]
    if not candidates:
        return None
    act = candidates[int(random.integers(len(candidates)))]
    same = [one for one in every if one.main.verb == act.main.verb]
    number, which, of = same.index(act), "", len(same)
    if of == 1 and counted and 1 < act.main.count <= 6 and act.main.verb in COUNTED and random.random() < 0.4:
        of = act.main.count
        number = int(random.integers(of))
        if random.random() < 0.5:
            return Picked(act, act.main.verb, act_words(act, "every", of))
    if of > 1:
        if counted and of == len(same) and all(one in candidates for one in same) and random.random() < 0.35:
            return Picked(act, f"every {act.main.verb}", act_words(act, "every", of))
        last = number == of - 1 and (number > 5 or random.random() < 0.6)
        which = ORDINALS[-1] if last else ORDINALS[number] if number < 6 else ""
        if not which:
            return None
    return Picked(act, f"{which} {act.main.verb}".strip(), act_words(act, which), of > len(same))


def _whole_pace(key: str) -> Kind:
    """The whole motion slower or faster: by half or, as the key says, by much or a bit."""

    def kind(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
        change = (key, key, f"much {key}", f"a bit {key}")[random.integers(4)]
        return (change, {}, change) if old.seconds / PACED[change] > 1 else None

    return kind


def _mirror(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    return "mirror", {}, "mirror"


def _side(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """An act with the other hand, arm, leg or foot, or with both."""
    sided = [act for act in acts(old) if act.main.part]
    picked = _pick(sided, acts(old), random, counted=True)
    if picked is None:
        return None
    act, verb = picked.act, picked.name
    if verb.startswith("every ") and len({a.main.part for a in sided if a.main.verb == picked.verb}) > 1:
        return None  # "the other hand" of both hands
    side, _, limb = act.main.part.partition(" ")
    limb = limb.rstrip("s")
    words = picked.words | {"limb": limb}
    plural = f"both {limb}s"
    if side == "both" or (plural in VERBS[picked.verb].parts and random.random() < 0.25):
        part = f"{('left', 'right')[random.integers(2)]} {limb}" if side == "both" else plural
        return f"{'one' if side == 'both' else 'both'} side", words | {"part": part}, f"{verb} {part}"
    other = {"left": "right", "right": "left"}[side]
    key = "the other side" if len(sided) == 1 and random.random() < 0.6 else "the other side of"
    if random.random() < 0.5:
        return key, words, f"{verb} other side"
    return f"{key} by name", words | {"part": f"{other} {limb}", "side": other, "was": side}, f"{verb} {other} {limb}"


def _way(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """A turn, a curve or a walk to the other side, or backward instead of forward."""
    candidates = [act for act in acts(old) if heading(act.main)]
    picked = _pick(candidates, acts(old), random)
    if picked is None:
        return None
    was = heading(picked.act.main)
    now = {"left": "right", "right": "left", "forward": "backward", "backward": "forward"}.get(was, "")
    if not now:
        return None
    key = "the other way" if len(candidates) == 1 and random.random() < 0.5 else "the other way of"
    if random.random() < 0.4:
        return key, picked.words, f"{picked.name} other way"
    return f"{key} by name", picked.words | {"way": now, "was": was}, f"{picked.name} {now}"


def _count(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """An act done more or fewer times."""
    candidates = [act for act in acts(old) if act.main.verb in COUNTED]
    picked = _pick(candidates, acts(old), random)
    if picked is None:
        return None
    was, words = picked.act.main.count, picked.words
    key = ("count", "count", "once more", "once less", "twice as often")[random.integers(5)]
    change = f"{picked.name} {key}"
    if key == "count":
        now = int(random.integers(1, 7 if random.random() < 0.8 else 13))
        if now == was:
            return None
        change, words["times"] = f"{picked.name} x{now}", times_words(now, random)
        words["number"] = _spoken_number(now, random)
        key = "only once" if now == 1 else key
    elif was > 6 or (key == "once less" and was < 2):
        return None
    if len(candidates) > 1 or random.random() < 0.5:
        key += " of"
    return key, words, change


def _append(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """Something added at the end."""
    end = old.postures[1]
    last = max((act.main.end, act.main.verb) for act in acts(old))[1] if old.lines else ""
    donor = donors.lend(random, lambda d: d.notation.postures[0] == end and d.act.main.verb != last)
    return _added("then", "then", donor, random) if donor else None


def _prepend(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """Something added at the beginning."""
    begin = old.postures[0]
    first = acts(old)[0].main.verb if old.lines else ""
    donor = donors.lend(random, lambda d: d.notation.postures[1] == begin and d.act.main.verb != first)
    return _added("first", "first", donor, random) if donor else None


def _while(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """Something that the hands do during a walk."""
    every = acts(old)
    going = [act for act in every if act.main.verb in GAITS and alone(act, every)]
    if len(going) != 1:
        return None
    donor = donors.lend(random, lambda d: d.act.main.verb in FREE_HANDS)
    return _added("while", "meanwhile", donor, random, {"verb2": going[0].main.verb}) if donor else None


def _remove(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """One of several acts removed, by its name or as the first or last."""
    every = acts(old)
    picked = _pick(every, every, random, counted=True)
    if picked is None or len(every) < 2:
        return None
    act, name = picked.act, picked.name
    if picked.repetition:  # "not the second jump" of three is two jumps
        return "without", picked.words, f"{picked.verb} once less"
    if (
        name.startswith("every")
        or random.random() > 0.3
        or act not in (every[0], every[-1])
        or not all(alone(other, every) for other in every)
    ):
        return "without", picked.words, f"no {name}"
    first = act == every[0]
    if name != picked.verb:
        name = f"{'1st' if first else 'last'} {picked.verb}"
    return f"remove {'first' if first else 'last'}", {}, f"no {name}"


def _keep(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """Nothing but one of several acts."""
    every = acts(old)
    picked = _pick(every, every, random)
    return None if picked is None or len(every) < 2 else ("only this", picked.words, f"only {picked.name}")


def _insert(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """Something added right after or before one of several acts."""
    every = acts(old)
    picked = _pick([a for a in every if alone(a, every)], every, random)
    if picked is None or len(every) < 2 or any(a.main.verb in (*CHANGES_POSTURE, *SMALL) for a in every):
        return None
    verbs = {a.main.verb for a in every}
    begin, end = old.postures
    donor = donors.lend(random, lambda d: d.notation.postures == (begin, end) and d.act.main.verb not in verbs)
    if donor is None or begin != end:
        return None
    where = ("after", "before")[random.integers(2)]
    return _added(where, f"{where} {picked.name}", donor, random, picked.second())


def _replace(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """One act instead of another."""
    every = acts(old)
    picked = _pick([a for a in every if alone(a, every) and a.main.verb not in CHANGES_POSTURE], every, random)
    if picked is None or any(a.main.verb in CHANGES_POSTURE for a in every) or old.postures[0] != old.postures[1]:
        return None
    last = picked.act.end >= max(a.end for a in every)
    verbs = {a.main.verb for a in every}
    donor = donors.lend(
        random,
        lambda d: (
            d.notation.postures[0] == old.postures[0]
            and (last or d.notation.postures[1] == old.postures[1])
            and d.act.main.verb not in verbs
        ),
    )
    if donor is None:
        return None
    key = "instead" if len(every) == 1 and random.random() < 0.5 else "instead of"
    return _added(key, f"{picked.name} becomes", donor, random, picked.second())


def _last(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """The whole motion longer or shorter."""
    key = ("longer", "shorter", "twice as long", "half as long", *["seconds"] * 4)[random.integers(8)]
    if key != "seconds":
        return key, {}, key
    seconds = round(old.seconds * random.uniform(0.6, 1.8) * 2) / 2
    if seconds < 1 or abs(seconds - old.seconds) < 0.25:
        return None
    words = {"seconds": f"{seconds:g}", "changed": "longer" if seconds > old.seconds else "shorter"}
    return key, words, f"{seconds:.1f} s"


def _act_lasts(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """One act longer or shorter, at the same speed; who goes somewhere goes further, or not so far."""
    every = acts(old)
    picked = _pick([a for a in every if a.main.verb in LONG and a.main.end - a.main.start > 0.7], every, random)
    if picked is None:
        return None
    main, words = picked.act.main, picked.words
    key, how = _LASTING[random.integers(len(_LASTING))]
    if how == "seconds":
        seconds = int(random.integers(2, 9))
        words, how = words | {"seconds": _spoken_number(seconds, random)}, f"{seconds}.0 s"
    elif how == "metres":
        metres = int(random.integers(2, 9))
        words, how = words | {"metres": _spoken_number(metres, random)}, f"{metres}.0 m"
    if key.startswith("go ") and not main.speed:
        return None
    return key, words, f"{picked.name} {how}"


# Key of the phrasings of how an act is to last, and what the change says.
_LASTING = (
    *(("for longer", "longer"), ("not so long", "shorter"), ("go further", "longer"), ("go less far", "shorter")),
    *(("for twice as long", "twice as long"), ("for half as long", "half as long"), ("for seconds", "seconds")),
    *(("go twice as far", "twice as long"), ("go half as far", "half as long"), ("go metres", "metres")),
)


def _spoken_number(number: int, random: np.random.Generator) -> str:
    return NUMBERS[number] if random.random() < 0.5 else str(number)


def _path(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """A walk or run in a circle, or straight."""
    every = acts(old)
    picked = _pick([a for a in every if a.main.verb in GAITS], every, random)
    if picked is None:
        return None
    main = picked.act.main
    if main.size and random.random() < 0.5:
        return "go straight", picked.words, f"{picked.name} straight"
    side = ("left", "right")[random.integers(2)]
    if random.random() < 0.4:  # nothing says which way round
        return "go in a circle", picked.words, f"{picked.name} circle left"
    words = picked.words | {"side": side, "round": "counterclockwise" if side == "left" else "clockwise"}
    return "go in a circle to", words, f"{picked.name} circle {side}"


def _reversed(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """The whole motion from its end to its beginning."""
    return "reversed", {}, "reversed"


def _repeat(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """The whole motion again, or several times."""
    most = int(LONGEST / max(old.seconds, 0.5))
    if old.postures[0] != old.postures[1] or most < 2:
        return None
    number = int(random.integers(2, min(most, 5) + 1))
    if number == 2 and random.random() < 0.7:
        return "all again", {}, "repeat x2"
    return "all times", {"times": times_words(number, random)}, f"repeat x{number}"


def _act_pace(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """One act faster or slower."""
    every = acts(old)
    candidates = [a for a in every if alone(a, every) and a.main.end - a.main.start > 0.6]
    picked = _pick(candidates, every, random, counted=True)
    if picked is None or (len(every) < 2 and picked.name == picked.verb and not picked.act.main.speed):
        return None
    how = ("faster", "slower")[random.integers(2)]
    return f"act {how}", picked.words, f"{picked.name} {how}"


def _size(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """A jump, bow, lean, climb or turn larger or smaller."""
    sized, every = ("turn", "jump", "bow", "lean", "climb"), acts(old)
    picked = _pick([a for a in every if a.main.verb in sized and a.main.size], every, random, counted=True)
    if picked is None:
        return None
    verb, words = picked.verb, picked.words
    how = ("more", "less")[random.integers(2)]
    if verb == "turn":
        size = (60, 90, 135, 180, 270, 360)[random.integers(6)]  # of smaller turns no notation tells
        if random.random() < 0.3 and (how == "more" or picked.act.main.size >= 120):
            return f"turn {'further' if how == 'more' else 'less'}", words, f"{picked.name} {how}"
        if abs(size - picked.act.main.size) < 30:
            return None
        key = {180: "turn around", 360: "turn all around"}.get(size, "turn to") if random.random() < 0.5 else "turn to"
        return key, words | {"degrees": f"{size}"}, f"{picked.name} {size}"
    if verb in ("jump", "climb"):
        return "jump higher" if how == "more" else "jump lower", words, f"{picked.name} {how}"
    return "lean further" if how == "more" else "lean less", words, f"{picked.name} {how}"


def _gesture(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """A gesture wider or narrower, a leg or an arm higher or lower: the notation stays."""
    every = acts(old)
    picked = _pick([a for a in every if a.main.verb in AMPLE], every, random, counted=True)
    if picked is None:
        return None
    limb = "leg" if picked.verb in ("kick", "lift", "march") else "arm"
    words = picked.words | {"limb": limb, "limbs": {"leg": "knees", "arm": "arms"}[limb]}
    key, how = (("gesture larger", "more"), ("gesture smaller", "less"))[random.integers(2)]
    return key, words, f"{picked.name} {how}"


def _order(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """Two consecutive acts in the other order."""
    every = acts(old)
    pairs = [
        (a, b)
        for a, b in pairwise(every)
        if b.start >= a.end - 0.1
        and a.main.verb != b.main.verb
        and alone(a, every)
        and alone(b, every)
        and not {a.main.verb, b.main.verb} & {*CHANGES_POSTURE, *SMALL}
        and sum(x.main.verb in (a.main.verb, b.main.verb) for x in every) == 2
    ]
    if not pairs:
        return None
    a, b = pairs[random.integers(len(pairs))]
    key = "exchange" if len(every) == 2 and random.random() < 0.5 else "exchange these"
    return key, {"verb": b.main.verb, "verb2": a.main.verb}, f"{b.main.verb} before {a.main.verb}"


def _pause(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """A rest at the end, at the beginning, or between two acts."""
    longer = int(random.integers(1, 4))
    words = {"wait": ("a second", "two seconds", "three seconds")[longer - 1]}
    if random.random() < 0.3:
        words["wait"] = f"{longer} second{'s' * (longer > 1)}"
    where = ("at the end", "first", "between")[random.integers(3)]
    if where != "between":
        return (
            ("rest at the end" if where == "at the end" else "rest at the beginning"),
            words,
            f"wait {longer} s {where}",
        )
    every = acts(old)
    pairs = [(a, b) for a, b in pairwise(every) if alone(a, every) and alone(b, every)]
    picked = _pick([b for a, b in pairs if b.start > a.end], every, random)
    if picked is None:
        return None
    return "rest between", words | picked.words, f"wait {longer} s before {picked.name}"


def _anew(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """A different motion: a line after a motion need not be a change of it."""
    if not donors.every:
        return None
    caption = donors.every[random.integers(len(donors.every))][0]
    return ("anew", {"caption": caption}, "new") if caption else None


def _ask(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    return "question", {}, "question"


def _undo(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    return "undo", {}, "undo"


def _cannot(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    """What no change can do: moods and characters, cameras, things, other people, the body itself."""
    return "cannot", {}, "cannot"


def _talk(old: Notation, random: np.random.Generator, donors: Donors) -> Asked:
    return "talk", {}, "talk"


def _added(
    key: str, change: str, donor: Donor, random: np.random.Generator, more: Words | None = None
) -> tuple[str, Words, str, Donor]:
    """How a donor's act is asked for, sometimes with side and count, and always with its way if that is not forward;
    and the change that says the same.
    """
    line = donor.act.main
    wording = WORDINGS[line.verb]
    tail, count = "", ""
    asked = replace(line, part="", count=1, pace="", speed=0.0)
    if line.part and line.verb != "kneel" and random.random() < 0.7:
        joint = {"hop": " on the", "stand on": " on the"}.get(line.verb, " with the")
        tail = f"{joint} {line.part}".replace("the both", "both")
        asked = replace(asked, part=line.part)
    if line.verb == "turn":
        around = "all the way around" if line.size >= 330 else "around" if 150 <= line.size <= 210 else ""
        to_side = random.random() < 0.7 or not around
        tail = f" {around}" * bool(around) + f"{' to the' if random.random() < 0.5 else ''} {line.way}" * to_side
        asked = asked if to_side else replace(asked, way="")
    elif line.verb in ("walk", "run") and abs(line.size) >= CIRCLE:
        tail = " in a circle"
    elif line.verb in ("walk", "run") and line.size:
        tail = f" in a curve to the {'left' if line.size > 0 else 'right'}"
    elif line.way in ("left", "right"):
        tail = f" to the {line.way}{tail}"
    elif line.way in ("backward", "up", "down") or (line.way and random.random() < 0.4):
        tail = f" {line.way}{tail}"
    elif line.way == "forward" and not line.speed:
        asked = replace(asked, way="")  # "jump" asks for no way; who walks goes forward
    if 1 < line.count <= 8 and line.verb in COUNTED and random.random() < 0.6:
        count = f" {times_words(line.count, random)}"
        asked = replace(asked, count=line.count)
    do, doing = wording.do, wording.doing
    if line.verb == "stand on" and tail:
        do, doing = "stand", "standing"
    caption = donor.caption.strip().rstrip(".")
    words = {"verb": line.verb, "do": do + tail + count, "doing": doing + tail + count} | (more or {})
    # The caption words it differently; the change then uses the caption's words.
    said_by_caption = (
        len(caption.split()) < 16 and "then" not in caption and "," not in caption and random.random() < 0.3
    )
    if caption and said_by_caption and f"{key} by caption" in requests():
        text = caption[0].lower() + caption[1:]
        return f"{key} by caption", words | {"caption": text}, f"{change} {text}", donor
    # Where a phrasing names the act by a noun ("add the wave"), it says nothing of side, way or count.
    plain = replace(asked, part="", way="forward" if line.way == "forward" and line.speed else "", size=0.0, count=1)
    sentences = [Notation(line.end, donor.notation.postures, (one,)).sentence() for one in (asked, plain)]
    words |= {"tail": (tail + count).strip(), "plain": f"{change} {sentences[1]}"}
    return key, words, f"{change} {sentences[0]}", donor


KINDS: dict[str, Kind] = {
    "slower": _whole_pace("slower"),
    "faster": _whole_pace("faster"),
    "mirror": _mirror,
    "side": _side,
    "way": _way,
    "count": _count,
    "append": _append,
    "prepend": _prepend,
    "while": _while,
    "remove": _remove,
    "replace": _replace,
    "insert": _insert,
    "keep": _keep,
    "duration": _last,
    "act duration": _act_lasts,
    "act pace": _act_pace,
    "size": _size,
    "gesture": _gesture,
    "order": _order,
    "pause": _pause,
    "path": _path,
    "reversed": _reversed,
    "repeat": _repeat,
    "anew": _anew,
    "question": _ask,
    "undo": _undo,
    "cannot": _cannot,
    "talk": _talk,
}
CHANGING = tuple(kind for kind in KINDS if kind not in ("anew", "question", "undo", "cannot", "talk"))

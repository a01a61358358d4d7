"""The BVH reader: takes what real files hold (position channels on every joint, any channel and Euler order per joint,
End Sites, names with spaces, tabs, CRLF) and refuses what is cut short.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
from pathlib import Path
from typing import IO

import numpy as np

from motionllm.errors import MotionLLMError
from motionllm.files import reading
from motionllm.motion import budget
from motionllm.motion.formats.bvh import BVH, POSITION, ROTATION, UNIT_MARKS

_HEAD = 4 << 20  # bytes within which a hierarchy ends
_CHUNK = 1 << 24  # bytes of values looked through at a time
_MOTION = re.compile(rb"(?:\A|[\r\n])[ \t}]*MOTION(?=[\s:]|\Z)", re.IGNORECASE)
_NUMBER = re.compile(rb"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(rb"(?<!\S)(?!" + _NUMBER.pattern + rb"(?!\S))\S+")
USUAL_RATES = (10, 12.5, 15, 20, 24, 25, 30, 48, 50, 60, 72, 75, 90, 100, 120, 144, 150, 180, 200, 240, 300, 500, 1000)


def read_bvh(path: str | os.PathLike[str]) -> BVH:
    """Parse a BVH file; unit and up axis are left at their defaults (see `calibration.calibrate`), `stated` is the unit
    that `write_bvh` marked.

    Raises MotionFileError, with the line, for a file that is missing, not BVH, cut short, or larger than is read
    (`budget`), which its hierarchy and its number of frames tell before the values are read.
    """
    path = Path(path)
    with reading(path):
        budget.check_bytes(path.stat().st_size)
        with open(path, "rb") as file:
            stream = _utf8(file)
            begin = stream.tell()
            start = stream.read(_HEAD)
            motion = _MOTION.search(start)
            lines = _decoded(start[: motion.end()] if motion else start).split("\n")
            joints, parents, offsets, ends, channels = _hierarchy(lines, motion is None)
            assert motion is not None  # `_hierarchy` refuses what has none
            stream.seek(begin + motion.end())
            head = stream.read(1 << 16)
            frames, frame_time, used = _motion_header(head, len(lines))
            rate, width = _frame_rate(frame_time), sum(len(c) for c in channels)
            budget.check_clip(frames, len(joints), rate, width)
            stream.seek(begin + motion.end())
            values = _motion_values(stream.read(), used, len(lines), frames, width)
    notes: tuple[str, ...] = ()
    if abs(rate * float(frame_time) - 1) > 2e-3:
        notes = (f"Frame Time {frame_time:.40} taken for {rate:g} frames per second",)
    return BVH(joints, parents, offsets, ends, channels, values, rate, notes=notes, stated=_marked(head[:used]))


def _marked(header: bytes) -> float | None:
    """The unit that the blanks after the frame time say, None where they are not `write_bvh`'s."""
    line = header.rstrip(b"\r\n")
    blanks = line[len(line.rstrip()) :].decode("ascii")
    return next((unit for unit, mark in UNIT_MARKS.items() if mark == blanks), None)


def _utf8(file: IO[bytes]) -> IO[bytes]:
    """The file at the first byte of its text; as UTF-8 where it is UTF-16, told by its mark or its zero bytes."""
    start = file.read(64)
    encoding = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(start[:2], "")
    mark = 2 if encoding else 3 if start.startswith(codecs.BOM_UTF8) else 0
    if not encoding and len(start) >= 4:
        encoding = "" if all(start[:4]) else "utf-16-le" if not any(start[1:4:2]) else "utf-16-be"
    file.seek(mark)
    if not encoding:
        return file
    try:
        return io.BytesIO(file.read().decode(encoding).encode("utf-8"))
    except UnicodeError:
        raise MotionLLMError("is not a text file, so not BVH; export the motion as BVH again.") from None


def _decoded(content: bytes) -> str:
    """The text of a hierarchy, line ends as "\\n". Names in another encoding are named, for they cannot be guessed."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        ends = [content.find(end, error.start) for end in (b"\n", b"\r")]
        line = content[: min([end for end in ends if end >= 0], default=len(content))].splitlines()[-1]
        guess = _encoding(line)
        if not guess or b"\0" in content:
            raise MotionLLMError("is not a text file, so not BVH; export the motion as BVH again.") from None
        number = len(content[: error.start].splitlines())
        raise MotionLLMError(
            f"line {number}: '{_shown(line.decode(guess[0]))}' is not UTF-8 (it may be {guess[1]}); save the file as "
            "UTF-8 with an editor, or export it again with joint names in plain letters."
        ) from None
    if "\0" in text:
        raise MotionLLMError("is not a text file, so not BVH; export the motion as BVH again.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding(line: bytes) -> tuple[str, str] | None:
    """The codec that a line's bytes are likely in, and what it is called; None where they are no text."""
    if not re.search(rb"[\x80-\xff]{2}|[\x80-\xbf]", line):  # accented letters between plain ones
        return "cp1252", "Windows-1252"
    for codec, name, likely in (
        ("cp932", "Shift-JIS", "[\u3040-\u30ff\u4e00-\u9fff]"),
        ("gbk", "GBK", "[\u4e00-\u9fff]"),
        ("cp1252", "Windows-1252", "."),
        ("latin-1", "a code page", "."),
    ):
        with contextlib.suppress(UnicodeDecodeError):
            text = line.decode(codec)
            odd = re.sub("[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]|[ -~\t\xa0-\u017f\u2010-\u2122]", "", text)
            foreign = re.sub(r"[\x00-\x7f]", "", text)
            if not odd and len(re.findall(likely, foreign)) >= len(foreign) / 2:
                return codec, name
    return None


def _shown(text: str, most: int = 40) -> str:
    """What a message quotes of a file: short, and nothing that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text.strip()[:most])


Hierarchy = tuple[
    tuple[str, ...], tuple[int, ...], np.ndarray, dict[int, np.ndarray], tuple[tuple[str, ...], ...]
]  # joints, parents, offsets, ends and channels of a BVH


def _hierarchy(lines: list[str], ends_here: bool) -> Hierarchy:
    """The hierarchy in a BVH file's lines, the last of which is MOTION unless the file `ends_here`."""
    names: list[str] = []
    parents: list[int] = []
    offsets: list[np.ndarray | None] = []
    channels: list[tuple[str, ...]] = []
    ends: dict[int, np.ndarray] = {}
    stack: list[int] = []  # open joints; an open End Site is -1 - its joint
    opening: int | None = None  # a joint whose '{' has not come yet
    last = max((n for n, line in enumerate(lines) if line.strip()), default=0)

    def fail(number: int, what: str) -> MotionLLMError:
        if names and number == last and ends_here:
            what = f"the file ends inside HIERARCHY, at '{_shown(lines[number])}'; copy or export it again."
        remedy = "" if "again" in what else "; export the motion again"
        return MotionLLMError(f"line {number + 1}: {what.rstrip('.')}{remedy}.")

    for number, line in enumerate(lines):
        for piece in re.split("([{}])", line):
            head, _, tail = " ".join(piece.split()).partition(" ")
            if not names and head.lower() == "hierarchy":
                head, _, tail = tail.partition(" ")
            word, shown = head.lower(), _shown(f"{head} {tail}")
            if not head:
                continue
            if not names and word != "root":
                raise fail(number, f"'{shown}' stands where HIERARCHY and ROOT are expected; this is not BVH.")
            if head == "{":
                if opening is None:
                    raise fail(number, "'{' without a joint before it.")
                stack.append(opening)
                opening = None
                budget.check_joints(len(names), len(stack))
            elif head == "}":
                if not stack or opening is not None:
                    raise fail(number, "'}' closes nothing.")
                closed = stack.pop()
                if closed >= 0 and offsets[closed] is None:
                    raise fail(number, f"joint {_shown(names[closed])} has no OFFSET.")
            elif opening is not None:
                raise fail(number, f"'{{' is missing before '{shown}'.")
            elif word in ("root", "joint"):
                if not tail or len(tail) > 200:
                    raise fail(number, f"{word.upper()} with a name of {len(tail)} characters; a short one is needed.")
                if (word == "root") != (not names):
                    raise fail(number, "a second ROOT; export the bodies again, each in a file of its own.")
                if word == "joint" and (not stack or stack[-1] < 0):
                    raise fail(number, f"JOINT {_shown(tail)} stands outside every joint.")
                parents.append(stack[-1] if stack else -1)
                names.append(tail)
                offsets.append(None)
                channels.append(())
                opening = len(names) - 1
            elif word == "end":
                if not stack or stack[-1] < 0:
                    raise fail(number, "an End Site outside every joint.")
                opening = -1 - stack[-1]
            elif word == "offset":
                if not stack:
                    raise fail(number, "OFFSET outside every joint.")
                value = _numbers(tail)
                if value is None or len(value) != 3:
                    raise fail(number, f"OFFSET needs three numbers, found '{_shown(tail)}'{_remedy(tail.encode())}.")
                if stack[-1] >= 0:
                    offsets[stack[-1]] = value
                else:
                    ends[-1 - stack[-1]] = value
            elif word == "channels":
                if not stack or stack[-1] < 0:
                    raise fail(number, "CHANNELS outside every joint.")
                words = tail.split()
                if not words or not re.fullmatch("[0-9]{1,3}", words[0]) or int(words[0]) != len(words) - 1:
                    raise fail(number, f"CHANNELS needs its count and as many names, found '{_shown(tail, 60)}'.")
                unknown = [w for w in words[1:] if w.lower() not in POSITION and w.lower() not in ROTATION]
                if unknown or len({w.lower() for w in words[1:]}) < len(words) - 1:
                    raise fail(number, f"CHANNELS '{_shown(tail, 60)}' names an unknown channel or one twice.")
                channels[stack[-1]] = tuple(words[1:])
            elif word == "motion" and not ends_here:
                if stack:
                    name = _shown(names[max(stack[-1], 0)])
                    raise fail(number, f"MOTION begins while {name} is still open: a '}}' is missing.")
            else:
                raise fail(number, f"'{shown}' is no word of a BVH hierarchy.")
    if not names:
        raise MotionLLMError("holds no ROOT joint; it is empty or not BVH: copy or export it again.")
    if ends_here:
        where = "inside HIERARCHY" if stack or opening is not None else "before MOTION"
        raise MotionLLMError(f"line {last + 1}: the file ends {where}; copy or export it again.")
    if not any(channels):
        raise MotionLLMError("has no CHANNELS in any joint, so nothing moves; export the motion with its channels.")
    return tuple(names), tuple(parents), np.array(offsets, np.float64), ends, tuple(channels)


def _numbers(text: str) -> np.ndarray | None:
    if not all(_NUMBER.fullmatch(word) for word in text.encode().split()):
        return None
    values = np.array(text.split(), np.float64)
    return values if (np.abs(values) <= budget.LARGEST).all() else None


def _remedy(token: bytes) -> str:
    """What to do about a word that should be a number, as the end of a sentence."""
    if re.search(rb"\d,\d", token):
        return "; BVH has decimal points: replace the commas, or export again with English number formats"
    if re.search(rb"[\d.][-+]\.?\d", token) or token.count(b".") > 1:
        return ": numbers grown together; put blanks between them, or export the motion again"
    return "; repair the file, or export the motion again"


def _motion_header(content: bytes, line: int) -> tuple[int, str, int]:
    """The frame count, the frame time as written, and the bytes of `content` before the values.

    content: what follows the word MOTION in `line`.
    """
    header: dict[str, str] = {}
    for row in re.finditer(rb"([^\r\n]*)(?:\r\n|\r|\n|$)", content):
        text = row[1].decode("utf-8", "replace").strip()
        match = re.match(r"(frames|frame\s*time)\s*:?\s*(\S{1,5000})$", text, re.IGNORECASE)
        if match:
            header["frames" if match[1].lower() == "frames" else "time"] = match[2]
        elif text:
            raise MotionLLMError(
                f"line {line}: 'Frames: N' and 'Frame Time: seconds' are expected after MOTION, "
                f"found '{_shown(text)}'; export the motion again."
            )
        if len(header) == 2:
            count, time = header["frames"], header["time"]
            if not re.fullmatch("[0-9]{1,12}", count) or int(count) < 1:
                raise MotionLLMError(
                    f"says 'Frames: {_shown(count)}'; a number of frames, 1 or more, is needed: export the file again."
                )
            if not _NUMBER.fullmatch(time.encode()) or not 1 / budget.MOST_FPS <= float(time) <= 1 / budget.LEAST_FPS:
                raise MotionLLMError(
                    f"says 'Frame Time: {_shown(time)}'; the seconds from frame to frame are needed, with a decimal "
                    "point, at most 1: write 0.033333 for 30 frames per second."
                )
            return int(count), time, row.end()
        line += 1
    missing = "'Frame Time'" if "frames" in header else "'Frames'"
    raise MotionLLMError(f"line {line - 1}: the file ends before {missing}; copy or export it again.")


def _motion_values(content: bytes, first: int, line: int, frames: int, width: int) -> np.ndarray:
    """The (frames, width) channel values in `content` from byte `first` on; it begins in `line` of the file."""
    words, other, white = 0, False, True
    for start in range(first, len(content), _CHUNK):
        chunk = content[start : start + _CHUNK]
        other = other or bool(chunk.translate(None, b"0123456789+-.eE \t\n\r\v\f"))
        black = np.frombuffer(chunk, np.uint8) > 32
        words += int(np.count_nonzero(black[1:] & ~black[:-1])) + int(white and black[0])
        white = not black[-1]
    if words == frames * width and not other:
        try:
            values = np.fromstring(content[first:], np.float64, sep=" ")
        except (ValueError, DeprecationWarning):  # which of them depends on numpy's version
            values = np.empty(0)
        if len(values) == words and (np.abs(values) <= budget.LARGEST).all():
            return values.reshape(frames, width)
    end = len(content.rstrip())

    def at(byte: int) -> str:
        ends = content.count(b"\n", 0, byte) or content.count(b"\r", 0, byte)
        return f"line {line + ends}"

    bad = _NO_NUMBER.search(content, first)
    begun = bad and bad.end() == end and re.fullmatch(rb"[-+]?[0-9]*\.?[0-9]*(?:[eE][-+]?)?", bad[0])  # cut within
    if bad and not (begun and words <= frames * width):
        what = f"'{_shown(bad[0].decode('utf-8', 'replace'))}' is not a finite number{_remedy(bad[0])}"
    elif words != frames * width:
        more = "fewer" if words < frames * width else "more"
        whole = words // width
        fix = f"write 'Frames: {whole}' if they belong to the take, or " if words % width == 0 < whole else ""
        raise MotionLLMError(
            f"{at(end)}: the motion ends after {words} values, {more} than {frames} frames × {width} channels = "
            f"{frames * width} ({whole} whole frames); {fix}copy or export the file again."
        )
    else:
        for bad in re.finditer(rb"\S+", content[first:]):
            if not bad or not _NUMBER.fullmatch(bad[0]) or not abs(float(bad[0])) <= budget.LARGEST:
                break
        assert bad is not None
        what = f"'{_shown(bad[0].decode('latin-1'))}' is no position or angle; repair the file, or export it again"
        raise MotionLLMError(f"{at(first + bad.start())}: {what}.")
    raise MotionLLMError(f"{at(bad.start())}: {what}.")


def _frame_rate(frame_time: str) -> float:
    """Frames per second. A frame time has few digits, rounded or cut off (.0083333, .008): a usual rate that would be
    written so is meant, else a whole one."""
    seconds = float(frame_time)
    mantissa, _, exponent = frame_time.lower().partition("e")
    digit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    usual = [fps for fps in USUAL_RATES if seconds - digit / 2 <= 1 / fps < seconds + digit]
    if usual:
        return min(usual, key=lambda fps: abs(1 / fps - seconds))
    rate, whole = 1 / seconds, round(1 / seconds)
    return float(whole) if seconds - digit / 2 <= 1 / whole <= seconds + digit / 2 else rate

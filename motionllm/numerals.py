"""Counts in words, as people say and write them."""

from __future__ import annotations

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
)
COUNTS = {word: n for n, word in enumerate(NUMBERS) if n} | {str(n): n for n in range(1, len(NUMBERS))}
OFTEN = {"once": 1, "twice": 2, "thrice": 3}


def in_words(number: int) -> str:
    """ "three"; from thirteen on in digits."""
    return NUMBERS[number] if 0 <= number < len(NUMBERS) else str(number)


def times(count: int) -> str:
    """How often: "once", "twice", "three times"."""
    return {1: "once", 2: "twice"}.get(count, f"{in_words(count)} times")

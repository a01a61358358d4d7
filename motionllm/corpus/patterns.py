"""Building blocks of the regular expressions that find actions in free text, in lower case."""

from __future__ import annotations


def verbs(*stems: str) -> str:
    """A pattern for all inflections of these verbs."""
    forms = [rf"{s[:-1]}(?:e|es|ed|ing)" if s.endswith("e") else rf"{s}(?:{s[-1]})?(?:s|es|ed|ing|er)?" for s in stems]
    return rf"\b(?:{'|'.join(forms)})\b"


TURN = verbs("turn", "rotate", "pivot")
LIMBS, OWN = r"(?:hands?|arms?|fists?)", r"(?:(?:both|their|his|her|its|the|left|right) )"
ONE_LEG = rf"on (?:one|{OWN}(?:left|right)) (?:leg|foot)"
TO_A_SIDE = rf"to {OWN}(?:left|right)"
DOWN = r"(?:(?:bend|bent|reach|lean|squat|crouch)(?:s|es|ing)? (?:down|over|forward)(?:,? and| to|,)? ?)?"
BACK_UP = r"(?:,? and (?:then )?(?:stand|get|gett|com)(?:s|es|e|ing)? (?:back )?up)?"

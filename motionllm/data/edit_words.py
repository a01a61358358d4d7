"""Names of acts in requests: verbs, nouns and counts as users say them. The last noun of three or more is held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionllm.data.changes import Act

Words = dict[str, str]  # placeholder of a request → its value
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
TIMES = ("", "once", "twice", "three times", "four times", "five times", "six times", "seven times", "eight times")


@dataclass(frozen=True)
class Wording:
    """An act in a user's words: do it, doing it, and nouns for it, of which the last of three or more is held out."""

    do: str
    doing: str
    nouns: tuple[str, ...]


WORDINGS: dict[str, Wording] = {
    "walk": Wording("walk", "walking", ("walk", "walking", "stroll")),
    "run": Wording("run", "running", ("run", "jog", "running", "sprint")),
    "creep": Wording("sneak", "sneaking", ("sneaking", "creeping", "crouched walk")),
    "crawl": Wording("crawl", "crawling", ("crawl", "crawling")),
    "climb": Wording("climb", "climbing", ("climb", "climbing", "step up")),
    "step": Wording("take a step", "stepping", ("step", "stepping")),
    "turn": Wording("turn", "turning", ("turn", "turning", "rotation")),
    "jump": Wording("jump", "jumping", ("jump", "jumping", "leap")),
    "hop": Wording("hop", "hopping", ("hop", "hopping", "bounce on one leg")),
    "jumping jack": Wording("do jumping jacks", "doing jumping jacks", ("jumping jacks", "star jumps")),
    "cartwheel": Wording("do a cartwheel", "doing a cartwheel", ("cartwheel",)),
    "flip": Wording("do a flip", "doing a flip", ("flip", "somersault")),
    "roll": Wording("roll on the floor", "rolling", ("roll", "rolling")),
    "squat": Wording("squat", "squatting", ("squat", "squatting", "knee bend")),
    "lunge": Wording("lunge", "lunging", ("lunge", "lunging")),
    "kneel": Wording("kneel down", "kneeling", ("kneeling", "kneeling down")),
    "sit": Wording("sit down", "sitting down", ("sitting", "sitting down")),
    "lie": Wording("lie down", "lying down", ("lying down",)),
    "stand up": Wording("stand up", "standing up", ("standing up", "getting up")),
    "bend down": Wording(
        "reach down to the floor", "reaching down", ("reach to the floor", "bending down", "picking up")
    ),
    "bow": Wording("bow", "bowing", ("bow", "bowing", "bend forward")),
    "lean": Wording("lean", "leaning", ("lean", "leaning", "tilt")),
    "twist": Wording("twist the upper body", "twisting", ("twist", "twisting")),
    "look": Wording("look", "looking", ("look", "glance")),
    "wave": Wording("wave", "waving", ("wave", "waving", "greeting", "hello")),
    "throw": Wording("throw something", "throwing", ("throw", "throwing", "toss")),
    "punch": Wording("punch", "punching", ("punch", "punching", "blow")),
    "clap": Wording("clap", "clapping", ("clapping", "claps", "applause")),
    "hands on hips": Wording("put the hands on the hips", "putting the hands on the hips", ("hands on the hips",)),
    "hand to head": Wording("touch the head", "touching the head", ("hand at the head", "touching of the head")),
    "kick": Wording("kick", "kicking", ("kick", "kicking", "high kick")),
    "stand on": Wording("stand on one leg", "standing on one leg", ("balance", "balancing", "stand on one leg")),
    "dance": Wording("dance", "dancing", ("dance", "dancing")),
    "march": Wording("march on the spot", "marching", ("marching", "march")),
    "lift": Wording("lift a leg", "lifting the leg", ("leg lift", "lifting of the leg")),
    "reach up": Wording("reach up", "reaching up", ("reach up", "raised hand", "reaching up")),
    "raise": Wording("raise an arm", "raising the arm", ("raised arm", "arm raise")),
    "lower": Wording("lower an arm", "lowering the arm", ("lowering of the arm",)),
    "stretch": Wording("stretch an arm", "stretching the arm", ("stretch", "stretched arm")),
    "bend": Wording("bend an arm", "bending the arm", ("bent arm", "bending of the arm")),
    "swing": Wording("swing an arm", "swinging the arms", ("swing", "arm swing", "swinging")),
    "circle": Wording("circle an arm", "circling the arm", ("arm circle", "circling of the arm")),
    "hold": Wording("hold an arm still", "holding the arm still", ("hold", "held arm")),
}


# Further names for training alone: other ways to say "do" and "doing" it, and nouns; the held-out noun is none of them.
_MORE: dict[str, tuple[str, str, str]] = {
    "walk": (
        "go for a walk|take a few steps|walk along",
        "going for a walk|taking a few steps|walking along",
        "walk along|amble|saunter|wandering|going|march forward|few paces|hike",
    ),
    "run": ("jog|dash|race along", "jogging|dashing|racing along", "jogging|dash|racing|trot|gallop"),
    "creep": ("creep|tiptoe|prowl", "creeping|tiptoeing|prowling", "sneak|tiptoeing|prowl|stealthy walk|stalking"),
    "crawl": ("go on all fours", "going on all fours", "crawling on hands and knees|going on all fours"),
    "climb": ("go up|climb up", "going up|climbing up", "ascent|climbing up|way up"),
    "step": ("make a step|step aside", "taking a step|making a step", "pace|small step|footstep"),
    "turn": (
        "turn round|spin|rotate|pivot",
        "turning round|spinning|rotating|pivoting",
        "spin|pivot|turn round|turning around|swivel|about-turn|twirl|change of direction",
    ),
    "jump": (
        "leap up|make a jump|bounce",
        "leaping up|making a jump|bouncing",
        "bounce|jump up|spring|jumping up|vault",
    ),
    "hop": (
        "hop about|bounce on one foot",
        "hopping about|bouncing on one foot",
        "hopping around|jump on one leg|skip",
    ),
    "jumping jack": ("do star jumps", "doing star jumps", "jumping jack|side straddle hops|the jacks"),
    "cartwheel": ("turn a cartwheel", "turning a cartwheel", "cartwheeling|wheel"),
    "flip": ("do a somersault", "doing a somersault", "salto|flipping over|backflip"),
    "roll": ("roll over|do a roll", "rolling over|doing a roll", "roll on the floor|rolling over|tumble"),
    "squat": (
        "do a squat|crouch|go down in the knees",
        "crouching|doing squats|going down in the knees",
        "crouch|crouching|squats|deep squat|bending of the knees|knees bent",
    ),
    "lunge": ("do a lunge|make a lunge", "doing lunges|making a lunge", "lunges|long step|lunge forward|split squat"),
    "kneel": ("go down on a knee|get on the knees", "going down on a knee|getting on the knees", "kneel|genuflection"),
    "sit": (
        "take a seat|have a seat|seat yourself|sit",
        "taking a seat|having a seat|sitting",
        "sit|seat|sit-down|seating|taking of a seat|rest on the chair",
    ),
    "lie": ("lie down flat|lay down|lie on the floor", "laying down|lying on the floor", "lie-down|lying|lying flat"),
    "stand up": ("get up|rise|stand", "getting up|rising", "rise|rising|stand-up|getting to the feet|standing"),
    "bend down": (
        "bend down|pick something up|reach for the floor|stoop",
        "bending down|picking something up|stooping",
        "bend|stoop|pick-up|reach down|bending to the floor|stooping|floor reach|grab from the floor",
    ),
    "bow": (
        "take a bow|make a bow|bend forward politely",
        "taking a bow|making a bow",
        "bows|reverence|curtsy|polite bow|inclination|bowing down|small bow",
    ),
    "lean": ("lean over", "leaning over", "leaning over|slant|lean to the side"),
    "twist": ("turn the upper body|twist the trunk", "turning the upper body", "twists|upper body turn|trunk rotation"),
    "look": ("look around|turn the head", "looking around|turning the head", "looking|head turn|gaze|look around"),
    "wave": (
        "wave a hand|give a wave|greet|wave goodbye|say goodbye",
        "waving a hand|giving a wave|greeting|waving goodbye",
        "goodbye|hand wave|waves|wave of the hand|hi|farewell|greetings|hand waving|welcome|bye-bye|salutation",
    ),
    "throw": ("throw|hurl something|pitch", "hurling something|pitching", "pitch|hurl|cast|throwing motion|fling"),
    "punch": (
        "throw a punch|box|strike|jab|hit",
        "throwing a punch|boxing|striking|jabbing|hitting",
        "jab|strike|hit|hook|boxing|punches|uppercut|thrust of the fist|fist strike|box",
    ),
    "clap": (
        "clap the hands|applaud|give a hand",
        "clapping the hands|applauding",
        "clap|handclap|hand clapping|ovation|clapping of the hands|cheering",
    ),
    "hands on hips": ("set the hands on the hips|go arms akimbo", "setting the hands on the hips", "arms akimbo|hips"),
    "hand to head": ("hold the head|scratch the head", "holding the head|scratching the head", "head touch|scratching"),
    "kick": (
        "do a kick|kick out|kick the air",
        "doing a kick|kicking out|kicking the air",
        "kicks|front kick|leg kick|kick in the air|kicking out|football kick|boot",
    ),
    "stand on": (
        "balance on one leg|balance|stand on a single leg",
        "balancing on one leg|balancing|standing on a single leg",
        "one-legged stand|balance on one leg|flamingo|standing on one leg|balance act|stork pose",
    ),
    "dance": ("do a dance|boogie", "doing a dance", "dance moves|dance steps|boogie|groove"),
    "march": ("march in place|step in place", "marching in place|stepping in place", "marching in place|high knees"),
    "lift": ("raise a leg|lift a knee", "raising a leg|lifting a knee", "raised leg|knee lift|leg raise"),
    "reach up": (
        "stretch up|raise a hand",
        "stretching up|raising a hand",
        "hand in the air|reach for the sky|raised hands",
    ),
    "raise": ("lift an arm|put an arm up", "lifting the arm|putting an arm up", "arm lift|lifted arm|arm up"),
    "lower": ("bring an arm down|drop an arm", "bringing the arm down", "arm coming down|lowered arm"),
    "stretch": ("extend an arm|reach out", "extending the arm|reaching out", "outstretched arm|extension|reach"),
    "bend": ("flex an arm", "flexing the arm", "flexed arm|bend of the elbow|flexing"),
    "swing": ("swing the arms about", "swinging an arm", "arm swings|swinging of the arms|dangling"),
    "circle": ("rotate an arm|windmill", "rotating the arm|windmilling", "windmill|arm rotation|circles"),
    "hold": ("keep an arm up", "keeping the arm up", "still arm|holding"),
}
_LIMBS = {verb: f"{verb} the {{}}" for verb in ("raise", "lower", "lift", "stretch", "bend", "swing", "circle")}
_LIMBS["hold"] = "hold the {} still"


def act_words(act: Act) -> Words:
    """The verb of an act, and {do} with the limb where one does it."""
    words = {"verb": act.main.verb}
    if act.main.part and act.main.verb in _LIMBS:
        words["do"] = _LIMBS[act.main.verb].format(act.main.part).replace("the both", "both")
    return words


def worded(words: Words, random: np.random.Generator, held_out: bool) -> Words:
    """The words with names for the verbs: {do} {doing} {noun} and {it}, which is one of the latter two; {do2} … for the
    second verb.
    """
    for n in ("", "2"):
        if verb := words.get(f"verb{n}"):
            wording = WORDINGS[verb]
            do, doing = wording.do, wording.doing
            more: tuple[str, ...] = ()
            if not held_out and verb in _MORE:
                way, also, names = (text.split("|") for text in _MORE[verb])
                more = tuple(names)
                do = do if random.random() < 0.5 else way[random.integers(len(way))]
                doing = doing if random.random() < 0.5 else also[random.integers(len(also))]
            has_held_out = len(wording.nouns) > 2
            nouns = (
                wording.nouns[-1:]
                if held_out and has_held_out
                else wording.nouns[:-1]
                if has_held_out
                else wording.nouns
            )
            doing = words.get(f"doing{n}", doing)
            # Half of the time by its own names, else by one of the many others.
            nouns = more if more and random.random() < 0.5 else nouns
            noun = f"the {nouns[random.integers(len(nouns))]}"
            it = doing if random.random() < 0.4 and not held_out else noun
            words = {
                f"do{n}": do,
                f"doing{n}": doing,
                f"noun{n}": noun,
                f"it{n}": it,
                f"bare{n}": noun.removeprefix("the "),
            } | words
    return words


def times_words(count: int, random: np.random.Generator) -> str:
    """3 → "three times", "3x" …: a count of up to 8 as a user may say it."""
    if count == 1:
        return ("once", "one time", "a single time")[random.integers(3)]
    written = (TIMES[count], f"{_NUMBERS[count]} times", f"{count} times", f"{count}x")
    return written[random.integers(len(written))]

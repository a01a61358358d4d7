"""Names of acts in requests: verbs, nouns and counts as users say them. The last noun of three or more is held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionllm.data.acts import Act
from motionllm.inflection import plural
from motionllm.numerals import in_words, times

Words = dict[str, str]  # placeholder of a request → its value


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
        "go for a walk|take a few steps|walk along|wander along|stride|pace about|set off on foot|move along at a walk",
        "going for a walk|taking a few steps|walking along|wandering|striding|pacing about",
        "walk along|amble|saunter|wandering|going|march forward|few paces|hike|promenade|strides|walkabout|"
        "pacing|footwork at walking pace|ramble|trudge|paces",
    ),
    "run": (
        "jog|dash|race along|speed along|gallop|rush along|go for a run",
        "jogging|dashing|racing along|galloping|rushing along|going for a run",
        "jogging|dash|racing|trot|gallop|dashing|rush|quick run|charge|race|jogging part|scamper",
    ),
    "creep": (
        "creep|tiptoe|prowl|steal along|walk with bent knees|walk crouched down|move stealthily|walk in a crouch",
        "creeping|tiptoeing|prowling|stealing along|walking with bent knees|walking in a crouch|walking crouched down",
        "sneak|tiptoeing|prowl|stealthy walk|stalking|crouching walk|low walk|walk with bent knees|creep|"
        "walk in a crouch|ducked walk|bent walk|stealth walk|walk bent low|hunched walk",
    ),
    "crawl": (
        "go on all fours|crawl about|creep on hands and knees",
        "going on all fours|crawling about",
        "crawling on hands and knees|going on all fours|all fours|crawl on hands and knees|crawling part",
    ),
    "climb": (
        "go up|climb up|climb on it|clamber up",
        "going up|climbing up|clambering up",
        "ascent|climbing up|way up|climb up|clambering|scramble up",
    ),
    "step": (
        "make a step|step aside|do a single step|put a foot forward",
        "taking a step|making a step|putting a foot forward",
        "pace|small step|footstep|single step|sidestep|foot movement",
    ),
    "turn": (
        "turn round|spin|rotate|pivot|rotate on the spot|make a turn|swivel|whirl",
        "turning round|spinning|rotating|pivoting|making a turn|swivelling|rotating on the spot|whirling",
        "spin|pivot|turn round|turning around|swivel|about-turn|twirl|change of direction|rotating|rotate|"
        "whirl|turn-around|turning of the body|spinning|body turn|pirouette|revolution|about-face",
    ),
    "jump": (
        "leap up|make a jump|bounce|leap in the air|do a jump|spring up|hop up with both feet",
        "leaping up|making a jump|bouncing|leaping|springing up|doing a jump",
        "bounce|jump up|spring|jumping up|vault|leaping|leap in the air|jump in the air|high jump|"
        "hop with both feet|airtime|long jump",
    ),
    "hop": (
        "hop about|bounce on one foot|hop on one leg|jump on one leg|jump on one foot|skip on one foot",
        "hopping about|bouncing on one foot|hopping on one leg|jumping on one leg|jumping on one foot",
        "hopping around|jump on one leg|skip|one-legged hop|hop on one foot|one-legged jump|"
        "one-legged bounce|jumps on one foot|bouncing on one foot|jumping on one leg|single-leg hop|hops",
    ),
    "jumping jack": (
        "do star jumps|jump with arms and legs out and in|do side straddle hops",
        "doing star jumps|jumping with arms and legs out and in|doing jacks",
        "jumping jack|side straddle hops|the jacks|star jump|jack jumps|jumping-jack exercise|"
        "straddle jumps|jump jacks|jacks|star jumping|X jumps",
    ),
    "cartwheel": (
        "turn a cartwheel|cartwheel",
        "turning a cartwheel|cartwheeling",
        "cartwheeling|wheel|cartwheels|sideways wheel",
    ),
    "flip": (
        "do a somersault|flip over|somersault",
        "doing a somersault|flipping over|somersaulting",
        "salto|flipping over|backflip|somersaulting|back flip|front flip",
    ),
    "roll": (
        "roll over|do a roll|do a forward roll|tumble",
        "rolling over|doing a roll|tumbling|doing a forward roll",
        "roll on the floor|rolling over|tumble|forward roll|tumbling|rolling about",
    ),
    "squat": (
        "do a squat|crouch|go down in the knees|do a knee bend down low|bend the knees deeply|"
        "do a squat exercise|sink into a squat",
        "crouching|doing squats|going down in the knees|bending the knees deeply|sinking into a squat|doing knee dips",
        "crouch|crouching|squats|deep squat|bending of the knees|knees bent|squat exercise|knee dip|dip|"
        "deep bend of the knees|crouch-down|lowering into a squat|crouching down",
    ),
    "lunge": (
        "do a lunge|make a lunge|step into a lunge|do a long step down",
        "doing lunges|making a lunge|stepping into a lunge",
        "lunges|long step|lunge forward|split squat|lunge step|deep step|fencer's step|big step down",
    ),
    "kneel": (
        "go down on a knee|get on the knees|drop to the knees|kneel",
        "going down on a knee|getting on the knees|dropping to the knees",
        "kneel|genuflection|kneel-down|kneeling pose|drop to the knees",
    ),
    "sit": (
        "take a seat|have a seat|seat yourself|sit|settle on the chair|sit on the chair|be seated",
        "taking a seat|having a seat|sitting|settling down|sitting on the chair",
        "sit|seat|sit-down|seating|taking of a seat|rest on the chair|sitting pose|seat-taking|sit on the chair",
    ),
    "lie": (
        "lie down flat|lay down|lie on the floor|stretch out on the floor|lie flat on the ground",
        "laying down|lying on the floor|stretching out on the floor",
        "lie-down|lying|lying flat|lay-down|lying on the floor|lying on the ground",
    ),
    "stand up": (
        "get up|rise|stand|stand again|come up|rise to the feet|get to your feet",
        "getting up|rising|coming up|rising to the feet",
        "rise|rising|stand-up|getting to the feet|standing|coming up|stand up|rise to the feet|getting upright",
    ),
    "bend down": (
        "bend down|pick something up|reach for the floor|stoop|touch the floor|reach for the ground|"
        "lift something off the floor|grab something off the ground",
        "bending down|picking something up|stooping|touching the floor|reaching for the ground|"
        "lifting something off the floor",
        "bend|stoop|pick-up|reach down|bending to the floor|stooping|floor reach|grab from the floor|"
        "floor touch|touching the floor|lifting from the floor|reach for the ground|grab|bend to the floor|"
        "toe touch|stooping down",
    ),
    "bow": (
        "take a bow|make a bow|bend forward politely|bow politely|bend the upper body forward|bow down",
        "taking a bow|making a bow|bowing politely|bending the upper body forward",
        "bows|reverence|curtsy|polite bow|inclination|bowing down|small bow|bow of thanks|forward bend|"
        "deep bow|bend of the trunk|courtesy",
    ),
    "lean": (
        "lean over|lean to a side|incline the body",
        "leaning over|leaning to a side|inclining the body",
        "leaning over|slant|lean to the side|inclining|lean over|tipping",
    ),
    "twist": (
        "turn the upper body|twist the trunk|twist at the waist|rotate the torso",
        "turning the upper body|twisting at the waist|rotating the torso",
        "twists|upper body turn|trunk rotation|torso twist|waist twist|torso rotation|twisting of the trunk",
    ),
    "look": (
        "look around|turn the head|glance about|peer about",
        "looking around|turning the head|glancing about|peering",
        "looking|head turn|gaze|look around|look about|glancing|peek",
    ),
    "wave": (
        "wave a hand|give a wave|greet|wave goodbye|say goodbye|wave hi|signal with the hand|"
        "wave to somebody|shake the hand in greeting",
        "waving a hand|giving a wave|greeting|waving goodbye|waving hi|signalling with the hand|"
        "waving to somebody|saying hi",
        "goodbye|hand wave|waves|wave of the hand|hi|farewell|greetings|hand waving|welcome|bye-bye|"
        "salutation|waving of the hand|wave goodbye|hand greeting|hand signal|saying hi|hey|howdy|good day|"
        "waving bit|see-you",
    ),
    "throw": (
        "throw|hurl something|pitch|throw a ball|chuck something|lob something",
        "hurling something|pitching|throwing a ball|chucking something|lobbing",
        "pitch|hurl|cast|throwing motion|fling|ball throw|throwing|lob|chuck|throw of the ball|pitching",
    ),
    "punch": (
        "throw a punch|box|strike|jab|hit|hit out|punch the air|deliver a punch|land a punch|swing a fist",
        "throwing a punch|boxing|striking|jabbing|hitting|punching the air|delivering a punch|hitting out|"
        "swinging a fist",
        "jab|strike|hit|hook|boxing|punches|uppercut|thrust of the fist|fist strike|box|air punch|knock|"
        "fist|boxing move|smack|clout|swing of the fist|haymaker|hitting|punch in the air|bash",
    ),
    "clap": (
        "clap the hands|applaud|give a hand|clap hands|give a round of claps|slap the hands together|"
        "bring the hands together",
        "clapping the hands|applauding|clapping hands|slapping the hands together|bringing the hands together",
        "clap|handclap|hand clapping|ovation|clapping of the hands|cheering|claps of the hands|"
        "round of claps|hand claps|clapping bit|plaudits|big hand|acclaim|hands clapping",
    ),
    "hands on hips": (
        "set the hands on the hips|go arms akimbo|rest the hands on the hips|plant the hands on the hips",
        "setting the hands on the hips|resting the hands on the hips",
        "arms akimbo|hips|hands at the waist|hands on the waist|hip pose|akimbo pose",
    ),
    "hand to head": (
        "hold the head|scratch the head|put a hand to the head|touch the face|bring a hand to the head",
        "holding the head|scratching the head|putting a hand to the head|touching the face",
        "head touch|scratching|hand on the head|face touch|head scratch|hand to the face|touch of the face",
    ),
    "kick": (
        "do a kick|kick out|kick the air|give a kick|kick a ball|swing the leg up|strike with the foot",
        "doing a kick|kicking out|kicking the air|giving a kick|kicking a ball|striking with the foot",
        "kicks|front kick|leg kick|kick in the air|kicking out|football kick|boot|ball kick|"
        "kick of the leg|swing kick|foot strike|karate kick|side kick|kick forward|punt",
    ),
    "stand on": (
        "balance on one leg|balance|stand on a single leg|keep your balance on one foot|stand on one foot|"
        "hold a one-legged pose",
        "balancing on one leg|balancing|standing on a single leg|standing on one foot|keeping the balance on one foot",
        "one-legged stand|balance on one leg|flamingo|standing on one leg|balance act|stork pose|"
        "one-foot stand|standing on one foot|one-legged pose|single-leg stance|one-leg balance|"
        "balancing pose|standing pose on one leg",
    ),
    "dance": (
        "do a dance|boogie|dance about|move to the music",
        "doing a dance|dancing about|moving to the music",
        "dance moves|dance steps|boogie|groove|dancing bit|little dance|boogieing|moves to the music",
    ),
    "march": (
        "march in place|step in place|walk on the spot|walk in place|jog on the spot|"
        "lift the knees one after the other",
        "marching in place|stepping in place|walking on the spot|walking in place|jogging on the spot|"
        "lifting the knees one after the other",
        "marching in place|high knees|marching on the spot|walking in place|stepping on the spot|"
        "walk on the spot|knee lifts in place|parade steps|jog on the spot",
    ),
    "lift": (
        "raise a leg|lift a knee|bring a knee up|pull a knee up",
        "raising a leg|lifting a knee|bringing a knee up|pulling a knee up",
        "raised leg|knee lift|leg raise|knee raise|raising of the leg|knee up|lifted knee",
    ),
    "reach up": (
        "stretch up|raise a hand|put a hand up|stretch an arm to the ceiling|reach high|hold a hand up",
        "stretching up|raising a hand|putting a hand up|reaching high|stretching an arm to the ceiling",
        "hand in the air|reach for the sky|raised hands|reach high|hand up|high reach|stretch upward|"
        "lifted hand|hands up|raise of the hand|reach upward",
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


# Which of several acts (`acts.ORDINALS`) → how a user says it.
_WHICH = {
    "1st": ("first", "1st"),
    "2nd": ("second", "2nd"),
    "3rd": ("third", "3rd"),
    "4th": ("fourth", "4th"),
    "5th": ("fifth", "5th"),
    "6th": ("sixth", "6th"),
    "last": ("last", "final"),
}
_EACH = ("every", "each", "all", "all the", "all of the")


def act_words(act: Act, which: str = "", number: int = 1) -> Words:
    """The verb of an act, {do} with the limb where one does it, and "which" of several it is (`acts.ORDINALS`), or
    "every" of a number of them.
    """
    words = {"verb": act.main.verb, "which": f"{which} {number}" if which == "every" else which}
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
            do, doing = words.get(f"do{n}", do), words.get(f"doing{n}", doing)
            which = _which(words.get(f"which{n}", ""), random)
            # Half of the time by its own names, else by one of the many others.
            nouns = more if more and random.random() < 0.5 else nouns
            noun = nouns[random.integers(len(nouns))]
            if which.startswith("the "):  # "jumping the second time"
                do, doing = (f"{text} {which}time" for text in (do, doing))
            elif which:  # "jumping every time"
                time = f"{which}time" if which in ("every ", "each ") else "all the time"
                noun = noun if which in ("every ", "each ") else plural(noun)
                do, doing = (f"{text} {time}" for text in (do, doing))
            if which:
                words = {name: word for name, word in words.items() if name not in (f"do{n}", f"doing{n}")}
            noun = f"{which or 'the '}{noun}"
            it = doing if random.random() < 0.4 and not held_out else noun
            words = {
                f"do{n}": do,
                f"doing{n}": doing,
                f"noun{n}": noun,
                f"it{n}": it,
                f"bare{n}": noun.removeprefix("the ") if not which or which.startswith("the ") else "",
                f"nouns{n}": "" if which else plural(noun.removeprefix("the ")),
            } | words
    return words


def _which(which: str, random: np.random.Generator) -> str:
    """ "2nd" → "the second ", "every 2" → "both ", as a user may say it."""
    if number := which.partition(" ")[2]:
        words = (*_EACH, "both", "both") if number == "2" else _EACH
        return f"{words[random.integers(len(words))]} "
    return f"the {_WHICH[which][int(random.random() < 0.25)]} " if which else ""


def times_words(count: int, random: np.random.Generator) -> str:
    """3 → "three times", "3x" …: a count as a user may say it."""
    if count == 1:
        return ("once", "one time", "a single time")[random.integers(3)]
    written = (times(count), f"{in_words(count)} times", f"{count} times", f"{count}x")
    return written[random.integers(len(written))]

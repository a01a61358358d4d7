"""How people ask about a motion: phrasings by kind of question, and names of verbs, for training and for tests.

Pieces are separated by "|"; those after "//" are held out of training. A phrasing holds placeholders, which `inquiries`
fills: {do} {does} {doing} {noun} {nouns} {a noun} name a verb, {bare} {bares} {baring} name it without "on one leg",
{do2} … name a second one; others stand for what its query names beside verbs.
"""

# Kind of question → texts, beside those of `questions.TEXTS`, which training sees too.
PHRASINGS = {
    "does": """Does the person {do}? | Is the person {doing}? | Do you see the person {do}? | Is there any {doing}?
        | Is there any {doing} in this motion? | Is there {a noun}? | Is there {a noun} in it?
        | Is {doing} part of the motion? | Has the person started {doing}? | Do they {do}?
        | tell me whether the person {does} | tell me if the person {does} | say if the person {does} or not
        | I want to know if the person {does} | check whether the person {does} | Can you see {a noun}?
        | can you see if the person {does}? | is it true that the person {does}? | the person {does}, right?
        | Could you tell me whether the person {does}? | did the person {do}? | Was the person {doing}?
        | Did anyone {do}? | does somebody {do}? | is someone {doing}? | Any {doing}? | is {doing} shown?
        | does it show someone {doing}? | does the clip contain {doing}? | is this person {doing} or not?
        | will the person {do}? | Does the person {do} or not? | is any {doing} going on? | Does {a noun} happen?
        // Is the person {doing} anywhere in this? | find out if the person {does} | do we see {a noun}?
        | I wonder whether the person {does} | does {doing} occur? | would you say the person {does}?
        | is there someone who {does}? | did they {do} at all?""",
    "does with": """Does the person use the {side} {limb} to {do}? | Is the person {doing} with the {side} {limb}?
        | Is it the {side} {limb}, when the person {does}? | tell me if the person {does} with the {side} {limb}
        | Does the person {do} with their {side} {limb}? | is the {side} {limb} used to {do}?
        | Is the {side} {limb} the one that {does}? | say whether the person {does} with the {side} {limb}
        | did the person {do} using the {side} {limb}? | is it with the {side} {limb} that the person {does}?
        | does the {side} {limb} {do}? | was it the {side} {limb} that the person used to {do}?
        // Is the {side} {limb} what the person {does} with? | does {doing} involve the {side} {limb}?
        | did they {do} with the {side} {limb}? | check if the {side} {limb} is used for {doing}""",
    "does on": """Does the person {bare} on the {side} leg? | Is it the {side} leg that the person {bares} on?
        | is the person {baring} on the {side} leg? | tell me if the person {bares} on the {side} leg
        | did the person {bare} on the {side} foot? | is the {side} leg the one the person {bares} on?
        // Is the person on the {side} leg when {baring}? | say whether the person {bares} on the {side} leg""",
    "does way": """Does the person {do} {to way}? | Is the person {doing} {to way}? | did the person {do} {to way}?
        | tell me if the person {does} {to way} | is there any {doing} {to way}? | Do you see the person {do} {to way}?
        | Does the person ever {do} {to way}? | say whether the person {does} {to way}
        // Was the person {doing} {to way} at some point? | is {doing} {to way} part of it?
        | check whether the person {does} {to way}""",
    "does times": """Does the person {do} {times}? | Is the person {doing} {times}?
        | tell me if the person {does} exactly {times} | did the person {do} {times}?
        | is it {times} that the person {does}? | does the person {do} {times}, no more and no less?
        | the person {does} {times}, is that right? | Is it correct that the person {does} {times}?
        // Was the person {doing} exactly {times}? | would you say the person {does} {times}?
        | check whether the person {does} {times}""",
    "is": """is it {a}? | Is that {a}? | is the {name} of this {a}? | Is this motion {a}?
        // would you call this {a}? | is {a} the {name}?""",
    "which": """is it {a} or {b}? | {a} or {b}? | Which one is it, {a} or {b}? | what is this, {a} or {b}?
        | tell me which {name} it is: {a} or {b} | which of the two: {a} or {b}?
        // do you see {a} or {b}? | would you say {a} or {b}? | choose between {a} and {b}""",
    "what": """What action is performed? | What happens in this motion? | What is done? | what is going on?
        | What happens? | what is the person up to? | What's happening? | what's the person doing here?
        | what did the person do? | what is being done? | tell me what the person does | say what the person is doing
        | what do you see the person do? | Which action does the person perform? | what can be seen?
        | what kind of action is it? | what is happening in the clip? | what action is shown? | what movement is this?
        | what does this person do? | which action is shown here? | what do you see?
        // what is the action here? | could you tell what the person is doing? | what is shown?
        | what was the person doing? | what movement does the person make?""",
    "count": """Count the times the person is {doing}. | How many times is the person {doing}?
        | how many {nouns} are there? | How many {nouns} do you see? | how many {nouns} does the person do?
        | tell me how often the person {does} | tell me how many times the person {does} | count the {nouns}
        | what is the number of {nouns}? | how many times did the person {do}? | how often did the person {do}?
        | I want to know how many times the person {does} | the number of times the person {does}
        | how often is the person {doing}? | say how many times the person {does} | how many {nouns}?
        | can you count how often the person {does}? | how many times can you see the person {do}?
        | How many times in total does the person {do}? | please count how many times the person {does}
        | how many {nouns} can be counted? | does the person {do} once, twice or more often?
        | in this clip, how many times does the person {do}? | how many repetitions of {doing} are there?
        // How often can the person be seen {doing}? | give me the number of {nouns}
        | on how many occasions does the person {do}? | what's the count of {nouns}?
        | how many times was the person {doing}? | how many {nouns} happen? | find out how often the person {does}""",
    "count step": """How many steps does the person take? | How many steps are taken? | how many steps are there?
        | count the steps | tell me how many steps the person takes | how many steps did the person make?
        | what is the number of steps? | how many steps? | how many single steps do you count?
        // how many steps can you count? | give me the number of steps | how many steps does the person make?""",
    "count march": """How many steps does the person take on the spot? | how many times does the person step in place?
        | count the steps of the marching | how many marching steps are there? | tell me how many steps are marched
        | how many steps does the person march on the spot?
        // how many steps in place are there? | give me the number of marched steps""",
    "count jumping jack": """How many jumping jacks are there? | how many star jumps does the person do?
        | count the jumping jacks | tell me how many jumping jacks the person does | how many jumping jacks?
        | how many jumping jacks did you see? | How many times does the person do a jumping jack?
        // give me the number of jumping jacks | how many jumping jacks can you count?""",
    "side": """The person uses which {limb} to {do}? | Which {limb} is used to {do}?
        | which {limb} does the person use to {do}? | which {limb} is it? The one the person {does} with
        | tell me which {limb} the person {does} with | What {limb} does the person {do} with?
        | with what {limb} is the person {doing}? | Which {limb} {does}? | left or right {limb}, when the person {does}?
        | is the person {doing} with the left or the right {limb}?
        | does the person {do} with the left {limb}, the right one or both? | say with which {limb} the person {does}
        | which {limb} did the person {do} with? | which {limb} is the person {doing} with?
        | with which side does the person {do}? | which side does the person {do} with?
        | I want to know which {limb} the person {does} with | which {limb} is used for {doing}?
        | on which side is the {noun}? | what side is the {noun} on? | is the {noun} left or right?
        | Does the person {do} with left or right? | can you tell me which {limb} the person uses to {do}?
        // Which is the {limb} that the person {does} with? | by which {limb} is the {noun} done?
        | is it the right or the left {limb} the person {does} with? | what {limb} did the person use for {doing}?
        | find out which {limb} the person {does} with | {doing} with which {limb}?""",
    "side on": """Which leg does the person {bare} on, the left or the right? | tell me which leg the person {bares} on
        | which leg is the person {baring} on? | on which foot does the person {bare}?
        | On what leg does the person {bare}? | is it the left or the right leg that the person {bares} on?
        | left or right leg, when {baring}? | which leg is used to {bare}? | which leg did the person {bare} on?
        | say on which leg the person {bares}
        // what leg is the person {baring} on? | is the person {baring} on the left or the right leg?
        | which is the leg that the person {bares} on?""",
    "side lunge": """Which leg does the person lunge with? | which leg goes forward in the lunge?
        | which leg leads the lunge? | tell me which leg is in front in the lunge
        | is the left or the right leg in front in the lunge? | on which side is the lunge?
        | which foot is in front when the person lunges? | with which leg is the lunge done?
        // what leg does the person lunge on? | when lunging, which leg is in front? | is the lunge left or right?""",
    "side reach up": """Which hand does the person raise? | Which arm does the person raise? | which arm goes up?
        | which hand is held up? | tell me which hand is raised | what hand does the person lift up?
        | is it the left or the right hand that goes up? | which hand is up? | which hand did the person raise?
        | which arm is lifted? | is the raised hand left or right? | which hand does the person reach up with?
        | does the person raise the left or the right hand?
        // say which hand goes up | which hand was put up? | the raised hand, which one is it? | what arm is raised?""",
    "way": """What is the direction when they {do}? | what direction does the person {do} in?
        | where does the person {do} to? | in which direction is the person {doing}?
        | tell me which way the person {does} | which direction is the {noun}?
        | Does the person {do} forward or backward? | is the {noun} forward, backward or sideways?
        | which way is the person {doing}? | in what direction does the person {do}? | what way does the person {do}?
        | which way did the person {do}? | say in which direction the person {does}
        | what is the direction of the {noun}? | does the person {do} forward, backward, left or right?
        | to where is the person {doing}? | is the person {doing} forward or backward?
        // Which direction does the person {do} in? | towards where does the person {do}?
        | find out which way the person {does} | the {noun} goes which way?
        | does the person {do} backward or forward?""",
    "way to": """In which direction does the person {verb}? | which side does the person {verb} to?
        | is the {noun} to the left or to the right? | tell me which way the person {verbs}
        | what direction is the {noun}? | is the person {verbing} left or right? | where does the person {verb} to?
        | left or right, when the person {verbs}? | which way is the person {verbing}?
        | does the person {verb} left or right? | to which side did the person {verb}?
        | say to which side the person {verbs} | in what direction is the {noun}?
        // What way does the person {verb}? | the {noun}, is it left or right?
        | find out to which side the person {verbs} | does the person {verb} right or left?""",
    "way climb": """Does the person go up or down when climbing? | is the climbing up or down?
        | is the person climbing up or down? | up or down, when the person climbs?
        | tell me whether the person climbs up or down | in which direction does the person climb?
        | does the person climb upward or downward?
        // do they climb down or up? | which way is the climb? | what direction is the climbing?""",
    "pace": """Is the {noun} slow or fast? | is the person {doing} slowly or quickly?
        | tell me if the {noun} is slow or fast | Does the person {do} slowly or fast? | is it a slow or a fast {noun}?
        | at what pace is the person {doing}? | slow or fast {doing}? | does the person {do} fast or slow?
        | is the person {doing} fast or slowly? | at which pace does the person {do}? | is the {noun} quick or slow?
        | say whether the person {does} slowly or quickly | did the person {do} slowly or quickly?
        | at what pace is the {noun}?
        // Would you call the {noun} slow or fast? | does the person take it slow or fast when {doing}?
        | in what tempo does the person {do}, slow or quick? | is the {doing} quick or slow?""",
    "pace how": """How fast does the person {do}? | is the {noun} fast? | was the {noun} slow?
        | how quickly does the person {do}? | how fast is the {noun}? | how fast is the person {doing}?
        | At what speed does the person {do}? | does the person {do} fast? | how slow is the {noun}?
        | tell me how fast the person {does} | how quick is the {noun}? | what is the speed of the {noun}?
        // How quickly is the {noun} done? | how fast did the person {do}? | say how fast the {noun} is""",
    "speed": """How fast is the person {doing}? | what is the speed of the {noun}? | how fast is the {noun}?
        | how many metres per second does the person {do}? | tell me how fast the person {does} | speed of the {noun}?
        | with what speed does the person {do}? | how quickly does the person {do}? | how fast did the person {do}?
        | What is the person's speed while {doing}? | at which speed is the person {doing}?
        | how fast is the {doing} in m/s? | say how fast the person {does} | what's the {noun} speed?
        | how many meters per second is the {doing}?
        // What speed does the person {do} at? | how quick is the {noun}, in metres per second?
        | find out how fast the person {does} | give me the speed of the {noun} | how fast was the person {doing}?""",
    "curve": """Which way does the path curve while {doing}? | to which side does the person curve while {doing}?
        | does the {noun} curve to the left or to the right? | which way does the {noun} bend?
        | is the {noun} a left or a right curve? | to which side does the {noun} curve?
        | while {doing}, to which side does the person curve? | tell me to which side the {noun} curves
        | in which direction does the {noun} curve?
        // When {doing}, which way does the path bend? | does the path of the {noun} bend left or right?
        | is the curve of the {noun} to the left or to the right?""",
    "circle": """Which way around does the person walk in the circle? | in which direction does the circle go?
        | is the circle clockwise or counterclockwise? | clockwise or counterclockwise? | which way round is the circle?
        | does the person go clockwise or counterclockwise? | tell me which way around the circle goes
        | is the person walking clockwise or anticlockwise? | which way around does the person run in the circle?
        // In what direction is the circle walked? | which way around is it walked?
        | is it a clockwise or a counterclockwise circle?""",
    "degrees": """How many degrees does the person {verb}? | how many degrees is the {noun}?
        | how far does the person {verb}? | by how many degrees is the person {verbing}?
        | tell me by how many degrees the person {verbs} | what angle is the {noun}?
        | how large is the {noun}, in degrees? | what is the angle of the {noun}? | how deep is the {noun} in degrees?
        | how many degrees did the person {verb}? | how big is the {noun}?
        // The {noun} is how many degrees? | say how many degrees the person {verbs}
        | of how many degrees is the {noun}? | how wide an angle does the person {verb}?""",
    "height": """How high is the {noun}? | how high does the person get in the {noun}?
        | what height does the person {verb} to? | tell me how high the person {verbs}
        | how high is the person {verbing}? | what is the height of the {noun}?
        | how many metres does the person {verb} up? | how high did the person {verb}? | how many metres is the {noun}?
        | height of the {noun}?
        // To what height does the person {verb}? | say how high the {noun} is | give me the height of the {noun}""",
    "when": """When does the person {do}? | when does the person first {do}? | when does the {noun} begin?
        | when does the {noun} start? | when is the {noun}? | at what time does the person {do}?
        | tell me when the person {does} | When does the {doing} start? | when is the person {doing}?
        | at which second does the person {do}? | when did the person {do}? | at what point does the person {do}?
        | after how many seconds does the person {do}? | when does the person begin to {do}?
        | when does the person start to {do}? | at which second does the person begin to {do}?
        | what time does the {noun} begin? | say when the {noun} begins | in which second does the {noun} start?
        | how long until the person {does}? | when exactly does the person {do}? | at what second is the {noun}?
        // At what moment does the person {do}? | when will the person {do}?
        | how many seconds pass before the person {does}? | find out when the person {does}
        | what second does the {doing} start at? | when was the person {doing} first?""",
    "span": """From when until when does the person {do}? | between which times does the person {do}?
        | when does the {noun} start and end? | from which second to which second is the person {doing}?
        | in which seconds is the person {doing}? | when does the person start and stop {doing}?
        | tell me from when to when the person {does} | from when to when is the {noun}?
        | when does the {doing} begin and when does it end? | during which seconds does the person {do}?
        | what are the times of the {noun}? | give start and end of the {noun}
        // Start and end of the {doing}, please? | from what time to what time does the person {do}?
        | during what time is the person {doing}? | between what seconds is the {noun}?""",
    "seconds of": """How long does the person {do}? | how long is the person {doing}? | how long does the {noun} last?
        | for how long does the person {do}? | how long is the {noun}? | for how long is the person {doing}?
        | how long does the {doing} take? | tell me how long the person {does} | how long did the person {do}?
        | what is the duration of the {noun}? | how much time does the person spend {doing}?
        | how long does the {noun} take? | for what time does the person {do}? | say how long the {noun} lasts
        | how long does {doing} go on?
        // The {noun} lasts how long? | how long was the person {doing}? | for how much time does the person {do}?
        | find out how long the person {does} | what time does the {doing} take up?""",
    "whole seconds of": """About how many seconds does the person {do}? | how many seconds does the person {do}?
        | how many seconds does the {noun} last? | how many seconds is the person {doing}?
        | roughly how many seconds does the {noun} last? | how many whole seconds does the person {do}?
        | for how many seconds does the person {do}, rounded? | in whole seconds, how long does the person {do}?
        | about how long does the person {do}, in whole seconds? | tell me for about how many seconds the person {does}
        | how many seconds, rounded, is the person {doing}?
        // Approximately how many seconds is the person {doing}? | the {noun} lasts about how many seconds?
        | for how many full seconds does the person {do}?""",
    "first": """What is the first action? | what is done first? | What happens first? | how does the person begin?
        | tell me what comes first | what does the person start with? | what is the first thing the person does?
        | what did the person do first? | Which action comes first? | what happens at the beginning?
        | what starts the clip? | What does the person do at the start? | what does the person do in the beginning?
        | with what does it begin? | which action starts the motion? | name the first action
        | what is the person doing first? | say what happens first | what does the person do to begin with?
        | initially, what does the person do?
        // What action opens the clip? | what is first? | how does the motion start? | what was done first?
        | what does the person do initially? | what is the opening action?""",
    "last": """What is the last action? | what is done last? | what comes last? | how does the person finish?
        | tell me what comes last | what does the person end with? | what is the last thing the person does?
        | what did the person do last? | which action comes last? | what happens at the end? | what ends the clip?
        | what does the person do in the end? | with what does it end? | name the last action
        | what is the person doing last? | which action is the last? | finally, what does the person do?
        | say what happens last | what is the final action? | what does the person finish with?
        | what does the person do second? | what comes second? | What is the second action?
        // What action closes the clip? | what is last? | what was done last? | what happens in the end?
        | what does the person do finally? | which action finishes the motion?""",
    "after": """What happens after {doing}? | what comes after the {noun}? | what does the person do after the {noun}?
        | what comes after {doing}? | after {doing}, what does the person do? | what happens after the {noun}?
        | what is done after {doing}? | tell me what the person does after {doing}
        | what does the person do once the {noun} is over? | what follows the {noun}?
        | what does the person do next after {doing}? | what did the person do after {doing}?
        | which action comes after {doing}? | when the {noun} is over, what comes then? | what follows after {doing}?
        | and after {doing}? | what does the person do when done with {doing}?
        // After the {noun}, what happens? | which action follows {doing}? | what is next after the {noun}?
        | once the person is done {doing}, what comes? | say what follows {doing}""",
    "before": """What does the person do before {doing}? | what happens before {doing}? | what comes before the {noun}?
        | what does the person do before the {noun}? | what does the person do right before {doing}?
        | before {doing}, what does the person do? | what precedes the {noun}? | what comes before {doing}?
        | what is done before {doing}? | tell me what the person does before {doing} | what happens before the {noun}?
        | which action comes before {doing}? | what did the person do before {doing}?
        | what does the person do just before the {noun}? | and before {doing}?
        // Before the {noun}, what happens? | which action precedes {doing}? | what leads up to the {noun}?
        | say what comes before {doing} | what was done ahead of {doing}?""",
    "first of": """Which comes first, {x} or {y}? | which happens first, {x} or {y}? | what is first, {x} or {y}?
        | does {x} or {y} come first? | what happens earlier, {x} or {y}? | is {x} or {y} first?
        | what does the person do first, {do} or {do2}? | tell me which comes first, {x} or {y}
        | which is done first, {x} or {y}? | does the person first {do} or {do2}?
        | what starts earlier, the {noun} or the {noun2}? | which comes first, the {noun} or the {noun2}?
        // Of {x} and {y}, which comes first? | which one is earlier, the {noun} or the {noun2}?
        | is it {x} or {y} that happens first? | say what is first: {x} or {y}""",
    "is before": """Does the person {do} before {y}? | is the {noun} before the {noun2}? | does {x} come before {y}?
        | is {x} before {y}? | does the {noun} come before the {noun2}? | tell me if the person {does} before {y}
        | did the person {do} before {y}? | does {x} happen before {y}? | does the person {do} earlier than {y}?
        | does the person first {do} and then {do2}? | does the person {do} and then {do2}?
        // Is {x} earlier than {y}? | does the {noun} precede the {noun2}? | was the person {x} before {y}?
        | say whether {x} comes before {y}""",
    "at": """What is the person doing at {time} seconds? | what happens at {time} s? | what is going on at {time} s?
        | what is done at second {time}? | at {time} s, what does the person do?
        | what does the person do at second {time}? | what is the person doing at {time} s?
        | tell me what happens at {time} seconds | after {time} seconds, what is the person doing?
        | what is the person doing {time} seconds in? | which action is at {time} s?
        | what did the person do at {time} seconds?
        // At second {time}, what is going on? | what is the action at {time} s?
        | what can be seen at {time} seconds? | what would you see {time} s into the clip?""",
    "seconds": """How long is the motion? | how long is this? | what is the duration? | how long does the clip last?
        | how long does it take? | how long is it? | what is the duration of the clip? | tell me how long the clip is
        | duration? | length of the clip? | how long does this last? | how long does the whole thing take?
        | what is the length of the motion? | how long did it take? | total duration? | how much time does it take?
        | say how long the motion is | for how long does the clip go on?
        // What's the clip's duration? | how long does the recording run? | how long was it?
        | the clip lasts how long? | give me the length of the motion""",
    "whole seconds": """How long does the motion last, in whole seconds? | how many seconds is the clip?
        | how many seconds long is the motion? | how many seconds does it take? | how many seconds does it last?
        | how many seconds is it? | how many seconds does the motion have? | roughly how many seconds is the clip?
        | about how many seconds long is it? | how many whole seconds does it last?
        | how long is it, rounded to seconds? | about how long is the clip, in whole seconds?
        | to the nearest second, how long is it? | how many seconds is the motion, rounded?
        | tell me about how many seconds it takes | around how many seconds does the clip last?
        | how long is the clip in whole seconds? | rounded, how many seconds long is it?
        // Approximately how many seconds does it last? | how many seconds are there?
        | how many full seconds is the clip long? | rounded to a whole number, how many seconds does it take?
        | how long in whole seconds is this motion?""",
    "posture at start": """How does the person begin: standing, sitting or lying? | what is the starting posture?
        | in which posture does the person start? | what is the posture at the start?
        | is the person standing, sitting or lying at the beginning? | tell me the posture at the beginning
        | in what position does the person begin? | what is the person's position at the start?
        | how is the person at the beginning? | what posture does it begin with? | in which position does it start?
        | what is the initial posture? | does the person start standing, sitting, kneeling or lying?
        // What's the posture in the first frame? | which posture does the person begin in?
        | how does the person start, sitting or standing? | what is the position in the beginning?""",
    "posture at end": """How does the person end: standing, sitting or lying? | what is the final posture?
        | in which posture does the person finish? | what is the posture at the end?
        | is the person standing, sitting or lying at the end? | tell me the posture at the end
        | in what position does the person end? | what is the person's position at the end?
        | how is the person in the end? | what posture does it end with? | in which position does it end?
        | what is the last posture? | does the person end up standing, sitting, kneeling or lying?
        // What's the posture in the last frame? | which posture does the person end up in?
        | how does the person finish, sitting or standing? | what is the position in the end?""",
    "is at start": """Is the person {posture} at the beginning? | does it begin with the person {posture}?
        | is the person {posture} at the start? | does the person start {posture}? | does the person begin {posture}?
        | is the person {posture} at first? | tell me if the person is {posture} at the beginning
        | was the person {posture} at the start? | is the person {posture} in the beginning?
        // Is {posture} the posture at the start? | does the clip start with the person {posture}?
        | initially, is the person {posture}?""",
    "is at end": """Is the person {posture} in the end? | is the person {posture} when it is over?
        | does the person end up {posture}? | does the person end {posture}? | is the person {posture} at last?
        | does the person finish {posture}? | is the person {posture} when it ends?
        | tell me if the person is {posture} at the end | was the person {posture} at the end?
        | is the person {posture} in the last frame?
        // Is {posture} the posture at the end? | does the clip end with the person {posture}?
        | finally, is the person {posture}?""",
    "metres": """How far does the person go? | how many metres does the person go?
        | how many metres does the person move? | what distance does the person cover? | how far does the person move?
        | what distance is covered? | tell me how far the person goes | how far does the person get?
        | how many meters does the person travel? | how far is the way? | how many metres are covered?
        | what is the distance? | how long is the path in metres? | how far did the person go?
        | about how many meters are walked? | how far does the person travel? | how many metres long is the way?
        // What distance does the person travel? | roughly how far does the person move?
        | how many meters are covered in all? | say how far the person gets | how much ground does the person cover?""",
    "stay or move": """does the person stay where they are or move away? | does the person remain in place or go away?
        | is the person staying in place or moving away? | does the person stay on the spot or move away?
        | tell me if the person stays in place or moves away | does the person go away or stay?
        | say whether the person stays or moves away
        // Is the person moving away or staying? | does the person keep to the spot or leave it?
        | move away or stay in place?""",
    "does move": """Does the person move from the spot? | Does the person leave their place?
        | does the person move away? | Does the person travel through the room? | does the person leave the spot?
        | does the person go away? | is the person moving away? | tell me if the person moves away
        | does the person change place? | does the person go anywhere?
        // Is the person leaving the spot? | did the person move somewhere else?
        | does the person get away from there?""",
    "does stay": """Does the person stay in place? | does the person remain in place?
        | does the person stay on the spot? | is the person staying in place? | does the person stay where they are?
        | tell me if the person stays in place | does the person keep their place?
        // Is the person staying on the spot? | did the person remain where they were?
        | does the person keep to the spot?""",
    "where": """Where does the person end up? | which way does the person get? | where does the person get to?
        | in which direction does the person end up? | which way does the person go in all?
        | in which direction does the person get, as they face at first?
        | where is the person at the end, from where they faced at first? | overall, which way does the person move?
        | where does the person go? | in which direction does the person move overall?
        | tell me where the person ends up | which way has the person gone by the end?
        // Where did the person end up from where they faced? | in what direction is the person in the end?
        | all in all, which way does the person go?""",
    "turned": """Which way has the person turned by the end? | to which side is the person turned at the end?
        | which way does the person face at the end, left or right? | has the person turned left or right in all?
        | to which side does the heading change? | tell me to which side the person has turned by the end
        | to which side has the person turned in all? | by the end, has the person turned left or right?
        | in the end, to which side has the person turned?
        | is the person turned to the left or to the right at the end?
        // Compared with the start, has the person turned left or right?
        | on the whole, to which side has the person turned? | which side has the person turned to in the end?""",
    "degrees turned": """How many degrees has the person turned in all?
        | by how many degrees has the person turned by the end? | how many degrees does the heading change?
        | in all, by how many degrees has the person turned? | how far has the person turned by the end, in degrees?
        | tell me by how many degrees the heading changes | what is the total turn in degrees?
        | how many degrees in total has the person turned? | about how many degrees has the person turned altogether?
        // Altogether, how many degrees has the person turned? | what's the change of heading in degrees?
        | by the end, the person has turned by how many degrees?""",
    "none": """How does the person feel? | is the person happy? | is the person sad? | what mood is the person in?
        | why does the person do this? | who is this? | Is it a man or a woman? | how old is the person?
        | what does the person wear? | is the person tired? | which emotion is it? | what is the style?
        | in what style is it done? | is it elegant? | describe the motion | describe it | describe what you see
        | what do you think of it? | is this a good motion? | where is the person? | what is the weather like?
        | is the person injured? | is the person strong? | what sport is this? | what is the person's name?
        | is the person angry? | does the person look nervous? | what is the purpose of this? | is the person drunk?
        | what music fits? | is it dangerous? | who made this? | what could happen next? | is it realistic?
        | how heavy is the person? | is the person alone? | what is in the background? | tell me about the motion
        | tell me everything | summarize the clip | what do the arms do? | what do the legs do? | what does the head do?
        | how tall is the person? | is the motion smooth? | which {name} is it? | what {name} is this?
        | What is the {name}? | is this person left-handed? | what does it mean? | does the person seem relaxed?
        | how would you call this? | what would you call this motion? | what is the person holding?
        | what do the arms do while the person is {doing}? | what do the legs do while the person is {doing}?
        | what does the person do while {doing}? | what else does the person do while {doing}?
        | why is the person {doing}? | what is the person {doing} for? | is the person good at {doing}?
        | does the person like {doing}? | is the {doing} elegant? | Which style is it, proud or old?
        | Is the style happy? | which emotion is it, angry or sad? | is the content a dance style?
        | how hard is the {doing}? | who is {doing}? | where is the person {doing}? | what does the person say?
        | is it day or night?
        // What feeling does it show? | is the person in pain? | give a description | what is the person thinking?
        | is it a child? | whom does the person meet? | what should the person do better? | does this look natural?
        | is the person afraid? | what are the feet doing while the person is {doing}?
        | why would someone be {doing}? | what is this used for?""",
}

# Verb of the notation → more ways to say it, beside those of `queries.NAMED`.
SYNONYMS = {
    "walk": "stroll | take a walk | go for a walk | pace // amble",
    "run": "jog | sprint | go running // dash",
    "creep": "walk crouched | walk bent low | walk crouching | tiptoe in a crouch // prowl",
    "crawl": "move on hands and knees | crawl on all fours // creep on all fours",
    "climb": "go up or down stairs | climb on something | climb stairs // clamber",
    "step": "make single steps | take a step | take steps | make a step // take a single pace",
    "turn": "turn around | rotate | spin around | spin // pivot",
    "jump": "leap | jump up | make a jump | do a jump // spring up",
    "hop": "jump on one leg | bounce on one leg | do a hop // bob on one foot",
    "dance": "do a dance | dance around // groove",
    "jumping jack": "do star jumps | perform jumping jacks // do a jumping jack",
    "cartwheel": "perform a cartwheel | turn a cartwheel | do cartwheels // make a cartwheel",
    "flip": "flip | do a somersault in the air | perform a flip // do a backflip",
    "roll": "do a roll | roll over on the floor | roll over // tumble over the floor",
    "squat": "do a squat | do squats | crouch | bend the knees deeply // go into a squat",
    "lunge": "make a lunge | step into a lunge | do lunges // go into a lunge",
    "kneel": "get on the knees | go down on the knees | drop to the knees // sink to the knees",
    "sit": "sit | take a seat | have a seat // be seated",
    "lie": "lie | lie on the floor | lay down | lie on the ground // stretch out on the floor",
    "stand up": "rise | get on the feet | rise to the feet // get back up",
    "bend down": """reach to the floor | pick something up | touch the floor | pick something up from the floor
        | touch the toes // stoop to the floor""",
    "bow": "take a bow | make a bow | bend over forward // lean forward in a bow",
    "look": "look around | turn the head | look sideways // glance to the side",
    "wave": "wave hello | greet someone | wave at someone | wave goodbye // wave to somebody",
    "throw": "toss something | throw a ball | make a throw // hurl something",
    "punch": "box | hit | strike with the fist | punch someone // jab",
    "clap": "applaud | clap hands // clap both hands",
    "hands on hips": """put hands on hips | rest the hands on the hips | have the hands on the hips
        // place hands on the hips""",
    "hand to head": """touch the face | raise a hand to the head | put a hand to the head | touch the mouth | drink
        // hold a hand to the face""",
    "kick": "do a kick | kick something | kick a ball | make a kick // give a kick",
    "stand on": "balance | stand on a single leg | stand on one foot // keep balance on one leg",
    "march": "march | walk on the spot | march where they stand | walk in place // tramp on the spot",
    "reach up": "lift a hand up | put a hand up | reach up | raise a hand over the head // stretch a hand up",
    "twist": "twist at the waist | turn the trunk from side to side | rotate the torso // twist from side to side",
    "lean": "lean to one side | tilt the body | lean the trunk // incline the upper body",
    "lift": "raise a leg | raise a knee | bring a knee up | lift a foot off the ground // pull a knee up",
    "swing": "swing an arm to and fro | move the arms back and forth | swing both arms // dangle the arms",
    "circle": "make arm circles | do arm circles | windmill an arm | turn an arm in circles // do an arm rotation",
}

# What no verb of the notation stands for.
NEVER = """juggle | swim | fly | cry | sing | speak | sleep | smoke | drive | play the guitar | play football
    | carry a box | smile | laugh | fall over | wear a hat | paint | cook | write | read a book | ride a bike
    | stumble | hug someone | shake hands | talk | type | do a handstand | wrestle | row | ski | skate | surf | dig
    | sweep the floor | whistle | blink | breathe | fight a dragon | vacuum | knit | push a cart | pull a rope
    | do yoga | nod | shrug | point
    // yawn | drum | play the piano | iron a shirt | milk a cow | climb into a car | sneeze | mow the lawn"""

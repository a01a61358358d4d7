"""How users ask for changes of a motion: phrasings by what is to be changed, some for training and some for tests.

A phrasing is lower case and has placeholders: {do} {doing} {noun} {bare} {it} name an act (`edit_words`), {do2} … the
second of two; others are filled by the kind of edit (`edit_kinds`).
"""

from __future__ import annotations


def _phrasings(train: str, held_out: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    both = [tuple(" ".join(p.split()) for p in text.split("|")) for text in (train, held_out)]
    return both[0], both[1]


# {what is to be changed: (phrasings for training, phrasings held out for tests)}
REQUESTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "anew": _phrasings(
        """{caption} | {caption} | {caption} | {caption} | show the motion: {caption} | something else: {caption}
        | a new motion: {caption} | forget that. {caption} | another motion: {caption}""",
        "{caption} | a different one: {caption} | new: {caption}",
    ),
    "slower": _phrasings(
        """slower | now slower | make it slower | do it slower | more slowly | do that more slowly | slow it down
        | slow down | take it slower | the same but slower | at a slower pace | not so fast | less quickly
        | go slower | can you do that slowly? | slowly this time | that was too fast | it is too quick
        | reduce the speed | the whole thing slower | a slower version of it | not that quick | calmer | be slower
        | with a slower tempo | less fast | could you slow it down? | a slower tempo | it goes too fast
        | do it slowly | at a lower speed | not so hasty""",
        """with less speed | too hasty, do it slower | lower the tempo | could it be slower? | more leisurely
        | play it at a slower tempo | slowly now""",
    ),
    "much slower": _phrasings(
        """much slower | a lot slower | half as fast | at half the speed | twice as slow | in slow motion
        | half speed | far more slowly | very slowly | make it much slower | extremely slow | at half the pace
        | half the tempo | twice slower | a great deal slower | far slower | half the speed""",
        "way slower | at half speed | really slowly | do it with half the speed",
    ),
    "a bit slower": _phrasings(
        """a bit slower | a little slower | slightly slower | somewhat slower | a touch slower | slow down a little
        | make it a little bit slower | just a bit more slowly | a tad slower | slightly more slowly
        | slow down a bit | not quite so fast | a bit less fast | marginally slower | slow down slightly""",
        "slow it down slightly | only a little slower | do it slightly more slowly",
    ),
    "faster": _phrasings(
        """faster | now faster | make it faster | do it faster | quicker | more quickly | speed it up | speed up
        | hurry up | the same but faster | at a faster pace | not so slow | less slowly | go faster
        | quickly this time | that was too slow | can you do that quickly? | it is too slow | increase the speed
        | pick up the pace | do the whole thing faster | a faster version | not that slow | be quicker
        | with a faster tempo | a faster tempo | could you speed it up? | it goes too slowly | do it quickly
        | at a higher speed | come on, faster | brisker | more speed""",
        """with more speed | step on it | raise the tempo | could it be quicker? | too slow, do it faster
        | play it at a faster tempo | quickly now | make it brisker""",
    ),
    "much faster": _phrasings(
        """much faster | a lot faster | twice as fast | at double speed | double the speed | far quicker | very fast
        | make it much faster | as fast as you can | at twice the speed | double the tempo | twice the pace
        | a great deal faster | far faster | twice the speed | really fast""",
        "way faster | really quickly | double speed | do it with twice the speed",
    ),
    "a bit faster": _phrasings(
        """a bit faster | a little faster | slightly faster | somewhat quicker | a touch faster | speed up a little
        | make it a little bit faster | just a bit more quickly | a tad quicker | slightly more quickly
        | speed up a bit | not quite so slow | a bit less slow | marginally faster | speed up slightly""",
        "speed it up slightly | only a little faster | do it slightly more quickly",
    ),
    "mirror": _phrasings(
        """mirror it | mirrored | mirror this | mirror the motion | flip left and right | swap left and right
        | exchange left and right | the mirror image | left and right exchanged | as in a mirror | mirror that
        | the same mirrored | flip it sideways | do it on the other side | now the other side | swap the sides
        | everything on the other side | turn left into right | left becomes right and right becomes left
        | do all of it with the other side | the mirrored motion | reverse the sides | sides exchanged""",
        """reflect it | reverse left and right | the same in the mirror | switch left and right
        | all with the other side | make a mirrored version""",
    ),
    "the other side": _phrasings(
        """the other {limb} | with the other {limb} | use the other {limb} | now the other {limb}
        | take the other {limb} | other {limb} | try the other {limb} | the same with the other {limb}
        | the opposite {limb} | with the opposite {limb} | swap the {limb} | change {limb}s | switch {limb}s
        | your other {limb} | the wrong {limb}, take the other""",
        """the {limb} on the other side | change the {limb} | do it with your other {limb} | try the other one
        | the {limb} on the opposite side""",
    ),
    "the other side by name": _phrasings(
        """the {part} instead | with the {part} | with the {part} instead | use the {part} | {side} instead of {was}
        | the {part} | do it with the {part} | not the {was} {limb}, the {side} one | it should be the {part}
        | i wanted the {part} | the {part}, please | it was meant to be the {part} | make it the {part}
        | change to the {part} | your {part} | with your {part}""",
        "switch to the {part} | i meant the {part} | the {side} {limb} rather than the {was}",
    ),
    "the other side of": _phrasings(
        """{do} with the other {limb} | the other {limb} for {it} | {it} with the other {limb}
        | {noun} on the other side | {do} using the other {limb} | change the {limb} of {noun}
        | use the other {limb} to {do} | {do} with the opposite {limb} | swap the {limb} of {noun}
        | change {limb}s for {it} | the opposite {limb} for {it} | {noun} should be with the other {limb}""",
        "switch {limb}s for {it} | let {noun} be with the other {limb}",
    ),
    "the other side of by name": _phrasings(
        """{do} with the {part} | {do} with the {part} instead | use the {part} for {it} | {it} with the {part}
        | {noun} with the {side} {limb} instead of the {was} one | make {noun} with the {part}
        | {noun} should be with the {part} | {do} with the {part} rather | change {it} to the {part}
        | {it}, but with the {part} | i wanted {noun} with the {part}""",
        "{do} with your {part} | {it} should be with the {part} | for {it} take the {part}",
    ),
    "both side": _phrasings(
        """with {part} | {part} | use {part} | {do} with {part} | {it} with {part} | do it with {part}
        | {part} instead | take {part} | not only the one, {part} | {do} using {part} | with {part} this time
        | use both | both of them | with {part} rather | change to {part} | {noun} should be with {part}""",
        "switch to {part} | {part} for {it} | {it} should be with {part} | i want {part}",
    ),
    "one side": _phrasings(
        """only with the {part} | just the {part} | only the {part} | with the {part} alone
        | {do} with the {part} only | with one {limb}, the {part} | use the {part} alone
        | {it} with only the {part} | not both, just the {part} | the {part} only | with nothing but the {part}
        | not with both, with the {part} | one is enough, the {part} | reduce it to the {part}
        | {noun} just with the {part}""",
        "limit it to the {part} | nothing but the {part} | {it} should be just with the {part}",
    ),
    "the other way": _phrasings(
        """the other way | in the other direction | the other direction | change the direction
        | turn the direction around | reverse the direction | the opposite direction | go the other way
        | other way | the opposite way | the reverse direction | turn the direction round | wrong direction
        | go in the opposite direction | change the way""",
        "in the opposite direction | the wrong way, change it | turn it to the opposite direction",
    ),
    "the other way by name": _phrasings(
        """{way} instead | {way} instead of {was} | {way} | to the {way} | go {way} | not {was}, {way}
        | {way}, not {was} | {way} this time | make it {way} | {way} rather than {was} | i wanted {way}
        | make that {way} | it should be {way} | change it to {way} | {way}, please | head {way}
        | the direction should be {way}""",
        "i meant {way} | switch to {way} | it should go {way} | {was} is wrong, {way} | {way} is what i want",
    ),
    "the other way of": _phrasings(
        """{do} the other way | {do} in the other direction | {it} in the other direction
        | change the direction of {noun} | reverse the direction of {noun} | the other way for {it}
        | {do} in the reverse direction | change the way of {noun} | the direction of {noun} should be the other""",
        "{do} in the opposite direction | {it} the opposite way",
    ),
    "the other way of by name": _phrasings(
        """{do} {way} | {do} {way} instead | {do} to the {way} | {do} {way} instead of {was} | {it} {way}
        | {do} {way}, not {was} | {do} {way} rather than {was} | {it} should go {way} | make {noun} go {way}
        | {noun} should be {way} | change {noun} to {way} | {it}, but {way} | i wanted {noun} {way}
        | {do} more to the {way}""",
        "let {noun} go {way} | for {it}, {way} please | switch {noun} to {way}",
    ),
    "count": _phrasings(
        """{times} | do it {times} | do that {times} | {times} instead | make it {times} | now {times}
        | exactly {times} | {times} this time | it should be {times} | repeat it so that it is done {times}
        | {times} in all | change it to {times} | do this {times} | i want it {times} | {times} rather
        | the number should be {times} | do the same {times} | repeat it {times} | all in all {times}
        | it has to be {times}""",
        """{times} in total | i would like it {times} | let it be {times} | have it done {times}
        | it must happen {times}""",
    ),
    "count of": _phrasings(
        """{do} {times} | {it} {times} | do {noun} {times} | {do} {times} instead | {times} {it}
        | make {noun} {times} | {do} exactly {times} | {noun} should be {times}
        | repeat {noun} until it is {times} | {it} but {times} | {do} {times} this time | change {noun} to {times}
        | i want {it} {times} | {do} {times} rather | {noun} has to be {times} | repeat {noun} {times}
        | let {noun} be {times} | {it} in all {times}""",
        "{do} {times} in total | have {noun} {times} | let {it} happen {times} | {it} must be done {times}",
    ),
    "only once": _phrasings(
        """only once | just once | once | a single time | do it only once | once only | only one time
        | not so often, once | one is enough | do it just one time | once instead | no repetition""",
        "one single time | don't repeat it | only one of it | once is enough",
    ),
    "only once of": _phrasings(
        """{do} only once | {do} just once | {do} once | {it} only once | {do} a single time | only one time {it}
        | {it} just one time | {noun} only once | do {noun} once | {do} once instead | don't repeat {noun}""",
        "a single time {it} | {do} no more than once | {it} is enough once | only once for {it}",
    ),
    "once more": _phrasings(
        """once more | one more time | one more | one time more | do it once more | add one more
        | again, one more time | another one | and another time | do one more of it | an extra time
        | repeat it one more time | plus another one | and one more | an additional time""",
        "with one extra repetition | one repetition more | plus one | give me one more",
    ),
    "once more of": _phrasings(
        """{do} once more | {do} one more time | {do} one time more | {it} once more | one more time {it}
        | {do} an extra time | {do} another time | add one repetition of {noun} | do {noun} once more
        | one more {bare} | another {bare} | repeat {it} once more | an additional {bare} | plus one {bare}""",
        "one repetition more of {noun} | {it} one extra time | repeat {noun} one more time",
    ),
    "once less": _phrasings(
        """once less | one time fewer | one fewer | one less | do it one time less | one repetition less
        | take one away | one time less | one repetition fewer than now | reduce it by one | do one fewer
        | drop one | leave one out""",
        "one repetition fewer | minus one | drop one of them",
    ),
    "once less of": _phrasings(
        """{do} once less | {do} one time fewer | {do} one time less | {it} one time less | one time fewer {it}
        | do {noun} one time less | one repetition of {noun} less | one {bare} less | one {bare} fewer
        | drop one {bare} | leave one {bare} out""",
        "one repetition fewer of {noun} | {it} once less | take one {it} away",
    ),
    "twice as often": _phrasings(
        """twice as often | twice as many times | double the repetitions | twice as many | double the number
        | double the count | do it twice as often | two times as often | double it | the double of it
        | with twice the repetitions | do double | doubled in number""",
        "with double the repetitions | make it twice as many | the double number of times",
    ),
    "twice as often of": _phrasings(
        """{do} twice as often | {do} twice as many times | {it} twice as often | double the repetitions of {noun}
        | twice as many times {it} | {it} two times as often | double {noun} | twice the {bare}
        | {noun} doubled in number | with twice the repetitions of {noun}""",
        "double {noun} in number | {it} with double the repetitions | twice as often for {it}",
    ),
    "then": _phrasings(
        """then {do} | and then {do} | then {do} at the end | and {do} at the end | {do} at the end | after that {do}
        | after that, {do} | {do} afterwards | finally {do} | finish by {doing} | end by {doing}
        | and afterwards {do} | then also {do} | add {noun} at the end | and after it {do} | also {do} at the end
        | at the end {do} | then you {do} | follow it by {doing} | next, {do} | {do} when it is done
        | {do} after it | and then they {do} | to end, {do} | and in the end {do} | end it by {doing}
        | close by {doing} | continue by {doing} | go on by {doing} | when that is over, {do}
        | once finished, {do} | lastly {do} | the last thing: {do} | add this: {do}""",
        """conclude by {doing} | round it off by {doing} | once that is done, {do} | and to finish, {do}
        | last of all {do} | when finished, {do} | append this: {do} | and next {do}""",
    ),
    "then by caption": _phrasings(
        """then {caption} | and then {caption} | after that {caption} | at the end {caption}
        | and at the end {caption} | after it {caption} | later {caption} | finally {caption}
        | and then: {caption}""",
        "in the end {caption} | to finish {caption} | next {caption}",
    ),
    "first": _phrasings(
        """first {do} | {do} first | begin by {doing} | start by {doing} | before that {do} | before that, {do}
        | {do} at the beginning | at the beginning {do} | {do} before it | start with {doing} | first of all {do}
        | {do} before everything else | add {noun} at the beginning | to begin with, {do} | {do} before you do it
        | {do} at the start | open with {doing} | the first thing: {do} | initially, {do} | in advance {do}
        | lead in with {doing} | precede it by {doing} | add this before: {do} | put {noun} in front of it""",
        """open by {doing} | prior to that {do} | lead in by {doing} | in the beginning {do} | initially {do}
        | beforehand {do} | put this before it: {do}""",
    ),
    "first by caption": _phrasings(
        """first {caption} | before that {caption} | at the beginning {caption} | start with this: {caption}
        | before it {caption} | at first {caption}""",
        "initially {caption} | to begin with {caption} | beforehand {caption}",
    ),
    "while": _phrasings(
        """{do} while {doing2} | and {do} while {doing2} | {do} while you {do2} | {do} at the same time
        | {do} during {noun2} | {do} on the way | while {doing2}, {do} | {doing} at the same time | meanwhile {do}
        | and {do} at the same time | {do} as you {do2} | {doing} while {doing2} | {do} meanwhile
        | while you {do2}, {do} | add {noun} while {doing2} | combined with {doing} | together with {noun}
        | in the course of it {do} | all along {do} | {do} simultaneously | add {doing} to {noun2}
        | accompany {noun2} by {doing}""",
        """{do} along the way | in the meantime {do} | simultaneously {do} | {do} as you go | combine it with {doing}
        | together with {doing}""",
    ),
    "without": _phrasings(
        """without {it} | without {noun} | no {bare} | leave out {noun} | leave {noun} out | remove {noun}
        | skip {noun} | don't {do} | do not {do} | the same without {it} | but without {it} | drop {noun}
        | no {doing} | omit {noun} | take {noun} out | delete {noun} | forget {noun} | stop {doing} | not {noun}
        | do it without {it} | take away {noun} | cut {noun} | get rid of {noun} | only the rest, without {it}
        | minus {it} | exclude {it} | i do not want {noun} | i do not need {noun} | spare {noun}
        | {noun} should go | {noun} is too much | never {do} | leave off {doing} | no more {doing}
        | please do not {do}""",
        """minus {noun} | {noun} is not needed | spare me {noun} | exclude {noun} | i don't want {noun}
        | never mind {noun} | skip the part with {noun} | please no {doing}""",
    ),
    "instead": _phrasings(
        """{do} instead | rather {do} | make it {doing} | {doing} instead | no, {do} | change it to {doing}
        | {do} in place of that | not that, {do} | {do} instead of that | {doing} instead of that
        | let it be {doing} | actually {do} | better {do} | i would prefer {doing} | swap that for {doing}
        | turn that into {doing} | exchange it for {doing}""",
        "i would rather see {doing} | swap it for {doing} | actually, {do} | turn it into {doing}",
    ),
    "instead by caption": _phrasings(
        """{caption} instead | rather {caption} | make it: {caption} | no, {caption} | change it to: {caption}
        | not that. {caption}""",
        "actually, {caption} | i would rather see that {caption} | better: {caption}",
    ),
    "instead of": _phrasings(
        """{do} instead of {doing2} | {do} instead of {noun2} | {doing} instead of {doing2}
        | replace {noun2} by {doing} | replace {it2} with {doing} | instead of {doing2}, {do}
        | instead of {noun2} {do} | don't {do2}, {do} | rather {do} than {do2} | change {noun2} to {doing}
        | swap {noun2} for {doing} | {doing} rather than {doing2} | {do} in place of {noun2}
        | not {doing2} but {doing} | turn {noun2} into {doing} | make {noun2} {doing} | exchange {it2} for {doing}
        | substitute {noun2} by {doing} | where {noun2} is, {do} | let {noun2} be {doing}
        | {doing} should replace {noun2} | in the place of {noun2}, {do}""",
        """exchange {noun2} for {doing} | substitute {doing} for {noun2} | where there is {noun2}, {do}
        | in lieu of {noun2} {do} | let {noun2} become {doing} | {doing} should take the place of {noun2}""",
    ),
    "instead of by caption": _phrasings(
        """{caption} instead of {doing2} | {caption} rather than {doing2} | instead of {doing2}, {caption}
        | instead of {noun2} {caption} | in place of {noun2} {caption}""",
        "where there is {noun2}, {caption} | {caption} in place of {doing2}",
    ),
    "longer": _phrasings(
        """longer | make it longer | it should take longer | let it last longer | do it for longer | more time
        | go on for longer | the same but longer | extend it | stretch it | keep going longer | a longer version
        | it is too short | prolong the motion | longer in time | let it go on | a longer duration
        | lengthen the motion | take longer""",
        "prolong it | let it go on longer | lengthen it | give it more time",
    ),
    "shorter": _phrasings(
        """shorter | make it shorter | it should take less time | not so long | less time | the same but shorter
        | shorten it | a shorter version | it is too long | cut it down | keep it short | a shorter duration
        | shorter in time | reduce the length | be brief | take less long | briefer in time""",
        "briefer | let it be shorter | abridge it | give it less time",
    ),
    "twice as long": _phrasings(
        """twice as long | double the length | double the duration | make it twice as long | two times as long
        | it should last twice as long""",
        "for double the time | with double length | let it take twice the time",
    ),
    "half as long": _phrasings(
        """half as long | half the length | halve the duration | make it half as long | cut the length in half
        | it should last half as long""",
        "for half the time | with half the duration | let it take half the time",
    ),
    "seconds": _phrasings(
        """{seconds} seconds | make it {seconds} seconds | make it {seconds} seconds long | in {seconds} seconds
        | {changed}, {seconds} seconds | for {seconds} seconds | it should last {seconds} seconds | {seconds} s
        | let it take {seconds} seconds | do it in {seconds} seconds | it should be {seconds} seconds long
        | {seconds} sec | change the duration to {seconds} seconds | make it {changed}: {seconds} seconds
        | exactly {seconds} seconds | i need {seconds} seconds | set the length to {seconds} seconds
        | it should have {seconds} seconds | a duration of {seconds} seconds | a length of {seconds} seconds
        | take {seconds} seconds for it | stretch or cut it to {seconds} seconds | have it last {seconds} seconds
        | {seconds} seconds all in all""",
        """the duration should be {seconds} seconds | give it {seconds} seconds | {seconds} seconds in total
        | fit it into {seconds} seconds | have it take {seconds} s""",
    ),
    "for longer": _phrasings(
        """{do} longer | {do} for longer | {do} for a longer time | {it} longer | make {noun} longer
        | {noun} should last longer | keep {doing} longer | extend {noun} | go on {doing} for longer
        | {doing} for longer | more {doing} | spend more time {doing} | lengthen {it} | prolong {it}
        | {noun} is too short | keep on {doing} | do not stop {doing} yet | {do} a while longer | {do} further""",
        "prolong {noun} | {do} some more | don't stop {doing} so soon | lengthen {noun}",
    ),
    "not so long": _phrasings(
        """{do} not so long | {do} for a shorter time | {it} shorter | make {noun} shorter | {noun} should be shorter
        | shorten {noun} | stop {doing} earlier | {doing} for a shorter time | less {doing}
        | spend less time {doing} | don't {do} so long | cut {it} | {noun} takes too long | {it} for less time
        | {do} briefly | {noun} only briefly | a shorter {bare}""",
        "cut {noun} short | {do} only briefly | a briefer time {doing} | {noun} is too long",
    ),
    "act faster": _phrasings(
        """{do} faster | {do} more quickly | {it} faster | {do} quicker | make {noun} faster | speed up {noun}
        | {noun} should be faster | faster {doing} | {doing} faster | {noun} is too slow | do {noun} more quickly
        | {do} at a higher speed | {do} fast | quicken {it} | hurry {noun} up | {noun} needs more speed
        | more speed for {it} | a quicker {bare} | do not be so slow {doing}""",
        "hurry with {noun} | {do} with more speed | a faster pace for {noun} | quicken {noun}",
    ),
    "act slower": _phrasings(
        """{do} slower | {do} more slowly | {it} slower | {do} less quickly | make {noun} slower | slow down {noun}
        | {noun} should be slower | slower {doing} | {doing} slower | {noun} is too fast | do {noun} more slowly
        | {do} at a lower speed | {do} slowly | slow {it} | take more time for {noun} | {noun} needs less speed
        | less speed for {it} | a slower {bare} | do not rush {it}""",
        "take your time with {noun} | {do} with less speed | a slower pace for {noun} | don't rush {noun}",
    ),
    "raise higher": _phrasings(
        """raise the {part} higher | higher | the {part} higher | lift the {part} higher | {part} further up
        | raise the {part} above the head | bring the {part} up higher | the {part} all the way up
        | the {part} should go higher | raise it higher""",
        "reach higher with the {part} | put the {part} up further | the {part} over the head",
    ),
    "turn further": _phrasings(
        """turn further | turn more | a bigger turn | a larger turn | turn farther | the turn should be bigger
        | rotate further | turn around further | more of a turn | make the turn larger | twice the turn
        | increase the turning | turn on | a turn that goes further | keep turning | turn wider""",
        "a wider turn | rotate more | keep turning further | increase the turn",
    ),
    "turn less": _phrasings(
        """turn less | a smaller turn | not so far around | turn not as far | the turn should be smaller
        | rotate less | only half the turn | don't turn so far | make the turn smaller | less of a turn
        | reduce the turning | a turn that is less far | stop turning sooner | turn only half as far""",
        "reduce the turn | not such a big turn | stop turning earlier",
    ),
    "turn to": _phrasings(
        """turn {degrees} degrees | turn by {degrees} degrees | {degrees} degrees | make the turn {degrees} degrees
        | the turn should be {degrees} degrees | turn {degrees} degrees instead | rotate {degrees} degrees
        | rotate by {degrees} degrees | change the turn to {degrees} degrees | exactly {degrees} degrees
        | a turn of {degrees} degrees | a {degrees} degree turn | the turn is to be {degrees} degrees
        | turn through {degrees} degrees | set the turn to {degrees} degrees | by {degrees} degrees""",
        "{degrees} degrees of turn | have it turn {degrees} degrees | it should rotate {degrees} degrees",
    ),
    "turn around": _phrasings(
        """turn around | turn to face the other way | half a turn | turn so that you look back | a half turn
        | turn around completely to the back | a turn of half a circle | make it a half turn | turn to the back""",
        "an about-face | turn half way around | turn until you face the other way",
    ),
    "turn all around": _phrasings(
        """turn all the way around | a full turn | a whole turn | turn full circle | a complete turn
        | make it a full turn | spin all the way around | turn once completely around | a full rotation""",
        "a complete rotation | turn until you are back where you were | go all the way around",
    ),
    "jump higher": _phrasings(
        """{do} higher | higher | a higher {bare} | a bigger {bare} | {doing} higher | make {noun} higher
        | {noun} should be higher | {do} further up | more height | {it} higher | increase {noun} in height
        | with more height | a larger {bare} than that | get higher {doing} | much higher""",
        "higher up with {noun} | increase the height of {noun} | a larger {bare}",
    ),
    "jump lower": _phrasings(
        """{do} lower | lower | not so high | a smaller {bare} | a lower {bare} | {doing} lower | make {noun} lower
        | {noun} should be lower | {do} less high | {do} not so high | less height | reduce {noun} in height
        | with less height | only a little {bare} | stay lower {doing} | a little {bare}""",
        "reduce the height of {noun} | {it} with less height | only a small {bare}",
    ),
    "lean further": _phrasings(
        """{do} deeper | {do} further | a deeper {bare} | {do} lower | more {doing} | make {noun} deeper | deeper
        | {noun} should be deeper | {do} more | further down | a bigger {bare} | increase {it} | exaggerate {it}
        | a larger {bare} | {do} much further | with more depth""",
        "increase {noun} | {it} further down | exaggerate {noun}",
    ),
    "lean less": _phrasings(
        """{do} less | {do} less deep | not so deep | a smaller {bare} | {do} not so far | less {doing}
        | make {noun} smaller | {noun} should be smaller | {do} only a little | only a slight {bare} | reduce {it}
        | only hint at {noun} | a little {bare} | {do} not as deep | with less depth""",
        "reduce {noun} | {it} not as far | a subtle {bare}",
    ),
    "exchange": _phrasings(
        """the other way round | swap the order | exchange the order | in the other order | reverse the order
        | the other order | swap the two | exchange the two | in reverse order | first the second, then the first
        | turn the order around | change the order | swap them | the second one first | the last one first
        | turn it round, last first | begin with the second | reversed order""",
        "the order should be reversed | switch the two around | invert the order | vice versa",
    ),
    "exchange these": _phrasings(
        """first {do}, then {do2} | {do} before {doing2} | {doing} before {doing2} | {do2} after {doing}
        | first {noun}, then {noun2} | {noun} before {noun2} | {noun2} after {noun} | swap {noun} and {noun2}
        | exchange {noun2} and {noun} | {do} first and then {do2} | start with {noun}, then {noun2}
        | {noun} should come first | put {noun} before {noun2} | {noun2} should come after {noun}
        | first {doing} and only then {doing2} | {noun} is to precede {noun2} | {noun} in front of {noun2}
        | move {noun} to before {noun2} | {noun2} is to follow {noun} | {do} and only after that {do2}
        | begin by {doing} and then {do2} | exchange the order of {noun2} and {noun}""",
        """switch {noun2} and {noun} | let {noun} precede {noun2} | {noun} ahead of {noun2}
        | move {noun} before {noun2} | have {noun2} follow {noun}""",
    ),
    "rest at the end": _phrasings(
        """stand still for {wait} at the end | wait {wait} at the end | hold still for {wait} at the end
        | rest {wait} at the end | stay there for {wait} | then wait {wait} | then stay still for {wait}
        | hold the pose for {wait} at the end | stop at the end for {wait} | and pause for {wait} at the end
        | add {wait} of rest at the end | then stop for {wait} | remain like that for {wait}
        | then hold for {wait} | keep still for {wait} at the end | do not move for {wait} at the end
        | freeze {wait} in the end | stand {wait} longer at the end | end with a rest of {wait}
        | let it rest {wait} at the end""",
        """freeze for {wait} at the end | linger {wait} at the end | finish with {wait} of standing still
        | don't move for {wait} at the end""",
    ),
    "rest at the beginning": _phrasings(
        """wait {wait} first | stand still for {wait} first | wait {wait} before you start | begin after {wait}
        | start {wait} later | first wait {wait} | hold still for {wait} at the beginning
        | pause for {wait} before it | first stay still for {wait} | add {wait} of rest at the beginning
        | start with {wait} of standing still | begin {wait} later | do not move for {wait} at the beginning
        | freeze for {wait} first | hesitate for {wait} before it | delay the beginning by {wait}
        | let {wait} pass first | stay put for {wait} at first | rest {wait} at the start""",
        """freeze for {wait} at the start | delay it by {wait} | don't move for {wait} at first
        | hesitate {wait} first""",
    ),
    "rest between": _phrasings(
        """wait {wait} before {doing} | pause {wait} before {doing} | wait {wait} before {noun}
        | stand still for {wait} before {doing} | a pause of {wait} before {noun} | {do} {wait} later
        | hold still for {wait} before {doing} | stop for {wait} before {noun} | {noun} should come {wait} later
        | add {wait} of rest before {noun} | rest {wait} before {doing} | do not move for {wait} before {doing}
        | delay {it} by {wait} | let {wait} go by before {doing} | hesitate {wait} before {doing}
        | leave {wait} before {noun} | {noun} {wait} later""",
        "freeze for {wait} before {doing} | delay {noun} by {wait} | let {wait} pass before {noun}",
    ),
    "question": _phrasings(
        """what does the person do? | what is the person doing? | what happens? | which hand is it?
        | which hand does the person use? | which leg is it? | how many times? | how often?
        | how often does the person jump? | how many steps are there? | does the person turn?
        | does the person sit down? | which way does the person turn? | where does the person walk?
        | how long does it take? | how fast is it? | is the person standing at the end? | describe the motion
        | describe it | what do you see? | is that the left or the right hand? | does the person wave?
        | what comes first? | what does the person do at the end? | in which direction does the person walk?
        | are both hands used? | how far does the person go? | tell me what happens | is there a jump?
        | what is it? | which arm moves? | is it fast or slow? | what is done first? | does the person kneel down?
        | how many kicks? | which foot is it? | say what happens | what do you see in it? | is something thrown?
        | how deep is the squat? | what is done in the end? | where does it go? | name the actions
        | what kind of motion is it? | does someone fall? | when does the turn begin? | how high is the jump?""",
        """what can you see here? | which foot is used? | how many kicks are there? | does the person kneel?
        | what is done last? | say what happens in it | is it quick or slow?""",
    ),
    "talk": _phrasings(
        """hello | hi | thanks | thank you | great | that is nice | good | perfect | well done | why? | who are you?
        | what can you do? | how are you? | good morning | what is the capital of france? | tell me a joke
        | that is good, thank you | what time is it? | can you help me? | how does this work?
        | what is two plus two? | write a poem | i like it | cool | bye | goodbye | who made you?
        | what is a motion token? | are you a person? | what is the weather like? | thanks, that is nice
        | how old is the earth? | good evening to you | who wrote faust? | nice | what is the smallest country?
        | see you | i am hungry | what is five times six? | which language do you speak? | that was not bad
        | who painted the mona lisa? | ok | i see | are you there? | tell me about dogs
        | what does this program do? | you are funny""",
        """thanks a lot | how old are you? | good evening | who wrote hamlet? | nice one | what is the largest ocean?
        | see you later | i am tired""",
    ),
}

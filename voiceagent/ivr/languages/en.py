"""PURE. English."""

from __future__ import annotations

from voiceagent.ivr.languages.table import Language, in_order, numbers, phrases

_UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

ENGLISH = Language(
    tag="en",
    name="English",
    keeps_apostrophes=True,
    sorry="Sorry, I did not understand that.",
    nothing_heard="Sorry, I did not hear anything.",
    idle=("Are you still there?", "I cannot hear you. Are you still on the line?"),
    impossible="Sorry, that is not possible.",
    queue_position="You are number {position} in the queue.",
    broken="I am sorry, something has gone wrong on our side.",
    closing="I am sorry, I have to end this call now. Please call again. Goodbye.",
    months=(
        *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
        *("October", "November", "December"),
    ),
    signs={
        "at": "@",
        "dot": ".",
        "point": ".",
        "dash": "-",
        "hyphen": "-",
        "minus": "-",
        "underscore": "_",
    },
    press="Press {keys}.",
    press_one="{key} for {name}",
    press_yes_no="Press 1 for yes, 2 for no.",
    type_digits="Please type the digits on your phone.",
    type_digits_until="Please type the digits on your phone, then {end}.",
    keys={"#": "hash", "*": "star"},
    read_back="I heard {value}. Is that right?",
    expect_yes_no="Expect yes or no.",
    expect_one_of="Expect one of: {phrases}.",
    expect_digits="Expect {count} digits.",
    expect_digits_range="Expect {least} to {most} digits.",
    expect_anything="Expect anything, such as: {phrases}.",
    yes=phrases(
        *("yes", "yeah", "yep", "yup", "sure", "correct", "right", "okay", "ok", "exactly", "indeed"),
        *("why not", "not bad", "no problem"),
    ),
    no=phrases(
        *("no", "nope", "nah", "wrong", "incorrect", "not"),
        *("not right", "not correct", "not quite right", "not exactly"),
    ),
    numbers=numbers(
        {
            0: "zero|oh|o|nought",
            1: "one",
            2: "two|to|too",
            3: "three",
            4: "four|for",
            **in_order("five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", start=5),
            **in_order("thirteen", "fourteen", "fifteen", "sixteen", start=13),
            **in_order("seventeen", "eighteen", "nineteen", start=17),
            **{20 + 10 * at: ten for at, ten in enumerate(_TENS)},
            **{
                20 + 10 * at + unit: f"{ten} {word}"
                for at, ten in enumerate(_TENS)
                for unit, word in enumerate(_UNITS, 1)
            },
        }
    ),
    repeats={"double": 2, "triple": 3},
    fillers=frozenset(
        ("it's", "its", "it", "is", "the", "number", "my", "and", "um", "uh", "please", "then", "hash")
    ),
    back_channel=phrases(
        *("mhm", "mm", "mmm", "hm", "hmm", "mm hmm", "mm hm", "uh huh", "uh", "um", "er", "ah", "oh", "aha"),
        *("okay", "ok", "yeah", "yes", "yep", "right", "sure", "alright", "all right", "i see", "got it"),
        *("good", "great", "fine", "wow", "really"),
    ),
)

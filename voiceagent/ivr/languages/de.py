"""PURE. German."""

from __future__ import annotations

from voiceagent.ivr.languages.table import Language, in_order, numbers, phrases

_UNITS = ("ein", "zwei", "drei", "vier", "fünf|fuenf", "sechs", "sieben", "acht", "neun")
_TENS = ("zwanzig", "dreißig", "vierzig", "fünfzig|fuenfzig", "sechzig", "siebzig", "achtzig", "neunzig")


def _joined(unit: str, ten: str) -> str:
    """Return "einundzwanzig" in all its wordings, also as three words."""
    pairs = [(one, two) for one in unit.split("|") for two in ten.split("|")]
    return "|".join(f"{one}und{two}|{one} und {two}" for one, two in pairs)


GERMAN = Language(
    tag="de",
    name="German",
    sorry="Das habe ich leider nicht verstanden.",
    nothing_heard="Ich habe leider nichts gehört.",
    idle=("Sind Sie noch da?", "Ich höre Sie leider nicht. Sind Sie noch am Apparat?"),
    impossible="Das ist leider nicht möglich.",
    queue_position="Sie sind an Position {position} in der Warteschlange.",
    broken="Es tut mir leid, bei uns ist etwas schiefgegangen.",
    closing="Es tut mir leid, ich muss jetzt auflegen. Bitte rufen Sie noch einmal an. Auf Wiederhören.",
    date="{day}. {month} {year}",
    months=(
        *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September"),
        *("Oktober", "November", "Dezember"),
    ),
    signs={
        "at": "@",
        "ät": "@",
        "klammeraffe": "@",
        "punkt": ".",
        "minus": "-",
        "strich": "-",
        "bindestrich": "-",
        "unterstrich": "_",
    },
    press="Drücken Sie {keys}.",
    press_one="{key} für {name}",
    press_yes_no="Drücken Sie 1 für ja, 2 für nein.",
    type_digits="Bitte tippen Sie die Ziffern auf Ihrem Telefon ein.",
    type_digits_until="Bitte tippen Sie die Ziffern auf Ihrem Telefon ein, und danach {end}.",
    keys={"#": "die Raute-Taste", "*": "die Stern-Taste"},
    read_back="Ich habe {value} verstanden. Ist das richtig?",
    expect_yes_no="Erwartet wird ja oder nein.",
    expect_one_of="Erwartet wird eines von: {phrases}.",
    expect_digits="Erwartet werden {count} Ziffern.",
    expect_digits_range="Erwartet werden {least} bis {most} Ziffern.",
    expect_anything="Erwartet wird alles Mögliche, etwa: {phrases}.",
    yes=phrases(
        *("ja", "jawohl", "jo", "jep", "jup", "genau", "richtig", "korrekt", "stimmt", "okay", "ok", "klar"),
        *("gern", "gerne", "sicher", "natürlich", "einverstanden", "in Ordnung", "warum nicht", "freilich"),
    ),
    no=phrases(
        *("nein", "nee", "ne", "nö", "falsch", "verkehrt", "nicht", "keinesfalls", "auf keinen Fall"),
        *("stimmt nicht", "nicht richtig", "nicht korrekt", "nicht in Ordnung", "lieber nicht"),
        *("stimmt so nicht", "nicht ganz richtig", "nicht einverstanden"),
    ),
    numbers=numbers(
        {
            0: "null",
            1: "eins|ein|eine|einer",
            2: "zwei|zwo",
            3: "drei",
            4: "vier",
            5: "fünf|fuenf",
            **in_order("sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf|zwoelf", start=6),
            **in_order("dreizehn", "vierzehn", "fünfzehn|fuenfzehn", "sechzehn", start=13),
            **in_order("siebzehn", "achtzehn", "neunzehn", start=17),
            **{20 + 10 * at: ten for at, ten in enumerate(_TENS)},
            **{
                20 + 10 * at + unit: _joined(word, ten)
                for at, ten in enumerate(_TENS)
                for unit, word in enumerate(_UNITS, 1)
            },
        }
    ),
    repeats={"doppel": 2, "doppelt": 2, "zweimal": 2, "dreimal": 3},
    fillers=frozenset(
        ("es", "ist", "sind", "die", "der", "das", "meine", "nummer", "lautet", "und", "ah", "ahm", "bitte")
    )
    | {"dann", "also", "raute"},
    back_channel=phrases(
        *("mhm", "hm", "hmm", "mm", "äh", "ähm", "ah", "oh", "aha", "ach", "ach so", "na gut", "nun gut"),
        *("ja", "jaja", "okay", "ok", "genau", "gut", "richtig", "klar", "alles klar", "verstehe"),
        *("ich verstehe", "prima", "schön", "stimmt"),
    ),
)

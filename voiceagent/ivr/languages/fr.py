"""PURE. French."""

from __future__ import annotations

from voiceagent.ivr.languages.table import Language, in_order, numbers, phrases

_UNITS = ("un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf")
_TEENS = ("dix", "onze", "douze", "treize", "quatorze", "quinze", "seize", "dix sept", "dix huit", "dix neuf")
_TENS = {20: "vingt", 30: "trente", 40: "quarante", 50: "cinquante", 60: "soixante"}
_ELSEWHERE = {70: "septante", 80: "huitante", 90: "nonante"}
"""Belgium and Switzerland."""


def _tens() -> dict[int, str]:
    table = dict[int, str]()
    for base, ten in (*_TENS.items(), *_ELSEWHERE.items()):
        table[base] = ten
        for unit, word in enumerate(_UNITS, 1):
            table[base + unit] = f"{ten} {word}|{ten} et {word}" if unit == 1 else f"{ten} {word}"
    table[80] += "|octante|quatre vingts|quatre vingt"
    for unit, word in enumerate(_UNITS, 1):
        table[80 + unit] += f"|quatre vingt {word}"
    for unit, word in enumerate(_TEENS):
        both = f"soixante {word}|soixante et {word}" if unit == 1 else f"soixante {word}"
        table[70 + unit] += f"|{both}"
        table[90 + unit] += f"|quatre vingt {word}"
    return table


FRENCH = Language(
    tag="fr",
    name="French",
    sorry="Désolé, je n'ai pas compris.",
    nothing_heard="Désolé, je n'ai rien entendu.",
    idle=("Vous êtes toujours là ?", "Je ne vous entends pas. Êtes-vous toujours en ligne ?"),
    impossible="Désolé, ce n'est pas possible.",
    queue_position="Vous êtes en position {position} dans la file d'attente.",
    broken="Je suis désolé, un problème est survenu de notre côté.",
    closing="Je suis désolé, je dois mettre fin à cet appel. Veuillez rappeler. Au revoir.",
    months=(
        *("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre"),
        *("octobre", "novembre", "décembre"),
    ),
    signs={
        "arobase": "@",
        "at": "@",
        "point": ".",
        "tiret": "-",
        "moins": "-",
        "tiret bas": "_",
        "underscore": "_",
    },
    press="Appuyez sur {keys}.",
    press_one="{key} pour {name}",
    press_yes_no="Appuyez sur 1 pour oui, 2 pour non.",
    type_digits="Tapez les chiffres sur votre téléphone, s'il vous plaît.",
    type_digits_until="Tapez les chiffres sur votre téléphone, puis {end}, s'il vous plaît.",
    keys={"#": "dièse", "*": "étoile"},
    read_back="J'ai compris {value}. Est-ce exact ?",
    expect_yes_no="Réponse attendue : oui ou non.",
    expect_one_of="Réponse attendue, au choix : {phrases}.",
    expect_digits="Réponse attendue : {count} chiffres.",
    expect_digits_range="Réponse attendue : de {least} à {most} chiffres.",
    expect_anything="Toute réponse est possible, par exemple : {phrases}.",
    yes=phrases(
        *("oui", "ouais", "ouaip", "exact", "exactement", "correct", "d'accord", "okay", "ok", "bien sûr"),
        *("tout à fait", "parfait", "volontiers", "c'est ça", "pourquoi pas", "absolument", "c'est juste"),
    ),
    no=phrases(
        *(
            "non",
            "nan",
            "faux",
            "incorrect",
            "pas",
            "pas du tout",
            "pas exact",
            "pas exactement",
            "pas correct",
        ),
        *("pas d'accord", "n'est pas ça", "pas ça", "pas tout à fait", "pas juste", "inexact"),
    ),
    numbers=numbers(
        {
            0: "zéro",
            1: "un|une",
            **in_order("deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", start=2),
            **in_order(*_TEENS, start=10),
            **_tens(),
        }
    ),
    repeats={"double": 2, "triple": 3},
    fillers=frozenset(
        (
            "c",
            "est",
            "le",
            "la",
            "mon",
            "ma",
            "numero",
            "et",
            "euh",
            "puis",
            "s",
            "il",
            "vous",
            "plait",
            "diese",
        )
    ),
    back_channel=phrases(
        *("mhm", "hm", "hmm", "mm", "euh", "ah", "oh", "aha", "ah bon", "ah oui", "ben", "bon", "bien"),
        *("oui", "ouais", "okay", "ok", "d'accord", "voilà", "je vois", "très bien", "entendu", "parfait"),
        *("c'est ça", "exact"),
    ),
)

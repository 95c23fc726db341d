"""The language of a flow: what is said by itself, what is understood, who is told."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import StringConstraints

from voiceagent.errors import ConfigError
from voiceagent.ivr.answers import Choice, Digits, DigitString, YesNo
from voiceagent.ivr.kinds import Kind
from voiceagent.ivr.languages import LANGUAGES, Language, language_of
from voiceagent.ivr.matching import match_option, match_yes_no, spoken_digits
from voiceagent.ivr.verbs.wording import read_back


@pytest.mark.parametrize(
    ("tag", "said", "meant"),
    [
        ("en", "that's not right", False),
        ("en", "why not", True),
        ("en", "I'm not sure", None),
        ("de", "Ja, genau.", True),
        ("de", "Nö.", False),
        ("de", "Das stimmt nicht", False),
        ("de", "Warum nicht?", True),
        ("de", "vielleicht", None),
        ("de", "ja oder nein", None),
        ("fr", "D'accord", True),
        ("fr", "Non merci", False),
        ("fr", "Ce n’est pas ça", False),
        ("fr", "pourquoi pas ?", True),
        ("es", "¡Sí, claro!", True),
        ("es", "no es correcto", False),
        ("es", "quizás", None),
    ],
)
def test_yes_and_no(tag: str, said: str, meant: bool | None) -> None:
    assert match_yes_no(said, language_of(tag)) is meant


@pytest.mark.parametrize(
    ("tag", "said", "digits"),
    [
        ("en", "forty two oh double seven", "42077"),
        ("en", "twenty", "20"),
        ("de", "null acht fünfzehn", "0815"),
        ("de", "zwo einundzwanzig und dreißig", "22130"),
        ("de", "fuenf neunundneunzig, bitte", "599"),
        ("de", "meine Nummer ist 4 7 11", "4711"),
        ("fr", "zéro six douze trente-quatre", "061234"),
        ("fr", "soixante-dix-sept quatre-vingt-dix-neuf", "7799"),
        ("fr", "vingt et un soixante et onze quatre-vingts", "217180"),
        ("fr", "septante-deux nonante", "7290"),
        ("es", "dos veintiuno treinta y cuatro", "22134"),
        ("es", "doble siete cero", "770"),
        ("es", "dieciséis noventa y nueve", "1699"),
        ("es", "una manzana", ""),
        ("en", "٤٢", "42"),
    ],
)
def test_spoken_digits(tag: str, said: str, digits: str) -> None:
    assert spoken_digits(said, language_of(tag)) == digits


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda one: one.tag)
def test_every_number_up_to_99_has_a_word(language: Language) -> None:
    assert set(language.numbers.values()) == {str(value) for value in range(100)}


@pytest.mark.parametrize(
    ("tag", "said", "only_listening"),
    [
        ("en", "Mm-hmm", True),
        ("en", "okay, I see", True),
        ("en", "okay but what about Sunday", False),
        ("en", "stop", False),
        ("en", "yeah yeah yeah yeah yeah", False),
        ("de", "ach so, ja", True),
        ("de", "ja bitte aufhören", False),
        ("fr", "D'accord, très bien", True),
        ("fr", "un instant", False),
        ("es", "Ajá, ya veo", True),
        ("es", "espere", False),
    ],
)
def test_a_listeners_words_are_told_from_a_speakers(tag: str, said: str, only_listening: bool) -> None:
    assert language_of(tag).is_back_channel(said) is only_listening


def test_options_are_found_whatever_accents_and_case() -> None:
    options = {"hours": ("Öffnungszeiten",), "person": ("l'opérateur", "opérateur")}
    assert match_option("die OFFNUNGSZEITEN bitte", options, language_of("de")) == "hours"
    assert match_option("Passez-moi l’operateur", options, language_of("fr")) == "person"


def test_questions_speak_the_flows_language() -> None:
    german = language_of("de-AT")
    menu = Choice({"rechnung": "1", "ein_mensch": "0"}, german)
    assert menu.keys_line() == "Drücken Sie 1 für rechnung, 0 für ein mensch."
    assert menu.hint() == "Erwartet wird eines von: rechnung; ein mensch."
    assert YesNo(german).keys_line() == "Drücken Sie 1 für ja, 2 für nein."
    assert DigitString(Digits(4, end="#"), german).keys_line().endswith("danach die Raute-Taste.")
    assert DigitString(Digits(4, end=""), german).keys_line().endswith("Telefon ein.")
    assert DigitString(Digits(1, 4), german).hint() == "Erwartet werden 1 bis 4 Ziffern."


@pytest.mark.parametrize(
    ("tag", "said", "spoken"),
    [
        ("en", "12 May 2026", "12 May 2026"),
        ("de", "am 3. März 2026", "3. März 2026"),
        ("fr", "le 1 août 2026", "1 août 2026"),
        ("es", "31 de diciembre de 2026", "31 de diciembre de 2026"),
        ("de", "null drei null drei zwanzig sechsundzwanzig", "3. März 2026"),
    ],
)
def test_dates_are_understood_and_read_back(tag: str, said: str, spoken: str) -> None:
    language = language_of(tag)
    valid, day = Kind(date, language).read(said)
    assert valid
    assert read_back(day, said, by_digits=False, language=language) == spoken


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("en", "ann dash m at example dot com"),
        ("de", "ann minus m at example punkt com"),
        ("fr", "ann tiret m arobase example point com"),
        ("es", "ann guión m arroba example punto com"),
    ],
)
def test_addresses_may_be_spelled(tag: str, said: str) -> None:
    Address = Annotated[str, StringConstraints(pattern=r"^[^@ ]+@[^@ ]+\.com$")]
    assert Kind(Address, language_of(tag)).read(said) == (True, "ann-m@example.com")


def test_tags_fall_back_to_their_language_and_unknown_ones_are_refused() -> None:
    assert language_of("en-GB") is language_of("en") is language_of("EN_us")
    with pytest.raises(ConfigError, match="'xx' is not known; there are en, de, fr, es") as caught:
        language_of("xx")
    assert caught.value.setting == "language"


@given(st.text(), st.sampled_from(sorted(LANGUAGES)))
def test_nothing_that_is_said_does_harm(text: str, tag: str) -> None:
    language = language_of(tag)
    assert language.digits(text).isascii()
    language.meant(text)
    language.is_back_channel(text)

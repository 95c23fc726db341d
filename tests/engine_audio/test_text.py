"""Text made ready to be spoken, and words made ready to be heard."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceagent.engine.stt.spelling import phones
from voiceagent.engine.tts.text import FIRST_LONGEST, LONGEST, sentences, speakable

PHONES = {*re.findall(r"\w+", "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY")}
PHONES |= {*re.findall(r"\w+", "P R S SH T TH UH UW V W Y Z ZH")}


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Your balance is $12.50.", "Your balance is 12 dollars and 50 cents."),
        ("That is €1.", "That is 1 euro."),
        ("£3.01 please", "3 pounds and 1 penny please"),
        ("You owe $1,250", "You owe 1250 dollars"),
        ("Call 0800 123", "Call 0 8 0 0, 1 2 3"),
        ("Order 4815162", "Order 4 8 1 5 1 6 2"),
        ("In 2024 we had 300 calls", "In 2024 we had 300 calls"),
        ("a 20% discount", "a 20 percent discount"),
        ("**Bold** and `code`", "Bold and code"),
        ("Ask Smith & Sons", "Ask Smith and Sons"),
        ("See https://www.example.com", "See example.com"),
        ("- one\n- two", "one\ntwo"),
        ("press #1", "press number 1"),
    ],
)
def test_figures_and_marks_become_words(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


def test_sentences_come_one_by_one() -> None:
    assert list(sentences("Hello there. How can I help you? Say billing!")) == [
        "Hello there.",
        "How can I help you?",
        "Say billing!",
    ]


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    assert list(sentences("Ask for Dr. Miller. Thanks.")) == ["Ask for Dr. Miller.", "Thanks."]


def test_a_long_first_sentence_starts_with_a_clause() -> None:
    text = (
        "If you would like to hear about your latest invoice, say billing, otherwise stay on the line and "
        "somebody will be with you as soon as one of our representatives becomes available"
    )
    pieces = list(sentences(text))
    assert pieces[0].endswith(",")
    assert len(pieces[0]) <= FIRST_LONGEST
    assert " ".join(pieces) == text


@given(st.text(max_size=400))
def test_any_text_is_cut_into_short_speakable_pieces(text: str) -> None:
    pieces = list(sentences(text))
    assert all(0 < len(piece) <= LONGEST for piece in pieces)


@pytest.mark.parametrize(
    ("word", "sound"),
    [
        ("zyntrova", "Z IH N T R AA V AH"),
        ("gps", "JH IY P IY EH S"),
        ("knight", "N AY T"),
        ("phone", "F OW N"),
        ("contoso", "K AA N T AA S OW"),
    ],
)
def test_unknown_words_are_sounded_out(word: str, sound: str) -> None:
    assert phones(word) == sound


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz'-é", min_size=1, max_size=20))
def test_every_word_gets_phones_that_the_model_has(word: str) -> None:
    sounds = phones(word).split()
    assert sounds
    assert set(sounds) <= PHONES

"""Grammars, language models, pronunciations and the agreement of both passes; no audio."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from voiceagent.engine.ports import Expectation, ExpectKind
from voiceagent.engine.stt.arpa import arpa
from voiceagent.engine.stt.framing import LEAD_MS, frame_turn
from voiceagent.engine.stt.grammar import NO, YES, digits_of, listening, meaning, words_of
from voiceagent.engine.stt.lexicon import Lexicon, dictionary_text
from voiceagent.engine.stt.narrowband import CARRIED, IGNORED_VARIANCE, band_matrix, derive
from voiceagent.engine.stt.sphinx import agree

MENU = Expectation(ExpectKind.PHRASES, ("Billing", "Opening hours", "Press 1", "Sales & support"))
YES_NO = Expectation(ExpectKind.YES_NO)
PERSON = Expectation(ExpectKind.PHRASES, ("person", "a person", "operator"))
DIGITS = Expectation(ExpectKind.DIGITS, min_digits=2, max_digits=6)


def test_phrases_are_read_as_they_are_said() -> None:
    assert words_of("Press 1, then 20!") == ["press", "one", "then", "two", "zero"]
    assert words_of("Sales & support") == ["sales", "and", "support"]
    assert words_of("that’s 'right'") == ["that's", "right"]
    assert words_of("…") == []


@pytest.mark.parametrize(
    ("spoken", "digits"),
    [
        ("four eight one five", "4815"),
        ("oh double two six", "0226"),
        ("triple nine", "999"),
        ("four and five", None),
        ("", ""),
    ],
)
def test_digit_words_become_figures(spoken: str, digits: str | None) -> None:
    assert digits_of(spoken.split()) == digits


@pytest.mark.parametrize(
    ("spoken", "expect", "answer"),
    [
        ("billing", MENU, "billing"),
        ("i'd like billing please", MENU, "billing"),
        ("opening hours thanks", MENU, "opening hours"),
        ("press one", MENU, "press one"),
        ("bill", MENU, ""),
        ("the person", PERSON, "person"),
        ("a person please", PERSON, "person"),
        ("person", PERSON, "person"),
        ("yeah", YES_NO, "yes"),
        ("no thank you", YES_NO, "no"),
        ("no thank", YES_NO, "no"),
        ("that", YES_NO, ""),
        ("billing", YES_NO, ""),
        ("operator", Expectation(ExpectKind.YES_NO, ("operator",)), "operator"),
        ("one two", DIGITS, "12"),
        ("repeat that", Expectation(), "repeat that"),
    ],
)
def test_words_mean_an_answer(spoken: str, expect: Expectation, answer: str) -> None:
    assert meaning(spoken.split(), expect) == answer


def test_no_variant_means_both_yes_and_no() -> None:
    assert not set(YES) & set(NO)
    assert {meaning(text.split(), YES_NO) for text in YES} == {"yes"}
    assert {meaning(text.split(), YES_NO) for text in NO} == {"no"}


def test_the_grammar_lists_the_phrases_and_every_word_is_known() -> None:
    wanted = listening(MENU)
    assert wanted.jsgf.startswith("#JSGF V1.0;")
    assert "opening hours" in wanted.jsgf
    assert {"billing", "opening", "hours", "please", "press", "one"} <= set(wanted.words)
    spoken = {word for sentence, _ in wanted.sentences for word in sentence.split()}
    assert spoken <= set(wanted.words)


def test_a_single_digit_is_a_word_of_ten() -> None:
    wanted = listening(Expectation(ExpectKind.DIGITS, min_digits=1, max_digits=1))
    assert ")+" not in wanted.jsgf
    assert ("five", 12) in wanted.sentences


@pytest.mark.parametrize(
    ("strict", "free", "expect", "outcome"),
    [
        ("billing", "billing please", MENU, ("billing", True, "")),
        ("billing", "hold on a minute", MENU, ("", False, "")),
        ("billing", "come in", MENU, ("", False, "billing")),
        ("four five", "what would you like to drink", DIGITS, ("", False, "")),
        ("no thanks", "no soon this", YES_NO, ("no thanks", True, "")),
        ("no thanks", "no not you i was talking", YES_NO, ("", False, "")),
        ("four one", "four one", DIGITS, ("41", True, "")),
        ("four one", "four one one", DIGITS, ("", False, "41")),
        ("four", "four", DIGITS, ("", False, "4")),
        ("the person", "a person", PERSON, ("the person", True, "")),
        ("yes", "yeah", YES_NO, ("yes", True, "")),
        ("", "", YES_NO, ("", False, "")),
    ],
)
def test_only_agreement_is_sure(
    strict: str, free: str, expect: Expectation, outcome: tuple[str, bool, str]
) -> None:
    assert agree(strict.split(), free.split(), expect) == outcome


def test_the_language_model_is_a_probability() -> None:
    text = arpa([("a b", 3), ("a c", 1), ("b", 2)])
    lines = text.splitlines()
    assert lines[0] == "\\data\\"
    assert lines[-1] == "\\end\\"
    at = lines.index("\\1-grams:")
    unigrams = {row.split()[1]: 10 ** float(row.split()[0]) for row in lines[at + 1 : lines.index("", at)]}
    assert sum(unigrams.values()) == pytest.approx(1.0, abs=1e-3)
    at = lines.index("\\2-grams:")
    rows = [row.split() for row in lines[at + 1 : lines.index("", at)]]
    after_a = {row[2]: 10 ** float(row[0]) for row in rows if row[1] == "a"}
    at = lines.index("\\1-grams:")
    weight = next(10 ** float(row.split()[2]) for row in lines[at:] if row.split()[1:2] == ["a"])
    unseen = sum(share for word, share in unigrams.items() if word not in after_a and word != "<s>")
    assert sum(after_a.values()) + weight * unseen == pytest.approx(1.0, abs=2e-3)


def test_the_lexicon_knows_variants_and_guesses_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "words.dict"
    path.write_text("an AE N\nand AE N D\nand(2) AH N D\nandy AE N D IY\n")
    lexicon = Lexicon(path)
    assert lexicon.pronounce(["and"]) == {"and": ["AE N D", "AH N D"]}
    assert lexicon.pronounce(["zyntrova", "an"])["zyntrova"] == ["Z IH N T R AA V AH"]
    assert lexicon.guessed == {"zyntrova": "Z IH N T R AA V AH"}
    many = Lexicon(path).pronounce(["and", "andy", *(f"x{chr(97 + n)}" for n in range(20))])
    assert many["and"] == ["AE N D", "AH N D"]
    assert dictionary_text({"and": ["A", "B"]}) == "and A\nand(2) B\n"


def test_the_band_matrix_leaves_a_flat_spectrum_flat() -> None:
    matrix = band_matrix()
    flat = np.zeros(13)
    flat[0] = math.sqrt(25)
    assert matrix @ flat == pytest.approx([math.sqrt(18), *([0.0] * 12)], abs=1e-9)


def test_derived_gaussians_move_and_ignore_what_the_band_cannot_carry() -> None:
    generator = np.random.default_rng(1)
    means = generator.normal(0, 3, (2, 3, 8, 13))
    variances = generator.uniform(0.5, 2, (2, 3, 8, 13))
    new_means, new_variances = derive(means, variances)
    assert new_means[0, 0, 0, :CARRIED] == pytest.approx((band_matrix() @ means[0, 0, 0])[:CARRIED])
    assert (new_means[..., CARRIED:] == 0).all()
    assert (new_variances[..., CARRIED:] == IGNORED_VARIANCE).all()
    assert (new_variances > 0).all()


@pytest.mark.parametrize("around_ms", [0, 100, 400, 1500])
def test_a_turn_gets_the_same_line_around_its_words(around_ms: int) -> None:
    line = np.random.default_rng(2).normal(0, 5, 8 * around_ms)
    words = 4000 * np.sin(np.arange(8 * 600) * 0.7)
    turn = frame_turn(np.concatenate([line, words, line]))
    assert len(turn) == pytest.approx(8 * (600 + 2 * LEAD_MS), abs=8 * 30)
    loud = np.flatnonzero(np.abs(turn) > 1000)
    assert loud[0] == pytest.approx(8 * LEAD_MS, abs=8 * 30)


@pytest.mark.parametrize("length", [0, 10, 79, 80, 4000])
def test_an_empty_or_silent_turn_is_harmless(length: int) -> None:
    assert len(frame_turn(np.zeros(length))) >= 2 * 8 * LEAD_MS

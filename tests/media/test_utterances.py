"""What one person says is cut at the pauses, with a little of the sound before it."""

from __future__ import annotations

from voiceagent.media import g711
from voiceagent.media.tones import sine
from voiceagent.media.utterances import BEFORE, LONGEST, PAUSE, Utterances

QUIET = bytes((g711.ULAW_SILENCE,)) * 160
HUM = g711.encode(sine(100, 20, dbfs=-44.0))


def voice(frames: int) -> list[bytes]:
    audio = g711.encode(sine(300, frames * 20))
    return [audio[at : at + 160] for at in range(0, len(audio), 160)]


def cut(frames: list[bytes], cutter: Utterances | None = None) -> list[bytes]:
    cutter = cutter or Utterances("ulaw")
    return [said for one in frames if (said := cutter.feed(one)) is not None]


def test_two_sentences_are_two_utterances() -> None:
    said = cut([QUIET] * 20 + voice(50) + [QUIET] * PAUSE + voice(25) + [QUIET] * PAUSE)
    assert [len(one) // 160 for one in said] == [7 + 50 + BEFORE, 25 + BEFORE]


def test_a_short_pause_and_a_click_cut_nothing() -> None:
    said = cut([*voice(1), *[QUIET] * 20, *voice(30), *[QUIET] * (PAUSE - 5), *voice(30), *[QUIET] * PAUSE])
    assert len(said) == 1


def test_a_steady_hum_is_nobody_after_a_moment() -> None:
    cutter = Utterances("ulaw")
    cut([HUM] * 500, cutter)
    assert cut([HUM] * 200, cutter) == []
    assert len(cut([*voice(40), *[HUM] * (PAUSE + 1)], cutter)) == 1


def test_who_never_pauses_is_cut_all_the_same_and_what_is_begun_can_be_had() -> None:
    cutter = Utterances("ulaw")
    assert [len(one) // 160 for one in cut(voice(LONGEST + 100), cutter)] == [LONGEST]
    assert cutter.speaking
    rest = cutter.flush()
    assert rest is not None
    assert cutter.flush() is None
    assert not cutter.speaking

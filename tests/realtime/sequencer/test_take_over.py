"""A human speaks in the agent's place: one voice at a time, and nothing that was asked for is lost."""

from __future__ import annotations

from tests.realtime.sequencer.playbook import ladder
from voiceagent.realtime import sequencer_io as io


def test_what_waits_and_what_comes_waits_for_the_human_even_safety() -> None:
    ladder("""
        >> submit A
        << create A
        >> submit B
        >> human on
        << note taken_over
        << note held reason=taken_over
        >> created r1 A
        << note cancelled_at_start reason=taken_over
        << note held reason=taken_over
        << cancel r1
        << swallow r1
        >> done r1 status=cancelled
        >> submit S origin=safety
        << note held reason=taken_over
        >> submit O origin=operator when=now
        << note held reason=taken_over
        .. 60
        >> human off
        << note handed_back
        << create S
        >> created r2 S
        >> done r2
        << end S completed
        << create O
        >> created r3 O
        >> done r3
        << end O completed
        << create A try=2
    """)


def test_what_is_heard_is_cut_with_what_was_heard_of_it() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> audio r1
        >> heard r1
        >> human on
        << cancel r1
        << swallow r1
        << stop r1
        >> played r1 700 cut
        >> done r1 status=cancelled
        << end A interrupted heard=700 by=operator
        >> human off
    """)


def test_what_was_not_heard_yet_is_said_after_the_human() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> human on
        << cancel r1
        << swallow r1
        >> done r1 status=cancelled
        << note requeued reason=taken_over
        << note held reason=taken_over
        >> human off
        << create A try=2
    """)


def test_the_callers_words_to_the_human_drop_nothing_that_waits() -> None:
    ladder("""
        >> submit A barge=drop
        << create A
        >> created r1 A
        >> human on
        << cancel r1
        << swallow r1
        >> done r1 status=cancelled
        >> submit B barge=drop
        >> speech
        >> silence
        >> commit
        >> digit 5
        .. 5
        >> human off
        << create A try=2
    """)


def test_a_reply_that_the_provider_gives_by_itself_is_not_heard() -> None:
    ladder(
        """
        >> human on
        >> speech
        >> silence
        >> commit
        >> created r1
        << note cancelled_at_start reason=taken_over
        << cancel r1
        << swallow r1
        >> audio r1
        >> done r1 status=cancelled
        >> human off
    """,
        auto_create=True,
    )


def test_silent_responses_beside_the_conversation_go_on() -> None:
    book = ladder("""
        >> human on
        >> submit A oob mute
        << create A
        >> created r1 A oob
        >> done r1 oob
        << end A completed
    """)
    assert book.machine.snapshot().taken_over


def test_output_without_a_beginning_is_hushed() -> None:
    ladder("""
        >> human on
        >> audio r9
        << swallow r9
        << stop r9
    """)


def test_twice_is_once() -> None:
    book = ladder("""
        >> human on
        >> human on
        >> human off
        >> human off
    """)
    notes = [one.code for one in book.all if isinstance(one, io.Notice)]
    assert notes == ["taken_over", "handed_back"]

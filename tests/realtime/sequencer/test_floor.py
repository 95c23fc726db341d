"""What the best existing sequencers are tested for, as far as it is the sequencer's matter.

Text messages and tool outputs become plain follow-ups here; sockets, truncation arithmetic and raw frames
belong to the link and are tested there.
"""

from __future__ import annotations

from tests.realtime.sequencer.playbook import ladder
from voiceagent.ids import counted_tokens
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import Origin, ResponseRequest
from voiceagent.realtime.sequencer import Sequencer
from voiceagent.realtime.sequencer_config import SequencerConfig

AUTO = {"auto_create": True}


def test_floor_stacked_follow_ups_coalesce_to_one_create() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> submit F1 origin=tool follow=x
        >> submit F2 origin=tool follow=y
        << end F1 superseded other=F2
        >> submit F3 origin=tool follow=z
        << end F2 superseded other=F3
        >> done r1
        << end A completed
        << create F3
    """)


def test_floor_input_after_a_sent_create_is_a_second_turn() -> None:
    ladder("""
        >> submit F1 origin=tool follow=x
        << create F1
        >> submit F2 origin=tool follow=y
        >> created r1 F1
        << end F2 satisfied other=r1
        >> submit F3 origin=tool follow=y
        >> done r1
        << end F1 completed
        << create F3
    """)


def test_floor_distinct_texts_never_merge_and_keep_their_order() -> None:
    ladder("""
        >> submit X
        << create X
        >> submit A origin=turn text=one
        >> submit B origin=turn text=two
        >> created r1 X
        >> done r1
        << end X completed
        << create A
        >> created r2 A
        >> done r2
        << end A completed
        << create B
    """)


def test_floor_unrelated_errors_do_not_release_the_slot() -> None:
    ladder("""
        >> submit A
        << create A
        >> submit B
        >> error code=item_truncate_invalid of=other text=broken
        >> error code=server_error text=hiccup
        >> done r77
        >> created r1 A
        >> done r1
        << end A completed
        << create B
    """)


def test_floor_idless_create_error_releases_the_slot() -> None:
    ladder("""
        >> submit A
        << create A
        >> submit B
        >> error text="response.create is malformed"
        << end A rejected
        << create B
    """)


def test_floor_linked_error_clears_only_its_own_request() -> None:
    ladder("""
        >> submit X oob
        << create X
        >> submit A
        << create A
        >> error code=invalid_value of=X
        << end X rejected
        >> created r1 A
        >> done r1
        << end A completed
    """)


def test_floor_nothing_leaks_to_the_next_connection() -> None:
    book = ladder("""
        >> submit A barge=drop
        << create A
        >> created r1 A
        >> speech
        << swallow r1
        >> link down
        << end A interrupted by=caller
        >> submit B
        >> withdraw B
        << end B withdrawn
        >> link up
    """)
    view = book.machine.snapshot()
    assert (view.slot.state, view.turn, view.playback, view.requests) == ("free", "none", "idle", ())


def test_floor_no_cancel_after_done() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> done r1
        << end A completed
        >> withdraw A
        >> interrupt T
        << silent T
    """)


def test_floor_create_is_deferred_until_done_after_an_interrupt() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> interrupt T
        << cancel r1
        << swallow r1
        >> submit B
        >> done r1 status=cancelled
        << end A interrupted by=operator
        << silent T r1
        << create B
    """)


def test_floor_late_audio_of_an_interrupted_response_stays_silent() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> interrupt T
        << cancel r1
        << swallow r1
        >> audio r1
        >> audio r1
        >> done r1 status=cancelled
        << end A interrupted heard=0
        << silent T r1
    """)


def test_floor_speech_with_nothing_playing_is_inert() -> None:
    ladder("""
        >> speech
        >> silence
        >> commit
    """)


def test_floor_server_that_does_not_interrupt_gets_our_cancel() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> audio r1
        >> heard r1
        >> speech
        << cancel r1
        << swallow r1
        << stop r1
        >> played r1 310 cut
        >> done r1 status=cancelled reason=client_cancelled
        << end A interrupted by=caller heard=310
        """,
        auto_interrupt=False,
    )


def test_floor_uninterruptible_speaks_on_over_the_caller() -> None:
    ladder(
        """
        >> submit A uninterruptible
        << create A
        >> created r1 A
        >> audio r1
        >> heard r1
        >> speech
        >> done r1
        >> played r1 4000
        << end A completed heard=4000
        """,
        auto_interrupt=False,
    )


def test_floor_uninterruptible_cut_by_the_server_unheard_is_said_once_more() -> None:
    ladder("""
        >> submit A uninterruptible barge=drop
        << create A
        >> created r1 A
        >> speech
        >> done r1 status=cancelled reason=turn_detected
        << note requeued
        >> silence
        >> commit
        .. 0.31
        << create A try=2
        >> created r2 A
        >> speech
        >> done r2 status=cancelled reason=turn_detected
        << end A interrupted by=caller
    """)


def test_floor_stalled_response_is_cancelled_and_said_again() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        .. 15.1
        << cancel r1
        << note response_stalled
        >> not-active r1
        .. 0.26
        << note cancel_unanswered
        .. 0.07
        << create A try=2
    """)


def test_floor_missing_speech_end_fails_open_for_operators() -> None:
    ladder("""
        >> speech
        >> submit A
        >> submit O origin=operator
        >> submit S origin=safety
        << create S
        >> created r1 S
        >> done r1
        << end S completed
        .. 19.9
        .. 0.2
        << create O
        >> created r2 O
        >> done r2
        << end O completed
        .. 39.5
        .. 1.0
        << create A
        << note speech_end_missing
    """)


def test_floor_ageing_lifts_but_never_above_operator() -> None:
    ladder("""
        >> submit X
        << create X
        >> created r1 X
        >> submit I origin=idle
        .. 14.0
        >> audio r1
        .. 14.0
        >> audio r1
        .. 13.0
        >> submit O origin=operator
        >> submit R origin=ivr
        >> done r1 audio=1
        << create I                          # waited 41 s: four classes up, and older than the operator's
    """)


def test_floor_hold_music_lets_only_safety_through() -> None:
    ladder("""
        >> hold on
        >> submit A
        << note held reason=on_hold
        >> submit S origin=safety
        << create S
        >> created r1 S
        >> done r1
        << end S completed
        >> hold off
        << create A
    """)


def test_floor_after_playback_waits_for_the_ear() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> audio r1
        >> heard r1
        >> submit B when=after_playback
        >> done r1
        >> played r1 900
        << end A completed
        << create B
    """)


def test_floor_withdrawn_in_every_state() -> None:
    ladder("""
        >> submit A
        << create A
        >> submit B
        >> withdraw B
        << end B withdrawn
        >> withdraw A
        << end A withdrawn
        >> created r1 A
        << cancel r1
        << swallow r1
        >> done r1 status=cancelled
        >> submit C
        << create C
        >> created r2 C
        >> audio r2
        >> heard r2
        >> withdraw C
        << cancel r2
        << swallow r2
        << stop r2
        >> played r2 70 cut
        >> done r2 status=cancelled
        << end C withdrawn heard=70
    """)


def test_floor_counted_audio_is_waited_for_even_if_its_start_was_not_announced() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> words r1
        >> done r1 text=hello audio=800
        >> heard r1
        >> played r1 800
        << end A completed heard=800
    """)


def test_floor_text_alone_is_complete_when_done() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> words r1
        >> done r1 text=hello
        << end A completed heard=0
    """)


def test_floor_silent_caller_and_free_slot_send_in_the_same_call() -> None:
    machine = Sequencer(SequencerConfig(auto_create=True), tokens=counted_tokens())
    machine.handle(io.LinkUp(), 0.0)
    effects = machine.handle(io.Submitted(ResponseRequest("A", origin=Origin.IVR)), 1.0)
    assert any(isinstance(effect, io.SendCreate) for effect in effects)


def test_floor_rest_after_everything_asks_for_no_wake() -> None:
    book = ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> done r1
        << end A completed
        .. 120
    """)
    assert book.machine.wake_at() is None

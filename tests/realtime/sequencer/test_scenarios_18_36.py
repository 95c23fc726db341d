"""Acceptance scenarios 18 to 36: endings, out-of-band, the caller's turn, interrupts."""

from __future__ import annotations

from tests.realtime.sequencer.playbook import ladder

AUTO = {"auto_create": True}
SIP = {"owns_output_buffer": True}


def test_scenario_18_done_without_created() -> None:
    ladder("""
        >> submit A
        << create A
        >> done r1 A
        << progress A started
        << end A completed
    """)


def test_scenario_19_done_with_unknown_id_is_ignored() -> None:
    book = ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> submit B
        >> done r9
    """)
    assert book.machine.snapshot().slot.response_id == "r1"
    book.play("""
        >> done r1
        << end A completed
        << create B
    """)


def test_scenario_20_second_done_is_ignored() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> done r1
        << end A completed
        >> submit B
        << create B
        >> done r1
        >> created r2 B
        >> submit C
        >> done r1
        >> done r2
        << end B completed
        << create C
    """)


def test_scenario_21_out_of_band_beside_an_active_response() -> None:
    book = ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> submit X oob
        << create X
        >> created rx X oob
        >> submit B
        >> done rx X oob
        << end X completed
    """)
    assert book.machine.snapshot().slot.response_id == "r1"


def test_scenario_22_create_beside_out_of_band() -> None:
    ladder("""
        >> submit X oob
        << create X
        >> created rx X oob
        >> submit A
        << create A
    """)


def test_scenario_23_held_through_turn_and_automatic_reply() -> None:
    ladder(
        """
        >> speech
        >> submit A
        << note held reason=caller_speaking
        >> silence
        >> commit
        >> @0.1 created rv
        >> @2.0 done rv
        << create A
        """,
        **AUTO,
    )


def test_scenario_24_our_turn_reply_goes_before_what_waited() -> None:
    ladder("""
        >> speech
        >> submit A
        >> @2.0 silence
        >> commit
        >> @0.05 submit T origin=turn
        << create T
        >> created r1 T
        >> done r1
        << end T completed
        .. 0.25
        << create A
    """)


def test_scenario_24b_fresh_requests_need_not_wait_for_a_turn_reply() -> None:
    ladder("""
        >> speech
        >> silence
        >> commit
        >> submit A
        << create A
    """)


def test_scenario_25_no_automatic_reply_within_the_hold() -> None:
    ladder(
        """
        >> speech
        >> submit A
        >> silence
        >> commit
        .. 1.49
        .. 0.02
        << create A
        << note auto_reply_missing
        """,
        **AUTO,
    )


def _turn_answered_after(seconds: float, number: int) -> str:
    return f"""
        >> speech
        >> silence
        >> commit
        >> @{seconds} created rv{number}
        >> done rv{number}
    """


def test_scenario_25b_the_hold_learns_from_measured_gaps() -> None:
    few = ladder("".join(_turn_answered_after(0.2, number) for number in range(7)), **AUTO)
    assert few.machine.snapshot().hold_s == few.machine.config.hold_max_s
    book = ladder(
        "".join(_turn_answered_after(0.2, number) for number in range(8))
        + """
        >> speech
        >> submit A
        >> silence
        >> commit
        .. 0.29
        .. 0.02
        << create A
        """,
        **AUTO,
    )
    assert abs(book.machine.snapshot().hold_s - 0.3) < 1e-6


def test_scenario_25c_a_reply_after_the_hold_still_teaches() -> None:
    """Eight quick replies, then a slow one: it is known as the reply to the turn, and the hold grows."""
    book = ladder(
        "".join(_turn_answered_after(0.1, number) for number in range(8))
        + """
        >> speech
        >> silence
        >> commit
        .. 0.5
        << note auto_reply_missing
        >> created late
        << note response_not_ours owner=vad
        """,
        **AUTO,
    )
    assert abs(book.machine.snapshot().hold_s - 0.75) < 1e-6


def test_scenario_26_timeout_triggered_counts_as_commit() -> None:
    ladder("""
        >> timeout
        >> submit A
        << note held reason=awaiting_auto_reply
        >> commit
        >> created ri
        >> done ri
        << create A
    """)


def test_scenario_27_droppable_prompt_falls_to_speech() -> None:
    ladder(
        """
        >> submit X
        << create X
        >> created r1 X
        >> submit A barge=drop
        >> submit O origin=operator barge=drop
        >> speech
        << end A interrupted by=caller
        << swallow r1
        >> done r1 status=cancelled reason=turn_detected
        << note requeued                     # X was neither heard nor droppable
        >> silence
        << create O                          # an operator need not wait for the commit
        """,
    )


def test_scenario_28_requeue_goes_after_the_callers_turn() -> None:
    ladder("""
        >> submit A barge=requeue
        << create A
        >> created r1 A
        >> speech
        << swallow r1
        >> done r1 status=cancelled reason=turn_detected
        << note requeued
        >> silence
        >> commit
        .. 0.31
        << create A try=2
    """)


def test_scenario_29_speech_before_created_cancels_and_requeues() -> None:
    ladder("""
        >> submit A barge=requeue
        << create A
        >> speech
        >> created r1 A
        << cancel r1
        << swallow r1
        << note cancelled_at_start reason=caller_speaking
        >> done r1 status=cancelled reason=client_cancelled
        >> silence
        >> commit
        .. 0.31
        << create A try=2
    """)


def test_scenario_30_interrupt_while_sending() -> None:
    ladder("""
        >> submit A
        << create A
        >> interrupt T
        << end A interrupted by=operator
        >> created r1 A
        << cancel r1
        << swallow r1
        >> done r1 status=cancelled
        << silent T r1
    """)


def test_scenario_31_interrupt_active_on_sip() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> heard r1
        >> interrupt T
        << cancel r1
        << clear
        >> done r1 status=cancelled reason=client_cancelled
        >> played r1 800 cut
        << end A interrupted by=operator heard=800
        << silent T r1
        """,
        **SIP,
    )


def test_scenario_32_interrupt_while_draining_on_sip() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> heard r1
        >> done r1
        >> interrupt T
        << clear
        >> played r1 900 cut
        << end A interrupted by=operator heard=900
        << silent T r1
        """,
        **SIP,
    )


def test_scenario_32b_interrupt_while_draining_in_our_playout() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> audio r1
        >> heard r1
        >> done r1
        >> interrupt T
        << stop r1
        >> played r1 900 cut
        << end A interrupted by=operator heard=900
        << silent T r1
    """)


def test_scenario_33_interrupt_with_nothing_to_stop() -> None:
    ladder("""
        >> interrupt T
        << silent T
    """)


def test_scenario_34_two_interrupts_one_cancel() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> audio r1
        >> heard r1
        >> interrupt T1
        << cancel r1
        << swallow r1
        << stop r1
        >> played r1 300 cut
        >> interrupt T2
        >> done r1 status=cancelled
        << end A interrupted by=operator heard=300
        << silent T1 r1
        << silent T2 r1
    """)


def test_scenario_35_cancel_refused_then_done() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> interrupt T
        << cancel r1
        << swallow r1
        >> not-active r1
        >> done r1
        << end A completed
        << silent T r1
        >> submit B
        << create B
    """)


def test_scenario_36_cancel_unanswered_is_probed() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> submit B
        >> interrupt T
        << cancel r1
        << swallow r1
        .. 2.0
        << end A interrupted by=operator
        << silent T r1
        << probe
        >> not-active
        << create B
    """)

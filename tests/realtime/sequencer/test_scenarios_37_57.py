"""Acceptance scenarios 37 to 57: operators, tools, failures, endings, the lost link, overload."""

from __future__ import annotations

from tests.realtime.sequencer.playbook import Playbook, ladder

AUTO = {"auto_create": True}
SIP = {"owns_output_buffer": True}


def test_scenario_37_operator_now_during_a_prompt() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> heard r1
        >> submit O origin=operator when=now
        << cancel r1
        << clear
        >> done r1 status=cancelled reason=client_cancelled
        << create O
        >> played r1 400 cut
        << end A interrupted by=newer heard=400
        """,
        **SIP,
    )


def test_scenario_37b_now_does_not_cut_what_is_more_urgent() -> None:
    ladder("""
        >> submit S origin=safety
        << create S
        >> created r1 S
        >> submit O origin=operator when=now
        << note outranked
        >> done r1
        << end S completed
        << create O
    """)


def test_scenario_38_one_follow_up_after_both_tools() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> done r1
        << end A completed
        >> submit F1 origin=tool follow=r1 needs=o1
        << note held reason=needs_ack
        >> submit F2 origin=tool follow=r1 needs=o2
        << end F1 superseded other=F2
        >> ack o1
        >> ack o2
        << create F2
        >> created r2 F2
        >> done r2
        << end F2 completed
    """)


def test_scenario_39_a_reply_started_after_the_last_ack_satisfies() -> None:
    ladder(
        """
        >> submit F origin=tool follow=r1 needs=o1
        >> speech
        >> ack o1
        >> silence
        >> commit
        >> created rv
        << end F satisfied other=rv
        >> done rv
        """,
        **AUTO,
    )


def test_scenario_39b_the_reply_that_won_the_race_satisfies() -> None:
    ladder(
        """
        >> submit F origin=tool follow=r1 needs=o1
        >> ack o1
        << create F
        >> created rv
        >> refuse F running=rv
        << end F satisfied other=rv
        """,
        **AUTO,
    )


def test_scenario_39c_a_line_with_own_words_does_not_answer_the_tool() -> None:
    ladder("""
        >> submit F origin=tool follow=r1 needs=o1
        >> submit O origin=operator text=hold-the-line
        << create O
        >> ack o1
        >> created r2 O
        >> done r2
        << end O completed
        << create F
    """)


def test_scenario_40_a_reply_started_before_the_last_ack_does_not() -> None:
    ladder(
        """
        >> submit F origin=tool follow=r1 needs=o1
        >> created rv
        >> ack o1
        >> done rv
        << create F
        """,
        **AUTO,
    )


def test_scenario_41_refused_tool_output() -> None:
    ladder("""
        >> submit F origin=tool follow=r1 needs=o1
        >> nack o1
        << end F rejected code=invalid_value
        << note need_refused
        >> submit G origin=tool follow=r1 needs=o2,o3
        >> nack o2
        >> ack o3
        << create G                          # one of two outputs stands: it deserves its answer
    """)


def test_scenario_42_create_waits_for_the_configuration() -> None:
    ladder("""
        >> submit A needs=upd1
        >> mirror event=upd1
        << create A
        >> created r1 A
        >> done r1
        << end A completed
        >> submit B needs=upd2
        >> nack upd2
        << end B rejected
    """)


def test_scenario_42b_missing_acknowledgement_is_waited_for_two_seconds() -> None:
    ladder("""
        >> submit A needs=upd1
        .. 1.9
        .. 0.2
        << create A
        << note need_unacknowledged
    """)


def test_scenario_43_failed_response_is_tried_once_more() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> done r1 status=failed code=rate_limit_exceeded retry=3
        << note requeued reason=response_failed
        .. 2.9
        .. 0.2
        << create A try=2
        >> created r2 A
        >> done r2 status=failed code=rate_limit_exceeded retry=3
        << end A failed code=rate_limit_exceeded
        << note request_failed reason=rate_limit_exceeded
    """)


def test_scenario_43b_exhausted_quota_is_final() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> done r1 status=failed code=insufficient_quota
        << end A failed code=insufficient_quota
    """)


def test_scenario_44_incomplete_is_completed_with_a_flag() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> done r1 status=incomplete reason=max_output_tokens
        << end A completed incomplete code=max_output_tokens
    """)


def test_scenario_45_goodbye_is_heard_before_its_outcome() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> heard r1
        >> @0.5 done r1 audio=2500
        .. 1.9
        >> played r1 2500
        << end A completed heard=2500
        """,
        **SIP,
    )


def test_scenario_45b_speech_before_the_end_is_an_interruption() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> heard r1
        >> @0.5 done r1 audio=2500
        >> speech
        >> played r1 700 cut
        << end A interrupted by=caller heard=700
        """,
        **SIP,
    )


def test_scenario_46_missing_end_of_playback_is_capped() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> heard r1
        >> @0.5 done r1 audio=2500
        .. 3.9
        .. 0.2
        << end A completed code=playback_end_missing
        << note playback_end_missing
        """,
        **SIP,
    )


def test_scenario_46b_unknown_length_is_capped_at_twelve_seconds() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> heard r1
        >> done r1
        .. 11.9
        .. 0.2
        << end A completed code=playback_end_missing
        """,
        **SIP,
    )


def test_scenario_47_link_lost_while_sending() -> None:
    ladder("""
        >> submit A
        << create A
        >> submit B retry_on_lost
        >> link down
        << end A lost
        >> submit C
        >> link up quiet
        .. 1.4
        .. 0.2
        << create B
        >> link down
        << note requeued reason=link_lost
        >> link up quiet
        .. 1.6
        << create B try=2
    """)


def test_scenario_47b_output_in_the_quiet_takes_the_slot() -> None:
    book = ladder("""
        >> submit A
        << create A
        >> link down
        << end A lost
        >> submit B
        >> link up quiet
        >> @0.5 audio r7
        .. 2.0
        >> done r7
        << create B
    """)
    assert book.machine.snapshot().slot.request_id == "B"


def test_scenario_47c_a_response_survives_the_link() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> heard r1
        >> link down
        >> link up quiet
        >> done r1 audio=3000
        >> played r1 3000
        << end A completed heard=3000
        """,
        **SIP,
    )


def test_scenario_48_terminal_loss_ends_everything_and_nothing_leaves() -> None:
    book = ladder("""
        >> submit A
        << create A
        >> submit B
        >> link down terminal
        << end A lost
        << end B lost
        >> submit C
        << end C lost
        >> link up
        >> interrupt T
        << silent T
        .. 60
    """)
    assert book.machine.wake_at() is None
    book.checker.finish()


def test_scenario_49_queue_survives_and_deadlines_run_on() -> None:
    ladder("""
        >> submit X
        << create X
        >> created r1 X
        >> submit A deadline=1
        >> submit B deadline=20
        >> link down
        .. 1.1
        << end A expired
        >> link up
        << end X lost
        << create B
    """)


def test_scenario_50_a_dead_attach_sends_nothing() -> None:
    ladder(
        """
        >> submit A
        << note held reason=link_attaching
        >> link down terminal
        << end A lost
        """,
        link=False,
    )


def test_scenario_51_superseding_provider_is_never_tempted() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> submit B
        .. 5.0
        >> done r1
        << end A completed
        << create B
        """,
        overlap="supersede",
    )


def test_scenario_51b_superseded_unheard_is_said_later() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> created rv
        << note done_missing
        << note requeued
        >> done rv
        << create A try=2
        """,
        overlap="supersede",
        auto_create=True,
    )


def test_scenario_52_without_echo_the_order_of_sending_decides() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1
        << progress A started
        >> submit B
        >> done r1
        << end A completed
        << create B
        """,
        metadata_echo=False,
    )


def test_scenario_53_what_is_not_ours_is_counted_not_feared() -> None:
    ladder("""
        >> error code=item_retrieve_invalid_item_id text=nothing
        << note error_not_ours
        >> done r99
        >> played r98 100
        >> silence
        >> not-active anonymous
        << note error_not_ours
        >> ack never
        >> withdraw nobody
    """)


def test_scenario_54_digits_in_order_drop_a_droppable_prompt() -> None:
    ladder("""
        >> submit A barge=drop
        << create A
        >> created r1 A
        >> audio r1
        >> heard r1
        >> submit B barge=drop
        >> submit C
        >> digit 1
        << note digit digit=1
        << end B interrupted code=digit
        << cancel r1
        << swallow r1
        << stop r1
        >> played r1 250 cut
        >> @0.1 digit 2
        << note digit digit=2
        >> @0.1 digit pound
        >> done r1 status=cancelled
        << end A interrupted by=caller heard=250
        << create C
    """)


def test_scenario_55_the_thirty_third_is_overload_by_class() -> None:
    book = Playbook(link=False)
    for number in range(30):
        book.play(f">> submit T{number} origin=tool")
    book.play("""
        >> submit V origin=ivr
        >> submit I origin=idle
        >> submit W origin=ivr
        << end I rejected code=overloaded
        >> submit X origin=tool
        << end W rejected code=overloaded
        >> submit J origin=idle
        << end J rejected code=overloaded
        >> submit S origin=safety
        << end V rejected code=overloaded
    """)


def test_scenario_56_turn_detection_switched_off_in_the_hold() -> None:
    ladder(
        """
        >> speech
        >> submit A
        >> silence
        >> commit
        >> mirror create=off
        << create A
        """,
        **AUTO,
    )
    ladder("""
        >> speech
        >> submit A
        >> mirror vad=off
        << create A
    """)


def test_scenario_57_the_end_of_the_session_is_announced_twice() -> None:
    ladder("""
        >> expires 300
        .. 179
        .. 2
        << note session_expiring
        .. 98
        .. 2
        << note session_last_call
        >> submit S origin=safety
        << create S
    """)

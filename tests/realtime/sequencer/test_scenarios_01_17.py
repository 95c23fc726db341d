"""Acceptance scenarios 1 to 17: the queue, the race with automatic replies, and creates gone wrong."""

from __future__ import annotations

import pytest

from tests.realtime.sequencer.playbook import Playbook, ladder
from voiceagent.errors import RequestRefused
from voiceagent.realtime.requests import ResponseRequest
from voiceagent.realtime.sequencer_io import Submitted

AUTO = {"auto_create": True}


def test_scenario_01_idle_submit_creates_at_once() -> None:
    ladder("""
        >> submit A
        << create A
        << progress A queued
        << progress A sent
        >> created r1 A
        << progress A started
        >> audio r1
        >> heard r1
        << progress A audible
        >> done r1
        << progress A generated
        >> played r1 1200
        << progress A played
        << end A completed heard=1200
    """)


def test_scenario_02_bare_submit_goes_out_bare() -> None:
    book = Playbook()
    (create,) = [
        e
        for e in book.feed(Submitted(ResponseRequest("A", correlate=False)))
        if hasattr(e, "attempt") and hasattr(e, "request")
    ]
    assert create.request.bare  # type: ignore[union-attr]
    book.play("""
        >> created r1
        >> done r1
        << end A completed
    """)


def test_scenario_03_second_waits_for_done_of_first() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> submit B
        << note held reason=response_active
        >> done r1
        << end A completed
        << create B
    """)


def test_scenario_04_operator_goes_before_ivr() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> submit B origin=ivr
        >> submit C origin=operator
        >> done r1
        << end A completed
        << create C
    """)


def test_scenario_05_two_operators_in_order() -> None:
    ladder("""
        >> submit A
        << create A
        >> created r1 A
        >> submit O1 origin=operator
        >> submit O2 origin=operator
        >> done r1
        << end A completed
        << create O1
        >> created r2 O1
        >> done r2
        << end O1 completed
        << create O2
    """)


def test_scenario_06_same_id_twice_is_one_request() -> None:
    book = ladder("""
        >> submit A
        << create A
        >> submit A
        << note duplicate_request
        >> created r1 A
        >> done r1
        << end A completed
        >> submit A
        << note duplicate_request
    """)
    outcome = book.machine.outcome_of("A")
    assert book.machine.knows("A")
    assert outcome is not None
    assert outcome.completed


def test_scenario_07_same_key_newest_wins() -> None:
    ladder("""
        >> submit X
        << create X
        >> submit A key=k
        >> submit B key=k
        << end A superseded other=B
        >> created r1 X
        >> done r1
        << end X completed
        << create B
    """)


@pytest.mark.parametrize(
    "metadata",
    [
        {f"k{i}": "v" for i in range(14)},
        {"k": 7},
        {"k": "v" * 513},
        {"k" * 65: "v"},
        {"": "v"},
    ],
)
def test_scenario_08_metadata_beyond_the_limits_raises(metadata: dict[str, str]) -> None:
    with pytest.raises(RequestRefused):
        ResponseRequest("A", metadata=metadata)


def test_scenario_09_vad_wins_the_race_refusal_with_id() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created rv                      # the server answered the caller's turn
        << note response_not_ours owner=foreign
        >> refuse A running=rv
        << note create_refused
        << note requeued
        >> @1.0 done rv
        << create A try=2
        >> created r1 A
        >> done r1
        << end A completed
        """,
        **AUTO,
    )


def test_scenario_10_vad_wins_the_race_refusal_without_id() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created rv
        >> refuse A running=rv anonymous
        >> @1.0 done rv
        << create A try=2
        >> created r1 A
        >> done r1
        << end A completed
        """,
        **AUTO,
    )


def test_scenario_11_refusal_of_the_servers_own_create_changes_nothing() -> None:
    ladder(
        """
        >> submit A
        << create A
        >> created r1 A
        >> refuse A running=r1 anonymous
        << note error_not_ours
        >> submit B
        >> done r1
        << end A completed
        << create B try=1
        """,
        **AUTO,
    )


def test_scenario_12_refusal_names_a_response_never_seen() -> None:
    book = ladder("""
        >> submit A
        << create A
        >> refuse A running=resp_X
        .. 3.0
        >> done resp_X
        << create A try=2
    """)
    assert book.machine.snapshot().slot.state == "sending"


def test_scenario_13_swallowed_create_is_probed_and_sent_again() -> None:
    ladder("""
        >> submit A
        << create A
        .. 1.99
        .. 0.02
        << probe
        << note create_unanswered
        >> @0.05 not-active
        << note slot_proven_free
        << create A try=2
        >> created r1 A
        >> done r1
        << end A completed
    """)


def test_scenario_14_created_after_the_probe_is_cancelled_and_swallowed() -> None:
    ladder("""
        >> submit A
        << create A
        .. 2.01
        << probe
        >> created r1 A/1
        << cancel r1
        << swallow r1
        >> audio r1
        >> done r1 status=cancelled reason=client_cancelled
        << create A try=2
        >> created r2 A
        >> done r2
        << end A completed
    """)


def test_scenario_14b_created_after_the_deadline_is_cancelled() -> None:
    ladder("""
        >> submit A deadline=1
        << create A
        .. 1.0
        << end A expired
        >> @0.2 created r1 A
        << cancel r1
        << swallow r1
        >> done r1 status=cancelled
    """)


def test_scenario_15_four_refusals_are_a_conflict() -> None:
    ladder("""
        >> submit A
        << create A try=1
        >> refuse A
        .. 0.05
        .. 0.01
        << create A try=2
        >> refuse A
        .. 0.12
        << create A try=3
        >> refuse A
        .. 0.24
        << create A try=4
        >> refuse A
        << end A failed code=conflict
        << note request_failed reason=conflict
    """)


def test_scenario_16_other_error_is_final_and_the_next_goes() -> None:
    ladder("""
        >> submit A
        << create A
        >> submit B
        >> error code=invalid_value of=A
        << end A rejected code=invalid_value
        << create B
    """)


def test_scenario_16b_unknown_field_is_left_out_once() -> None:
    book = ladder("""
        >> submit A oob mute
        << create A
        >> error code=unknown_parameter param=response.output_modalities of=A
        << create A try=2
    """)
    assert dict(book.creates["A"].request.extra) == {}
    book.play("""
        >> error code=unknown_parameter param=response.output_modalities of=A
        << end A rejected code=unknown_parameter
    """)


def test_scenario_17_error_of_a_foreign_frame_is_ignored() -> None:
    ladder("""
        >> submit A
        << create A
        >> error code=invalid_value of=somebody
        << note error_not_ours
        >> error code=invalid_value
        << note error_not_ours
        >> created r1 A
        >> done r1
        << end A completed
    """)

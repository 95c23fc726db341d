"""The table of error codes: complete, and the one that everybody reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.virtual_loop import virtual
from tests.realtime.kit import open_room
from voiceagent.realtime.fault_table import FAULTS, Remedy, remedy_of, worth_asking_again
from voiceagent.realtime.requests import OutcomeKind, ResponseRequest

KNOWN = {
    "conversation_already_has_active_response",
    "response_cancel_not_active",
    "session_expired",
    "input_audio_buffer_commit_empty",
    "invalid_value",
    "unknown_parameter",
    "invalid_event",
    "item_retrieve_invalid_item_id",
    "rate_limit_exceeded",
    "inference_rate_limit_exceeded",
    "insufficient_quota",
    "call_id_not_found",
    "invalid_api_key",
    "account_deactivated",
    "billing_hard_limit_reached",
    "server_error",
    "internal_error",
    "content_filter",
}
"""Codes seen on the wire of OpenAI, Azure and xAI, and those that other clients stop at."""


def test_every_known_code_has_its_row() -> None:
    assert set(FAULTS) >= KNOWN


def test_every_remedy_is_used_and_every_row_says_what_it_means() -> None:
    assert {row.remedy for row in FAULTS.values()} == set(Remedy)
    assert all(row.meaning and row.code == code for code, row in FAULTS.items())


def test_the_guide_shows_the_table() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
    for row in FAULTS.values():
        assert f"| `{row.code}` | {row.remedy.value} | {row.meaning} |" in guide, row.code


@pytest.mark.parametrize("code", [None, "", "never_heard_of_it"])
def test_unknown_codes_get_one_retry(code: str | None) -> None:
    assert remedy_of(code) is Remedy.RETRY
    assert worth_asking_again(code)


@pytest.mark.parametrize("code", [*sorted(FAULTS), None, "never_heard_of_it"])
def test_the_sequencer_does_as_the_table_says(code: str | None) -> None:
    @virtual
    async def story() -> None:
        async with open_room() as room:
            room.provider.plans.append(Reply(audio_ms=0, status="failed", error_code=code))
            outcome = await room.session.submit(ResponseRequest(id="r", instructions="Speak.")).outcome()
            creates = len(room.provider.creates())
            if worth_asking_again(code):
                assert (outcome.kind, creates) == (OutcomeKind.COMPLETED, 2)
            else:
                assert (outcome.kind, outcome.code, creates) == (OutcomeKind.FAILED, code, 1)

    story()

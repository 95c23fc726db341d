"""The small parts of the call room: admission, ledger, transcript, tools, endings, digits by INFO."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from tests.kit.virtual_loop import virtual, virtual_run
from voiceagent.call.admission import Admission
from voiceagent.call.config import AdmissionConfig
from voiceagent.call.ledger import Ledger, LedgerEntry
from voiceagent.call.leg import LegEnd
from voiceagent.call.outcome import CallOutcome, OutcomeClass, outcome_of_leg
from voiceagent.call.record import said
from voiceagent.call.sip_leg import digit_of_info
from voiceagent.call.targets import allowed_target
from voiceagent.call.tool_runs import ToolRuns, Toolset, output_text
from voiceagent.call.transcript import Transcript, Utterance
from voiceagent.claims import CallerClaims, Diverted, Person
from voiceagent.ivr import tool
from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind, Progress, ResponseRequest
from voiceagent.records.rows import RESPONSES_KEPT


def test_admission_counts_to_the_limit_and_not_past_it() -> None:
    admission = Admission(AdmissionConfig(max_calls=2, retry_after_s=7))
    assert admission.enter() is None
    assert admission.enter() is None
    refusal = admission.enter()
    assert refusal is not None
    assert (refusal.status, refusal.code, refusal.retry_after_s) == (503, "capacity", 7)
    assert admission.live == 2, "a refused call takes no place"
    admission.leave()
    assert admission.enter() is None


def test_a_draining_node_takes_nobody() -> None:
    admission = Admission(AdmissionConfig())
    admission.draining = True
    refusal = admission.enter()
    assert refusal is not None
    assert (refusal.status, refusal.code) == (503, "draining")
    assert admission.live == 0
    assert admission.again_in_s() == refusal.retry_after_s


def test_whoever_only_looks_takes_no_place() -> None:
    admission = Admission(AdmissionConfig(max_calls=1, retry_after_s=7))
    assert admission.again_in_s() is None
    assert admission.enter() is None, "the place was still there"
    assert admission.again_in_s() == 7


@pytest.fixture
def changes() -> list[LedgerEntry]:
    return []


def test_a_ledger_tells_every_change_and_ends_an_entry_once(changes: list[LedgerEntry]) -> None:
    ledger = Ledger(changes.append)
    entry = ledger.submitted(ResponseRequest("r1"), "Hello.", {"a": "b"}, 10.0)
    assert ledger.open() == [entry]
    ledger.noticed("r1", "caller_speaking")
    ledger.noticed("r1", "caller_speaking")
    ledger.progressed("r1", Progress.SENT, 10.5)
    assert (entry.state, entry.reason, entry.audible_s) == ("sent", "", None)
    ledger.progressed("r1", Progress.AUDIBLE, 10.75)
    ledger.progressed("r1", Progress.AUDIBLE, 11.0)  # of another attempt
    assert ledger.settled("r1", Outcome(OutcomeKind.INTERRUPTED, by=InterruptedBy.CALLER))
    assert not ledger.settled("r1", Outcome(OutcomeKind.COMPLETED))
    ledger.progressed("r1", Progress.PLAYED, 14.0)
    ledger.noticed("r1", "late")
    assert (entry.state, entry.reason, entry.audible_s) == ("interrupted", "caller", 0.75)
    assert ledger.open() == []
    assert len(changes) == 6
    assert not ledger.settled("unknown", Outcome(OutcomeKind.LOST))


def test_a_ledger_forgets_the_oldest_ended_requests_and_never_an_open_one(changes: list[LedgerEntry]) -> None:
    ledger = Ledger(changes.append)
    ledger.submitted(ResponseRequest("open"), None, {}, 0.0)
    for number in range(RESPONSES_KEPT + 10):
        ledger.submitted(ResponseRequest(f"r{number}"), None, {}, 0.0)
        ledger.settled(f"r{number}", Outcome(OutcomeKind.COMPLETED))
    assert len(list(ledger)) == RESPONSES_KEPT
    assert ledger.get("open") is not None
    assert ledger.get("r0") is None
    assert ledger.get(f"r{RESPONSES_KEPT + 9}") is not None


def test_a_transcript_grows_and_is_cut_where_hearing_stopped() -> None:
    told: list[tuple[str, bool]] = []

    def changed(line: Utterance) -> None:
        told.append((line.text, line.cut))

    transcript = Transcript(changed)
    transcript.grows("resp", 1.0, "One ")
    transcript.grows("resp", 1.2, "two three.")
    transcript.said("item", 2.0, "caller", "Stop!")
    transcript.heard("resp", 2.1, "One", "One two three.", cut=True)
    assert told == [("One ", False), ("One two three.", False), ("Stop!", False), ("One", True)]
    assert [(line.speaker, line.text, line.full_text) for line in transcript.lines] == [
        ("agent", "One", "One two three."),
        ("caller", "Stop!", "Stop!"),
    ]
    assert transcript.lines[0].at == 1.0, "a line stands where it began"
    assert transcript.last_words == "caller: Stop!"
    transcript.heard("never spoken", 3.0, "", "", cut=True)
    assert len(transcript.lines) == 2


class Balance(BaseModel):
    cents: int


@tool
async def balance(account: str, currency: str = "EUR") -> Any:
    """Look up a balance."""
    return {"model": Balance(cents=42), "text": f"42 {currency}", "none": None}[account]


@virtual
async def test_results_become_text_whatever_their_type() -> None:
    runs, tools = ToolRuns("call_1"), Toolset([balance])
    assert await runs.run(tools, "balance", '{"account": "model"}', "c1") == ('{"cents":42}', True)
    given = '{"account": "text", "currency": "USD"}'
    assert await runs.run(tools, "balance", given, "c2") == ("42 USD", True)
    assert await runs.run(tools, "balance", '{"account": "none"}', "c3") == ("null", True)


@pytest.mark.parametrize(
    ("name", "arguments", "hint"),
    [
        ("balance", "", "account: Field required"),
        ("balance", "[1]", "not a JSON object"),
        ("balance", '{"account": "x", "pin": "1"}', "pin: Extra inputs are not permitted"),
        ("balance", "[" * 10_000, "not a JSON object"),
        ("balance", '{"account": "nobody"}', "the tool failed"),
        ("other", "{}", "no such tool"),
    ],
)
def test_what_goes_wrong_becomes_an_output_without_inner_details(
    name: str, arguments: str, hint: str
) -> None:
    output, well = virtual_run(ToolRuns("call_1").run(Toolset([balance]), name, arguments, "c1"))
    assert not well
    assert hint in json.loads(output)["error"]["message"]


def test_a_result_that_json_cannot_hold_as_such_is_made_text() -> None:
    assert json.loads(output_text({"when": CallOutcome})) != {}
    with pytest.raises(TypeError):
        output_text({(1, 2): 3})


@pytest.mark.parametrize("end", list(LegEnd))
def test_every_end_of_a_leg_has_an_outcome(end: LegEnd) -> None:
    outcome = outcome_of_leg(end, 487, "detail")
    assert isinstance(outcome.kind, OutcomeClass)
    assert outcome.reason
    assert (outcome.status, outcome.detail) == (487, "detail")


def test_only_a_call_that_we_end_in_peace_waits_for_last_words() -> None:
    assert CallOutcome(OutcomeClass.SUCCESS, "completed").polite
    assert not CallOutcome(OutcomeClass.SUCCESS, "caller_hung_up").polite
    assert not CallOutcome(OutcomeClass.SUCCESS, "operator_hung_up").polite
    assert not CallOutcome(OutcomeClass.OURS, "shut_down").polite


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("sip:desk@example.com", True),
        ("sip:sales-1@example.com", True),
        ("sip:desk@example.com.evil.example", False),
        ("tel:+4420", False),
        ("", False),
    ],
)
def test_transfers_go_only_where_they_may(target: str, allowed: bool) -> None:
    assert allowed_target(target, ("sip:desk@example.com", "sip:sales-*")) is allowed
    assert not allowed_target(target, ())


@pytest.mark.parametrize(
    ("content_type", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"Duration=160\r\nSIGNAL = *\r\n", "*"),
        ("Application/DTMF-Relay; charset=utf-8", b"Signal=11", "#"),
        ("application/dtmf-relay", b"Duration=160", None),
        ("application/dtmf", b"10", "*"),
        ("application/dtmf", b" d \r\n", "D"),
        ("application/dtmf", b"55", None),
        ("application/dtmf", b"\xff", None),
        ("application/dtmf", b"", None),
    ],
)
def test_digits_by_info(content_type: str, body: bytes, digit: str | None) -> None:
    assert digit_of_info(content_type, body) == digit


def test_the_record_holds_what_is_claimed_and_nothing_where_nothing_is() -> None:
    assert said(CallerClaims()) == said(CallerClaims(trusted=True)) == {}
    claims = CallerClaims(privacy=("id",), diversions=(Diverted(Person("sip:1@a", "1")),))
    assert said(claims) == {
        "trusted": False,
        "privacy": ("id",),
        "diversions": ({"by": {"uri": "sip:1@a", "user": "1", "name": ""}, "reason": "", "counter": 1},),
    }

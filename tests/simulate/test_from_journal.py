"""Journals become scenarios that play the same calls again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.simulate.shop import shop
from voiceagent.ivr import Call, Digits, flow, tool
from voiceagent.ivr.flow import Flow
from voiceagent.ivr.front_desk import front_desk
from voiceagent.records.journal import plain, read_journal
from voiceagent.simulate.engine import SimResult, simulate
from voiceagent.simulate.from_journal import NoStory, scenario_of, toml
from voiceagent.simulate.report import told
from voiceagent.simulate.scenario_file import parse_scenario, read_scenario

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("front_desk*.toml"))
DEMO = Path(__file__).parent / "demo.jsonl"


def again(result: SimResult, flow: Flow) -> tuple[str, SimResult]:
    """The scenario of a simulated call's journal, and what comes of playing it."""
    entries = [json.loads(json.dumps(entry, default=plain)) for entry in result.record.journal]
    text = scenario_of(entries, "again")
    return text, simulate(flow, parse_scenario(text), text=text)


def played(text: str, flow: Flow = shop) -> tuple[str, SimResult]:
    return again(simulate(flow, parse_scenario(text), inputs=True), flow)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_simulated_call_played_from_its_journal_goes_the_same_way(path: Path) -> None:
    first = simulate(front_desk, read_scenario(path), inputs=True)
    _, second = again(first, front_desk)
    assert second.ok, told(second)
    assert (second.steps, second.heard) == (first.steps, first.heard)


def test_the_demonstrations_real_call_plays_against_the_front_desk() -> None:
    text = scenario_of(read_journal(DEMO), "demo")
    result = simulate(front_desk, parse_scenario(text), text=text)
    assert result.ok, told(result)
    wished = parse_scenario(text)
    assert [turn.act for turn in wished.turns] == ["", "says", "says", "digits", "operator", "says"]
    assert wished.turns[2].barge_in_at_ms == pytest.approx(2600, abs=400)
    assert wished.turns[3].digits == "481516#"
    assert wished.tools["account_balance"][0].result == {"balance": "42 euros and 50 cents"}
    assert "42 euros" in str(wished.turns[3].expect)
    assert wished.expect.reason == "completed"


def test_silence_holds_keys_and_a_hang_up_are_seen() -> None:
    text, result = played(
        """
        [[turn]]
        holds_ms = 4000
        [[turn]]
        silence_ms = 7000
        [[turn]]
        digits = "9"
        [[turn]]
        says = "orders"
        [[turn]]
        wait_for = "say"
        barge_in_at_ms = 700
        hangup = true
        """
    )
    assert result.ok, told(result)
    acts = [turn.act for turn in parse_scenario(text).turns]
    assert acts == ["", "holds_ms", "silence_ms", "digits", "says", "hangup"]
    assert result.reason == "caller_hung_up"
    assert result.heard[-1] == "There"


def test_a_caller_who_waits_long_waits_again() -> None:
    text, _ = played('[[turn]]\nsays = "hours"\nafter_ms = 5000\n')
    assert parse_scenario(text).turns[1].after_ms == pytest.approx(5000, abs=50)


def test_a_failed_transfer_fails_again() -> None:
    text, result = played('[transfer]\nstatus = 486\n[[turn]]\ndigits = "0"', front_desk)
    assert parse_scenario(text).transfer.status == 486
    assert "nobody is at the desk" in " ".join(result.heard)


def test_a_transfer_is_expected() -> None:
    text, result = played('[[turn]]\ndigits = "0"', front_desk)
    assert result.ok, told(result)
    assert parse_scenario(text).expect.transferred_to == "sip:operator@127.0.0.1"


def test_a_lost_provider_is_lost_again() -> None:
    text, result = played('[provider]\nlost_at_ms = 2000\n[[turn]]\nsays = "hours"\n')
    assert parse_scenario(text).provider.lost_at_ms == 2000
    assert result.outcome == "success"


@flow("pin")
async def pin_desk(call: Call) -> None:
    """You ask for a PIN."""
    pin = await call.collect("Ask for the PIN.", digits=Digits(4), secret=True)
    assert isinstance(pin, SecretStr)
    await call.say("Thank you.")


def test_a_secret_is_a_placeholder() -> None:
    text, result = played('[[turn]]\ndigits = "8731"\n', pin_desk)
    assert "8731" not in text
    assert "# A secret of 4 keys was typed here; the journal does not hold it." in text
    assert parse_scenario(text).turns[1].digits == "0000"
    assert result.ok, told(result)


@tool
async def weather(town: str) -> str:
    """Tell the weather of a town."""
    return f"rain in {town}"


@flow("weather")
async def weather_desk(call: Call) -> None:
    """You tell the weather."""
    for _ in range(2):
        await call.respond("Tell the weather of town Bath.", tools=[weather])


def test_each_result_of_a_tool_comes_in_its_turn() -> None:
    given = '[[tools.weather]]\nresult = "sun"\n[[tools.weather]]\nerror = "no idea"\n'
    text, result = played(given, weather_desk)
    answers = parse_scenario(text).tools["weather"]
    assert [(one.result, one.error) for one in answers] == [("sun", None), (None, "no idea")]
    assert result.ok, told(result)


def test_what_a_hosted_model_made_up_is_a_comment() -> None:
    entries = [dict(entry) for entry in read_journal(DEMO)]
    for entry in entries:
        if entry["type"] == "in.session":
            entry["provider"] = "openai"
    text = scenario_of(entries, "hosted")
    assert "# The agent said: The balance is 42 euros and 50 cents." in text
    assert 'said = "Please type your six digit account number, then hash."' in text


def test_what_is_no_journal_of_ours_is_told_with_its_line() -> None:
    entries = [{"type": "call.offered", "t": 0.0}, {"type": "flow.step", "t": 1.0}]
    with pytest.raises(NoStory, match=r"line 2 is not as .* \(flow.step: KeyError: 'step'\)"):
        scenario_of(entries, "damaged")


@pytest.mark.parametrize("entries", [[], [{"type": "call.offered", "t": 0.0}]])
def test_a_call_without_an_answer_is_no_scenario(entries: Iterable[Mapping[str, Any]]) -> None:
    with pytest.raises(NoStory, match="no call that was answered"):
        scenario_of(entries, "none")


@pytest.mark.parametrize(
    "value",
    ['quote " and \\', "tab\tbell\x07\x7f", {"a b": [1, 2.5, True], "": {"x": "y"}}, [], {}, "ü\U0001f600"],
)
def test_values_survive_toml(value: Any) -> None:
    text = f"[tools.a]\nresult = {toml(value)}\n"
    assert parse_scenario(text).tools["a"][0].result == value


def test_a_wait_in_a_queue_is_told_and_goes_the_same_way() -> None:
    @flow("waits")
    async def waits(call: Call) -> None:
        await call.say("One moment.")
        waited = await call.queue("desk", whisper="A caller.", timeout_s=90)
        await call.say(f"That was {waited.reason}.")

    patience = "[[turn]]\nwait_for = 'queue'\n[[turn]]\nsilence_ms = 95000"
    queue = "[queues.desk]\nwaiting = 2\nserved_every_ms = 15000"
    for status, reason in ((200, "transferred"), (480, "completed")):
        text = f"{queue}\nanswers = [{{ status = 486 }}, {{ status = {status} }}]\n{patience}"
        first = simulate(waits, parse_scenario(text), inputs=True)
        assert first.reason == reason
        written, second = again(first, waits)
        told_queue = parse_scenario(written).queues["desk"]
        assert (told_queue.waiting, told_queue.served_every_ms) == (2, 15_000)
        assert [one.status for one in told_queue.answers][:2] == [486, status]
        assert second.ok, told(second)
        assert (second.steps, second.heard) == (first.steps, first.heard)

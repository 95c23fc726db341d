"""Every expectation, met and not met: what a failed one says."""

from __future__ import annotations

import re

import pytest

from tests.simulate.shop import shop
from voiceagent.ivr.flow import Flow
from voiceagent.ivr.front_desk import front_desk
from voiceagent.simulate.engine import SimResult, simulate
from voiceagent.simulate.scenario_file import parse_scenario


def played(text: str, flow: Flow = shop) -> SimResult:
    return simulate(flow, parse_scenario(text), text=text)


@pytest.mark.parametrize(
    ("met", "not_met", "told"),
    [
        ('said = "WELCOME to"', 'said = "good day"', "to hear 'good day', but the caller heard 'W"),
        ('said = ["shop", "hours"]', 'said = ["shop", "x"]', "expected to hear 'x'"),
        ('said_re = "w.lcome"', 'said_re = "^hours"', "to hear what matches '^hours', but the caller heard"),
        ('not_said = "goodbye"', 'not_said = "shop"', "not to hear 'shop', but the caller heard"),
        ('step = ["say", "choose"]', 'step = ["choose", "say"]', "step 'say' after 'choose', but there was"),
        ('step = "say"', 'step = "hangup"', "step 'hangup', but there was say, choose; the"),
        ('metadata = { origin = "ivr" }', 'metadata = { a = "b" }', "{'a': 'b'}, but there was one w"),
        ('outcome = "completed"', 'outcome = "failed"', "to end 'failed', but it was completed, completed"),
        ("latency_ms = 400", "latency_ms = 100", "voice within 100 ms, but it came after 320 ms"),
    ],
    ids=lambda text: text.split(" ")[0] if " = " in text else "",
)  # fmt: skip
def test_a_turn(met: str, not_met: str, told: str) -> None:
    assert played(f"[[turn]]\nexpect = {{ {met} }}").ok
    failure = only(played(f"[[turn]]\nexpect = {{ {not_met} }}"))
    assert re.search(re.escape(told), failure), failure
    assert failure.startswith("turn 1 (line 2): expected")


def test_a_tool() -> None:
    text = """
    [[turn]]
    says = "billing please"
    [[turn]]
    digits = "481516#"
    barge_in_at_ms = 1000
    expect = { tool = "TOOL" }
    """
    assert played(text.replace("TOOL", "account_balance"), front_desk).ok
    failure = only(played(text.replace("TOOL", "open_the_door"), front_desk))
    assert "the tool call 'open_the_door', but there was account_balance" in failure


@pytest.mark.parametrize(
    ("met", "not_met", "told"),
    [
        ('outcome = "success"', 'outcome = "ours"', "outcome 'ours', but it was success (completed)"),
        ('reason = "completed"', 'reason = "transferred"', "'transferred', but it was success (comp"),
        ('steps = ["say", "say"]', 'steps = ["say", "x"]', "'x' after 'say', but the steps were say, ch"),
        ('said = "rest"', 'said = "holiday"', "to hear 'holiday' at some time, but the caller heard"),
        ('not_said = "holiday"', 'not_said = "rest"', "never to hear 'rest', but the caller heard"),
        ("duration_ms = 30000", "duration_ms = 3000", "at most 3000 ms, but the call took"),
    ],
    ids=lambda text: text.split(" ")[0] if " = " in text else "",
)  # fmt: skip
def test_the_end(met: str, not_met: str, told: str) -> None:
    text = '[[turn]]\nsays = "hours"\n[expect]\n'
    assert played(text + met).ok
    failure = only(played(text + not_met))
    assert told in failure
    assert failure.startswith("at the end (line 4): expected")


def test_a_transfer() -> None:
    text = '[[turn]]\ndigits = "0"\n[expect]\ntransferred_to = "sip:operator@127.0.0.1"'
    assert played(text, front_desk).ok
    failure = only(played(text.replace("127.0.0.1", "desk.example"), front_desk))
    assert "to 'sip:operator@desk.example', but it was to 'sip:operator@127.0.0.1'" in failure
    assert "but there was none" in only(played(text.replace('"0"', '"2"'), front_desk))


def test_what_comes_too_late_is_told() -> None:
    text = """
    [[turn]]
    says = "hours"
    [[turn]]
    says = "hello?"
    expect = { said = "hello" }
    """
    assert only(played(text)) == (
        "turn 2 (line 5): the caller cannot act any more: the call has ended (completed)"
    )


def test_a_call_that_takes_too_long_says_where_it_stands() -> None:
    text = 'limit_s = 4\n[[turn]]\nsays = "nonsense"'
    assert (
        only(played(text))
        == "at the end: the call is not over after 4 s; the flow stands at step 'choose' (shop.py:14)"
    )


def only(result: SimResult) -> str:
    (failure,) = result.failures
    return failure.text

"""PURE. Was what happened what the scenario expects? Every difference becomes one failure, told in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from voiceagent.simulate.record import Asked, Event, Record, Speech
from voiceagent.simulate.scenario import End, Expectation, Scenario, Text, texts


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that was not met. ``turn`` counts from 0; None is the whole call."""

    turn: int | None
    what: str
    """Name of the expectation, or of what went wrong: ``said``, ``limit`` …"""
    message: str
    line: int | None = None
    """Line of the scenario's file, where known."""

    @property
    def text(self) -> str:
        """The failure in one line."""
        where = "at the end" if self.turn is None else f"turn {self.turn + 1}"
        place = f" (line {self.line})" if self.line else ""
        return f"{where}{place}: {self.message}"


def judge(scenario: Scenario, record: Record) -> list[Failure]:
    """Return what was not as expected, turn by turn, then the end."""
    failures: list[Failure] = []
    for number, turn in enumerate(scenario.turns):
        if turn.expect is not None and record.index_of(number) < len(record.events):
            failures += judge_turn(turn.expect, record, number, number + 1)
    for name, told in _end_differences(scenario.expect, record):
        failures.append(Failure(None, name, told))
    failures += _unexpected(scenario.expect, record)
    return failures


def _unexpected(expect: End, record: Record) -> Iterator[Failure]:
    """Yield what no call should come to, unless its scenario says how the call ends."""
    if expect.outcome is not None or expect.reason is not None:
        return
    end = record.ended or {}
    if record.failed:
        remedy = 'where that is meant, say so: [expect] reason = "flow_failed"'
        yield Failure(None, "flow_failed", f"the flow failed: {record.failed}; {remedy}")
    elif end.get("reason") == "internal":
        yield Failure(None, "internal", f"the call failed: {end.get('detail', '')}{stands_at(record)}")


def judge_turn(expect: Expectation, record: Record, number: int, until: int | None) -> list[Failure]:
    """Return what was not as expected from the beginning of turn ``number`` to that of ``until``."""
    events = record.between(number, until)
    first = record.index_of(number)
    asked = [one for one in record.asked.values() if first <= one.at < first + len(events)]
    ended = record.sound_ended.get(number)
    return [
        Failure(number, name, f"expected {wish}, but {got}")
        for name, wish, got in _differences(expect, events, asked, record, ended)
    ]


def _differences(
    expect: Expectation, events: Sequence[Event], asked: Sequence[Asked], record: Record, ended: float | None
) -> Iterator[tuple[str, str, str]]:
    speeches = [event for event in events if isinstance(event, Speech)]
    heard = " ".join(one.text for one in speeches)
    told = _heard_in_words(heard, record)
    for text in texts(expect.said):
        if text.lower() not in heard.lower():
            yield "said", f"to hear {text!r}", told
    if expect.said_re is not None and re.search(expect.said_re, heard, re.IGNORECASE) is None:
        yield "said_re", f"to hear what matches {expect.said_re!r}", told
    for text in texts(expect.not_said):
        if text.lower() in heard.lower():
            yield "not_said", f"not to hear {text!r}", told
    yield from _ordered("step", "step", expect.step, _named(events, "step"), record)
    yield from _ordered("tool", "tool call", expect.tool, _named(events, "tool"), record)
    yield from _response(expect, asked)
    if expect.latency_ms is not None:
        wish = f"the agent's voice within {expect.latency_ms} ms"
        if not speeches or ended is None:
            yield "latency_ms", wish, told
        else:
            took = round((speeches[0].t - ended) * 1000)
            if took > expect.latency_ms:
                yield "latency_ms", wish, f"it came after {took} ms"


def _named(events: Iterable[Event], kind: str) -> list[str]:
    return [event.text for event in events if event.kind == kind]


def _heard_in_words(heard: str, record: Record) -> str:
    if heard:
        return f"the caller heard {heard!r}"
    return f"the caller heard nothing{stands_at(record)}"


def stands_at(record: Record) -> str:
    """Return where the flow is or was last, as an addition to a sentence."""
    if not record.step:
        return ""
    place = f" ({record.place})" if record.place else ""
    return f"; the flow {'ended' if record.ended else 'stands'} at step {record.step!r}{place}"


def _ordered(
    name: str, noun: str, wished: Text | None, got: Sequence[str], record: Record
) -> Iterator[tuple[str, str, str]]:
    wanted = texts(wished)
    missing = first_missing(wanted, got)
    if missing is not None:
        after = f" after {wanted[missing - 1]!r}" if missing else ""
        there = ", ".join(got) if got else "none"
        yield name, f"the {noun} {wanted[missing]!r}{after}", f"there was {there}{stands_at(record)}"


def first_missing(wanted: Sequence[str], got: Iterable[str]) -> int | None:
    """Return the index of the first of ``wanted`` that does not follow the ones before it in ``got``."""
    rest = iter(got)
    for index, name in enumerate(wanted):
        if not any(one == name for one in rest):
            return index
    return None


def _response(expect: Expectation, asked: Sequence[Asked]) -> Iterator[tuple[str, str, str]]:
    if expect.metadata is None and expect.outcome is None:
        return
    pairs = expect.metadata or {}
    fitting = [one for one in asked if pairs.items() <= dict(one.metadata).items()]
    if not fitting:
        there = "; ".join(_pairs(one) for one in asked) or "no response"
        yield "metadata", f"a response with metadata {pairs}", f"there was {there}"
    elif expect.outcome is not None and all(one.outcome != expect.outcome for one in fitting):
        there = ", ".join(one.outcome or "still open" for one in fitting)
        yield "outcome", f"a response to end {expect.outcome!r}", f"it was {there}"


def _pairs(one: Asked) -> str:
    own = {
        name: value
        for name, value in one.metadata.items()
        if name not in ("call_id", "turn", "origin") and not name.startswith("va.")
    }
    return f"one with {own}" if own else "one without"


def _end_differences(expect: End, record: Record) -> Iterator[tuple[str, str]]:
    end = record.ended
    if end is None:
        return  # the call never ended: told already
    how = f"{end['outcome']} ({end['reason']})"
    about = record.failed or end.get("detail")
    detail = f": {about}" if about else ""
    if expect.outcome is not None and end["outcome"] != expect.outcome:
        yield "outcome", f"expected outcome {expect.outcome!r}, but it was {how}{detail}"
    if expect.reason is not None and end["reason"] != expect.reason:
        yield "reason", f"expected reason {expect.reason!r}, but it was {how}{detail}"
    steps = _named(record.events, "step")
    missing = first_missing(expect.steps or (), steps)
    if expect.steps is not None and missing is not None:
        after = f" after {expect.steps[missing - 1]!r}" if missing else ""
        wished = f"step {expect.steps[missing]!r}{after}"
        yield "steps", f"expected {wished}, but the steps were {', '.join(steps) or 'none'}"
    heard = " ".join(one.text for one in record.speeches)
    for text in texts(expect.said):
        if text.lower() not in heard.lower():
            yield "said", f"expected to hear {text!r} at some time, but {_heard_in_words(heard, record)}"
    for text in texts(expect.not_said):
        if text.lower() in heard.lower():
            yield "not_said", f"expected never to hear {text!r}, but {_heard_in_words(heard, record)}"
    to = transferred_to(record)
    if expect.transferred_to is not None and to != expect.transferred_to:
        got = f"it was to {to!r}" if to else "there was none"
        yield "transferred_to", f"expected a transfer to {expect.transferred_to!r}, but {got}"
    took = round(end["duration_s"] * 1000)
    if expect.duration_ms is not None and took > expect.duration_ms:
        yield "duration_ms", f"expected at most {expect.duration_ms} ms, but the call took {took} ms"


def transferred_to(record: Record) -> str:
    """Return to whom the caller was handed; empty where to nobody."""
    done = [e.text for e in record.events if e.kind == "transfer" and e.details.get("accepted")]
    return done[-1] if done else ""

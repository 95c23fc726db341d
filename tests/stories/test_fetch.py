"""Data from elsewhere in whole calls: bounded, named, told apart, bridged, and rebuilt from JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual
from tests.stories.test_secrets import without_counts
from voiceagent.call.outside import as_json, as_kind
from voiceagent.errors import ConfigError, Fault
from voiceagent.ivr import Call, FetchFailed, FetchTimedOut, flow
from voiceagent.ivr.verbs.fetching import kind_of, name_of


class Order(BaseModel):
    number: str
    due: date


async def status(number: str, *, loud: bool = False) -> Order:
    await asyncio.sleep(0.5)
    return Order(number=number.upper() if loud else number, due=date(2026, 5, 12))


async def broken(number: str) -> Order:
    raise LookupError("no such order")


async def slow() -> str:
    await asyncio.sleep(30)
    return "late"


class Desk:
    async def __call__(self, number: str) -> int:
        return int(number)


def told(story: Story) -> list[Mapping[str, Any]]:
    return [entry for entry in story.entries if entry["type"] == "fetch.ended"]


@virtual
async def test_a_function_is_called_with_what_was_given_and_counted_by_name() -> None:
    got: list[Any] = []
    keys: list[tuple[str, Any]] = []

    @flow("desk")
    async def desk(call: Call) -> None:
        got.append(await call.fetch(status, "a1", loud=True))
        got.append(await call.fetch(status, "b2"))
        got.append(await call.fetch(Desk(), "7"))
        got.append(await call.fetch(partial(status, "c3")))

    async def outside(key: str, work: Callable[[], Awaitable[Any]], *, kind: Any = None) -> Any:
        keys.append((key, kind))
        return await work()

    story = Story(desk)
    story.call._outside = outside  # pyright: ignore[reportPrivateUsage]
    story.start()
    await story.ends()

    assert [getattr(one, "number", one) for one in got] == ["A1", "b2", 7, "c3"]
    assert keys == [
        ("fetch:status:1", Order),
        ("fetch:status:2", Order),
        ("fetch:Desk:1", int),
        ("fetch:status:3", Order),
    ]
    assert [(one["fetch"], one["number"], one["ok"]) for one in told(story)] == [
        ("status", 1, True),
        ("status", 2, True),
        ("Desk", 1, True),
        ("status", 3, True),
    ]
    steps = [entry for entry in story.entries if entry["type"] == "flow.step"]
    assert all(entry["place"].startswith("test_fetch.py:") for entry in steps)


@virtual
async def test_a_failure_is_typed_and_written_down_with_its_place() -> None:
    caught: list[FetchFailed] = []

    @flow("desk")
    async def desk(call: Call) -> None:
        for function in (broken, partial(slow)):
            try:
                await call.fetch(function, *(["x"] if function is broken else []), timeout_s=2)
            except FetchFailed as error:
                caught.append(error)

    story = Story(desk)
    story.start()
    outcome = await story.ends()

    first, second = caught
    assert (first.name, first.fault, first.code) == ("broken", Fault.OPERATOR, "fetch_failed")
    assert str(first) == "broken: LookupError: no such order"
    assert isinstance(first.__cause__, LookupError)
    assert isinstance(second, FetchTimedOut)
    assert isinstance(second, TimeoutError)
    assert str(second) == "slow: took longer than 2 s"
    entries = told(story)
    assert [one["ok"] for one in entries] == [False, False]
    assert entries[0]["exception"] == "LookupError"
    assert entries[0]["traceback"][-1].startswith("test_fetch.py:")
    assert entries[1]["code"] == "fetch_timeout"
    assert outcome.reason == "completed"


@virtual
async def test_a_function_that_was_given_a_secret_tells_no_message_of_what_it_raises() -> None:
    caught: list[FetchFailed] = []

    async def check(pin: SecretStr) -> bool:
        raise LookupError(f"no {pin.get_secret_value()}")

    @flow("desk")
    async def desk(call: Call) -> None:
        try:
            await call.fetch(check, SecretStr("73914"))
        except FetchFailed as error:
            caught.append(error)

    story = Story(desk, record_inputs=True)
    story.start()
    await story.ends()
    assert str(caught[0]) == "check: LookupError"
    assert caught[0].__cause__ is not None
    assert "73914" not in without_counts(list(story.entries))
    assert [entry["error"]["message"] for entry in story.entries if entry["type"] == "in.outside"] == [
        "LookupError"
    ]


@virtual
async def test_a_fetch_that_takes_long_is_bridged_and_its_line_does_not_outlive_it() -> None:
    @flow("desk")
    async def desk(call: Call) -> None:
        await call.say("Let me see.")
        await call.fetch(slow, timeout_s=60, working="Still looking.", working_after_s=4)
        await call.say("Found.")

    story = Story(desk)
    story.provider.default = Reply(audio_ms=800)
    story.start()
    await story.ends()
    said = [event["response"]["instructions"] for event in story.provider.creates()]
    assert [line.partition("nothing else: ")[2] for line in said] == [
        '"Let me see."',
        *['"Still looking."'] * 3,
        '"Found."',
    ]
    assert any(entry["type"] == "line.played" for entry in story.entries), "the first silence is bridged, too"


@virtual
async def test_a_hang_up_cancels_the_function() -> None:
    stopped: list[str] = []

    async def careful() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append("tidied")

    @flow("desk")
    async def desk(call: Call) -> None:
        await call.fetch(careful, timeout_s=90)

    story = Story(desk)
    story.start()
    await asyncio.sleep(1)
    story.leg.caller_hangs_up()
    await story.ends()
    assert stopped == ["tidied"]
    assert [(one["ok"], one["code"]) for one in told(story)] == [(False, "cancelled")]


@virtual
async def test_what_cannot_be_fetched_is_refused() -> None:
    refused: list[str] = []

    def plain() -> str:
        return ""

    @flow("desk")
    async def desk(call: Call) -> None:
        for function, options in ((plain, {}), (slow, {"timeout_s": 0}), (slow, {"working_after_s": 1e9})):
            try:
                await call.fetch(function, **options)  # type: ignore[arg-type]
            except ConfigError as error:
                refused.append(str(error))

    story = Story(desk)
    story.start()
    await story.ends()
    assert [text.partition(": ")[2].split(" ")[0] for text in refused] == [
        "must",
        "timeout_s",
        "working_after_s",
    ]
    assert told(story) == []


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Order(number="1", due=date(2026, 5, 12)), Order),
        ([Order(number="1", due=date(2026, 5, 12))], list[Order]),
        (date(2026, 5, 12), date),
        ({"a": 1}, dict[str, int]),
        (None, type(None)),
        ({"a": [1, 2.5, "x", None]}, Any),
    ],
)
def test_a_result_goes_through_json_and_comes_back_as_what_it_was(value: Any, kind: Any) -> None:
    again = as_kind(as_json(value), kind)
    assert again == value
    assert type(again) is type(value)


def test_names_and_kinds_are_read_from_the_function() -> None:
    async def untold():  # type: ignore[no-untyped-def]
        ...

    async def unknown() -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
        ...

    assert (name_of(partial(partial(status))), name_of(Desk())) == ("status", "Desk")
    assert kind_of(status) is Order
    assert kind_of(untold) is Any
    assert kind_of(unknown) is Any

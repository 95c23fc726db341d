"""How a PIN might get out all the same: careless code, early and late keys, calls that break off."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import structlog
from pydantic import AfterValidator, SecretStr

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from tests.stories.test_recordings import Kept
from tests.stories.test_secrets import SPEECH, TIMES, Watched, digits_in
from voiceagent.call.secrecy import DEAF_AFTER_S, KEYS_AFTER_S, LONGEST_AFTER_S
from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, Digits, FetchFailed, flow, tool
from voiceagent.ivr.ports import HIDDEN
from voiceagent.observe.logs import configure_logs

PIN = "73914"
ORDERLY = re.compile(r"[^0-9A-Za-z]{0,4}".join(PIN))
"""The digits in order, whatever little stands between them."""


@pytest.fixture
def reset_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def leaks(text: str) -> list[str]:
    return ORDERLY.findall(TIMES.sub("", text))


def open_pin(pin: SecretStr | None) -> str:
    assert pin is not None
    return pin.get_secret_value()


async def typed(story: Watched, keys: str = PIN) -> None:
    """Wait for the question, and type."""
    story.start()
    await eventually(lambda: story.call.secret_open)
    await story.agent_speaks()
    story.leg.press(keys)


# ── careless code ───────────────────────────────────────────────────────────────────────────────────
@virtual
async def test_a_tool_that_fails_with_the_pin_in_its_message() -> None:
    @flow("bank")
    async def bank(call: Call) -> None:
        pin = open_pin(await call.collect("PIN?", secret=True, digits=Digits(5)))

        @tool
        async def look() -> str:
            """Look."""
            try:
                raise KeyError(tuple(pin))
            except KeyError as error:
                raise LookupError(f"no row for {pin} in {' '.join(pin)}") from error

        await call.respond("Look it up.", tools=[look])

    story = Watched(bank)
    story.provider.plans.extend([Reply(), Reply(audio_ms=0, calls=[("c1", "look", "{}")])])
    await typed(story)
    await story.over()
    failed = next(entry for entry in story.entries if entry["type"] == "tool.failed")
    assert failed["message"] == f"no row for {HIDDEN * 5} in {' '.join(HIDDEN * 5)}"
    assert len(failed["causes"]) == 1
    error = next(entry["error"] for entry in story.entries if entry["type"] == "in.outside")
    assert error["message"].startswith("no row for")
    assert leaks(story.known) == []


@pytest.mark.parametrize("keys", [PIN, f"{PIN}55", f"12{PIN}", f"11111{PIN}", f"{PIN}#2"])
@virtual
async def test_a_flow_that_fails_however_much_was_typed(keys: str) -> None:
    """The flow may have taken the first of many keys, or the last."""

    async def only(pin: str) -> str:
        raise ValueError(f"{pin} is not {PIN}")

    def check(pin: str) -> str:
        if pin != PIN:
            raise ValueError(pin)
        return pin

    @flow("bank")
    async def bank(call: Call) -> None:
        kind = Annotated[str, AfterValidator(check)]
        try:
            pin = await call.collect("PIN?", kind, secret=True, digits=Digits(5, pause_s=1), no_input_s=3)
            await asyncio.sleep(1)
            await call.fetch(only, PIN if pin is None else open_pin(pin))
        except FetchFailed as error:
            raise RuntimeError(f"{'x' * 497} {PIN}: {error}") from error

    story = Watched(bank)
    await typed(story, keys)
    await story.over()
    failed = next(entry for entry in story.entries if entry["type"] == "flow.failed")
    assert failed["exception"] == "RuntimeError"
    assert len(failed["causes"]) == 2
    assert leaks(story.known + repr(story.call.outcome)) == []
    assert f"x {PIN[0]}" not in story.known, "nor its beginning, where the message was cut"


@virtual
async def test_what_is_fetched_with_a_pin_is_not_written_down_where_it_holds_it() -> None:
    got: list[Any] = []

    async def verify(pin: str) -> dict[str, Any]:
        return {"ok": True, "echo": pin, "number": int(pin)}

    async def rate() -> dict[str, Any]:
        return {"rate": 42}

    @flow("bank")
    async def bank(call: Call) -> None:
        pin = open_pin(await call.collect("PIN?", secret=True, digits=Digits(5)))
        got.append(await call.fetch(verify, pin))
        got.append(await call.fetch(rate))

    story = Watched(bank)
    await typed(story)
    await story.over()
    assert got == [{"ok": True, "echo": PIN, "number": int(PIN)}, {"rate": 42}]
    assert leaks(story.known) == []
    outside = {one["key"]: one for one in story.entries if one["type"] == "in.outside"}
    assert outside["fetch:verify:1"]["unwritten"] == "holds what was typed in secret"
    assert outside["fetch:rate:1"]["value"] == {"rate": 42}


@virtual
async def test_a_validator_that_breaks_on_a_pin_tells_nothing() -> None:
    def check(pin: str) -> str:
        raise KeyError(pin)

    @flow("bank")
    async def bank(call: Call) -> None:
        kind = Annotated[str, AfterValidator(check)]
        await call.collect("PIN?", kind, secret=True, digits=Digits(5))

    story = Watched(bank)
    await typed(story)
    await story.over()
    failed = next(entry for entry in story.entries if entry["type"] == "flow.failed")
    assert "a validator raised KeyError" in failed["message"]
    assert leaks(story.known + repr(story.call.outcome)) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@virtual
async def test_what_python_itself_logs_of_a_flows_own_task(reset_logs: None) -> None:
    out = io.StringIO()
    configure_logs(format="json", level="debug", stream=out)

    @flow("bank")
    async def bank(call: Call) -> None:
        pin = open_pin(await call.collect("PIN?", secret=True, digits=Digits(5)))

        async def check() -> None:
            raise LookupError(f"no row for {pin}")

        task = asyncio.create_task(check())
        await asyncio.sleep(0.1)
        assert task.done()
        del task
        gc.collect()

    story = Watched(bank)
    await typed(story)
    await story.over()
    # Among what is collected with it may be leftovers of other tests.
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert any(f"no row for {HIDDEN * 5}" in line.get("exception", "") for line in lines)
    assert leaks(out.getvalue()) == []


@virtual
async def test_what_is_typed_in_private_is_not_read_back_either() -> None:
    refused: list[str] = []

    @flow("bank")
    async def bank(call: Call) -> None:
        with call.private():
            try:
                await call.collect("Number?", digits=Digits(5), confirm="always")
            except ConfigError as error:
                refused.append(str(error))
            assert await call.collect("Number?", digits=Digits(5), confirm=True) == PIN
        await call.say("Thank you.")

    story = Watched(bank)
    await typed(story)
    await story.over()
    assert len(refused) == 1
    assert leaks(story.known) == []


# ── early, late and broken off ──────────────────────────────────────────────────────────────────────
@virtual
async def test_a_caller_who_hangs_up_in_the_middle_leaves_no_keys() -> None:
    @flow("bank")
    async def bank(call: Call) -> None:
        await call.collect("PIN?", secret=True, digits=Digits(5))

    story = Watched(bank)
    await typed(story, PIN[:3])
    story.leg.caller_hangs_up()
    story.leg.press(PIN[3:])
    await story.over()
    shown = list(digits_in(story.entries)) + list(digits_in(story.events))
    assert shown
    assert set(shown) == {HIDDEN}


@virtual
async def test_a_question_that_is_given_up_hides_the_keys_that_come_after() -> None:
    @flow("bank")
    async def bank(call: Call) -> None:
        try:
            async with asyncio.timeout(3):
                await call.collect("PIN?", secret=True, digits=Digits(5))
        except TimeoutError:
            await call.say("Let us do without.")

    story = Watched(bank)
    await typed(story, PIN[:1])
    await eventually(lambda: len(story.provider.creates()) == 2)
    story.leg.press(PIN[1:])
    await story.over()
    shown = list(digits_in(story.entries))
    assert len(shown) >= 2 * len(PIN)
    assert set(shown) == {HIDDEN}


@virtual
async def test_who_types_more_than_was_asked_for_stays_hidden_and_unheard_key_after_key() -> None:
    """Sixteen digits of a card where four were asked for, one key after the other."""
    card = "5105 1051 0510 5100".replace(" ", "")

    @flow("bank")
    async def bank(call: Call) -> None:
        await call.collect("PIN?", secret=True, digits=Digits(4))
        await asyncio.sleep(40)

    story = Watched(bank)
    await typed(story, card[:4])
    await story.agent_silent()
    before = len(story.heard_by_model())
    for key in card[4:]:
        await asyncio.sleep(0.8)
        story.leg.press(key)
        story.speaks(5)  # its tone
    assert set(story.heard_by_model()[before:]) <= {0xFF}
    assert set(digits_in(story.entries)) == {HIDDEN}
    await asyncio.sleep(DEAF_AFTER_S + 0.1)
    story.speaks(5)
    await asyncio.sleep(0.1)
    assert SPEECH in story.heard_by_model()[before:], "heard again"
    await asyncio.sleep(KEYS_AFTER_S)
    assert not story.call.secret_open
    story.leg.press("1")
    assert list(digits_in(story.entries))[-1] == "1"
    await story.over()


@virtual
async def test_keys_cannot_keep_a_caller_unheard_for_ever() -> None:
    @flow("bank")
    async def bank(call: Call) -> None:
        await call.collect("PIN?", secret=True, digits=Digits(4))
        await asyncio.sleep(60)

    story = Watched(bank)
    await typed(story, "1234")
    for _ in range(int(LONGEST_AFTER_S + KEYS_AFTER_S) + 2):
        await asyncio.sleep(1)
        story.leg.press("5")
    assert not story.call.secret_open
    story.leg.caller_hangs_up()
    await story.over()


@virtual
async def test_a_recording_is_silent_while_more_is_typed() -> None:
    @flow("bank")
    async def bank(call: Call) -> None:
        await call.record()
        await call.collect("PIN?", secret=True, digits=Digits(4))
        await asyncio.sleep(12)

    kept = Kept()
    story = Story(bank, recordings=kept)
    tone, talk = 0x22, 0x11
    leg = story.leg
    sounds = [talk]
    leg.on_frame = lambda _: leg.hears(bytes((sounds[0],)) * 160)
    story.start()
    await eventually(lambda: story.call.secret_open)
    await story.agent_speaks()
    leg.press("1234")
    for key in "56789":
        await asyncio.sleep(0.9)
        leg.press(key)
        sounds[0] = tone
        await asyncio.sleep(0.1)
        sounds[0] = talk
    await story.ends()
    [(caller, _)] = kept.files.values()
    assert tone not in caller
    assert talk in caller


@virtual
async def test_digits_that_answer_the_next_question_count_although_they_are_hidden() -> None:
    got: list[Any] = []

    @flow("bank")
    async def bank(call: Call) -> None:
        pin = await call.collect("PIN?", secret=True, digits=Digits(5))
        got.append(open_pin(pin))
        got.append(await call.confirm("Is that all?"))

    story = Watched(bank)
    await typed(story)
    await eventually(lambda: len(story.provider.creates()) == 2)
    await story.agent_speaks()
    story.leg.press("1")
    await story.over()
    assert got == [PIN, True]
    assert set(digits_in(story.entries)) == {HIDDEN}
    assert leaks(story.known) == []

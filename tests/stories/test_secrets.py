"""A PIN is known to the flow and to nobody else: not to model, transcriber, journal, console or logs."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import logging
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from tests.hosted.kit import HostedStory
from tests.kit.fake_leg import FakeLeg
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from tests.stories.test_recordings import Kept
from voiceagent.app.directory import NodeDirectory
from voiceagent.app.events import EventHub
from voiceagent.call.secrecy import DEAF_AFTER_S, KEYS_AFTER_S
from voiceagent.errors import RequestRefused
from voiceagent.ids import counted_tokens
from voiceagent.ivr import Call, Digits, flow
from voiceagent.ivr.ports import HIDDEN, DigitPressed
from voiceagent.observe.metrics import Metrics
from voiceagent.records.journal import plain

PIN = "73914"
TIMES = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")
"""Seconds with their parts, in which any digits come by chance."""
COUNTS = re.compile(r'"fired": \[\[.*?\]\]|"turns": \[[\d, ]*\]|"g": \d+')
"""Turns of the loop, which are others after every change of the code."""
SPEECH = bytes(range(40, 200))
"""20 ms of the caller that is not silence."""


class Watched(Story):
    """A story in which all that others get to know is kept."""

    def __init__(self, the_flow: Any, leg: FakeLeg | None = None) -> None:
        super().__init__(the_flow, leg=leg, record_inputs=True)
        self.frames: list[str] = []
        """Every frame that the provider received."""
        self.hub = EventHub()
        self.events: list[Any] = []
        directory = NodeDirectory(
            self.hub, Metrics(), counted_tokens("d"), provider="scripted", readiness=lambda: (True, {})
        )
        directory.add(self.call)
        self.call._observer = directory  # pyright: ignore[reportPrivateUsage]
        self._take = self.provider.take
        self.provider.take = self._see  # type: ignore[method-assign]
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="console")

    def _see(self, text: str) -> None:
        self.frames.append(text)
        self._take(text)

    async def _watch(self) -> None:
        self.events.extend([dataclasses.asdict(event) async for event in self.hub.watch(0)])

    async def over(self) -> None:
        await self.ends()
        self.hub.close()
        await self._watching

    def speaks(self, frames: int = 10) -> None:
        """The caller's sound arrives, spoken digits or tones."""
        for _ in range(frames):
            self.leg.listener.leg_audio(SPEECH)

    def heard_by_model(self) -> bytes:
        """All audio that the provider got so far."""
        frames = (json.loads(text) for text in self.frames)
        return b"".join(
            base64.b64decode(each["audio"]) for each in frames if each["type"] == "input_audio_buffer.append"
        )

    @property
    def known(self) -> str:
        """Journal, console and provider's frames as one text."""
        return "\n".join([without_counts(self.entries + self.events), *self.frames])


def without_counts(entries: list[Any]) -> str:
    """Return entries as one text, without the numbers that are of no call."""
    return TIMES.sub("", COUNTS.sub("", json.dumps(entries, default=plain)))


def digits_in(value: Any) -> Iterator[str]:
    """Yield what stands under ``digit`` or ``digits`` anywhere within ``value``."""
    value = json.loads(json.dumps(value, default=plain))
    inner: list[Any] = []
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        yield from (
            each for key, each in pairs.items() if key in ("digit", "digits") and isinstance(each, str)
        )
        inner = list(pairs.values())
    elif isinstance(value, list):
        inner = cast("list[Any]", value)
    for each in inner:
        yield from digits_in(each)


@virtual
async def test_a_pin_is_nowhere_but_in_the_flow(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    got: list[SecretStr | None] = []

    @flow("bank")
    async def bank(call: Call) -> None:
        got.append(await call.collect("Ask for the PIN.", secret=True, digits=Digits(5)))
        await call.say("Thank you.")

    story = Watched(bank)
    story.start()
    await story.agent_speaks()
    story.leg.press(PIN[:2])
    story.speaks()
    await story.agent_silent()
    story.leg.press(PIN[2:4])
    story.speaks()
    await asyncio.sleep(0.5)
    story.leg.press(PIN[4:])
    story.speaks()
    await asyncio.sleep(0.2)
    story.leg.press("55")
    await story.over()

    assert [one.get_secret_value() for one in got if one is not None] == [PIN]
    assert PIN not in f"{got[0]} {got!r}"
    assert PIN not in story.known
    assert PIN not in caplog.text
    shown = list(digits_in(story.entries)) + list(digits_in(story.events))
    assert len(shown) >= 3 * (len(PIN) + 2), "as an input, as a fact, and on the console"
    assert set(shown) == {HIDDEN}
    assert set(story.heard_by_model()) == {0xFF}, "the model hears silence while the question is open"
    lines = [event["response"]["instructions"] for event in story.provider.creates()]
    assert lines[-1].endswith('"Thank you."')


@virtual
async def test_speech_is_no_answer_to_a_secret_question_and_costs_no_attempt() -> None:
    got: list[Any] = []

    @flow("bank")
    async def bank(call: Call) -> None:
        got.append(await call.collect("Ask for the PIN.", secret=True, digits=Digits(5), attempts=1))

    story = Watched(bank)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_says("seven three nine one four")
    story.leg.press(PIN)
    await story.over()
    assert got[0].get_secret_value() == PIN


@virtual
async def test_keys_pressed_before_the_question_are_no_part_of_a_secret() -> None:
    """They stand in the journal, so they must not be taken for one; the caller is simply asked."""
    got: list[Any] = []

    @flow("bank")
    async def bank(call: Call) -> None:
        await call.say("Welcome.", interruptible=False)
        got.append(await call.collect("Ask for the PIN.", secret=True, digits=Digits(5)))

    story = Watched(bank)
    story.start()
    await story.agent_speaks()
    story.leg.press("12345")
    await story.creates(2)
    await story.agent_silent()
    story.leg.press(PIN)
    await story.over()
    assert got[0].get_secret_value() == PIN
    assert len(story.provider.creates()) == 2


@virtual
async def test_within_a_private_block_who_knows_the_question_may_type_ahead() -> None:
    got: list[Any] = []

    @flow("bank")
    async def bank(call: Call) -> None:
        with call.private():
            await call.say("And now your PIN.", interruptible=False)
            got.append(await call.collect("Ask for the PIN.", secret=True, digits=Digits(5)))

    story = Watched(bank)
    story.start()
    await story.agent_speaks()
    story.leg.press(PIN)
    await story.over()
    assert got[0].get_secret_value() == PIN
    assert set(digits_in(story.entries)) == {HIDDEN}


@virtual
async def test_a_recording_has_silence_in_the_place_of_a_secret() -> None:
    @flow("bank")
    async def bank(call: Call) -> None:
        await call.record()
        await call.say("Welcome.")
        await call.collect("Ask for the PIN.", secret=True, digits=Digits(5))
        await call.say("Thank you.")
        await asyncio.sleep(2)

    kept = Kept()
    story = Story(bank, recordings=kept)
    tone, talk = 0x22, 0x11
    leg = story.leg
    leg.on_frame = lambda _: leg.hears(bytes((tone if story.call.secrecy.deaf else talk,)) * 160)
    story.start()
    await story.creates(2)
    await story.agent_silent()
    leg.press(PIN)
    await story.ends()

    [(caller, _)] = kept.files.values()
    assert tone not in caller
    assert caller.count(talk) > 8000
    gates = [
        (one["type"], one["by"])
        for one in story.entries
        if one["type"].startswith("recording.") and "by" in one
    ]
    assert gates == [("recording.paused", "secret"), ("recording.resumed", "secret")]


@virtual
async def test_after_a_while_the_caller_is_heard_and_shown_again() -> None:
    @flow("bank")
    async def bank(call: Call) -> None:
        await call.collect("Ask for the PIN.", secret=True, digits=Digits(5))
        await asyncio.Event().wait()

    story = Watched(bank)
    story.start()
    await story.agent_speaks()
    story.leg.press(PIN)
    await eventually(lambda: story.call.secret_open)
    await asyncio.sleep(DEAF_AFTER_S + 0.1)
    assert story.call.secret_open
    before = len(story.heard_by_model())
    story.speaks()
    await asyncio.sleep(0.1)
    assert SPEECH in story.heard_by_model()[before:]
    await asyncio.sleep(KEYS_AFTER_S)
    assert not story.call.secret_open
    story.leg.press("9")
    assert list(digits_in(story.entries))[-1] == "9"
    kinds = [entry["type"] for entry in story.entries if entry["type"].startswith("secret.")]
    assert kinds == ["secret.opened", "secret.closed"]
    story.leg.caller_hangs_up()
    await story.over()


@virtual
async def test_a_flow_that_fails_with_a_secret_in_hand_does_not_tell_it() -> None:
    @flow("bank")
    async def bank(call: Call) -> None:
        pin = await call.collect("Ask for the PIN.", secret=True, digits=Digits(5))
        raise ValueError(f"no such PIN: {pin}")

    story = Watched(bank)
    story.start()
    await story.agent_speaks()
    story.leg.press(PIN)
    await story.over()
    assert any("no such PIN" in str(entry) for entry in story.entries)
    assert PIN not in story.known


@virtual
async def test_a_hosted_call_refuses_a_secret_question_before_it_is_asked() -> None:
    refused: list[RequestRefused] = []

    @flow("bank", numbers=["100"])
    async def bank(call: Call) -> None:
        try:
            await call.collect("Ask for the PIN.", secret=True, digits=Digits(5))
        except RequestRefused as error:
            refused.append(error)

    story = HostedStory(bank)
    story.start()
    await story.ends()
    assert [(one.field, one.code) for one in refused] == [("secret", "not_supported")]
    assert story.provider.creates() == []


def test_a_secret_key_does_not_show_in_its_own_text() -> None:
    assert PIN[0] not in repr(DigitPressed(PIN[0], secret=True))
    assert "7" in repr(DigitPressed("7"))


@virtual
async def test_a_pin_in_an_exceptions_message_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The author's own words may hold it: journal, log, console and outcome do not."""

    @flow("careless")
    async def careless(call: Call) -> None:
        pin = await call.collect("Ask for the PIN.", secret=True, digits=Digits(5))
        assert pin is not None
        try:
            raise KeyError(pin.get_secret_value())
        except KeyError as error:
            raise ValueError(f"bad pin {pin.get_secret_value()}, sorry") from error

    logged: list[str] = []
    log = SimpleNamespace(error=lambda event, **about: logged.append(f"{event} {about}"))
    monkeypatch.setattr("voiceagent.call.flow_run._log", log)
    story = Watched(careless)
    story.start()
    await eventually(lambda: story.call.secret_open)
    await story.agent_speaks()
    story.leg.press(PIN)
    await story.over()
    failed = next(entry for entry in story.entries if entry["type"] == "flow.failed")
    assert failed["message"] == f"bad pin {HIDDEN * 5}, sorry"
    assert len(failed["causes"]) == 1
    assert PIN not in story.known + repr(story.call.outcome)
    assert len(logged) == 1
    assert "bad pin" in logged[0]
    assert PIN not in logged[0]

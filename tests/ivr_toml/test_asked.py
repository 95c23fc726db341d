"""Whatever reading accepts, the verbs accept: no question fails for how it is written in a sound flow."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from tests.ivr_toml.kit import parsed
from voiceagent.ivr import Call
from voiceagent.ivr.ports import CallFacts
from voiceagent.ivr.toml.endpoints import ask_endpoint
from voiceagent.ivr.toml.read import FlowFileError
from voiceagent.ivr.toml.run import KINDS, TomlRun

FLOW = """
[flow]
name = "one"
[steps.ask]
type = "collect"
prompt = "Ask."
into = "answer"
next = "bye"
otherwise = "bye"
{keys}
[steps.bye]
type = "hangup"
"""


class Asked(Exception):
    """The verb has accepted the question."""


class Port:
    """Gets as far as the question."""

    facts = CallFacts("c", "alice", "100")

    def step(self, name: str, place: str = "") -> None: ...

    def forget_input(self, older_than_s: float = 0.0) -> None: ...

    def secret(self) -> Any:
        raise Asked

    async def expect(self, hint: str | None) -> None:
        raise Asked


SETTINGS = list(
    itertools.product(
        KINDS,
        ["", "digits = { least = 1, most = 8 }", 'digits = { least = 4, end = "" }'],
        ["", "confirm = true", 'confirm = "always"'],
        ["", "secret = true"],
        ["", "speech = false"],
    )
)


def test_a_collect_that_can_be_read_can_be_asked() -> None:
    sound = 0
    for kind, *more in SETTINGS:
        keys = "\n".join([f'as = "{kind}"', *more])
        try:
            flow = parsed(FLOW.format(keys=keys))
        except FlowFileError:
            continue
        sound += 1
        call = Call(Port())  # type: ignore[arg-type]
        with pytest.raises(Asked):
            asyncio.run(TomlRun(flow, {}, ask_endpoint, call).run())  # type: ignore[arg-type]
    assert len(SETTINGS) / 3 < sound < len(SETTINGS)

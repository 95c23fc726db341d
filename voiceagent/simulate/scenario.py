"""PURE. What a scenario says: who calls, what the caller does turn by turn, what is expected of the agent.

Every model refuses what it does not know, so that a misspelt expectation cannot pass by being ignored. Times
are milliseconds of the call's own clock, which is virtual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

LIMIT_S = 600.0
"""How long a simulated call may take unless its scenario says otherwise, in seconds."""
KEYS = "0123456789*#ABCD"


def _keys(text: str) -> str:
    if not text or any(key not in KEYS for key in text):
        raise ValueError(f"keys are {KEYS}, not {text!r}")
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


Ms = Annotated[int, Field(ge=0, le=86_400_000)]
Text = str | list[str]
Keys = Annotated[str, AfterValidator(_keys)]
Pattern = Annotated[str, AfterValidator(_pattern)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Answer(_Table):
    """What stands in for one result of somebody else: a tool function, fetched data, an HTTP request."""

    result: Any = Field(default=None, description="what it returns")
    error: str | None = Field(default=None, description="it fails with these words instead")
    delay_ms: Ms = Field(default=0, description="how long that takes")

    @model_validator(mode="after")
    def _either(self) -> Answer:
        if self.error is not None and self.result is not None:
            raise ValueError("has both a result and an error")
        return self


def _listed(given: Any) -> Any:
    return given if isinstance(given, list) else [given]  # pyright: ignore[reportUnknownVariableType]


Answers = Annotated[list[Answer], BeforeValidator(_listed)]
"""One answer, or several that are given one after the other."""


class Provider(_Table):
    """How the simulated model speaks, hears and fails."""

    words_per_minute: int = Field(default=160, ge=40, le=600, description="how fast agent and caller speak")
    connect_ms: Ms = Field(default=50, description="how long the session takes to stand")
    first_audio_ms: Ms = Field(default=300, description="from the request to the first audio")
    transcription_ms: Ms = Field(default=200, description="from the end of a turn to its words")
    refuse_creates: int = Field(default=0, ge=0, description="how many requests to speak it refuses first")
    lost_at_ms: Ms | None = Field(
        default=None, description="when the connection is lost, counted from the answer"
    )
    away_ms: Ms = Field(default=0, description="how long it cannot be reached after that")


class Transfer(_Table):
    """What becomes of every transfer, and of the calls that are made for one."""

    status: int = Field(default=200, ge=200, le=699, description="SIP status it ends with")
    reason: str = Field(default="", description="the words that come with it")
    after_ms: Ms = Field(default=1000, description="how long it rings")


class Queue(_Table):
    """How it goes in one queue."""

    answers: list[Transfer] = Field(
        default_factory=list[Transfer],
        description="what becomes of the tries to reach somebody, one after the other; the last one stays "
        "(default: as `transfer`)",
    )
    waiting: int = Field(default=0, ge=0, le=10_000, description="how many are there before the caller")
    served_every_ms: Ms = Field(
        default=30_000, description="so often one of those is served, from the caller's coming on"
    )


class Operator(_Table):
    """An operator makes the agent speak."""

    instructions: str = Field(description="what the agent is to say")
    when: Literal["idle", "after_playback", "now"] = Field(default="idle", description="when it may begin")
    metadata: dict[str, str] = Field(default_factory=dict[str, str], description="goes with the response")


class Expectation(_Table):
    """What the agent does from one act of the caller to the next."""

    step: Text | None = Field(default=None, description="the flow reaches these steps, in this order")
    said: Text | None = Field(default=None, description="the caller hears this (case does not matter)")
    said_re: Pattern | None = Field(default=None, description="what the caller hears matches this pattern")
    not_said: Text | None = Field(default=None, description="the caller does not hear this")
    metadata: dict[str, str] | None = Field(
        default=None, description="a response carries at least these pairs"
    )
    outcome: str | None = Field(
        default=None, description="a response ends like this (the one with `metadata`, if both are given)"
    )
    latency_ms: Ms | None = Field(
        default=None, description="the agent's voice comes at most so long after the caller's last sound"
    )
    tool: Text | None = Field(default=None, description="the model calls these tools, in this order")


class Turn(_Table):
    """One act of the caller, or only listening, and what is expected of the agent until the next one."""

    says: str | None = Field(default=None, description="the caller's words, as they are understood")
    lasts_ms: Ms | None = Field(default=None, description="how long saying them takes")
    digits: Keys | None = Field(default=None, description="keys that the caller presses")
    pace_ms: Ms = Field(default=250, description="time between two keys")
    silence_ms: Ms | None = Field(default=None, description="the caller is silent for so long")
    holds_ms: Ms | None = Field(default=None, description="the caller's side puts us on hold for so long")
    hangup: Literal[True] | None = Field(default=None, description="the caller hangs up")
    operator: Operator | None = Field(default=None, description="an operator makes the agent speak")
    wait_for: Text | None = Field(
        default=None,
        description="acts when the flow reaches this step (several: in order), not after the agent's words",
    )
    barge_in_at_ms: Ms | None = Field(
        default=None, description="acts so long after the agent's voice is heard, while it speaks"
    )
    after_ms: Ms | None = Field(default=None, description="a pause before the act (default: the scenario's)")
    expect: Expectation | None = Field(default=None, description="see below")

    @model_validator(mode="after")
    def _one_act(self) -> Turn:
        acts = [name for name in ACTS if getattr(self, name) is not None]
        if len(acts) > 1:
            raise ValueError(f"has more than one act: {', '.join(acts)}")
        if self.barge_in_at_ms is not None and not acts:
            raise ValueError("barge_in_at_ms needs an act: says, digits, hangup or operator")
        if self.barge_in_at_ms is not None and self.silence_ms is not None:
            raise ValueError("silence does not barge in")
        if self.lasts_ms is not None and self.says is None:
            raise ValueError("lasts_ms belongs to says")
        return self

    @property
    def act(self) -> str:
        """Name of the act, or empty when the caller only listens."""
        return next((name for name in ACTS if getattr(self, name) is not None), "")


ACTS = ("says", "digits", "silence_ms", "holds_ms", "hangup", "operator")


class End(_Table):
    """How the whole call is expected to go."""

    outcome: str | None = Field(default=None, description="success, caller, ours or provider")
    reason: str | None = Field(
        default=None, description="the code that ends it: completed, caller_hung_up, transferred …"
    )
    steps: list[str] | None = Field(
        default=None, description="the flow's steps in this order; others may stand between"
    )
    said: Text | None = Field(default=None, description="heard at some time")
    not_said: Text | None = Field(default=None, description="never heard")
    transferred_to: str | None = Field(default=None, description="whom the caller was handed to")
    duration_ms: Ms | None = Field(default=None, description="the call takes at most so long")


class Scenario(_Table):
    """One simulated call."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    name: str = Field(default="", description="what reports call it (default: the file's name)")
    flow: str | None = Field(default=None, description="which flow answers, where the file has several")
    caller: str = Field(default="+442079460000", description="who calls")
    caller_name: str = Field(default="", description="the display name that comes with it")
    called: str | None = Field(default=None, description="the number called (default: one of the flow's)")
    headers: dict[str, str] = Field(default_factory=dict[str, str], description="headers of the INVITE")
    trunk: str = Field(default="", description="over which trunk it comes")
    direction: Literal["inbound", "outbound"] = Field(
        default="inbound", description="outbound: we call, and the other side answers as `answer` says"
    )
    metadata: dict[str, str] = Field(
        default_factory=dict[str, str], description="outbound: what whoever asked for the call gave with it"
    )
    limit_s: float = Field(default=LIMIT_S, gt=0, le=86_400, description="a longer call has failed")
    after_ms: Ms = Field(default=300, description="the caller's pause before each act")
    tools: dict[str, Answers] = Field(
        default_factory=dict[str, Answers],
        description="results in place of tool functions, by name; of a list, one after the other",
    )
    fetch: dict[str, Answers] = Field(
        default_factory=dict[str, Answers],
        description="results in place of fetched data, by name; of a list, one after the other",
    )
    provider: Provider = Field(default_factory=Provider, description="the simulated model")
    transfer: Transfer = Field(default_factory=Transfer, description="what becomes of transfers")
    queues: dict[str, Queue] = Field(
        default_factory=dict[str, Queue], description="how it goes in the queues, by name"
    )
    answer: Transfer = Field(default_factory=Transfer, description="outbound: what becomes of our call")
    turns: list[Turn] = Field(default_factory=list[Turn], alias="turn", description="what happens")
    expect: End = Field(default_factory=End, description="how the call ends")


TABLES: Mapping[str, type[BaseModel]] = {
    "": Scenario,
    "turn": Turn,
    "turn.expect": Expectation,
    "turn.operator": Operator,
    "expect": End,
    "tools.NAME": Answer,
    "provider": Provider,
    "transfer": Transfer,
    "queues.NAME": Queue,
}
"""The tables of a scenario by the name that the documentation gives them."""


def texts(given: Text | None) -> list[str]:
    """Return one text or several as a list."""
    return [] if given is None else [given] if isinstance(given, str) else list(given)

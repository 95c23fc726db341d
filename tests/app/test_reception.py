"""Places on the node: taken by a call, given back whatever becomes of it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from voiceagent.app.incoming import Reception
from voiceagent.call.admission import Admission, Refusal
from voiceagent.call.config import AdmissionConfig, CallConfig
from voiceagent.call.leg import Leg
from voiceagent.ids import counted_tokens
from voiceagent.ivr.flow import FlowBook
from voiceagent.ivr.front_desk import front_desk
from voiceagent.observe.metrics import Metrics


class House:
    """A reception whose parts break on cue."""

    def __init__(self, max_calls: int = 1) -> None:
        self.admission = Admission(AdmissionConfig(max_calls))
        self.metrics = Metrics(version="test")
        self.idle = 0
        self.reception = Reception(
            flows=lambda: FlowBook([front_desk]),
            admission=self.admission,
            directory=cast("Any", None),
            metrics=self.metrics,
            journals=cast("Any", self),
            open_session=cast("Any", None),
            transcription=None,
            config=CallConfig(),
            tokens=counted_tokens("t"),
            on_idle=self._idle,
        )

    def _idle(self) -> None:
        self.idle += 1

    def open(self, name: str, **_: object) -> None:
        raise OSError("no journal")

    def place(self, leg: Leg) -> object:
        return self.reception.place(lambda: leg, front_desk, metadata={}, over=lambda: None)


class SomeLeg:
    def __init__(self) -> None:
        from voiceagent.call.leg import LegInfo

        self.info = LegInfo("leg", "direct", "alice", "100")


async def test_a_call_that_cannot_be_begun_gives_its_place_back() -> None:
    house = House()
    for _ in range(3):
        with pytest.raises(OSError, match="no journal"):
            house.place(cast("Leg", SomeLeg()))
        with pytest.raises(OSError, match="no journal"):
            house.reception.offered(cast("Leg", SomeLeg()))
    assert (house.admission.live, house.idle) == (0, 6)


async def test_a_refused_call_of_ours_is_counted_by_who_asked_and_not_twice() -> None:
    house = House(max_calls=0)
    refusal = house.place(cast("Leg", SomeLeg()))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "capacity"
    assert 'voiceagent_calls_refused_total{reason="capacity"}' not in house.metrics.render()

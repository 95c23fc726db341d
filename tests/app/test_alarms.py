"""What happens on a node becomes alerts: events, gauge, list."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from voiceagent.app.alarms import Alarms
from voiceagent.app.events import EventHub
from voiceagent.call.admission import Admission
from voiceagent.call.config import AdmissionConfig
from voiceagent.console.models_alerts import AlertModel
from voiceagent.console.ports import LiveEvent
from voiceagent.ids import counted_tokens
from voiceagent.observe.alerts import AlertConfig
from voiceagent.observe.metrics import Metrics


class Node:
    """Alarms with a clock that stands still, and what they told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.hub, self.metrics = EventHub(), Metrics()
        self.told: list[LiveEvent] = []
        self.hub.listen(self.told.append)
        config = AlertConfig(calm_s=10.0, provider_errors_per_min=2)
        self.alarms = Alarms(
            config, self.hub, self.metrics, counted_tokens(), provider="embedded", clock=lambda: self.now
        )
        self.admission = Admission(AdmissionConfig(max_calls=1))

    def look(self, *calls: Any, trunks: tuple[dict[str, Any], ...] = ()) -> None:
        self.alarms.look(calls, self.admission, trunks)


def a_call(silence_s: float) -> Any:
    return SimpleNamespace(id="c1", watch=SimpleNamespace(silence_s=silence_s))


def test_dead_air_of_a_call() -> None:
    node = Node()
    node.look(a_call(4.0))
    node.look(a_call(5.5))
    node.look(a_call(6.5))
    (event,) = node.told
    assert (event.type, event.call_id) == ("alert.raised", "c1")
    AlertModel.model_validate(event.data)
    assert 'voiceagent_alerts{kind="dead_air"} 1.0' in node.metrics.render()
    node.alarms.call_ended("c1")
    assert node.told[1].type == "alert.cleared"
    assert node.told[1].data["id"] == event.data["id"]
    assert 'voiceagent_alerts{kind="dead_air"} 0.0' in node.metrics.render()
    assert node.alarms.views() == [node.told[1].data]


def test_a_full_node_and_a_trunk() -> None:
    node = Node()
    node.admission.enter()
    down = {"name": "carrier", "up": False, "detail": "403 Forbidden"}
    node.look(trunks=(down,))
    node.now += 31
    node.look(trunks=(down,))
    assert [(one.data["kind"], one.call_id) for one in node.told] == [("capacity", ""), ("trunk_down", "")]
    assert "403 Forbidden" in node.told[1].data["text"]


def test_failures_of_the_provider_are_read_from_journals() -> None:
    node = Node()
    take = node.alarms.journal_entry
    take({"type": "call.answered"})
    assert 'voiceagent_provider_up{provider="embedded"} 1.0' in node.metrics.render()
    take({"type": "provider.error", "code": "response_cancel_not_active"})  # harmless
    take({"type": "provider.error", "code": "server_error"})
    take({"type": "notice", "code": "held"})
    assert node.told == []
    take({"type": "provider.lost", "reason": "closed"})
    (event,) = node.told
    assert event.data["kind"] == "provider_errors"
    rendered = node.metrics.render()
    assert 'voiceagent_provider_up{provider="embedded"} 0.0' in rendered
    assert 'voiceagent_provider_errors_total{code="server_error"} 1.0' in rendered
    take({"type": "recovery.restored"})
    assert 'voiceagent_provider_up{provider="embedded"} 1.0' in node.metrics.render()


def test_slow_turns() -> None:
    node = Node()
    for _ in range(20):
        node.alarms.turn_answered(4.0)
    assert [one.data["kind"] for one in node.told] == ["latency"]

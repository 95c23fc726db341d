"""What a node tells its fleet of its own calls: how each stands, for the registry, and every event.

State changes go out as they come. Transcripts grow word by word: of one call they go out ten times a second
at most, each line as it stands then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from voiceagent.cluster.ports import Cluster
from voiceagent.console.ports import LiveEvent

LINE_S = 0.1
"""Between two times that lines of one call go out."""
OF_THE_LIST = frozenset({"call.started", "call.changed"})


class Timer(Protocol):
    """What :meth:`Clock.call_later` returns."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """The part of an event loop that is needed here."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer: ...


class LineBrake:
    """Lines of one call. The first one of a pause goes out at once, later ones together."""

    def __init__(self, clock: Clock, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._waiting: dict[str, Mapping[str, Any]] = {}
        self._timer: Timer | None = None
        self._next = clock.time()

    def take(self, line: Mapping[str, Any]) -> None:
        """Tell it, now or soon; a newer state of a line that waits takes its place."""
        item = str(line.get("item_id", "")) or f"#{len(self._waiting)}"
        self._waiting[item] = line
        if self._timer is None:
            wait = self._next - self._clock.time()
            if wait <= 0:
                self.flush()
            else:
                self._timer = self._clock.call_later(wait, self.flush)

    def flush(self) -> None:
        """Tell what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._next = self._clock.time() + LINE_S
        waiting, self._waiting = self._waiting, {}
        for line in waiting.values():
            self._tell(line)


class FleetNews:
    """Publishes a node's events; a listener of its hub, so it must not wait."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._brakes: dict[str, LineBrake] = {}

    def on_event(self, event: LiveEvent) -> None:
        """Tell the registry first: whoever hears of an end finds the call gone."""
        cluster, call_id = self._cluster, event.call_id
        if event.type == "transcript.line":
            brake = self._brakes.get(call_id)
            if brake is None:
                brake = self._brakes[call_id] = LineBrake(
                    self._clock, lambda line: cluster.publish("transcript.line", call_id, line)
                )
            brake.take(event.data)
            return
        if event.type in OF_THE_LIST:
            cluster.call_changed(call_id, event.data)
        elif event.type == "call.ended":
            brake = self._brakes.pop(call_id, None)
            if brake is not None:
                brake.flush()
            cluster.call_ended(call_id)
        cluster.publish(event.type, call_id, event.data)

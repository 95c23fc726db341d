"""What a node tells its fleet of its own calls: how each stands, for the registry, and every event.

State changes go out as they come. Transcripts grow word by word: of one call they go out four times a second
at most, each line as it stands then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from voiceagent.cluster.ports import Cluster
from voiceagent.console.ports import LiveEvent

LINE_S = 0.25
"""Between two times that lines of one call go out."""
REGISTRY_S = 1.0
"""Between two times that the registry is told of one call."""
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


class CallNews:
    """How one call stands: whole in the registry, once a second at most; by what has changed in events.

    Who begins to watch has what the registry had, and reads every event since. So an event tells each field
    that is not as the registry has it, or not as the event before told.
    """

    def __init__(self, cluster: Cluster, clock: Clock, call_id: str) -> None:
        self._cluster = cluster
        self._clock = clock
        self._call_id = call_id
        self._written: Mapping[str, Any] = {}
        self._told: Mapping[str, Any] = {}
        self._next = clock.time()
        self._timer: Timer | None = None
        self.lines = LineBrake(clock, lambda line: cluster.publish("transcript.line", call_id, line))

    def stands(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell how it stands now."""
        news, self._told = self._news(data), data
        wait = self._next - self._clock.time()
        if wait <= 0 or kind == "call.started":
            self._write()
        elif self._timer is None:
            self._timer = self._clock.call_later(wait, self._late)
        if news:
            self._cluster.publish(kind, self._call_id, data if kind == "call.started" else news)

    def _news(self, data: Mapping[str, Any]) -> dict[str, Any]:
        written, told = self._written, self._told
        return {
            name: value
            for name, value in data.items()
            if name not in written or value != written[name] or value != told.get(name)
        }

    def _late(self) -> None:
        """Whoever has looked since the last time has old news."""
        news = self._news(self._told)
        self._write()
        if news:
            self._cluster.publish("call.changed", self._call_id, news)

    def _write(self) -> None:
        self._stop()
        self._next = self._clock.time() + REGISTRY_S
        self._written = self._told
        self._cluster.call_changed(self._call_id, self._told)

    def end(self) -> None:
        """It is over: tell its last words, and take it out of the registry."""
        self._stop()
        self.lines.flush()
        self._cluster.call_ended(self._call_id)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class FleetNews:
    """Publishes a node's events; a listener of its hub, so it must not wait."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._calls: dict[str, CallNews] = {}

    def on_event(self, event: LiveEvent) -> None:
        """Tell the registry first: whoever hears of an end finds the call gone."""
        call_id = event.call_id
        if event.type in OF_THE_LIST and (call_id in self._calls or event.data.get("state") != "ended"):
            self._of(call_id).stands(event.type, event.data)
            return  # what changes of an ended call (its tags) is told only: the registry has live ones
        if event.type == "transcript.line" and call_id in self._calls:
            self._calls[call_id].lines.take(event.data)
            return
        if event.type == "call.ended":
            self._of(call_id).end()
            del self._calls[call_id]
        self._cluster.publish(event.type, call_id, event.data)

    def _of(self, call_id: str) -> CallNews:
        found = self._calls.get(call_id)
        if found is None:
            found = self._calls[call_id] = CallNews(self._cluster, self._clock, call_id)
        return found

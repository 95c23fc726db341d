"""``voiceagent top``: the floor in a terminal, from the live stream."""

from __future__ import annotations

import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from voiceagent.cli.calls import Where, run
from voiceagent.cli.calls_text import clock, doing, node_of_call, of_several_nodes, party, short, where
from voiceagent.cli.node import Json, Node
from voiceagent.cli.run import show_json

if TYPE_CHECKING:
    from rich.console import RenderableType

FRAME_S = 0.25
QUITS = frozenset("qQ\x03\x04")
ENDED_SHOWN = 5


class Floor:
    """PURE. What the live stream has told so far. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.calls: dict[str, Json] = {}
        self.waiting: dict[str, dict[str, Json]] = {}
        """Requests that have not ended, by call."""
        self.alerts: dict[str, Json] = {}
        self.stale = ""
        """Why the calls of other nodes may be out of date."""
        self._right_at: dict[str, float] = {}

    def take(self, kind: str, message: Json, now: float) -> None:
        """Take one event of ``/v1/events``."""
        if kind == "snapshot":
            self.calls = {call["id"]: call for call in message["calls"]}
            self.stale = message.get("cluster", {}).get("stale", "")
            self._right_at = dict.fromkeys(self.calls, now)
            self.waiting.clear()
            return
        call_id, data = message.get("call_id", ""), message.get("data", {})
        if kind.startswith("call.") and (call_id in self.calls or "caller" in data):
            self.calls[call_id] = {**self.calls.get(call_id, {}), **data}
            if "duration_s" in data:
                self._right_at[call_id] = now
            if kind == "call.ended":
                self.waiting.pop(call_id, None)
        elif kind == "response.state":
            requests = self.waiting.setdefault(call_id, {})
            if data["ended"]:
                requests.pop(data["id"], None)
            else:
                requests[data["id"]] = data
        elif kind == "transcript.line" and call_id in self.calls:
            self.calls[call_id]["last_words"] = f"{data['speaker']}: {data['text']}"
        elif kind == "alert.raised":
            self.alerts[data["id"]] = data
        elif kind == "alert.cleared":
            self.alerts.pop(data["id"], None)

    def live(self) -> list[Json]:
        """Return the live calls, the longest first."""
        return sorted(
            (one for one in self.calls.values() if one["state"] != "ended"), key=lambda one: one["started_at"]
        )

    def ended(self) -> list[Json]:
        """Return the newest ended calls."""
        over = [one for one in self.calls.values() if one["state"] == "ended"]
        return sorted(over, key=lambda one: one["started_at"], reverse=True)[:ENDED_SHOWN]

    def seconds(self, call: Json, now: float) -> float:
        """Return how long a call has lasted by now."""
        since = 0.0 if call["state"] == "ended" else now - self._right_at.get(call["id"], now)
        return float(call["duration_s"]) + since

    def queue(self, call: Json) -> str:
        """What waits or is spoken: how many, and the newest one's state with its reason."""
        requests = list(self.waiting.get(call["id"], {}).values())
        if not requests:
            return ""
        newest = requests[-1]
        words = f"{newest['state']}: {newest['reason']}" if newest["reason"] else str(newest["state"])
        return words if len(requests) == 1 else f"{len(requests)} × {words}"


def picture(floor: Floor, url: str, link: str, now: float) -> RenderableType:
    """Return the screen."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    live = floor.live()
    head = Text.assemble(
        ("voiceagent ", "bold"),
        (url, "dim"),
        "   ",
        (f"{len(live)} live", "bold green"),
        "   ",
        (link, "dim"),
        "   ",
        ("q quits", "dim"),
        (f"   registry stale: {short(floor.stale, 60)}" if floor.stale else "", "bold yellow"),
    )
    alerts = [Text(f"⚠ {short(alert['text'], 100)}", style="bold yellow") for alert in floor.alerts.values()]
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
    shown = (*live, *floor.ended())
    several = of_several_nodes(shown)
    for name, ratio in (
        *((("NODE", 1),) if several else ()),
        ("PARTY", 3),
        ("TIME", 1),
        ("STATE", 3),
        ("FLOW", 3),
        ("QUEUE", 4),
        ("LAST WORDS", 8),
    ):
        table.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")
    for call in shown:
        over = call["state"] == "ended"
        colour = "dim" if over else {"caller": "blue", "agent": "green"}.get(call["floor"], "")
        cells = (party(call), clock(floor.seconds(call, now)), doing(call), where(call), floor.queue(call))
        node = (node_of_call(call),) if several else ()
        row = [Text(cell, style=colour) for cell in (*node, *cells, short(call["last_words"], 200))]
        table.add_row(*row)
    if not live:
        table.add_row(Text("No live calls.", style="dim"))
    return Group(head, *alerts, Text(), table)


def run_top(where_: Where) -> None:
    """Show the floor until q, Ctrl-C, or the service is gone for good."""
    run(where_, lambda node: _once(node) if where_.as_json or not sys.stdout.isatty() else _watch(node))


def _once(node: Node) -> None:
    calls = node.ask("GET", "/v1/calls", params={"state": "live"})["calls"]
    show_json({"url": node.url, "live": len(calls), "calls": calls})


def _watch(node: Node) -> None:
    from rich.live import Live

    floor, news = Floor(), queue.Queue[Any](maxsize=10_000)

    def listen() -> None:
        try:
            for event in node.events():
                news.put(event)
        except BaseException as error:  # told on the main thread
            news.put(error)

    threading.Thread(target=listen, name="top/events", daemon=True).start()
    link = "connecting"
    with (
        _keys() as pressed,
        Live(picture(floor, node.url, link, 0.0), screen=True, auto_refresh=False) as screen,
    ):
        while not QUITS & set(pressed(FRAME_S)):
            now = time.monotonic()
            while not news.empty():
                event = news.get()
                if isinstance(event, BaseException):
                    raise event
                kind, message = event
                link = "reconnecting" if kind == "bye" else "live"
                floor.take(kind, message, now)
            screen.update(picture(floor, node.url, link, now), refresh=True)


def _no_keys(seconds: float) -> str:
    time.sleep(seconds)
    return ""


@contextmanager
def _keys() -> Generator[Callable[[float], str]]:
    """Yield a function that waits so many seconds and returns the keys that were pressed."""
    import termios
    import tty

    if not sys.stdin.isatty():
        yield _no_keys
        return
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    tty.setcbreak(file)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([file], [], [], seconds)
        return os.read(file, 64).decode("utf-8", "replace") if ready else ""

    try:
        yield pressed
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)

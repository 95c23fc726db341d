"""A floor as it is on a busy morning, for pictures and for tests of the look."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from playwright.async_api import Page

import voiceagent
from tests.console.fake_directory import FakeDirectory, a_call, a_trunk
from voiceagent.console.ports import ResponseView, TranscriptLine
from voiceagent.store import presets
from voiceagent.store.presets import Preset

if TYPE_CHECKING:
    from sqlalchemy import Connection

STEPS = ("greeting", "identify", "order", "address", "payment", "goodbye")
FLOWS = ("front-desk", "orders", "clinic")
WORDS = (
    "Good morning, Albion Books. How can I help you?",
    "I ordered a bike lock last week and it has not come.",
    "Could you tell me the postcode, please?",
    "It's S, W, one, A, two, A, A.",
    "Let me look that up for you, one moment.",
    "That would be lovely, thank you.",
    "I'd rather speak to a person, if I may.",
)
FLOORS = ("agent", "caller", "nobody", "agent", "caller", "agent", "held")


def fill_floor(directory: FakeDirectory, calls: int = 30) -> None:
    """Put ``calls`` live calls there, three ended ones, and three trunks."""
    now = time.time()
    directory.trunk_views = [
        a_trunk("carrier-a", up=True, registration="registered", detail="", calls=17, max_calls=30),
        a_trunk("carrier-b", calls=0),
        a_trunk("office", up=True, registration="off", detail="", calls=13),
    ]
    for n in range(calls):
        outbound = n % 7 == 3
        age = 7 + (n * 37) % 290 + n * 4
        directory.put_call(
            a_call(
                f"c{n}",
                caller="+442079460018" if outbound else f"+4477009{n * 7919 % 100000:05d}",
                called=f"+4420794{n * 104729 % 100000:05d}" if outbound else "+442079460018",
                direction="outbound" if outbound else "inbound",
                trunk=("carrier-a", "office")[n % 2],
                flow=FLOWS[n % 3],
                step=STEPS[(n * 5) % 6],
                floor="nobody" if n == 10 else FLOORS[n % 7],
                held_by=["us"] if n % 7 == 6 else [],
                state="ringing" if n == 10 else "talking",
                last_words="" if n == 10 else WORDS[(n * 3) % 7],
                started_at=now - age,
                duration_s=float(age),
                provider="openai",
                abilities=("hold", "transfer", "consult", "send_digits", "listen", "take_over"),
            )
        )
    for n, kind in enumerate(("caller_hung_up", "we_hung_up", "transferred")):
        directory.put_call(
            a_call(f"e{n}", caller=f"+44770090{n}0{n}1", floor="nobody", started_at=now - 600 - 90 * n)
        )
        directory.end_call(f"e{n}", kind)


def fill_call(directory: FakeDirectory, call_id: str = "c1") -> None:
    """Let a conversation take place in ``call_id``: with a cut line, tools, and a full queue."""
    lines = (
        (1.2, "agent", "Good morning, Albion Books. How can I help you?", "", False),
        (5.1, "caller", "Hello, I ordered a bike lock last week and it has not come.", "", False),
        (8.4, "agent", "I am sorry to hear that. Could you tell me", "your order number, please?", True),
        (10.9, "caller", "Yes, it's four four one seven.", "", False),
        (12.0, "system", "lookup_order(4417) → shipped, due Thursday", "", False),
        (13.3, "agent", "Thank you. Your lock left our warehouse yesterday.", "", False),
        (17.8, "operator", "The courier was late; offer free express next time.", "", False),
        (20.2, "agent", "The courier was late, I'm afraid, so the next express is on us.", "", False),
        (26.0, "caller", "That would be lovely, thank you. When will it be here?", "", False),
    )
    for at, speaker, heard, rest, cut in lines:
        full = f"{heard} {rest}".strip()
        directory.say(call_id, TranscriptLine(at, speaker, heard, full, f"i{at}", cut))
    now = time.time()
    done: dict[str, object] = {"kind": "completed", "heard_ms": 3300}
    responses: tuple[tuple[str, str, str, str, dict[str, object] | None], ...] = (
        ("turn", "", "completed", "", done),
        ("turn", "", "interrupted", "barge_in", {"kind": "interrupted", "heard_ms": 1800}),
        ("ivr", "Confirm the order number and say where it is.", "completed", "", done),
        ("operator", "Offer free express delivery next time.", "completed", "", done),
        ("ivr", "Ask whether there is anything else.", "superseded", "newer_request", {"kind": "superseded"}),
        ("turn", "", "audible", "", None),
        ("operator", "Say that it arrives on Thursday before noon.", "queued", "caller_speaking", None),
        ("ivr", "Say goodbye.", "queued", "behind_other", None),
    )  # fmt: skip
    for n, (origin, wish, state, reason, outcome) in enumerate(responses):
        directory.put_response(
            ResponseView(
                f"req{n}",
                call_id,
                origin,
                wish or None,
                {"purpose": "status"} if origin == "operator" else {},
                state,
                reason,
                now - 4.0,
                outcome,
            )
        )
    figures = {
        "turns": 4,
        "barge_ins": 1,
        "latency_p50_ms": 640,
        "latency_p95_ms": 910,
        "rtp_lost": 2,
        "jitter_ms": 3.4,
    }
    directory.change(call_id, figures=figures, last_words=lines[-1][2], floor="caller")
    directory.change(
        call_id,
        tags=("vip", "late parcel"),
        listeners=[{"name": "ann", "since": now - 20.0}],
        recording={"state": "running", "files": ["c1.wav"]},
    )


def fill_presets(connection: Connection) -> None:
    """Keep two triggers at hand."""
    for name, when in (("Apologise for the wait", "now"), ("Offer a person", "idle")):
        presets.save_preset(
            connection, Preset(name, f"{name}, in one sentence.", {"purpose": "care"}, when), by="ann"
        )


def some_alerts() -> list[dict[str, Any]]:
    """Return what needs help: two calls and a trunk."""
    now = time.time()
    found = (
        ("a1", "dead_air", "c4", "Nobody has spoken for 12 s.", 12.0),
        ("a2", "latency_over_budget", "c7", "Answers take 1.9 s at p95; the budget is 1.2 s.", 41.0),
        ("a3", "trunk_down", None, "carrier-b: 403 Forbidden", 95.0),
    )
    return [
        {"id": one, "kind": kind, "call_id": call, "text": text, "since": now - age, "cleared_at": None}
        for one, kind, call, text, age in found
    ]


def a_timeline() -> dict[str, Any]:
    """Return the time line of the call of :func:`fill_call`."""
    turns = ((1.2, 410, 260), (8.4, 640, 520), (13.3, 910, 770), (20.2, 560, 430))
    return {
        "duration_s": 31.0,
        "caller": [[5.1, 8.0], [9.9, 12.0], [26.0, 29.0]],
        "generated": [
            {"from": 1.2, "to": 4.1, "response_id": "req0"},
            {"from": 8.4, "to": 12.2, "response_id": "req1"},
            {"from": 13.3, "to": 16.6, "response_id": "req2"},
            {"from": 20.2, "to": 24.3, "response_id": "req3"},
        ],
        "heard": [
            {"from": 1.2, "to": 4.1, "response_id": "req0", "cut": False},
            {"from": 8.4, "to": 10.2, "response_id": "req1", "cut": True},
            {"from": 13.3, "to": 16.6, "response_id": "req2", "cut": False},
            {"from": 20.2, "to": 24.3, "response_id": "req3", "cut": False},
        ],
        "marks": [
            {"at": 10.2, "kind": "barge_in", "text": "the caller spoke"},
            {"at": 12.0, "kind": "tool", "text": "lookup_order"},
            {"at": 17.8, "kind": "operator", "text": "ann: offer free express"},
        ],
        "turns": [
            {
                "at": at,
                "response_id": f"req{n}",
                "latency_ms": ms,
                "parts": {"model": model, "playout": ms - model},
            }
            for n, (at, ms, model) in enumerate(turns)
        ],
        "latency": {"p50_ms": 640, "p95_ms": 910},
    }


def a_fleet() -> dict[str, Any]:
    """Three nodes, of which one is being replaced."""
    told = {"max_calls": 100, "version": voiceagent.__version__, "seen_at": time.time(), "console": ""}
    return {
        "node": "front-a",
        "shared": True,
        "stale": "",
        "nodes": [
            {**told, "name": "front-a", "state": "up", "calls": 30, "sip": "192.0.2.11:5060"},
            {**told, "name": "front-b", "state": "up", "calls": 41, "sip": "192.0.2.12:5060"},
            {**told, "name": "front-c", "state": "draining", "calls": 3, "sip": "192.0.2.13:5060"},
        ],
    }


async def serve_fleet(page: Page) -> None:
    """Answer for the fleet, which a fake directory does not have."""
    await page.route("**/v1/cluster", lambda route: route.fulfill(json=a_fleet()))


async def serve_parts(page: Page) -> None:
    """Answer for alerts and the time line, which the calls of a fake directory do not have."""
    await page.route("**/v1/alerts", lambda route: route.fulfill(json={"alerts": some_alerts()}))
    await page.route("**/v1/calls/*/timeline", lambda route: route.fulfill(json=a_timeline()))

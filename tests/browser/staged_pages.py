"""Users, keys, an audit log, deliveries, alerts and flows as they are after some weeks, for pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.console.fake_directory import FakeDirectory, a_flow_set
from voiceagent.store import Database, outbox, users
from voiceagent.store.audit import Deed, append

if TYPE_CHECKING:
    from sqlalchemy import Connection

PEOPLE = (("ann", "admin"), ("ben", "operator"), ("Chloé Dubois", "supervisor"), ("dee", "viewer"))
DEEDS: tuple[tuple[str, str, str, str, str, str, Mapping[str, Any]], ...] = (
    ("ann", "admin", "page", "session.sign_in", "usr_1", "done", {}),
    ("ann", "admin", "page", "user.add", "usr_2", "done", {"name": "ben", "role": "operator"}),
    ("ben", "operator", "page", "call.respond", "call_3", "done", {"when": "now"}),
    ("ben", "operator", "page", "call.hold", "call_3", "done", {}),
    ("Chloé Dubois", "supervisor", "page", "call.listen", "call_4", "done", {}),
    ("dialler", "operator", "api", "call.dial", "call_5", "done", {"flow": "orders"}),
    ("nobody", "nobody", "api", "session.sign_in", "erik", "unauthenticated", {}),
    ("ben", "operator", "page", "call.transfer", "call_3", "target_not_allowed", {"target": "sip:sales@pbx"}),
    ("Chloé Dubois", "supervisor", "page", "flows.reload", "", "done", {"version": 3}),
)


class Receivers:
    """Two receivers of webhooks, one of which fails."""

    def endpoints(self) -> Sequence[Mapping[str, Any]]:
        crm = {"name": "crm", "url": "https://hooks.example.com", "events": ["call.started", "call.ended"]}
        wall = {"name": "wallboard", "url": "https://wall.example.com", "events": ["alert.raised"]}
        return [
            {**crm, "state": "failing", "last_error": "answered with status 500"},
            {**wall, "state": "on", "last_error": ""},
        ]

    def wake(self, endpoint: str) -> bool:
        return True


async def fill_people(database: Database) -> None:
    """Make users, keys and lines of the audit log."""
    now = time.time()

    def fill(c: Connection) -> None:
        for name, role in PEOPLE:
            users.add_user(c, name, role, "no password")
        users.change_user(c, users.add_user(c, "erik", "operator", "no password").id, disabled=True)
        for name, role, expires_at in (("dialler", "operator", None), ("grafana", "viewer", now + 9e6)):
            users.add_key(c, name, role, created_by="ann", expires_at=expires_at)
        gone, _ = users.add_key(c, "crm-sync", "operator", created_by="ann", expires_at=now + 1e6)
        users.revoke_key(c, gone.id)
        for n, (actor, role, via, action, target, result, detail) in enumerate(DEEDS * 3):
            deed = Deed(actor, role, via, action, target, result, "127.0.0.1", detail)
            append(c, [deed], at=now - (len(DEEDS) * 3 - n) * 3700)

    await database.run(fill)


async def fill_health(database: Database, directory: FakeDirectory) -> None:
    """Let two alerts stand, a webhook be given up, and a setting wait for a restart."""
    now = time.time()

    def fill(c: Connection) -> None:
        for n in range(1, 8):
            kind, end = ("call.ended", "crm") if n % 3 else ("alert.raised", "wallboard")
            outbox.put(
                c, [end], event_id=f"msg_{n}", kind=kind, call_id=f"call_{n}", payload="{}", at=now - 900
            )
        for n in (2, 3, 4, 6):
            outbox.delivered(c, n, status=204, at=now - 890)
        for n in (1, 5):
            outbox.failed(c, n, status=500, error="answered with status 500", at=now - 60, retry_at=None)
        outbox.failed(c, 7, status=None, error="no answer within 5 s", at=now - 10, retry_at=now + 55)

    await database.run(fill)
    text = "The caller hears nothing for 7 s while it is our turn."
    directory.alert("dead_air", call_id="c1", text=text, since=now - 40)
    text = "Trunk carrier-b does not answer (403 Forbidden)."
    directory.alert("trunk_down", text=text, since=now - 400)
    text = "The 95th percentile of the last 20 answers is 3.4 s."
    directory.alert("latency", text=text, since=now - 4000, cleared_at=now - 3400)
    directory.parts = {
        "sip": True,
        "calls": 30,
        "max_calls": 100,
        "provider": "openai",
        "provider_state": "ok",
        "recordings": "ok",
        "database": "ok",
        "journal": "ok",
    }
    directory.flow_set = {
        **a_flow_set(),
        "loaded_at": now - 9000,
        "flows": [
            {"name": "front-desk", "numbers": ["100", "+442079460018"], "source": "flows/desk.py"},
            {"name": "orders", "numbers": [], "source": "flows/orders.toml"},
        ],
        "routes": [
            {"place": 1, "flow": "orders", "when": {"number": ["2*"]}},
            {"place": 2, "flow": "front-desk", "when": {}},
        ],
        "default_flow": "front-desk",
        "needs_restart": ["media.srtp"],
    }

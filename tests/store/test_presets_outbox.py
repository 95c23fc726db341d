"""Presets keep their names apart; deliveries wait, are retried, and end."""

from __future__ import annotations

import pytest

from voiceagent.errors import RequestRefused
from voiceagent.store import Database, outbox, presets
from voiceagent.store.presets import Preset


def test_presets(database: Database) -> None:
    save = lambda preset: database.run_now(lambda c: presets.save_preset(c, preset, by="ann"))  # noqa: E731
    hold = save(Preset("Hold on", "Ask for patience.", {"a": "b"}, "now", True))
    assert hold.id
    assert hold.changed_by == "ann"
    assert hold.note_only
    assert hold.metadata == {"a": "b"}
    with pytest.raises(RequestRefused, match="already"):
        save(Preset("Hold on", "Something else."))
    other = save(Preset("Bye", "Say goodbye."))
    with pytest.raises(RequestRefused, match="already"):
        save(Preset("Bye", "…", id=hold.id))
    assert save(Preset("Hold on", "New words.", id=hold.id)).instructions == "New words."
    assert [one.name for one in database.run_now(presets.list_presets)] == ["Bye", "Hold on"]
    database.run_now(lambda c: presets.remove_preset(c, other.id))
    for missing in (lambda c: presets.remove_preset(c, other.id),):
        with pytest.raises(KeyError):
            database.run_now(missing)
    with pytest.raises(KeyError):
        save(Preset("x", "y", id="pre_none"))


def test_a_delivery_is_tried_until_it_is_taken_or_dead(database: Database) -> None:
    run = database.run_now
    run(
        lambda c: outbox.put(
            c, ["crm", "log"], event_id="msg_1", kind="call.ended", call_id="call_1", payload="{}", at=10.0
        )
    )
    (crm,) = run(lambda c: outbox.due(c, "crm", now=10.0))
    assert (crm.id, crm.attempts, crm.state) == ("msg_1", 0, "waiting")
    run(lambda c: outbox.failed(c, crm.n, status=500, error="no", at=10.0, retry_at=15.0))
    assert run(lambda c: outbox.due(c, "crm", now=14.0)) == []
    assert run(lambda c: outbox.next_due(c, "crm")) == 15.0
    run(lambda c: outbox.failed(c, crm.n, status=None, error="no answer", at=15.0, retry_at=None))
    assert run(lambda c: outbox.next_due(c, "crm")) is None
    (log,) = run(lambda c: outbox.due(c, "log", now=10.0))
    run(lambda c: outbox.delivered(c, log.n, status=204, at=11.0))
    assert run(outbox.counts) == {"dead": 1, "delivered": 1}
    dead = run(lambda c: outbox.page(c, state="dead"))[0]
    assert (dead.endpoint, dead.attempts, dead.status, dead.error) == ("crm", 2, None, "no answer")
    again = run(lambda c: outbox.retry(c, dead.n, at=20.0))
    assert (again.state, again.attempts, again.next_at) == ("waiting", 0, 20.0)
    with pytest.raises(KeyError):
        run(lambda c: outbox.retry(c, log.n, at=20.0))
    assert run(lambda c: outbox.sweep(c, delivered_before=12.0, dead_before=12.0)) == 1
    assert run(outbox.counts) == {"waiting": 1}

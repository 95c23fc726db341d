"""PURE: what waits to be written."""

from __future__ import annotations

import json
import random

from voiceagent.cluster.outbox import MOST_EVENTS, Outbox, as_json
from voiceagent.cluster.ports import GAP


def test_of_each_call_the_newest_and_of_events_all_in_order() -> None:
    box = Outbox()
    assert not box
    box.call_changed("c1", {"step": 1})
    box.call_changed("c2", {"step": 1})
    box.call_changed("c1", {"step": 2})
    box.call_ended("c2")
    box.call_ended("never there")
    box.publish("step", "c1", {"n": 1})
    box.publish("step", "c1", {"n": 2})
    batch = box.batch()
    assert batch.changed == (("c1", '{"step":2}'),)
    assert batch.ended == ("c2",)
    assert [(event.seq, event.data["n"]) for event in batch.events] == [(1, 1), (2, 2)]
    assert batch.words()[:5] == [1, 1, "c1", '{"step":2}', "c2"]
    assert batch.words()[5:9] == [1, "step", "c1", '{"n":1}']
    assert not box


def test_what_could_not_be_written_comes_again_unless_something_newer_has_come() -> None:
    box = Outbox()
    box.call_changed("c1", {"step": 1})
    box.call_changed("c2", {"step": 1})
    box.call_changed("c3", {})
    box.call_ended("c3")
    box.publish("step", "c1", {"n": 1})
    failed = box.batch()
    box.call_changed("c1", {"step": 2})
    box.call_ended("c2")
    box.call_changed("c3", {"again": True})
    box.publish("step", "c1", {"n": 2})
    box.give_back(failed)
    batch = box.batch()
    assert dict(batch.changed) == {"c1": '{"step":2}', "c3": '{"again":true}'}
    assert batch.ended == ("c2",)
    assert [event.seq for event in batch.events] == [1, 2]


def test_of_too_many_events_the_newest_are_kept_and_a_gap_stands_for_the_others() -> None:
    box = Outbox(kept=10)
    for number in range(1, 26):
        box.publish("step", "c1", {"n": number})
        if number == 12:
            box.give_back(box.batch())
    events = box.batch().events
    assert (events[0].kind, events[0].data) == (GAP, {"dropped": 15})
    assert [event.seq for event in events] == list(range(15, 26))
    assert [event.data["n"] for event in events[1:]] == list(range(16, 26))


def test_a_registry_that_has_forgotten_us_is_told_all_live_calls() -> None:
    box = Outbox()
    for name in ("c1", "c2", "c3"):
        box.call_changed(name, {"of": name})
    box.call_ended("c2")
    box.batch()
    box.all_again()
    assert dict(box.batch().changed) == {"c1": '{"of":"c1"}', "c3": '{"of":"c3"}'}


def test_whatever_fails_the_registry_ends_with_the_truth_and_each_event_once() -> None:
    """In 20 worlds."""
    for seed in range(20):
        write_over_a_bad_line(seed)


def write_over_a_bad_line(seed: int) -> None:
    """A registry as the script is: batches as one step, numbers it knows skipped; answers get lost."""
    chance, box = random.Random(seed), Outbox()
    calls: dict[str, str] = {}
    truth: dict[str, dict[str, int]] = {}
    events: list[int] = []
    newest = told = 0

    def write() -> None:
        nonlocal newest
        batch, arrives, answered = box.batch(), chance.random() < 0.7, chance.random() < 0.7
        if arrives:
            calls.update(batch.changed)
            for name in batch.ended:
                calls.pop(name, None)
            for event in batch.events:
                if event.seq > newest:
                    events.append(event.data["n"])
                    newest = event.seq
        if not (arrives and answered):
            box.give_back(batch)

    for step in range(600):
        name = f"c{chance.randrange(6)}"
        match chance.randrange(4):
            case 0:
                truth[name] = {"step": step}
                box.call_changed(name, truth[name])
            case 1:
                truth.pop(name, None)
                box.call_ended(name)
            case 2:
                told += 1
                box.publish("step", name, {"n": told})
            case _:
                write()
    while box:
        write()
    assert {name: json.loads(data) for name, data in calls.items()} == truth
    assert events == list(range(1, told + 1))


def test_a_batch_has_bounds_and_json_can_be_made_of_anything() -> None:
    box = Outbox()
    for number in range(MOST_EVENTS + 1):
        box.publish("step", "c1", {"n": number})
    assert len(box.batch().events) == MOST_EVENTS
    assert len(box.batch().events) == 1
    loop: dict[str, object] = {}
    loop["self"] = loop
    assert as_json(loop) == as_json({(1, 2): 3}) == "{}"  # type: ignore[dict-item]
    assert as_json({"s": {1}}) == '{"s":"{1}"}'

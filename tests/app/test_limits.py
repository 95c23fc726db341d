"""Every limit of the settings is shown; counts that others keep are taken over once."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from voiceagent.app.gauges import Totals
from voiceagent.app.limits import limits_of
from voiceagent.observe.limits import LIMIT_OF
from voiceagent.settings import Settings, bare_settings

NOT_SHOWN = {
    "sip.stream.reserve": "a part of sip.stream.connections",
    "sip.udp_limit": "a size that decides the transport",
    "media.silence_limit_s": "when a phone is asked whether it lives",
    "media.first_packet_limit_s": "the same",
    "alerts.provider_errors_per_min": "when people are told",
    "journal.reserve_mb": "room that is given up, not a bound",
}
HINTS = ("max_", "_limit", "per_", "most", "connections", "reserve")


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings_of(inner, f"{prefix}{name}.")
        elif any(hint in name for hint in HINTS) and field.annotation in (int, float):
            yield prefix + name


def test_every_setting_that_is_a_limit_is_shown() -> None:
    shown = limits_of(bare_settings({}))
    limits = set(settings_of(Settings)) - NOT_SHOWN.keys()
    assert len(limits) > 10
    assert limits - shown.keys() == set()
    assert shown["call.max_calls"] == 100
    assert shown["media.ports"] == 1000


def test_limits_of_trunks_and_queues_bear_their_names() -> None:
    shown = limits_of(
        bare_settings(
            {
                "call.transfer_targets": ["sip:*@desk.example"],
                "queues": [{"name": "sales", "targets": ["sip:a@desk.example"], "max_waiting": 7}],
                "trunks": [{"name": "west", "addresses": ["192.0.2.1"], "max_calls": 5}],
                "console.enabled": False,
            }
        )
    )
    assert shown["queues.sales.max_waiting"] == 7
    assert shown["trunks.west.max_calls"] == 5
    assert "trunks.west.calls_per_second" not in shown, "0 means as many as come"
    assert not any(name.startswith("console.") for name in shown)


def test_what_a_refusal_counts_as_is_a_limit_that_is_shown() -> None:
    assert set(LIMIT_OF.values()) <= limits_of(bare_settings({})).keys()


def test_a_total_is_taken_over_as_it_grows_and_when_it_began_anew() -> None:
    totals, total, added = Totals(), [3], list[int]()
    totals.follow(lambda: total[0], added.append)
    totals.look()
    totals.look()
    total[0] = 8
    totals.look()
    total[0] = 2
    totals.look()
    total[0] = 4
    totals.look()
    assert added == [3, 5, 2]

"""One set of settings, split between the workers of one machine."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from voiceagent.errors import ConfigError
from voiceagent.media.ports import PortRange
from voiceagent.settings import Settings, bare_settings
from voiceagent.settings.workers import MOST_WORKERS, worker_settings

FLEET = {"cluster.url": "redis://127.0.0.1:6379/0", "cluster.node": "here"}


def settings(**more: Any) -> Settings:
    return bare_settings({**FLEET, **{name.replace("__", "."): value for name, value in more.items()}})


def test_each_has_a_name_ports_and_folders_of_its_own() -> None:
    first, third = (worker_settings(settings(), index, 3) for index in (0, 2))
    assert first == {
        "cluster.node": "here-0",
        "sip.port": 5060,
        "media.port_low": 30000,
        "media.port_high": 30665,
        "journal_dir": "journals/here-0",
        "recordings_dir": "recordings/here-0",
        "console.port": 8080,
    }
    assert third["cluster.node"] == "here-2"
    assert (third["sip.port"], third["console.port"]) == (5062, 8082)
    assert (third["media.port_low"], third["media.port_high"]) == (31332, 31997)
    assert third["journal_dir"] == "journals/here-2"


def test_they_are_settings_again() -> None:
    for index in range(4):
        split = bare_settings({**FLEET, **worker_settings(settings(), index, 4)})
        assert split.cluster.name == f"here-{index}"
        assert split.database_url == f"sqlite:///journals/here-{index}/voiceagent.db"


@pytest.mark.parametrize("low", [30000, 30001])
@pytest.mark.parametrize("high", [30998, 30999, 31000])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_the_ranges_do_not_meet_and_are_alike(low: int, high: int, count: int) -> None:
    one = settings(media__port_low=low, media__port_high=high, call__max_calls=7)
    parts = [worker_settings(one, index, count) for index in range(count)]
    ranges = [PortRange(part["media.port_low"], part["media.port_high"]) for part in parts]
    assert len({each.size for each in ranges}) == 1
    for before, after in pairwise(ranges):
        assert before.high < after.low
    for each in ranges:
        assert (each.low % 2, each.high % 2) == (0, 1), "every RTP port has its RTCP port"
        assert low <= each.low
        assert each.high <= high
        assert each.size >= 7


def test_a_free_port_stays_a_free_port() -> None:
    split = worker_settings(settings(sip__port=0, console__port=0), 1, 2)
    assert (split["sip.port"], split["console.port"]) == (0, 0)
    assert "console.port" not in worker_settings(settings(console__enabled=False), 1, 2)


def test_the_advertised_console_has_the_workers_port() -> None:
    one = settings(cluster__advertised_console="http://10.0.0.5:8080/desk")
    assert worker_settings(one, 2, 3)["cluster.advertised_console"] == "http://10.0.0.5:8082/desk"


def test_the_embedded_providers_ports_are_split_where_they_are_fixed() -> None:
    split = worker_settings(settings(engine__port=8765, engine__sip_port=5900), 1, 2)
    assert (split["engine.port"], split["engine.sip_port"]) == (8766, 5901)


@pytest.mark.parametrize(
    ("given", "count", "named", "words"),
    [
        ({"cluster__url": None}, 2, "cluster.url", "--workers"),
        ({"sip__listen": ["udp:127.0.0.1:5060"]}, 2, "sip.listen", "sip.port"),
        ({"media__port_high": 30099}, 2, "media.port_high", "need 400 ports, there are 100"),
        ({"sip__port": 65535}, 2, "sip.port", "65535"),
        ({"console__port": 65534}, 3, "console.port", "65534"),
        ({"console__port": 5061}, 2, "console.port", "too near sip.port 5060"),
        ({"cluster__node": "n" * 63}, 2, "cluster.node", "too long"),
        ({"cluster__advertised_console": "http://desk.example"}, 2, "cluster.advertised_console", "8080"),
        ({}, 0, "--workers", "between 1"),
        ({}, MOST_WORKERS + 1, "--workers", "between 1"),
    ],
)
def test_what_cannot_be_split_is_refused_by_its_name(
    given: dict[str, Any], count: int, named: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        worker_settings(settings(**given), 0, count)
    assert str(caught.value).startswith(f"{named}: ")
    assert words in str(caught.value)


def test_an_account_is_not_registered_several_times() -> None:
    trunk = {"name": "carrier", "servers": ["192.0.2.9"], "username": "me", "secret": "pw"}
    with pytest.raises(ConfigError, match=r"^trunks\.carrier\.register: "):
        worker_settings(settings(trunks=[{**trunk, "register": True}]), 0, 2)
    worker_settings(settings(trunks=[{**trunk, "register": False}]), 0, 2)

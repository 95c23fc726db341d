"""The container file and the compose file."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from tests.deploy.kit import DEPLOY, DRAIN_LIMIT_S, ROOT, documents, strangers

COMPOSE = DEPLOY / "compose" / "compose.yaml"


def services() -> dict[str, dict[str, Any]]:
    (compose,) = documents(COMPOSE)
    return compose["services"]


def test_the_container_installs_extras_that_exist() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(r"^ARG EXTRAS=(.*)$", text, re.M)
    assert set(extras.split(",")) <= project["optional-dependencies"].keys() - {"dev", "bench"}
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        assert all((ROOT / name).exists() for name in copied.split())


def test_the_container_is_nobody_s_and_ends_by_draining() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER [1-9]\d*$", text, re.M)
    assert "STOPSIGNAL SIGTERM" in text
    assert not strangers(re.findall(r"\b(VOICEAGENT_\w+)=", text))


def test_compose_brings_what_a_fleet_needs() -> None:
    assert services().keys() == {"a", "b", "redis", "postgres", "kamailio", "prometheus", "grafana"}


def test_every_image_has_a_version() -> None:
    for name, one in services().items():
        assert "build" in one or re.search(r":v?\d+\.?\d*", one["image"]), name


def test_nothing_but_sip_is_reached_from_elsewhere() -> None:
    for name, one in services().items():
        for port in one.get("ports", []):
            assert port.startswith("127.0.0.1:"), (name, port)
    environment = services()["a"]["environment"]
    assert "VOICEAGENT_CONSOLE__HOST" not in environment  # its default is loopback


def test_the_nodes_are_set_by_settings_and_share_no_port() -> None:
    a, b = (services()[name] for name in ("a", "b"))
    assert not strangers(a["environment"])
    assert a["environment"].keys() == b["environment"].keys()
    own = {name for name in a["environment"] if a["environment"][name] != b["environment"][name]}
    assert own == {
        "VOICEAGENT_CLUSTER__NODE",
        "VOICEAGENT_SIP__PORT",
        "VOICEAGENT_CONSOLE__PORT",
        "VOICEAGENT_MEDIA__PORT_LOW",
        "VOICEAGENT_MEDIA__PORT_HIGH",
    }
    minutes = int(a["stop_grace_period"].removesuffix("m"))
    assert minutes * 60 >= DRAIN_LIMIT_S + 30


def test_no_secret_stands_in_the_file() -> None:
    for one in services().values():
        for name, value in one.get("environment", {}).items():
            if any(word in name for word in ("TOKEN", "SECRET", "PASSWORD", "KEY")):
                assert str(value).startswith("${"), name


def test_what_is_mounted_is_there() -> None:
    for name, one in services().items():
        for volume in one.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (COMPOSE.parent / source).exists(), (name, source)


def test_the_proxy_and_prometheus_look_for_the_nodes_where_they_are() -> None:
    nodes = [services()[name]["environment"] for name in ("a", "b")]
    listed = (DEPLOY / "kamailio" / "dispatcher.list").read_text(encoding="utf-8")
    assert re.findall(r"^1 sip:127\.0\.0\.1:(\d+)", listed, re.M) == [
        one["VOICEAGENT_SIP__PORT"] for one in nodes
    ]
    (scraped,) = documents(DEPLOY / "prometheus" / "prometheus.yml")[0]["scrape_configs"]
    assert scraped["static_configs"][0]["targets"] == [
        f"127.0.0.1:{one['VOICEAGENT_CONSOLE__PORT']}" for one in nodes
    ]
    mounted = {volume.split(":")[1] for volume in services()["kamailio"]["volumes"]}
    wanted = re.findall(
        r'#!define \w+_LIST "(.+)"', (DEPLOY / "kamailio" / "kamailio.cfg").read_text(encoding="utf-8")
    )
    assert set(wanted) <= mounted

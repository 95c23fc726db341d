"""The doctor asks the fleet's registry."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.kit.ports import free_port
from tests.kit.redis_server import RedisServer, redis_server
from voiceagent.cli import doctor_cluster
from voiceagent.cli.doctor_cluster import cluster_findings
from voiceagent.cluster.making import make_cluster
from voiceagent.cluster.ports import NodeFacts
from voiceagent.settings.tree import bare_settings

pytestmark = pytest.mark.fleet


@pytest.fixture(scope="module", name="server")
def _server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


async def nothing(_: object) -> dict[str, str]:
    return {}


async def test_a_node_alone_is_asked_nothing() -> None:
    assert await cluster_findings(bare_settings({})) == []


async def test_who_is_there_is_told(server: RedisServer) -> None:
    other = make_cluster(node="other", url=server.url)
    await other.join(NodeFacts, nothing)
    try:
        registry, nodes = await cluster_findings(
            bare_settings({"cluster.url": server.url, "cluster.node": "here"})
        )
        assert registry.ok
        assert nodes.detail == "other"
        (_, nodes) = await cluster_findings(
            bare_settings({"cluster.url": server.url, "cluster.node": "other"})
        )
        assert "cluster.node" in nodes.detail
    finally:
        await other.leave()


async def test_a_clock_that_is_wrong_is_told(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor_cluster.time.time
    monkeypatch.setattr(doctor_cluster.time, "time", lambda: real() + 60)
    _, clock, _ = await cluster_findings(bare_settings({"cluster.url": server.url}))
    assert not clock.ok
    assert re.search(r"\b(59|60|61) s apart", clock.detail), clock.detail


async def test_a_registry_that_refuses_is_told_without_the_password() -> None:
    url = f"redis://:hidden@127.0.0.1:{free_port()}/0"
    (one,) = await cluster_findings(bare_settings({"cluster.url": url}))
    assert not one.ok
    assert one.detail.startswith("cluster.url: ")
    assert "hidden" not in one.detail

"""A fleet that cannot be joined is told in one line at the start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cli.test_bad_start import serve
from tests.kit.ports import free_port
from tests.kit.redis_server import redis_server
from voiceagent.cluster.making import make_cluster
from voiceagent.cluster.ports import NodeFacts

pytestmark = pytest.mark.fleet


def test_a_redis_that_refuses(tmp_path: Path) -> None:
    url = f"redis://:hidden@127.0.0.1:{free_port()}/0"
    line = serve(tmp_path, "", **{"cluster.url": url})
    assert "cluster.url" in line
    assert "hidden" not in line


def test_a_redis_url_that_is_none(tmp_path: Path) -> None:
    assert "cluster.url" in serve(tmp_path, "", **{"cluster.url": "http://127.0.0.1/"})


async def test_a_second_node_of_the_same_name(tmp_path: Path) -> None:
    with redis_server() as server:
        first = make_cluster(node="twin", url=server.url, lease_s=5.0)

        async def nothing(_: object) -> dict[str, str]:
            return {}

        await first.join(NodeFacts, nothing)
        try:
            settings = {"cluster.url": server.url, "cluster.node": "twin", "cluster.lease_s": 5}
            line = await asyncio.to_thread(serve, tmp_path, "", **settings)
        finally:
            await first.leave()
    assert "cluster.node" in line
    assert "twin" in line

"""The second process of ``voiceagent bench kernel``: reads whatever comes, sends what it is told to."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from voiceagent.bench.orders import serve_orders
from voiceagent.loops import run_loop


class Peer:
    """The far ends of all sockets."""

    def __init__(self) -> None:
        self._ends: dict[str, list[socket.socket]] = {"udp": [], "tcp": []}

    async def order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Open the far ends, or send once on each of a kind."""
        if "over" in order:
            data = bytes(order["size"])
            for end in self._ends[order["over"]]:
                await asyncio.get_running_loop().sock_sendall(end, data)
            return {}
        for port in order["udp"]:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", 0))
            udp.connect(("127.0.0.1", port))
            tcp = socket.create_connection(("127.0.0.1", order["tcp"]))
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for kind, end in (("udp", udp), ("tcp", tcp)):
                end.setblocking(False)
                asyncio.get_running_loop().add_reader(end, _read, end)
                self._ends[kind].append(end)
        return {"udp": [end.getsockname()[1] for end in self._ends["udp"]]}


def _read(end: socket.socket) -> None:
    try:
        while end.recv(65536):
            pass
    except BlockingIOError:
        return


async def _main() -> None:
    await serve_orders(Peer())


if __name__ == "__main__":
    run_loop(_main)

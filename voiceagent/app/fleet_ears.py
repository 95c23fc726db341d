"""Hearing calls of other nodes: one socket to the owner for each call, given out to all who listen here.

See :mod:`voiceagent.console.node_listening` for what goes over it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from voiceagent.call.listening import Hearing
from voiceagent.cluster.ports import Cluster, NodeGone
from voiceagent.cluster.refusals import error_of
from voiceagent.cluster.tickets import HEADER, Ticket, issue
from voiceagent.errors import RequestRefused
from voiceagent.ids import Tokens
from voiceagent.tasks import TaskNest

_log = structlog.get_logger("voiceagent.fleet")

VOICES = 100
"""Frames of microphones on their way; more than two seconds of them are nobody's voice any more."""
OPEN_S = 4.0
LOST = "connection_lost"
"""Why there is nothing more to hear when the socket to the owner broke."""


class Ears:
    """All calls of other nodes that are heard here."""

    def __init__(
        self,
        cluster: Cluster,
        secret: str | None,
        tokens: Tokens,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._secret = secret
        self._tokens = tokens
        self._wall = wall
        self._open: dict[str, Ear] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def listen(self, call_id: str, node: str, operator: str) -> RemoteListener:
        """Let one more hear a call of ``node``.

        Raises what the owner refuses with, NodeGone, and RequestRefused ``not_here`` where the nodes are not
        set up to hear each other.
        """
        if self._heard(call_id) is None:
            way = await self._way_to(call_id, node)
            if self._heard(call_id) is None:  # nobody else was faster
                ear = self._open[call_id] = Ear(node, *way)
                ear.over = lambda ear=ear: self._over(call_id, ear)
        return await self._open[call_id].join(operator)

    def _heard(self, call_id: str) -> Ear | None:
        ear = self._open.get(call_id)
        return None if ear is None or ear.closed else ear

    def _over(self, call_id: str, ear: Ear) -> None:
        if self._open.get(call_id) is ear:
            del self._open[call_id]

    async def _way_to(self, call_id: str, node: str) -> tuple[str, str, str]:
        """Return the console of the node, where in it to go, and the ticket."""
        found = next((one for one in await self._cluster.nodes() if one.name == node), None)
        if found is None:
            raise NodeGone(f"node {node} is not there any more")
        console = found.facts.console
        if self._secret is None:
            raise _not_here(node, console, "this node has no cluster.secret")
        if not console.startswith(("http://", "https://")):
            raise _not_here(
                node, console, "it tells no URL of its console; set its cluster.advertised_console"
            )
        ticket = Ticket(self._wall(), self._tokens(), self._cluster.name)
        way = console.replace("http", "ws", 1).rstrip("/") + f"/v1/cluster/calls/{call_id}/listen"
        return console, way, issue(self._secret, call_id, node, ticket)

    async def close(self) -> None:
        """End them all."""
        for ear in list(self._open.values()):
            await ear.close()


def _not_here(node: str, console: str, why: str) -> RequestRefused:
    at = f" ({console})" if console else ""
    return RequestRefused(
        "listen", f"this call is to be heard at its node, {node}{at}: {why}", code="not_here"
    )


class Ear:
    """One call heard: opened with the first listener, closed after the last."""

    def __init__(self, node: str, console: str, url: str, ticket: str) -> None:
        self.over: Callable[[], None] = lambda: None
        """Called when it is closed."""
        self.closed = False
        self._console = console
        self._url = url
        self._ticket = ticket
        self._node = node
        self._socket: ClientConnection | None = None
        self._speaking: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._nest = TaskNest("fleet/ear")
        self._listeners: dict[int, RemoteListener] = {}
        self._joining: dict[int, asyncio.Future[str]] = {}
        self._count = 0
        self._voices: asyncio.Queue[bytes | str] = asyncio.Queue()

    async def join(self, operator: str) -> RemoteListener:
        """Let one more listen. Raises what the owner refuses with, and NodeGone."""
        self._count += 1
        n = self._count
        listener = self._listeners[n] = RemoteListener(self, n)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._joining[n] = answer
        try:
            async with self._opening:
                if self._socket is None:
                    await self._connect()
            self._send(json.dumps({"join": n, "name": operator}))
            async with asyncio.timeout(OPEN_S):
                listener.id = await answer
        except BaseException as error:
            self.leave(n)
            if isinstance(error, TimeoutError):
                raise NodeGone(f"node {self._node} does not answer on its console") from None
            raise
        finally:
            self._joining.pop(n, None)
        return listener

    async def _connect(self) -> None:
        try:
            self._socket = await connect(
                self._url,
                additional_headers={HEADER: self._ticket},
                compression=None,
                proxy=None,
                open_timeout=OPEN_S,
                max_size=1 << 16,
            )
        except InvalidStatus as refusal:
            why = f"it refuses us ({_problem(refusal)})"
            raise _not_here(self._node, self._console, why) from None
        except (OSError, TimeoutError, InvalidHandshake) as error:
            words = str(error) or type(error).__name__
            raise NodeGone(f"the console of node {self._node} cannot be reached: {words}") from None
        self._nest.start("hear", self._hear(self._socket))
        self._speaking = self._nest.start("speak", self._speak(self._socket))

    async def _hear(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    for listener in self._listeners.values():
                        listener.put(message)
                else:
                    self._told(json.loads(message))
        except (ConnectionClosed, OSError, ValueError, KeyError) as error:
            _log.warning("a call of another node is heard no more", node=self._node, error=str(error))
        finally:
            self._end()
            if self._speaking is not None:
                self._speaking.cancel()

    def _told(self, data: Mapping[str, Any]) -> None:
        if "joined" in data:
            self._answer(int(data["joined"]), str(data["listener"]))
        elif "refused" in data:
            self._answer(int(data["refused"]), error_of(data))
        elif "state" in data:
            listener = self._listeners.get(int(data["state"]))
            if listener is not None:
                listener.tell(cast("Mapping[str, Any]", data["data"]))
        elif "ended" in data:
            n = int(data["ended"])
            listener = self._listeners.get(n)
            if listener is not None:
                listener.end(str(data["why"]))
            self.leave(n)

    def _answer(self, n: int, answer: str | Exception) -> None:
        waiting = self._joining.get(n)
        if waiting is not None and not waiting.done():
            if isinstance(answer, str):
                waiting.set_result(answer)
            else:
                waiting.set_exception(answer)

    async def _speak(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed, OSError):
            while True:
                await socket.send(await self._voices.get())

    def voice(self, n: int, frame: bytes) -> None:
        """20 ms from a listener's microphone; what is not taken in time is dropped."""
        if self._voices.qsize() < VOICES:
            self._voices.put_nowait(n.to_bytes(2) + frame)

    def _send(self, text: str) -> None:
        self._voices.put_nowait(text)

    def leave(self, n: int) -> None:
        """One listens no more; with the last one the socket goes."""
        if self._listeners.pop(n, None) is None or self.closed:
            return
        if self._listeners:
            self._send(json.dumps({"leave": n}))
            return
        self._retire()
        self._nest.start("close", self._shut())

    async def _shut(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    def _retire(self) -> None:
        if not self.closed:
            self.closed = True
            self.over()

    def _end(self) -> None:
        self._retire()
        for n in list(self._joining):
            self._answer(n, NodeGone(f"node {self._node} went away"))
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            listener.end(LOST)

    async def close(self) -> None:
        """End it for everybody."""
        self._end()
        await self._shut()
        await self._nest.close()


class RemoteListener(Hearing):
    """One who listens here. Fulfils :class:`voiceagent.console.ports_listen.Listener`."""

    def __init__(self, ear: Ear, n: int) -> None:
        super().__init__()
        self.id = ""
        self._ear = ear
        self._n = n
        self._state: Mapping[str, Any] | None = None

    def tell(self, state: Mapping[str, Any]) -> None:
        """The state has changed; the newest counts."""
        self._state = state
        self._wake.set()

    def _take_state(self) -> Mapping[str, Any] | None:
        state, self._state = self._state, None
        return None if state is None else {**state, "dropped": self.dropped}

    def voice(self, frame: bytes) -> None:
        self._ear.voice(self._n, frame)

    def leave(self) -> None:
        self._ear.leave(self._n)
        self.end("left")


def _problem(refusal: InvalidStatus) -> str:
    """Return what the refusal's problem says, or its status."""
    with suppress(ValueError, AttributeError):
        found: object = json.loads(refusal.response.body or b"")
        if isinstance(found, dict):
            return str(cast("dict[str, Any]", found).get("detail", refusal))
    return f"HTTP {refusal.response.status_code}"

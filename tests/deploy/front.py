"""Kamailio with the configuration that we ship, on free ports; and SIP agents on both sides of it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop import kamailio, kit
from tests.kit.ports import free_port
from voiceagent.media.sdp.offer_answer import Abilities, make_offer
from voiceagent.sip.address import Address
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Answered, Ended, InviteReceived, ProbeAnswered, SipEvent
from voiceagent.sip.net.transport import SipTransport

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "kamailio"
CALLERS = "127.0.0.1"
"""Where trusted callers live; the nodes live elsewhere, so that the two are not mistaken for each other."""
NODES = "127.0.0.3"
STRANGERS = "127.0.0.2"
SDP = make_offer(Abilities(address="127.0.0.1", port=40000)).to_bytes()


@dataclass(frozen=True, slots=True)
class Front:
    """A running Kamailio."""

    port: int
    folder: Path

    @property
    def name(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def address(self) -> Address:
        """Where it takes calls."""
        return Address("127.0.0.1", self.port)

    async def states(self) -> dict[str, str]:
        """By node (host:port), as Kamailio writes it: A or I (active or not), P (it is asked)."""
        process = await asyncio.create_subprocess_exec(
            *("kamcmd", "-s", f"unix:{self.folder}/run/kamailio_ctl", "dispatcher.list"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        listed = await kit.ended(process)
        return dict(re.findall(r"URI: sip:(\S+)\s+FLAGS: (\w+)", listed))

    async def until(self, node: str, state: str, within_s: float = 45.0) -> None:
        """Wait until it thinks so of a node."""
        async with asyncio.timeout(within_s):
            while not (await self.states()).get(node, "").startswith(state):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def log(self) -> str:
        """What it has logged."""
        return (self.folder / "log").read_text("utf-8", "replace")


@asynccontextmanager
async def front(
    folder: Path, nodes: Sequence[str], callers: Sequence[str] = (CALLERS,), *, silence_ms: int = 1500
) -> AsyncGenerator[Front]:
    """Run it before ``nodes`` (host:port); one that says nothing for ``silence_ms`` is dead to it."""
    run = folder / "run"
    run.mkdir(parents=True)
    port = free_port()
    (folder / "dispatcher.list").write_text("".join(f"1 sip:{one} 0 0\n" for one in nodes))
    (folder / "address.list").write_text("".join(f"1 {one} 32 0\n" for one in callers))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("kamailio", "-DD", "-E", "-m", "32", "-M", "8", "-f", str(SHIPPED / "kamailio.cfg")),
            *("-Y", str(run), "-P", str(run / "pid")),
            *("-A", f"LISTEN_UDP=udp:127.0.0.1:{port}", "-A", f"LISTEN_TCP=tcp:127.0.0.1:{port}"),
            *("-A", f"NODE_SILENCE_MS={silence_ms}"),
            *("-A", f'DISPATCHER_LIST="{folder}/dispatcher.list"'),
            *("-A", f'ADDRESS_LIST="{folder}/address.list"'),
            stdout=log,
            stderr=log,
            start_new_session=True,  # its children end with it
        )
    one = Front(port, folder)
    try:
        await kamailio.listens(process, one)
        yield one
    finally:
        await kamailio.stopped(process, 4)


class Node:
    """A SIP agent that answers every call at once; ``away_s`` not None: it takes none, and says so."""

    def __init__(self, host: str = NODES) -> None:
        self.host = host
        self.away_s: int | None = None
        self.calls: dict[str, str] = {}
        """Legs of the calls that run, by Call-ID."""
        self.taken = 0
        config = EndpointConfig(accept_source=("127.0.0.0/8",), unavailable=lambda: self.away_s)
        self.transport = SipTransport(config, self._on_event)
        self.name = ""

    async def __aenter__(self) -> Node:
        bound = await self.transport.start(self.host, 0)
        self.name = f"{bound.host}:{bound.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.transport.close()

    def _on_event(self, event: SipEvent) -> None:
        if isinstance(event, InviteReceived):
            if self.away_s is not None:
                self.transport.reject(event.leg, 503, headers=(("Retry-After", str(self.away_s)),))
                return
            self.taken += 1
            self.calls[event.call_id] = event.leg
            self.transport.accept(event.leg, SDP)
        elif isinstance(event, Ended):
            self.calls = {call: leg for call, leg in self.calls.items() if leg != event.leg}


class Callers:
    """A SIP agent that places calls through the proxy and keeps what becomes of them."""

    def __init__(self, proxy: Address, host: str = CALLERS) -> None:
        self._proxy = proxy
        self._host = host
        self.transport = SipTransport(EndpointConfig(accept_source=("127.0.0.0/8",)), self._on_event)
        self.local = Address("", 0)
        self.up: set[str] = set()
        """Legs of answered calls."""
        self.ended: dict[str, Ended] = {}
        self.answered = 0
        self.media: dict[str, int] = {}
        """By leg: the RTP port of who has answered, which tells the nodes apart."""
        self._probes: dict[str, int] = {}
        self._news = asyncio.Event()

    async def __aenter__(self) -> Callers:
        self.local = await self.transport.start(self._host, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.transport.close()

    def dial(self, user: str = "100") -> str:
        """Call; return the leg."""
        return self.transport.invite(
            f"sip:{user}@127.0.0.1:{self._proxy.port}",
            from_uri=f"sip:caller@{self.local.host}:{self.local.port}",
            sdp=SDP,
            destination=self._proxy,
        )

    async def settled(self, legs: Sequence[str], within_s: float = 45.0) -> Counter[str]:
        """Wait until each is answered or has ended; return how many of what."""
        await self._until(lambda: all(leg in self.up or leg in self.ended for leg in legs), within_s)
        return Counter("up" if leg in self.up else str(self.ended[leg].status) for leg in legs)

    def hang_up(self, legs: Iterable[str]) -> None:
        """End them."""
        for leg in legs:
            self.transport.hang_up(leg)

    async def left_by_peer(self, legs: Sequence[str], within_s: float = 45.0) -> None:
        """Wait until the far end has ended them."""
        await self._until(lambda: all(leg in self.ended for leg in legs), within_s)
        assert {self.ended[leg].by for leg in legs} <= {"peer"}

    async def probed(self, leg: str, within_s: float = 45.0) -> int:
        """Ask within the call (OPTIONS) whether the far end still knows it; return the status."""
        self._probes.pop(leg, None)
        self.transport.probe(leg)
        await self._until(lambda: leg in self._probes, within_s)
        return self._probes[leg]

    async def something(self) -> None:
        """Wait until anything has happened to any call."""
        self._news.clear()
        await self._news.wait()

    async def _until(self, condition: Callable[[], bool], within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def _on_event(self, event: SipEvent) -> None:
        if isinstance(event, Answered):
            self.answered += 1
            self.up.add(event.leg)
            audio = re.search(rb"m=audio (\d+)", event.sdp or b"")
            self.media[event.leg] = int(audio[1]) if audio else 0
        elif isinstance(event, ProbeAnswered):
            self._probes[event.leg] = event.status
        elif isinstance(event, Ended):
            self.up.discard(event.leg)
            self.ended[event.leg] = event
        self._news.set()

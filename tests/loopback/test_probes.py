"""The thirteen questions that tell a SIP stack from a socket with a parser, put to the whole service.

Each is a ladder of hand-made messages (:mod:`tests.kit.player` says how to read one), played over UDP and
over TCP at once. ``tests/sip/test_probes.py`` puts the same questions to the endpoint alone, in virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kit.corpora import rfc4475
from tests.kit.player import Player
from tests.kit.service import service
from tests.kit.wires import wire

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("anyone", numbers=["*"])
async def anyone(call: Call) -> None:
    await asyncio.Event().wait()
"""
TARGET = "sip:desk@127.0.0.1:9"
BROKEN = b"v=0\r\nthis is no session description\r\n"
RINGING = """
    >> INVITE
    << 100 INVITE
    << 180 INVITE
"""
ANSWERED = f"""{RINGING}
    << 200 INVITE
    >> ACK
"""


@dataclass(frozen=True)
class Probe:
    """One question and the right answer."""

    question: str
    right: str
    ladder: str
    over_tcp: str = ""
    """The ladder over TCP, where that is another one."""
    rings: bool = False
    """The provider never answers, so the call goes on ringing."""


PROBES = (
    Probe(
        "INVITE again while ringing",
        "the same 180, one call",
        f"""{RINGING}
        >> INVITE again
        << 180 INVITE again
        ** 1 call
        """,
        rings=True,
    ),
    Probe(
        "INVITE again after the 200",
        "the 200 repeated; after the ACK absorbed",
        f"""{RINGING}
        << 200 INVITE
        >> INVITE again
        << 200 INVITE again
        >> ACK
        >> OPTIONS
        << 200 OPTIONS
        >> INVITE again
        >> OPTIONS
        << 200 OPTIONS
        ** 1 call
        """,
    ),
    Probe(
        "no ACK for the 200",
        "the 200 repeated until the ACK",
        f"""{RINGING}
        << 200 INVITE
        << 200 INVITE again
        >> ACK
        << nothing
        """,
    ),
    Probe(
        "BYE again",
        "the same 200; but 481 over TCP, where nothing is ever repeated (timer J, RFC 3261 §17.2.2)",
        f"""{ANSWERED}
        >> BYE
        << 200 BYE
        >> BYE again
        << 200 BYE again
        """,
        over_tcp=f"""{ANSWERED}
        >> BYE
        << 200 BYE
        >> BYE again
        << 481 BYE
        """,
    ),
    Probe(
        "INFO with dtmf-relay",
        "200, and the key is told",
        f"""{ANSWERED}
        >> INFO dtmf-relay
        << 200 INFO
        ** 1 key
        """,
    ),
    Probe(
        "re-INVITE sendonly",
        "200 recvonly",
        f"""{ANSWERED}
        >> INVITE sendonly
        << 100 INVITE
        << 200 INVITE a=recvonly
        >> ACK
        >> OPTIONS
        << 200 OPTIONS
        """,
    ),
    Probe(
        "UPDATE with an offer",
        "200 with the answer",
        f"""{ANSWERED}
        >> UPDATE
        << 200 UPDATE m=audio
        """,
    ),
    Probe(
        "REFER in the dialog",
        "202 and NOTIFY",
        f"""{ANSWERED}
        >> REFER Refer-To: <{TARGET}>
        << 202 REFER
        << NOTIFY SIP/2.0 100
        >> 200 NOTIFY
        """,
    ),
    Probe(
        "Require: nosuchext",
        "420",
        """
        >> INVITE Require: nosuchext
        << 420 INVITE Unsupported: nosuchext
        >> ACK
        ** 0 calls
        """,
    ),
    Probe(
        "a broken session description",
        "400",
        """
        >> INVITE broken
        << 100 INVITE
        << 400 INVITE
        >> ACK
        """,
    ),
    Probe(
        "the same request on another branch",
        "482, one call",
        f"""{RINGING}
        >> INVITE on another branch
        << 482 INVITE
        ** 1 call
        """,
        rings=True,
    ),
    Probe(
        "SIP/7.0",
        "505",
        """
        >> OPTIONS SIP/7.0
        << 505 OPTIONS
        """,
    ),
    Probe(
        "the messages of RFC 4475 and RFC 5118",
        "the next call is answered",
        f"""
        >> torture
        {ANSWERED}
        ** 1 call
        """,
    ),
)


@asynccontextmanager
async def provider_that_says_nothing() -> AsyncIterator[dict[str, Any]]:
    """Settings for a service whose calls go on ringing."""
    over = asyncio.Event()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield {
            "realtime__provider": "openai",
            "realtime__url": f"ws://127.0.0.1:{port}",
            "realtime__api_key": "none",
        }
        over.set()


@asynccontextmanager
async def nothing_special() -> AsyncIterator[dict[str, Any]]:
    yield {}


@pytest.mark.parametrize(
    "probe",
    [
        pytest.param(
            probe,
            id=probe.question,
            marks=pytest.mark.matrix("raw SIP", probe.question, f"{probe.right}; UDP and TCP"),
        )
        for probe in PROBES
    ],
)
async def test_the_service_is_right(probe: Probe, tmp_path: Path) -> None:
    if "torture" in probe.ladder:
        rfc4475()  # skips where they are missing
    flows = tmp_path / "flows.py"
    flows.write_text(FLOW, encoding="utf-8")
    async with (
        provider_that_says_nothing() if probe.rings else nothing_special() as provider,
        service(
            tmp_path,
            flows=[str(flows)],
            sip__accept_refer=True,
            call__transfer_targets=[TARGET],
            **provider,
        ) as running,
    ):
        assert running.addresses is not None
        assert running.sip is not None
        sip = running.addresses.sip
        async with wire(sip, "udp") as udp, wire(sip, "tcp") as tcp, asyncio.TaskGroup() as both:
            both.create_task(Player(running, udp).play(probe.ladder), name="over UDP")
            both.create_task(Player(running, tcp).play(probe.over_tcp or probe.ladder), name="over TCP")
        broken = {kind: running.sip.errors[kind] for kind in ("internal", "listener")}
    assert broken == {"internal": 0, "listener": 0}

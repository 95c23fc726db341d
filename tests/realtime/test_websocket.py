"""Real sockets on 127.0.0.1: both transports, the handshake, and how links end."""

from __future__ import annotations

import asyncio
import base64
import socket

import pytest

from tests.kit.ports import free_port
from tests.kit.provider_links import serve
from tests.kit.scripted_provider import Reply, ScriptedProvider
from voiceagent.errors import ConfigError, ProviderError
from voiceagent.realtime import model_events as me
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.providers import PROVIDERS, provider
from voiceagent.realtime.requests import OutcomeKind
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel

pytestmark = pytest.mark.loopback
TRANSPORTS = ["websockets", "picows"]


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


def quick() -> ScriptedProvider:
    server = ScriptedProvider()
    server.default = Reply(audio_ms=400, first_after_s=0.0, gap_s=0.0)
    return server


async def test_a_conversation_over_a_real_socket(transport: str) -> None:
    server = quick()
    async with serve(server) as url:
        model = OpenAIRealtimeWebSocketModel(
            url=url, model="gpt-realtime", api_key="sk-test", provider="openai", transport=transport
        )
        events: list[me.RealtimeModelEvent] = []
        async with RealtimeSession(model=model) as session:
            session.add_listener(events.append)
            for _ in range(3):
                handle = await session.create_response(instructions="Grüße ✓")
                outcome = await asyncio.wait_for(handle.outcome(), 45)
                assert outcome.completed
            session.send_audio(b"\xff" * 320)
            session.commit_audio()
            arrived = asyncio.Event()
            server.on_client_event = lambda event: (
                arrived.set() if event["type"] == "input_audio_buffer.commit" else None
            )
            if "input_audio_buffer.commit" not in server.types():
                await asyncio.wait_for(arrived.wait(), 45)
        assert server.appends == [320]
        assert server.creates()[0]["response"]["instructions"] == "Grüße ✓"
        audio = b"".join(event.data for event in events if isinstance(event, me.RealtimeModelAudioEvent))
        assert len(audio) == 3 * 400 * 8
        (request,) = server.requests
        headers = {key.lower(): value for key, value in request.items()}
        assert headers["authorization"] == "Bearer sk-test"
        assert headers[":path"] == "/v1/realtime?model=gpt-realtime"
        assert "sec-websocket-extensions" not in headers


@pytest.mark.parametrize("status", [401, 404, 503])
async def test_a_refused_handshake_names_the_status(transport: str, status: int) -> None:
    async with serve(quick(), reject=status) as url:
        model = OpenAIRealtimeWebSocketModel(url=url, provider="embedded", transport=transport)
        with pytest.raises(ProviderError) as refused:
            await RealtimeSession(model=model).open()
        assert refused.value.code == f"http_{status}"


async def test_nobody_listens(transport: str) -> None:
    port = free_port()
    model = OpenAIRealtimeWebSocketModel(
        url=f"ws://127.0.0.1:{port}/", provider="embedded", transport=transport
    )
    session = RealtimeSession(model=model)
    with pytest.raises(ProviderError) as refused:
        await session.open()
    assert refused.value.code == "unreachable"
    assert session.closed


async def test_somebody_listens_who_never_answers(transport: str) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # connections are made, but nobody ever reads
        port = listening.getsockname()[1]
        model = OpenAIRealtimeWebSocketModel(
            url=f"ws://127.0.0.1:{port}/", provider="embedded", transport=transport, open_timeout_s=0.2
        )
        with pytest.raises(ProviderError) as refused:
            await RealtimeSession(model=model).open()
        assert refused.value.code == "connect_timeout"


async def test_a_wrong_url_is_a_setting(transport: str) -> None:
    model = OpenAIRealtimeWebSocketModel(url="http://127.0.0.1/", provider="embedded", transport=transport)
    with pytest.raises(ConfigError):
        await RealtimeSession(model=model).open()


@pytest.mark.parametrize(("code", "reason"), [(1001, "Session expired"), (1006, "")])
async def test_the_end_of_the_link_ends_the_session(transport: str, code: int, reason: str) -> None:
    server = ScriptedProvider()
    server.default = Reply(hang=True)
    async with serve(server) as url:
        model = OpenAIRealtimeWebSocketModel(url=url, provider="embedded", transport=transport)
        events: list[me.RealtimeModelEvent] = []
        async with RealtimeSession(model=model) as session:
            session.add_listener(events.append)
            handle = await session.create_response()
            async for event in session:
                if isinstance(event, me.RealtimeModelTurnStartedEvent):
                    break
            server.drop(code, reason)
            outcome = await asyncio.wait_for(handle.outcome(), 45)
            assert outcome.kind is OutcomeKind.LOST
            assert reason in outcome.reason
            assert session.closed
        status = [event for event in events if isinstance(event, me.RealtimeModelConnectionStatusEvent)]
        assert [event.status for event in status] == ["disconnected"]


async def test_a_frame_past_the_limit_ends_the_session(transport: str) -> None:
    server = quick()
    async with serve(server) as url:
        model = OpenAIRealtimeWebSocketModel(
            url=url, provider="embedded", transport=transport, max_frame_bytes=4096
        )
        async with RealtimeSession(model=model) as session:
            stream = session.events()
            server.emit("rate_limits.updated", filler="x" * 100_000)
            kinds = [event async for event in stream]
            assert session.closed
            assert isinstance(kinds[-1], me.RealtimeModelConnectionStatusEvent)


async def test_a_large_delta_arrives_whole(transport: str) -> None:
    server = quick()
    audio = bytes(range(256)) * 4000
    async with serve(server) as url:
        model = OpenAIRealtimeWebSocketModel(url=url, provider="embedded", transport=transport)
        async with RealtimeSession(model=model) as session:
            stream = session.events()
            place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
            server.emit("response.output_audio.delta", **place, delta=base64.b64encode(audio).decode())
            async for event in stream:
                if isinstance(event, me.RealtimeModelAudioEvent):
                    assert event.data == audio
                    break


async def test_a_session_opens_only_once() -> None:
    async with serve(quick()) as url:
        model = OpenAIRealtimeWebSocketModel(url=url, provider="embedded", transport="websockets")
        async with RealtimeSession(model=model) as session:
            with pytest.raises(ProviderError):
                await session.open()
            with pytest.raises(ProviderError):
                await model.connect(RealtimeSessionConfig())


async def test_cancelling_the_connect_leaves_nothing_behind(transport: str) -> None:
    server = ScriptedProvider()
    server.faults.silent_session = True
    async with serve(server) as url:
        model = OpenAIRealtimeWebSocketModel(url=url, provider="embedded", transport=transport)
        opening = asyncio.ensure_future(RealtimeSession(model=model).open())
        updated = asyncio.Event()
        server.on_client_event = lambda _event: updated.set()
        await asyncio.wait_for(updated.wait(), 45)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        names = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not [name for name in names if "realtime-link" in name]


class Sink:
    """Hears nothing of interest."""

    def frame_received(self, data: bytes | str) -> None:
        pass

    def transport_closed(self, code: int | None, reason: str) -> None:
        pass


async def test_control_overtakes_audio_that_cannot_be_written(transport: str) -> None:
    from websockets.asyncio.server import ServerConnection
    from websockets.asyncio.server import serve as ws_serve

    from voiceagent.realtime.transport_picows import open_picows
    from voiceagent.realtime.transport_websockets import open_websockets

    read_now = asyncio.Event()
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def slow(connection: ServerConnection) -> None:
        await read_now.wait()
        async for message in connection:
            assert isinstance(message, str)
            seen.put_nowait(message[:8])

    opener = open_picows if transport == "picows" else open_websockets
    async with ws_serve(slow, "127.0.0.1", 0, compression=None, close_timeout=1) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        link = await opener(url, {}, timeout_s=45, max_bytes=65536, audio_limit=65536)
        link.listen(Sink())
        audio = b"audio   " + b"." * 8000
        for _ in range(20_000):
            link.send_audio(audio)
            if link.dropped:
                break
            await asyncio.sleep(0)
        assert link.dropped
        link.send_audio(b"commit  ", keep=True)
        link.send(b"control ")
        assert link.buffered > 0
        read_now.set()
        order: list[str] = []
        while "commit  " not in order:
            order.append(await asyncio.wait_for(seen.get(), 45))
        # At most the socket's own buffers lie before the control frame, never our audio lane.
        assert order.index("control ") < order.index("commit  ") - 1
        assert order[order.index("control ") + 1] == "audio   "
        link.close()
        await asyncio.wait_for(link.wait_closed(), 45)
        link.send(b"too late")
        assert link.buffered == 0


# ── profiles ────────────────────────────────────────────────────────────────────────────────────
def test_addresses_and_headers_come_from_the_profile() -> None:
    openai = provider("openai")
    assert openai.connect_url("a b") == "wss://api.openai.com/v1/realtime?model=a%20b"
    assert openai.headers("k") == {"Authorization": "Bearer k"}
    assert provider("azure").headers("k") == {"api-key": "k"}
    assert provider("embedded").headers(None) == {}
    with pytest.raises(ConfigError):
        openai.headers(None)
    with pytest.raises(ConfigError):
        provider("nobody")
    with pytest.raises(ConfigError):
        OpenAIRealtimeWebSocketModel(provider="azure", api_key="k").address()
    assert (
        OpenAIRealtimeWebSocketModel(url="ws://h/x?model=m", provider="embedded").address()
        == "ws://h/x?model=m"
    )


def test_profiles_are_consistent() -> None:
    for name, profile in PROVIDERS.items():
        assert profile.name == name
        assert profile.url.startswith(("ws://", "wss://"))
        hosted = profile.hosted()
        assert hosted.owns_output_buffer
        assert not hosted.accepts_audio
        assert hosted.truncate == "server"

"""``voiceagent call --agent``: a flow's agent calls somebody, and the terminal watches."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceagent.cli.run import USAGE, fail, fail_with, parse_overrides, show_json
from voiceagent.errors import RequestRefused, VoiceAgentError
from voiceagent.loops import run_loop

if TYPE_CHECKING:
    from voiceagent.console.ports import DialWish

STATUSES = {
    "busy": 3,
    "declined": 4,
    "no_answer": 5,
    "not_found": 6,
    "unreachable": 7,
    "rejected_by_policy": 8,
}
"""Exit statuses of calls that were not answered; 0 is an answered one, 1 everything else."""
POLICY = frozenset({"denied_target", "target_not_allowed", "no_consent"})
LOOK_S = 0.1
CLOSE_LIMIT_S = 30.0

Json = dict[str, Any]
Look = Callable[[], Awaitable[Json]]
Dial = Callable[["DialWish"], Awaitable[Look]]
HangUp = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class AgentCall:
    """What the command line asks for; ``metadata`` as ``key=value``."""

    target: str
    flow: str
    sender: str
    metadata: tuple[str, ...]
    ring_s: float
    limit_s: float


def run_agent_call(
    wanted: AgentCall,
    flows: list[str],
    config: Path | None,
    overrides: list[str],
    url: str | None,
    token: str | None,
    *,
    as_json: bool,
) -> None:
    """Place the call, on a service of our own or (``url``) on a running one; exit as the outcome says."""

    async def work() -> Json:
        node = _remote(url, token or "") if url else _own(wanted, flows, config, overrides)
        async with node as (dial, hang_up):
            return await _watch(wanted, dial, hang_up, quiet=as_json)

    try:
        summary = run_loop(work)
    except RequestRefused as error:
        if error.code not in POLICY:
            fail_with(error, as_json=as_json)
        fail(str(error), STATUSES["rejected_by_policy"], as_json=as_json, code="rejected_by_policy")
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if as_json:
        show_json(summary)
    if summary["exit_status"]:
        raise SystemExit(summary["exit_status"])


async def _watch(wanted: AgentCall, dial: Dial, hang_up: HangUp, *, quiet: bool) -> Json:
    from voiceagent.console.ports import DialWish

    metadata = dict(_pair(text) for text in wanted.metadata)
    look = await dial(
        DialWish(wanted.target, wanted.flow, wanted.sender, metadata=metadata, ring_timeout_s=wanted.ring_s)
    )
    states: list[str] = []
    view = await look()
    loop = asyncio.get_running_loop()
    end: float | None = None
    while True:
        if view["state"] not in states:
            states.append(view["state"])
            if not quiet:
                print(f"{view['duration_s']:6.1f} s  {view['state']}", flush=True)
        if view["state"] == "ended":
            break
        if view["state"] == "talking" and end is None:
            end = loop.time() + wanted.limit_s
        if end is not None and loop.time() >= end:
            end = loop.time() + CLOSE_LIMIT_S
            await hang_up()
        await asyncio.sleep(LOOK_S)
        view = await look()
    return _summary(view, states, quiet=quiet)


def _summary(view: Json, states: list[str], *, quiet: bool) -> Json:
    outcome: Json = view["outcome"] or {}
    answered = view["figures"].get("answered", 0) > 0
    status = (
        0 if answered and outcome.get("kind") == "success" else STATUSES.get(str(outcome.get("reason")), 1)
    )
    first = view["figures"].get("first_words_ms")
    if not quiet:
        for line in view["transcript"]:
            print(f"          {line['speaker']}: {line['text']}")
        print(f"{outcome.get('kind')}: {outcome.get('reason')} {outcome.get('detail') or ''}".rstrip())
        if first is not None:
            print(f"first words {first:g} ms after the answer")
    word = "answered" if answered else outcome.get("reason")
    return {"call_id": view["id"], "word": word, "exit_status": status, "states": states, "call": view}


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        fail(f"--metadata {text}: must look like key=value", USAGE)
    return key, value


@asynccontextmanager
async def _own(
    wanted: AgentCall, flows: list[str], config: Path | None, overrides: list[str]
) -> AsyncGenerator[tuple[Dial, HangUp]]:
    """Start a service of our own on a free port. Whoever types the target has allowed it."""
    from voiceagent.app.service import Service
    from voiceagent.call.targets import parse_target
    from voiceagent.console.views import call_detail
    from voiceagent.observe.logs import configure_logs
    from voiceagent.settings import load_settings

    target = parse_target(wanted.target)
    given: Json = {
        "sip.port": 0,
        "console.enabled": False,
        "flows": flows or None,
        "outbound.allowed": [target.uri.partition(";")[0].removeprefix("tel:")],
    }
    settings = load_settings(config, {**given, **parse_overrides(overrides)})
    if target.host and ipaddress.ip_address(settings.sip.host).is_loopback:
        given["sip.host"] = _address_towards(target.host)
        settings = load_settings(config, {**given, **parse_overrides(overrides)})
    configure_logs(format="console", level="error")
    async with Service(settings) as service:
        await service.ready()
        directory = service.directory

        async def dial(wish: DialWish) -> Look:
            call_id = directory.dial(wish, idempotency_key=None, operator="the command line").id

            async def look() -> Json:
                return call_detail(directory.call(call_id))

            return look

        async def hang_up() -> None:
            for call in directory.live:
                call.end("operator_hung_up")

        yield dial, hang_up


def _address_towards(host: str) -> str | None:
    """Return our address on the way to ``host``; None where the default will do."""
    try:
        found = socket.getaddrinfo(host, 5060, type=socket.SOCK_DGRAM)[0]
        with socket.socket(found[0], socket.SOCK_DGRAM) as probe:
            probe.connect(found[4])
            return str(probe.getsockname()[0])
    except OSError:
        return None


@asynccontextmanager
async def _remote(url: str, token: str) -> AsyncGenerator[tuple[Dial, HangUp]]:
    """Use a running node's API."""
    import httpx

    call_id = ""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client:

        async def asked(method: str, path: str, body: Json | None = None) -> Json:
            try:
                answer = await client.request(method, path, json=body)
                data: Json = answer.json()
            except (httpx.HTTPError, ValueError) as error:
                raise VoiceAgentError(f"{url}: {error or type(error).__name__}", code="unreachable") from None
            if answer.status_code >= 400:
                detail = str(data.get("detail", "")).removeprefix(f"{data.get('field')}: ")
                raise RequestRefused(data.get("field") or "request", detail, code=data.get("code"))
            return data

        async def dial(wish: DialWish) -> Look:
            nonlocal call_id
            body: Json = {"to": wish.to, "flow": wish.flow, "metadata": dict(wish.metadata)}
            body["ring_timeout_s"] = wish.ring_timeout_s
            if wish.from_user:
                body["from"] = wish.from_user
            call_id = (await asked("POST", "/v1/calls", body))["call_id"]
            return lambda: asked("GET", f"/v1/calls/{call_id}")

        async def hang_up() -> None:
            await asked("POST", f"/v1/calls/{call_id}/actions/hangup")

        yield dial, hang_up

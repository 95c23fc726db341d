"""``voiceagent serve``: start, say where to call and what to open, stay, drain."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from voiceagent.app.sd_notify import Notifier
from voiceagent.cli.run import fail_with, own_command, parse_overrides, say
from voiceagent.descriptors import widen_descriptors
from voiceagent.errors import ConfigError, VoiceAgentError
from voiceagent.loops import run_loop
from voiceagent.tasks import TaskNest


def run_serve(
    config: Path | None,
    flags: Mapping[str, Any],
    overrides: list[str],
    *,
    as_json: bool,
    hosted: bool = False,
    supervised: bool = False,
) -> None:
    """Serve until drained. Exit status 2 with one line for a wrong setting, before any port is opened.

    ``hosted``: the embedded provider takes calls by itself, too, and offers them by webhook. ``supervised``:
    the parent holds our standard input open; when that ends, so do we, as if by SIGTERM.
    """
    from voiceagent.settings import load_settings

    try:
        given = {**flags, **parse_overrides(overrides)}
        settings = load_settings(config, given)
        if hosted and not settings.hosted.webhook_secrets:
            given |= _secret_between(settings.provider)
            settings = load_settings(config, given)
        from voiceagent.app.service import Service
        from voiceagent.observe.logs import configure_logs

        form = "json" if as_json else settings.log.format
        # Read beside those of others, or by machines, a line must say whose it is.
        named = form == "json" or settings.cluster.url is not None
        configure_logs(format=form, level=settings.log.level, node=settings.cluster.name if named else "")

        widen_descriptors()

        async def work() -> None:
            service = Service(settings, reread=lambda: load_settings(config, given))
            await _serve(service, as_json=as_json, supervised=supervised)

        run_loop(work)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _secret_between(provider: str) -> dict[str, Any]:
    """Make the secret that both sides share; only the embedded provider can be told one."""
    if provider != "embedded":
        raise ConfigError("hosted.webhook_secrets", f"is needed: the signing secret that {provider} gave you")
    from voiceagent.engine.hosted_webhook import new_webhook_secret

    return {"hosted.webhook_secrets": [new_webhook_secret()]}


async def _serve(service: Any, *, as_json: bool, supervised: bool) -> None:
    from voiceagent.app.service import Addresses

    signals: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number.name)
    hung_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    if supervised:
        loop.add_reader(0, _parent_gone, signals)
    async with _notifying() as (notifier, nest), service, _reloading(service, hung_up, signals):
        addresses: Addresses = service.addresses
        _announce(addresses, service, as_json=as_json)
        nest.start("ready", _tell_ready(service, notifier))
        nest.start("service manager", notifier.keep_alive(lambda: _status(service)))
        service.drainer.told = lambda: notifier.status(_status(service))
        await _stay(service, signals, notifier, as_json=as_json)
        notifier.stopping()


async def _stay(service: Any, signals: asyncio.Queue[str], notifier: Notifier, *, as_json: bool) -> None:
    """Stay until the node is drained. A second signal waits for no call; after a drain that was taken back
    the next one is a first one again.
    """
    drained = asyncio.ensure_future(service.drainer.wait())  # the console may ask for it, too
    asked = asyncio.ensure_future(signals.get())
    signalled = False
    try:
        while True:
            await asyncio.wait({asked, drained}, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done() or (signalled and service.drainer.view()["state"] != "serving"):
                return
            signalled = True
            service.drainer.begin(asked.result())
            notifier.stopping(_status(service))
            live = service.admission.live
            if live and not as_json:
                say(f"Finishing {live} call(s); signal again to end them now.")
            asked = asyncio.ensure_future(signals.get())
    finally:
        for task in (asked, drained):
            task.cancel()


def _parent_gone(signals: asyncio.Queue[str]) -> None:
    """The parent writes nothing, so what can be read is the end: it holds the other end while it lives."""
    if not os.read(0, 64):
        asyncio.get_running_loop().remove_reader(0)
        signals.put_nowait("the end of its parent")


@asynccontextmanager
async def _notifying() -> AsyncGenerator[tuple[Notifier, TaskNest]]:
    """The service manager's ear, to the very end of the process; who tells it what has a nest."""
    notifier, nest = Notifier.of_process(), TaskNest("manager")
    try:
        yield notifier, nest
    finally:
        await nest.close()
        notifier.close()


async def _tell_ready(service: Any, notifier: Notifier) -> None:
    await service.ready()
    notifier.ready()


def _status(service: Any) -> str:
    view = service.drainer.view()
    return f"{view['state']}, {view['calls']} call(s)"


@asynccontextmanager
async def _reloading(
    service: Any, hung_up: asyncio.Event, signals: asyncio.Queue[str]
) -> AsyncGenerator[None]:
    """Read the flows again at every SIGHUP. The log says what became of it."""
    from voiceagent.console.ports import FlowsRefused

    at_terminal = os.isatty(0)

    async def reload() -> None:
        while True:
            await hung_up.wait()
            hung_up.clear()
            if at_terminal and terminal_gone():
                signals.put_nowait("SIGHUP")  # the window was closed: nobody asks for a reload
                continue
            with contextlib.suppress(FlowsRefused):
                await service.desk.reload("SIGHUP")

    nest = TaskNest("serve")
    nest.start("reload on SIGHUP", reload())
    try:
        yield
    finally:
        await nest.close()


def terminal_gone() -> bool:
    """Whether the window in which this was started has been closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return True
    return False


def _announce(addresses: Any, service: Any, *, as_json: bool) -> None:
    chosen = service.settings.console.token is not None  # the operator knows it; logs need not
    token = None if chosen else addresses.console_token
    page = addresses.console if token is None else f"{addresses.console}/#token={token}"
    if as_json:
        say(
            json.dumps(
                {
                    "event": "listening",
                    "node": service.settings.cluster.name,
                    "sip": addresses.sip,
                    "listeners": addresses.listeners,
                    "console": addresses.console,
                    "token": token,
                    "provider": addresses.provider,
                    "engine": addresses.engine,
                    "hosted_sip": addresses.hosted_sip,
                }
            )
        )
        return
    numbers = [number for flow in service.flows for number in flow.numbers]
    user = next((number for number in numbers if number != "*"), "100")
    voice = {"embedded": "built-in demonstration voice (offline)"}.get(addresses.provider, addresses.provider)
    lines = [
        "",
        "  voiceagent is listening.",
        "",
        f"  dial    sip:{user}@{addresses.sip}   from any softphone on this machine, or:",
        f"          {own_command()} call sip:{user}@{addresses.sip} --do listen --do say:billing",
    ]
    more = [one for one in addresses.listeners if one != f"udp:{addresses.sip}"]
    if more:
        lines.append(f"  also    {', '.join(more)}")
    if addresses.hosted_sip:
        lines.append(
            f"  hosted  sip:{user}@{addresses.hosted_sip}   the provider takes it and offers it to us"
        )
    if page:
        lines += [
            f"  open    {page}",
            f"  token   {token or ('as set in console.token' if chosen else 'none: sign in with your name')}",
        ]
    lines += [f"  voice   {voice}", "  stop    Ctrl-C: running calls are finished first", ""]
    say("\n".join(lines))

"""PURE. The settings of several workers on one machine, made of the one set that the operator wrote.

Each is a node of its own in one fleet: own name, ports, RTP range, journals and recordings. Everything else
they share.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from voiceagent.errors import ConfigError
from voiceagent.settings.cluster import MOST_NAME
from voiceagent.settings.tree import Settings

MOST_WORKERS = 64
HIGHEST_PORT = 65_535


def worker_settings(settings: Settings, index: int, count: int) -> dict[str, Any]:
    """Return what the settings of worker ``index`` of ``count`` are instead, by their dotted names.

    Raises ConfigError naming the setting that cannot be split.
    """
    if not 1 <= count <= MOST_WORKERS:
        raise ConfigError("--workers", f"must be between 1 and {MOST_WORKERS}")
    if settings.cluster.url is None:
        raise ConfigError(
            "cluster.url",
            "is needed by --workers: only through it does one console see the calls of all of them",
        )
    if settings.sip.listen:
        raise ConfigError("sip.listen", "cannot be split between workers; use sip.host and sip.port")
    registered = next((one.name for one in settings.trunks if one.registers), None)
    if registered is not None:
        raise ConfigError(
            f"trunks.{registered}.register",
            "cannot be on with --workers: each would be registered, and be offered every call",
        )
    name = f"{settings.cluster.name}-{index}"
    if len(name) > MOST_NAME:
        raise ConfigError("cluster.node", f"leaves no room for a worker's number: {name!r} is too long")
    low, high = _ports(settings, index, count)
    own: dict[str, Any] = {
        "cluster.node": name,
        "sip.port": _nth("sip.port", settings.sip.port, index, count),
        "media.port_low": low,
        "media.port_high": high,
        "journal_dir": f"{settings.journal_dir}/{name}",
        "recordings_dir": f"{settings.recordings_dir}/{name}",
    }
    if settings.console.enabled:
        own["console.port"] = _nth("console.port", settings.console.port, index, count)
        _apart(settings, count)
    if settings.cluster.advertised_console:
        own["cluster.advertised_console"] = _console(settings, index)
    engine = settings.engine
    for setting, port in (("engine.port", engine.port), ("engine.sip_port", engine.sip_port)):
        if port:
            own[setting] = _nth(setting, port, index, count)
    return own


def _nth(setting: str, port: int, index: int, count: int) -> int:
    """Return the port of a worker; 0 stays: each takes a free one."""
    if port and port + count - 1 > HIGHEST_PORT:
        raise ConfigError(setting, f"{port} leaves no {count} ports up to {HIGHEST_PORT}")
    return port + index if port else 0


def _ports(settings: Settings, index: int, count: int) -> tuple[int, int]:
    """Return the RTP range of a worker: whole pairs, of which every one has as many."""
    media = settings.media
    first = media.port_low + media.port_low % 2
    pairs = (media.port_high - first + 1) // 2
    each, needed = pairs // count, settings.call.max_calls
    if each < needed:
        raise ConfigError(
            "media.port_high",
            f"is too low: {count} workers with {needed} calls each (call.max_calls) need "
            f"{2 * count * needed} ports, there are {2 * pairs}",
        )
    low = first + 2 * each * index
    return low, low + 2 * each - 1


def _apart(settings: Settings, count: int) -> None:
    """SIP listens on TCP, too: its ports and the consoles' must not be the same."""
    sip, console = settings.sip.port, settings.console.port
    if sip and console and abs(sip - console) < count:
        raise ConfigError(
            "console.port", f"{console} is too near sip.port {sip}: each takes {count} ports in a row"
        )


def _console(settings: Settings, index: int) -> str:
    """Return where other workers reach this one's console."""
    url = urlsplit(settings.cluster.advertised_console)
    if url.port is None or url.port != settings.console.port:
        raise ConfigError(
            "cluster.advertised_console",
            f"must name console.port ({settings.console.port}) with --workers: each has one of its own",
        )
    host = url.netloc.rpartition(":")[0]
    return urlunsplit(url._replace(netloc=f"{host}:{url.port + index}"))

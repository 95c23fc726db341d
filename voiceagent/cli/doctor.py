"""``voiceagent doctor``: is everything there that a call needs? Each finding says what to do about it."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voiceagent.cli.doctor_cluster import cluster_findings
from voiceagent.cli.doctor_node import folder_findings, room_findings
from voiceagent.cli.doctor_traces import trace_findings
from voiceagent.cli.finding import Finding
from voiceagent.cli.run import fail_with, parse_overrides, show_json
from voiceagent.errors import ConfigError, ProviderError, VoiceAgentError
from voiceagent.loops import run_loop

EXPIRES_SOON_DAYS = 14


def run_doctor(config: Path | None, overrides: list[str], *, as_json: bool) -> None:
    """Check and tell; exit status 1 when something is amiss."""
    from voiceagent.settings import load_settings

    try:
        settings = load_settings(config, parse_overrides(overrides))
    except ConfigError as error:
        fail_with(error, as_json=as_json)
    findings = [Finding("settings", True, f"provider {settings.provider}")]
    findings += [_flows(settings), *listener_findings(settings), *_ports(settings)]
    findings += [*folder_findings(settings), *room_findings(settings)]
    findings += _records(settings)
    findings += [_codecs(), _srtp(settings), *_hold_music(settings), _browser_phone(settings), _loop()]
    if settings.trunks:
        findings += run_loop(lambda: _trunks(settings))
    findings += run_loop(lambda: cluster_findings(settings))
    findings += run_loop(lambda: trace_findings(settings))
    findings += run_loop(lambda: _provider(settings))
    if as_json:
        show_json({"ok": all(one.ok for one in findings), "findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            print(f"  {'✓' if one.ok else '✗'} {one.part.ljust(12)} {one.detail}")
    raise SystemExit(0 if all(one.ok for one in findings) else 1)


def _flows(settings: Any) -> Finding:
    from voiceagent.app.flow_books import book_of_flows

    try:
        names = [flow.name for flow in book_of_flows(settings)]
    except ConfigError as error:
        return Finding("flows", False, str(error))
    return Finding("flows", True, ", ".join(names))


def _records(settings: Any) -> list[Finding]:
    from voiceagent.cli.doctor_records import database_facts, holder_facts

    holder = holder_facts(settings)
    held = [] if holder is None else [Finding("journals", *holder)]
    return [Finding("database", *database_facts(settings)), *held]


def _ports(settings: Any) -> list[Finding]:
    wanted: list[tuple[str, int, str, int]] = []
    if settings.console.enabled:
        wanted.append(("console", socket.SOCK_STREAM, settings.console.host, settings.console.port))
    wanted.append(
        ("rtp", socket.SOCK_DGRAM, settings.media.host or settings.sip.first_host, settings.media.port_low)
    )
    return [_port(*one) for one in wanted]


def listener_findings(settings: Any) -> list[Finding]:
    """Each SIP listener: its port is free, and its certificate can be shown to peers today."""
    from voiceagent.app.sip_listeners import listeners_of, setting_of, tls_of
    from voiceagent.sip.net.streams import bind_tcp
    from voiceagent.sip.net.udp_socket import bind_udp

    findings: list[Finding] = []
    names = setting_of(settings.sip)
    listeners = listeners_of(settings.sip)
    for one in listeners:
        try:
            if one.transport == "udp":
                bind_udp(one.host, one.port, names).close()
            else:
                bind_tcp(one.host, one.port, names, one.transport).close()
        except ConfigError as error:
            findings.append(Finding("sip", False, f"{error}; change it or stop who holds it"))
        else:
            findings.append(Finding("sip", True, f"{one} is free"))
    tls = tls_of(settings.sip)
    if tls.certificate is not None or any(one.transport == "tls" for one in listeners):
        findings.append(_certificate(tls))
    elif tls.ca is not None or tls.key is not None:
        findings.append(_tls_files(tls))
    return findings


def _tls_files(tls: Any) -> Finding:
    from voiceagent.sip.net.tls import check_files

    try:
        check_files(tls)
    except ConfigError as error:
        return Finding("certificate", False, str(error))
    return Finding("certificate", True, "none of ours; peers are checked by sip.tls.ca")


def _hold_music(settings: Any) -> list[Finding]:
    from voiceagent.app.telephony import hold_music

    if settings.call.hold_music is None:
        return []
    try:
        hold_music(settings.call.hold_music)
    except ConfigError as error:
        return [Finding("hold music", False, str(error))]
    return [Finding("hold music", True, settings.call.hold_music)]


def _certificate(tls: Any) -> Finding:
    from voiceagent.sip.net.tls import client_context, inspect_certificate, server_context

    try:
        server_context(tls)
        client_context(tls)
        facts = inspect_certificate(tls)
    except ConfigError as error:
        return Finding("certificate", False, str(error))
    days = int((facts.expires - time.time()) // 86_400)
    names = ", ".join(facts.names) or "no name at all"
    if days < EXPIRES_SOON_DAYS:
        return Finding("certificate", False, f"of {names} expires in {days} days; renew sip.tls.certificate")
    return Finding("certificate", True, f"of {names}, valid for {days} days")


def _port(part: str, kind: int, host: str, port: int) -> Finding:
    setting = "media.port_low" if part == "rtp" else f"{part}.port"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        try:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
        except OSError as error:
            return Finding(
                part, False, f"{host}:{port}: {error.strerror}; set {setting} or stop who holds it"
            )
    return Finding(part, True, f"{host}:{port} is free")


def _codecs() -> Finding:
    from voiceagent.media import g711
    from voiceagent.media.codecs import available, have_wide

    tone = bytes(range(256))
    well = g711.encode(g711.decode(tone, "ulaw"), "ulaw")[:100] == tone[:100]
    more = "" if have_wide() else "; G722 and opus: pip install 'voiceagent[codecs]'"
    return Finding("codecs", well, f"{', '.join(available())}, telephone-event{more}")


def _srtp(settings: Any) -> Finding:
    from voiceagent.media.srtp import HOW_TO_INSTALL, srtp_available

    mode, keying = settings.media.srtp, ", ".join(settings.media.srtp_keying)
    if mode == "off":
        return Finding("srtp", True, "off")
    if not srtp_available():
        return Finding("srtp", True, f"not offered. {HOW_TO_INSTALL}")
    over = " (SDES over TLS only)" if settings.media.sdes_over == "tls" else ""
    return Finding("srtp", True, f"{mode} by {keying}{over}")


def _browser_phone(settings: Any) -> Finding:
    from importlib.util import find_spec

    from voiceagent.media.webrtc import HOW_TO_INSTALL

    if not settings.console.enabled or not settings.console.phone_calls_per_user:
        return Finding("browser phone", True, "off")
    if find_spec("aiortc") is None:
        return Finding("browser phone", True, f"not there. {HOW_TO_INSTALL}")
    return Finding("browser phone", True, f"browsers send their audio to {settings.media_told}, by UDP")


def _loop() -> Finding:
    missing: list[str] = []
    for name in ("uvloop", "picows", "pybase64"):
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    if missing:
        return Finding("speed", True, f"slower without {', '.join(missing)}: pip install 'voiceagent[fast]'")
    return Finding("speed", True, "uvloop, picows, pybase64")


async def _trunks(settings: Any) -> list[Finding]:
    from voiceagent.app.trunk_check import check_trunks

    try:
        return [Finding(f"trunk {one.name}", one.ok, one.detail) for one in await check_trunks(settings)]
    except ConfigError as error:
        return [Finding("trunks", False, str(error))]


async def _provider(settings: Any) -> list[Finding]:
    if settings.provider == "embedded":
        return await _embedded(settings)
    from voiceagent.app.provider import SessionFactory
    from voiceagent.ivr.flow import Flow
    from voiceagent.records.journal import Journal

    async def nothing(_call: Any) -> None:
        return None

    try:
        async with asyncio.timeout(10):
            session = await SessionFactory(settings, None).open(
                Flow("doctor", nothing), "audio/pcmu", Journal(None, None)
            )
        await session.close("doctor")
    except (ProviderError, TimeoutError) as error:
        return [Finding("provider", False, f"{settings.provider}: {error or 'no answer in 10 s'}")]
    return [Finding("provider", True, f"{settings.provider} opens a session with {settings.realtime.model}")]


async def _embedded(settings: Any) -> list[Finding]:
    from voiceagent.engine.parts import build_parts

    try:
        parts = build_parts(
            voice=settings.engine.voice, recogniser=settings.engine.recogniser, vad=settings.engine.vad
        )
        try:
            await parts.warm_up()
        finally:
            await parts.close()
    except (VoiceAgentError, OSError) as error:
        return [Finding("embedded", False, str(error))]
    facts = parts.describe()
    return [Finding(f"engine {key}", True, str(value)) for key, value in facts.items()]

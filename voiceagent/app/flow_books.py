"""The flows of a node as one book, from its settings; what is known of a call when one is picked from it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from datetime import UTC, datetime

from voiceagent.app.flow_targets import check_fallbacks
from voiceagent.call.leg import LegInfo
from voiceagent.errors import ConfigError
from voiceagent.ivr.flow import FlowBook
from voiceagent.ivr.loading import LoadedFlow, read_flows
from voiceagent.ivr.modules import FlowModules
from voiceagent.ivr.routing import Arrival
from voiceagent.settings import Settings


def book_of_flows(settings: Settings, version: int = 1) -> FlowBook:
    """Return the flows that the settings name, or the built-in front desk, and how calls find them.

    Their modules are fresh, and go with the book: whoever runs a flow holds its book as long.
    Raises :class:`~voiceagent.errors.ConfigError` naming the setting, or the file.
    """
    modules = FlowModules()
    if settings.flows:
        loaded = read_flows(settings.flows, modules, settings.call.http_hosts)
    else:
        from voiceagent.ivr.front_desk import front_desk

        loaded = [LoadedFlow(front_desk, "")]
    try:
        book = _book(settings, version, loaded)
    except ConfigError:
        modules.forget()
        raise
    weakref.finalize(book, modules.forget).atexit = False
    return book


def _book(settings: Settings, version: int, loaded: Sequence[LoadedFlow]) -> FlowBook:
    book = FlowBook(
        [one.flow for one in loaded],
        routes=[one.route for one in settings.routes],
        default_flow=settings.default_flow,
        hosted_numbers=settings.hosted.numbers,
        version=version,
        sources={one.flow.name: one.source for one in loaded},
    )
    check_fallbacks(book, settings.call.transfer_targets)
    return book


def arrival_of(info: LegInfo, wall: float) -> Arrival:
    """Return what routes may ask of an offered call; ``wall`` is the Unix time of its offer."""
    return Arrival(
        called=info.called,
        at=datetime.fromtimestamp(wall, UTC),
        caller=info.caller,
        trunk=info.trunk,
        kind=info.kind,
        headers=info.headers,
        protocol_call_id=info.protocol_call_id,
    )

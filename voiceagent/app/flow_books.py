"""The flows of a node as one book, from its settings; what is known of a call when one is picked from it."""

from __future__ import annotations

from datetime import UTC, datetime

from voiceagent.app.flow_targets import check_fallbacks
from voiceagent.call.leg import LegInfo
from voiceagent.ivr.flow import FlowBook, load_flows
from voiceagent.ivr.routing import Arrival
from voiceagent.settings import Settings


def book_of_flows(settings: Settings, version: int = 1) -> FlowBook:
    """Return the flows that the settings name, or the built-in front desk, and how calls find them.

    Raises :class:`~voiceagent.errors.ConfigError` naming the setting, or the file.
    """
    if settings.flows:
        flows = list(load_flows(settings.flows))
    else:
        from voiceagent.ivr.front_desk import front_desk

        flows = [front_desk]
    book = FlowBook(
        flows,
        routes=[one.route for one in settings.routes],
        default_flow=settings.default_flow,
        hosted_numbers=settings.hosted.numbers,
        version=version,
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

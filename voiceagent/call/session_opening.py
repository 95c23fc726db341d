"""What every opening of a session writes into the call's journal, and how a replay can draw its ids again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from voiceagent.call.inputs import inputs_of
from voiceagent.call.recorded_call import write_session
from voiceagent.call.session_setup import SessionDefaults
from voiceagent.ids import random_token
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.records.journal import Journal

_sessions = count(1)


def tracer(journal: Journal) -> Callable[[object, float], None]:
    """Return the hook that writes every event and effect of a sequencer into the call's journal.

    Each hook has a number of its own in its entries, so that the sessions of one call can be told apart.
    """
    session = next(_sessions)

    def trace(event_or_effect: object, now: float) -> None:
        journal.write("sequencer", event_or_effect, loop_t=round(now, 6), session=session)

    return trace


def watched(
    journal: Journal,
    defaults: SessionDefaults,
    *,
    place: str,
    provider: str,
    model: str | None,
    voice: str | None = None,
) -> dict[str, Any]:
    """Return the arguments by which a model's steps, and its inputs where wanted, reach the journal.

    ``place`` is first, second or hosted; ``voice`` is what the second provider speaks with.
    """
    inputs = inputs_of(journal)
    if inputs is None:
        return {"trace": tracer(journal)}
    write_session(inputs, provider=provider, defaults=defaults, place=place, model=model, voice=voice)
    tokens = inputs.tokens("model")
    return {"trace": tracer(journal), "tap": inputs, "tokens": tokens, "wall": inputs.wall}


async def opened(
    model: OpenAIRealtimeWebSocketModel, config: RealtimeSessionConfig, journal: Journal
) -> RealtimeSession:
    """Open a session. Raises :class:`~voiceagent.errors.ProviderError`."""
    inputs = inputs_of(journal)
    tokens = random_token if inputs is None else inputs.tokens("session")
    session = RealtimeSession(model=model, config=config, tokens=tokens)
    await session.open()
    return session

"""PURE. How good a call sounds, estimated from what the network did to it: the E-model, simplified.

ITU-T G.107 gives a rating R = Ro − Is − Id − Ie,eff + A. With all its defaults Ro − Is is 93.2; what is left
to us is the delay and the loss:

    Id     = 0.024·d + 0.11·(d − 177.3)·H(d − 177.3)               d: one-way delay, ms
    Ie,eff = Ie + (95 − Ie)·Ppl / (Ppl + Bpl)                      G.107 §3.5, random loss, Ppl in %
    MOS    = 1 + 0.035·R + R·(R − 60)·(100 − R)·7e-6               G.107 annex B, for 0 < R < 100

Id is the usual short form (Cole and Rosenbluth, "Voice over IP performance monitoring", 2001) of G.107 §3.4.
Ie and Bpl of each codec are those of G.113 appendix I, G.711 with concealment; the wide-band codecs take the
values of a codec without impairment, so their estimate is on the narrow-band scale and at most 4.4.

The one-way delay is half the round trip, plus the packet's own length and what a receiver holds back, here
twice the jitter. It is an estimate: it knows nothing of the room, the phone and the voice.
"""

from __future__ import annotations

from dataclasses import dataclass

BASE_RATING = 93.2
_EQUIPMENT = {"PCMU": (0.0, 25.1), "PCMA": (0.0, 25.1), "G722": (0.0, 25.1), "opus": (0.0, 25.1)}
"""Codec → (Ie, Bpl)."""
_UNKNOWN_CODEC = (10.0, 10.0)
LOOK_AHEAD_MS = 5.0
"""Coding and our own path, small for all codecs here."""


@dataclass(frozen=True, slots=True)
class Quality:
    """One direction's figures. ``loss`` is a share of 1; times in ms."""

    loss: float
    jitter_ms: float
    round_trip_ms: float | None
    rating: float
    """R of the E-model, 0 to 100."""
    mos: float
    """Mean opinion score, 1 to 4.5."""


def estimate(
    *, loss: float, jitter_ms: float, round_trip_ms: float | None = None, codec: str = "PCMU", ptime: int = 20
) -> Quality:
    """Rate one direction. ``loss`` outside 0 to 1 is taken as the nearest of both."""
    loss = min(1.0, max(0.0, loss))
    delay = (round_trip_ms or 0.0) / 2 + ptime + 2 * jitter_ms + LOOK_AHEAD_MS
    rating = min(100.0, max(0.0, BASE_RATING - _delay(delay) - _equipment(loss, codec)))
    return Quality(loss, jitter_ms, round_trip_ms, rating, _mos(rating))


def _delay(milliseconds: float) -> float:
    return 0.024 * milliseconds + 0.11 * max(0.0, milliseconds - 177.3)


def _equipment(loss: float, codec: str) -> float:
    own, robustness = _EQUIPMENT.get(codec, _UNKNOWN_CODEC)
    percent = 100 * loss
    return own + (95 - own) * percent / (percent + robustness)


def _mos(rating: float) -> float:
    return 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6 if rating > 0 else 1.0

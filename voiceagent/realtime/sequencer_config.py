"""PURE. Every limit, timer and provider capability of the sequencer, as values.

Defaults follow the rules in :mod:`voiceagent.realtime.sequencer`; all durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SequencerConfig:
    """How one provider behaves and how patient we are with it."""

    # ── what the provider can do ────────────────────────────────────────────────────────────────
    overlap: Literal["refuse", "supersede"] = "refuse"
    """What a create does while a response is active: it is refused, or it replaces the active one."""
    metadata_echo: bool = True
    """``response.created|done`` repeat the metadata of the create; without it, order of sending decides."""
    cancel_by_id: bool = True
    """``response.cancel`` takes a ``response_id``; otherwise it goes out bare."""
    owns_output_buffer: bool = False
    """The provider plays to the caller (SIP, WebRTC): stop with ``output_audio_buffer.clear``."""
    auto_create: bool = False
    """Initial mirror of ``turn_detection.create_response``: the server answers turns by itself."""
    auto_interrupt: bool = True
    """Initial mirror of ``turn_detection.interrupt_response``: the server cancels on caller speech."""

    # ── queue ───────────────────────────────────────────────────────────────────────────────────
    queue_limit: int = 32
    oob_limit: int = 4
    """Out-of-band responses that may run beside the conversation."""
    ageing_s: float = 10.0
    """A waiting request rises one class per this time, never above operator."""
    ledger_size: int = 256
    """How many ended requests, responses and item acknowledgements are remembered."""

    # ── create and cancel ───────────────────────────────────────────────────────────────────────
    ack_s: float = 2.0
    ack_round_trips: float = 8.0
    """``response.created`` is awaited for max(ack_s, ack_round_trips × RTT)."""
    cancel_ack_s: float = 2.0
    not_active_grace_s: float = 0.25
    """After "nothing to cancel": how long ``response.done`` may still be under way."""
    probe_s: float = 2.0
    """How long the probe may stay unanswered before the slot counts as free."""
    stall_s: float = 15.0
    """An active response without any sign of life for this long is cancelled."""
    stall_single_s: float = 60.0
    """The same after exactly one audible sign: that driver may not repeat ``OutputStarted``."""
    backoff_s: float = 0.06
    """After the n-th refusal: backoff_s × 2^(n-1), plus up to half of it as jitter."""
    failed_retries: int = 1
    failed_retry_s: float = 1.0
    """Pause before a failed response is tried again, where the provider gave no hint."""
    failed_retry_max_s: float = 20.0
    item_ack_s: float = 2.0
    """How long the acknowledgement of an item or update is awaited before we trust the wire's order."""

    # ── the caller's turn ───────────────────────────────────────────────────────────────────────
    hold_min_s: float = 0.15
    hold_max_s: float = 1.5
    hold_factor: float = 1.5
    """After a commit an automatic reply is awaited for clamp(p99 gap × factor, min, max)."""
    turn_grace_s: float = 0.3
    """Where we answer turns: how long what was asked before the turn's end lets the turn's reply go first."""
    speech_cap_s: float = 20.0
    """Speech without an end for this long no longer holds back operators."""
    speech_giveup_s: float = 60.0
    """… and for this long, nobody."""

    # ── playback ────────────────────────────────────────────────────────────────────────────────
    stop_cap_s: float = 2.0
    """How long an interrupt, and the end of a stopped playback, may take."""
    drain_margin_s: float = 2.0
    drain_unknown_s: float = 10.0
    """Assumed rest of playback where neither audio length nor text tells it."""
    chars_per_s: float = 10.0
    """A slow voice; estimates playback from text where audio was not counted."""
    drain_max_s: float = 180.0

    # ── link ────────────────────────────────────────────────────────────────────────────────────
    quiet_s: float = 1.5
    """Listening time after a re-attach."""
    orphan_s: float = 30.0
    """How long a response cut off by a lost link may wait for news of it."""
    expiry_notice_s: float = 120.0
    expiry_last_call_s: float = 20.0

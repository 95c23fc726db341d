"""Settings of the call handler."""

from __future__ import annotations

from dataclasses import dataclass, field

from voiceagent.call.overload import OverloadConfig
from voiceagent.call.vigil_config import VigilConfig

FALLBACK_SENTENCE = "I am sorry, something has gone wrong on our side."
DRAIN_SENTENCE = "I am sorry, I have to end this call now. Please call again. Goodbye."


@dataclass(frozen=True, slots=True)
class SurvivalConfig:
    """What happens when the provider is lost in the middle of a call, in seconds."""

    enabled: bool = True
    """False: the call ends with the apology."""
    cap_s: float = 10.0
    """From the loss to the next means: second provider, then apology, transfer, goodbye."""
    attempt_s: float = 4.0
    """How long one attempt may take."""
    backoff_s: float = 0.25
    """The n-th pause between attempts is random, up to ``backoff_s`` × 2^(n-1) …"""
    backoff_max_s: float = 2.0
    """… and never longer than this."""
    second_s: float = 4.0
    """How long the second provider may take."""
    comfort: bool = True
    """Play a soft sound while the caller waits."""
    comfort_after_s: float = 0.6
    """Silence before it begins."""
    caller_audio_s: float = 10.0
    """How much of the caller's speech that nobody has understood is kept for the new session."""
    handover_at: float = 0.8
    """Share of a session's life after which it is replaced …"""
    handover_jitter: float = 0.05
    """… give or take this share, at random."""
    transfer_to: str | None = None
    """URI of a person for callers whose provider is gone for good."""


@dataclass(frozen=True, slots=True)
class CallConfig:
    """Limits and waits of one call, in seconds."""

    connect_timeout_s: float = 3.0
    """How long the provider may take; then the caller hears an apology (within 4 s of the INVITE)."""
    max_duration_s: float = 7200.0
    no_input_s: float = 6.0
    transfer_timeout_s: float = 20.0
    transfer_targets: tuple[str, ...] = ()
    """URIs or prefixes ending in ``*`` that flows may transfer to; empty means none."""
    hangup_grace_s: float = 0.2
    """From the last frame of the goodbye to the BYE: the far end's jitter buffer must run dry."""
    goodbye_limit_s: float = 12.0
    """How long a call that is ending may wait for what is still being said."""
    flow_cleanup_s: float = 5.0
    """How long a cancelled flow's ``finally`` blocks may run."""
    vigil: VigilConfig = field(default_factory=VigilConfig)
    """How long the caller may wait in silence, and the provider be silent."""
    survival: SurvivalConfig = field(default_factory=SurvivalConfig)
    """What happens when the provider is lost."""
    max_waiting: int = 16
    """Wishes of operators that may wait in one call; one more is refused."""
    recording_max_s: float = 7200.0
    """Longest recording."""
    recording_announce: str = ""
    """What callers hear before a recording begins, where its flow has no announcement of its own: words, or a
    WAV file's path (``….wav``)."""
    recording_tone: bool = False
    """Whether callers hear a tone when a recording is paused, and goes on."""
    prompts_dir: str | None = None
    """Folder of recorded lines: ``<language>/moment.wav``, ``patience.wav``, ``apology.wav``."""
    fallback_sentence: str = FALLBACK_SENTENCE
    """Said word for word to a caller whose flow has failed; a flow may have its own."""
    fallback_target: str | None = None
    """URI to whom such a caller is handed then; one of ``transfer_targets``."""
    drain_sentence: str = DRAIN_SENTENCE
    """Said word for word to a caller whose call outlives the drain of its node."""
    farewell_limit_s: float = 20.0
    """How long that may take, with all that comes before it."""


@dataclass(frozen=True, slots=True)
class AdmissionConfig:
    """How many calls this node takes."""

    max_calls: int = 100
    retry_after_s: int = 10
    """Mean of Retry-After; see :func:`~voiceagent.call.overload.spread`."""
    overload: OverloadConfig = field(default_factory=OverloadConfig)

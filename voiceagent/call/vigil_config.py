"""How long the caller may wait in silence, and the provider be silent: see :mod:`voiceagent.call.vigil`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VigilConfig:
    """How patient we are, in seconds. 0 turns a measure off."""

    filler_s: float = 1.2
    """Silence before "One moment, please."."""
    patience_s: float = 4.0
    """Silence before the line that asks for patience."""
    give_up_s: float = 10.0
    """Since the silence began: then the session is given up as slow."""
    suspect_s: float = 4.0
    """Without any event while one is due: the provider is suspected."""
    dead_s: float = 10.0
    """… and this long: it is frozen."""
    dry_s: float = 1.8
    """How long the voice may stop in the middle of an item; no line can be put there."""
    quiet_audio_s: float = 2.0
    """So much audio below −50 dBFS, with nothing louder before it, is no voice."""
    pause_s: float = 4.0
    """The same after a voice was heard in that response: a pause may be longer."""

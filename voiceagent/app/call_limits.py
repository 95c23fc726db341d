"""From settings to the limits of one call."""

from __future__ import annotations

from voiceagent.call.config import CallConfig, SurvivalConfig
from voiceagent.call.vigil_config import VigilConfig
from voiceagent.settings import Settings
from voiceagent.settings.recording import announcement_of


def call_config(settings: Settings) -> CallConfig:
    """Return the limits and waits that the settings give every call."""
    call, survival = settings.call, settings.survival
    return CallConfig(
        connect_timeout_s=call.connect_timeout_s,
        max_duration_s=call.max_duration_s,
        no_input_s=call.no_input_s,
        transfer_timeout_s=call.transfer_timeout_s,
        transfer_targets=call.transfer_targets,
        max_waiting=call.max_waiting,
        recording_max_s=settings.recording.max_minutes * 60,
        recording_announce=announcement_of(settings.recording, call.prompts_dir),
        recording_tone=settings.recording.pause_tone,
        prompts_dir=call.prompts_dir,
        fallback_sentence=call.fallback_sentence,
        fallback_target=call.fallback_target,
        drain_sentence=call.drain_sentence,
        survival=SurvivalConfig(
            enabled=survival.enabled,
            cap_s=survival.cap_s,
            comfort=survival.comfort,
            transfer_to=survival.transfer_to,
        ),
        vigil=VigilConfig(
            filler_s=call.filler_s,
            patience_s=call.patience_s,
            give_up_s=call.give_up_s,
            dead_s=call.give_up_s,
        ),
    )

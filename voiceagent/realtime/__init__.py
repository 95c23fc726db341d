"""The model's side of a call: sessions, the sequencer, and the wire.

Names are loaded when first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voiceagent.realtime.config import RealtimeSessionConfig
    from voiceagent.realtime.handles import ResponseHandle
    from voiceagent.realtime.model import RealtimeModel
    from voiceagent.realtime.model_events import (
        RealtimeModelAudioDoneEvent,
        RealtimeModelAudioEvent,
        RealtimeModelAudioInterruptedEvent,
        RealtimeModelConnectionStatusEvent,
        RealtimeModelDtmfEvent,
        RealtimeModelErrorEvent,
        RealtimeModelEvent,
        RealtimeModelInputAudioTranscriptionCompletedEvent,
        RealtimeModelInputCommittedEvent,
        RealtimeModelInputSpeechStartedEvent,
        RealtimeModelInputSpeechStoppedEvent,
        RealtimeModelInputTimeoutEvent,
        RealtimeModelInterruptDoneEvent,
        RealtimeModelItemEvent,
        RealtimeModelItemTruncatedEvent,
        RealtimeModelListener,
        RealtimeModelNoticeEvent,
        RealtimeModelPlaybackEvent,
        RealtimeModelRawServerEvent,
        RealtimeModelResponseOutcomeEvent,
        RealtimeModelResponseProgressEvent,
        RealtimeModelSessionUpdatedEvent,
        RealtimeModelSessionUpdateRefusedEvent,
        RealtimeModelToolCallEvent,
        RealtimeModelTranscriptDeltaEvent,
        RealtimeModelTurnEndedEvent,
        RealtimeModelTurnStartedEvent,
        RealtimeModelUsageEvent,
    )
    from voiceagent.realtime.model_inputs import (
        RealtimeModelSendAudio,
        RealtimeModelSendDigit,
        RealtimeModelSendEvent,
        RealtimeModelSendInterrupt,
        RealtimeModelSendItemDelete,
        RealtimeModelSendPaused,
        RealtimeModelSendRawMessage,
        RealtimeModelSendResponseCreate,
        RealtimeModelSendSessionUpdate,
        RealtimeModelSendTakenOver,
        RealtimeModelSendToolOutput,
        RealtimeModelSendUserInput,
        RealtimeModelSendWithdraw,
    )
    from voiceagent.realtime.providers import PROVIDERS, ProviderProfile, provider
    from voiceagent.realtime.requests import (
        BargePolicy,
        InterruptedBy,
        Origin,
        Outcome,
        OutcomeKind,
        Progress,
        ResponseRequest,
        When,
    )
    from voiceagent.realtime.session import RealtimeSession
    from voiceagent.realtime.sip_attach import OpenAIRealtimeSIPModel
    from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel

_HOMES = {
    "config": ("RealtimeSessionConfig",),
    "handles": ("ResponseHandle",),
    "model": ("RealtimeModel",),
    "model_events": (
        "RealtimeModelAudioDoneEvent",
        "RealtimeModelAudioEvent",
        "RealtimeModelAudioInterruptedEvent",
        "RealtimeModelConnectionStatusEvent",
        "RealtimeModelDtmfEvent",
        "RealtimeModelErrorEvent",
        "RealtimeModelEvent",
        "RealtimeModelInputAudioTranscriptionCompletedEvent",
        "RealtimeModelInputCommittedEvent",
        "RealtimeModelInputSpeechStartedEvent",
        "RealtimeModelInputSpeechStoppedEvent",
        "RealtimeModelInputTimeoutEvent",
        "RealtimeModelInterruptDoneEvent",
        "RealtimeModelItemEvent",
        "RealtimeModelItemTruncatedEvent",
        "RealtimeModelListener",
        "RealtimeModelNoticeEvent",
        "RealtimeModelPlaybackEvent",
        "RealtimeModelRawServerEvent",
        "RealtimeModelResponseOutcomeEvent",
        "RealtimeModelResponseProgressEvent",
        "RealtimeModelSessionUpdateRefusedEvent",
        "RealtimeModelSessionUpdatedEvent",
        "RealtimeModelToolCallEvent",
        "RealtimeModelTranscriptDeltaEvent",
        "RealtimeModelTurnEndedEvent",
        "RealtimeModelTurnStartedEvent",
        "RealtimeModelUsageEvent",
    ),
    "model_inputs": (
        "RealtimeModelSendAudio",
        "RealtimeModelSendEvent",
        "RealtimeModelSendDigit",
        "RealtimeModelSendInterrupt",
        "RealtimeModelSendItemDelete",
        "RealtimeModelSendPaused",
        "RealtimeModelSendRawMessage",
        "RealtimeModelSendResponseCreate",
        "RealtimeModelSendSessionUpdate",
        "RealtimeModelSendTakenOver",
        "RealtimeModelSendToolOutput",
        "RealtimeModelSendUserInput",
        "RealtimeModelSendWithdraw",
    ),
    "providers": ("PROVIDERS", "ProviderProfile", "provider"),
    "requests": (
        "BargePolicy",
        "InterruptedBy",
        "Origin",
        "Outcome",
        "OutcomeKind",
        "Progress",
        "ResponseRequest",
        "When",
    ),
    "session": ("RealtimeSession",),
    "sip_attach": ("OpenAIRealtimeSIPModel",),
    "websocket": ("OpenAIRealtimeWebSocketModel",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "PROVIDERS",
    "BargePolicy",
    "InterruptedBy",
    "OpenAIRealtimeSIPModel",
    "OpenAIRealtimeWebSocketModel",
    "Origin",
    "Outcome",
    "OutcomeKind",
    "Progress",
    "ProviderProfile",
    "RealtimeModel",
    "RealtimeModelAudioDoneEvent",
    "RealtimeModelAudioEvent",
    "RealtimeModelAudioInterruptedEvent",
    "RealtimeModelConnectionStatusEvent",
    "RealtimeModelDtmfEvent",
    "RealtimeModelErrorEvent",
    "RealtimeModelEvent",
    "RealtimeModelInputAudioTranscriptionCompletedEvent",
    "RealtimeModelInputCommittedEvent",
    "RealtimeModelInputSpeechStartedEvent",
    "RealtimeModelInputSpeechStoppedEvent",
    "RealtimeModelInputTimeoutEvent",
    "RealtimeModelInterruptDoneEvent",
    "RealtimeModelItemEvent",
    "RealtimeModelItemTruncatedEvent",
    "RealtimeModelListener",
    "RealtimeModelNoticeEvent",
    "RealtimeModelPlaybackEvent",
    "RealtimeModelRawServerEvent",
    "RealtimeModelResponseOutcomeEvent",
    "RealtimeModelResponseProgressEvent",
    "RealtimeModelSendAudio",
    "RealtimeModelSendDigit",
    "RealtimeModelSendEvent",
    "RealtimeModelSendInterrupt",
    "RealtimeModelSendItemDelete",
    "RealtimeModelSendPaused",
    "RealtimeModelSendRawMessage",
    "RealtimeModelSendResponseCreate",
    "RealtimeModelSendSessionUpdate",
    "RealtimeModelSendTakenOver",
    "RealtimeModelSendToolOutput",
    "RealtimeModelSendUserInput",
    "RealtimeModelSendWithdraw",
    "RealtimeModelSessionUpdateRefusedEvent",
    "RealtimeModelSessionUpdatedEvent",
    "RealtimeModelToolCallEvent",
    "RealtimeModelTranscriptDeltaEvent",
    "RealtimeModelTurnEndedEvent",
    "RealtimeModelTurnStartedEvent",
    "RealtimeModelUsageEvent",
    "RealtimeSession",
    "RealtimeSessionConfig",
    "ResponseHandle",
    "ResponseRequest",
    "When",
    "provider",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})

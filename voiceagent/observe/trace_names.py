"""Every name that our traces use. ``gen_ai.*`` is OpenTelemetry's; everything else is ``voiceagent.*``.

The conventions for generative AI are in development and have none for live voice yet. What callers, operators
and models say stands under ``voiceagent.pii.*`` alone, so that a collector can strip it; and it is there only
where ``traces.text`` is on.
"""

from __future__ import annotations

# ── spans ───────────────────────────────────────────────────────────────────────────────────────────
CALL = "call"
TURN = "turn"
GENERATE = "generate_content"
"""Operation of a response; the span's name is this and the model's."""
EXECUTE_TOOL = "execute_tool"
"""Operation of a tool; the span's name is this and the tool's."""

# ── OpenTelemetry's attributes ──────────────────────────────────────────────────────────────────────
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
MODEL = "gen_ai.request.model"
CONVERSATION = "gen_ai.conversation.id"
RESPONSE = "gen_ai.response.id"
OUTPUT_TYPE = "gen_ai.output.type"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
TOOL = "gen_ai.tool.name"
TOOL_CALL = "gen_ai.tool.call.id"

PROVIDERS = {"azure": "azure.ai.openai", "xai": "x_ai", "embedded": "voiceagent"}
"""Our names of providers as OpenTelemetry writes them; others are the same."""

# ── ours ────────────────────────────────────────────────────────────────────────────────────────────
OURS = "voiceagent."
PII = "voiceagent.pii."
CALLER = PII + "caller"
CALLED = PII + "called"
CALLER_TEXT = PII + "caller_text"
AGENT_TEXT = PII + "agent_text"
INSTRUCTIONS = PII + "instructions"
TOOL_ARGUMENTS = PII + "tool_arguments"

CALL_FACTS = {
    "kind": "voiceagent.call.kind",
    "direction": "voiceagent.call.direction",
    "flow": "voiceagent.call.flow",
    "trunk": "voiceagent.call.trunk",
    "route": "voiceagent.call.route",
    "flows_version": "voiceagent.call.flows_version",
}
"""Fields of ``call.offered`` that become attributes."""
CALL_END_FACTS = {
    "outcome": "voiceagent.call.outcome",
    "reason": "voiceagent.call.reason",
    "duration_s": "voiceagent.call.duration_s",
    "barge_ins": "voiceagent.call.barge_ins",
    "longest_gap_s": "voiceagent.call.longest_gap_s",
    "first_words_s": "voiceagent.call.first_words_s",
}
"""… of ``call.ended``."""
CALL_SETUP = "voiceagent.call.setup_s"
CALL_TURNS = "voiceagent.call.turns"

TURN_NUMBER = "voiceagent.turn.number"
TURN_ANSWERED = "voiceagent.turn.answered"
TURN_LATENCY = "voiceagent.turn.latency_s"
TURN_PART = "voiceagent.turn.{part}_s"
"""``commit``, ``transcript``, ``flow``, ``queue``, ``model``, ``playout``: parts of the latency, in order."""

REQUEST = "voiceagent.response.request_id"
ORIGIN = "voiceagent.response.origin"
OUTCOME = "voiceagent.response.outcome"
CUT_BY = "voiceagent.response.cut_by"
CODE = "voiceagent.response.code"
ATTEMPTS = "voiceagent.response.attempts"
HEARD = "voiceagent.response.heard_ms"

TOOL_DONE = "voiceagent.tool.done"

# ── events within spans ─────────────────────────────────────────────────────────────────────────────
SPEECH_STOPPED = "voiceagent.speech_stopped"
COMMITTED = "voiceagent.committed"
TRANSCRIBED = "voiceagent.transcribed"
CREATED = "voiceagent.create_sent"
FIRST_DELTA = "voiceagent.first_delta"
FIRST_SOUND = "voiceagent.first_sound"
BARGE_IN = "voiceagent.barge_in"

CALL_EVENTS = {
    "call.answered": ("setup_s",),
    "call.held": (),
    "call.resumed": (),
    "caller.held": (),
    "caller.resumed": (),
    "flow.step": ("step",),
    "flow.failed": ("flow", "step"),
    "operator.trigger": ("request_id",),
    "operator.withdraw": ("request_id",),
    "operator.hold": (),
    "operator.resume": (),
    "operator.take_over": (),
    "operator.hand_back": ("seconds",),
    "operator.transfer": ("attended",),
    "operator.hang_up": (),
    "provider.error": ("code",),
    "provider.lost": ("reason",),
    "recovery.started": ("reason",),
    "recovery.restored": ("attempts", "seconds"),
    "recovery.failed": ("attempts", "code"),
    "queue.entered": ("queue", "position"),
    "queue.left": ("queue", "reason", "waited_s"),
    "transfer.started": (),
    "transfer.ended": ("accepted", "status"),
    "recording.started": (),
    "recording.finished": ("seconds",),
    "recording.failed": (),
    "line.played": ("line",),
    "apology": ("reason",),
}
"""Entries of the journal that are events of the call's span, and which of their fields are told."""

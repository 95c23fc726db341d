"""The reason codes of the sequencer, in words: for the account of a call and for the manual."""

from __future__ import annotations

from collections.abc import Mapping

NOTICES: Mapping[str, str] = {
    # waiting and order
    "held": "a request waits; the reason says for what",
    "superseded": "a newer request took its place, or two plain follow-ups became one",
    "duplicate_request": "this id was submitted before: nothing new happens",
    "outranked": "it may not interrupt what is more urgent, and waits",
    "requeued": "a request goes back to the front of its class; the reason says why",
    "request_failed": "a request is given up; the reason is the last error",
    "need_refused": "an item or setting that the request builds on was refused",
    "need_unacknowledged": "what it builds on was not confirmed within 2 s; the wire's order is trusted",
    # the caller
    "barge_in": "the caller speaks over a response: it is cut",
    "digit": "the caller pressed a key: droppable prompts end",
    "auto_reply_missing": "the provider was to answer the turn by itself and did not: the gate opens",
    "speech_end_missing": "the end of the caller's speech never came: after 60 s it no longer counts",
    "on_hold": "the call is on hold: only safety lines are sent",
    "off_hold": "the call is back from hold",
    "taken_over": "a human speaks in the agent's place: nothing that could be heard is sent",
    "handed_back": "the human has handed back: the agent may speak again",
    # the one place for a response
    "create_refused": "the provider turned a create down; on an overlap it is tried again after a pause",
    "create_unanswered": "neither created nor refused in time: the place is unknown",
    "probed": "a cancel without an id asks whether anything runs",
    "slot_proven_free": "the answer to the probe: nothing runs",
    "ghost_killed": "the answer to the probe: something ran unseen, and is over now",
    "probe_unanswered": "the probe was not answered within 2 s: the place counts as free",
    "quiet_over": "1.5 s after a re-attach nothing was heard: the place counts as free",
    "response_not_ours": "the provider (or somebody else) began a response that we did not ask for",
    "response_without_created": "output of a response whose beginning was never announced",
    "cancelled_at_start": "nobody wants this response any more, or the caller speaks: it is cancelled",
    "cancel_unanswered": "a cancel had no effect for 2 s: the response counts as over",
    "done_missing": "another response began, so this one is over, although its end was never announced",
    "response_stalled": "no sign of life from the generation: it is cancelled",
    "response_lost": "a response went down with the link, or never showed its end",
    "playback_end_missing": "the end of playback never came: after a cap it counts as heard to there",
    "interrupt_unconfirmed": "silence was asked for and not confirmed within 2 s",
    "error_not_ours": "an error of the provider that belongs to no frame of ours",
    # the link
    "link_lost": "the connection to the provider is gone; the queue is kept",
    "response_survived_link": "a response that the lost link cut off is still alive",
    "session_expiring": "the provider will end this session in about two minutes",
    "session_last_call": "the provider will end this session in about twenty seconds",
    "closed": "the session is over: whatever was open is lost",
}
"""Every code of the sequencer itself. Drivers add codes about frames, such as ``bad_frame``."""

REASONS: Mapping[str, str] = {
    "caller_speaking": "the caller is speaking",
    "turn_ending": "the caller's turn has just ended and is not committed yet",
    "awaiting_auto_reply": "the provider is about to answer the turn by itself",
    "turn_reply_first": "what answers the caller's turn goes first",
    "create_in_flight": "another create is under way",
    "response_active": "another response is being generated",
    "slot_unknown": "it is not known whether anything runs",
    "playback": "something is still being heard",
    "needs_ack": "what it builds on is not confirmed yet",
    "backoff": "it was refused and pauses",
    "on_hold": "the call is on hold",
    "taken_over": "a human speaks in the agent's place",
    "out_of_band_limit": "four silent responses run already",
    "link_attaching": "the connection is being set up",
    "link_down": "the connection is lost",
    "link_closed": "the session is over",
    # why a request goes back
    "create_refused": "its create was refused",
    "create_unanswered": "its create was not answered",
    "cut_unheard": "it was cut before anything was heard",
    "link_lost": "the link was lost",
    "response_lost": "its response was lost",
    "response_failed": "the provider failed on it",
    "response_stalled": "its response showed no sign of life",
    "unknown_parameter": "the provider does not know one of its fields",
    "stale_create": "it answers an attempt that was given up",
    "no_longer_wanted": "nobody wants it any more",
    "coalesce_key": "a newer one has the same key",
    "follow_ups_merged": "one reply answers both tool results",
}
"""The reasons in notices and in the queue's view."""


def notice_in_words(code: str, reason: str = "") -> str:
    """Return what a notice says; unknown codes say themselves."""
    words = NOTICES.get(code, code.replace("_", " "))
    if not reason:
        return words
    why = REASONS.get(reason, reason.replace("_", " "))
    return f"waits, because {why}" if code == "held" else f"{words} ({why})"

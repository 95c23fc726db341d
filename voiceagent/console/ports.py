"""What the console needs of the rest: a directory of calls that it can look at and act on.

Everything crosses this border as plain data; ids are opaque strings. ``app`` plugs the real calls in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from voiceagent.console.ports_listen import Listener
from voiceagent.errors import Fault, VoiceAgentError


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """One utterance. For the agent, ``text`` is cut where hearing stopped and ``full_text`` is not."""

    at: float
    """Seconds since the call began."""
    speaker: str
    """caller, agent, operator, system; note: what the agent was told and nobody heard."""
    text: str
    full_text: str = ""
    item_id: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ResponseView:
    """One response request as an operator sees it."""

    id: str
    call_id: str
    origin: str
    instructions: str | None
    metadata: Mapping[str, str]
    state: str
    """queued, sent, started, audible, generated, played, or the outcome's kind; noted: nothing is spoken."""
    reason: str
    """Why it waits, or how it ended: a stable code and words, e.g. ``caller_speaking``."""
    submitted_at: float
    outcome: Mapping[str, Any] | None = None
    """kind, heard_ms, heard_text, response_id, code, reason — once ended."""


@dataclass(frozen=True, slots=True)
class CallView:
    """One call as an operator sees it."""

    id: str
    caller: str
    called: str
    kind: str
    flow: str
    step: str
    state: str
    """offered; dialling, ringing; talking, closing, ended."""
    started_at: float
    """Unix time."""
    duration_s: float
    floor: str
    """Who speaks now: caller, agent, nobody."""
    last_words: str
    outcome: Mapping[str, Any] | None = None
    provider: str = ""
    direction: str = "inbound"
    """inbound or outbound."""
    trunk: str = ""
    """Over which trunk it came or goes; empty on hosted calls."""
    transcript: Sequence[TranscriptLine] = ()
    responses: Sequence[ResponseView] = ()
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    held_by: Sequence[str] = ()
    """Who holds whom: us (the caller hears music), caller (it does not hear us)."""
    abilities: Sequence[str] = ()
    """What can be done here: hold, transfer, consult, send_digits, listen, take_over. Empty at the end."""
    transfer: Mapping[str, Any] | None = None
    """The newest transfer: target, attended, state (trying, done, failed), status, reason."""
    tags: Sequence[str] = ()
    """Words that operators put on it."""
    recording: Mapping[str, Any] = field(default_factory=lambda: {"state": "", "files": []})
    """state: running, paused, or empty while nothing is recorded; files: names of what was begun."""
    listeners: Sequence[Mapping[str, Any]] = ()
    """Who listens: name, since (Unix time)."""
    taken_over_by: str = ""
    """Who speaks with the caller in the agent's place."""
    node: str = ""
    """Which node has it."""
    stale: bool = False
    """The fleet's registry is away: this is how the call stood before."""
    trace_id: str = ""
    """Of its trace; empty where it is not traced."""


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator does to a call beside making it speak and ending it."""

    what: Literal[
        "hold",
        "resume",
        "transfer",
        "send_digits",
        "note",
        "pause_recording",
        "resume_recording",
        "take_over",
        "hand_back",
    ]
    target: str = ""
    attended: bool = False
    digits: str = ""
    text: str = ""
    """Of a note."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """An operator's wish that the model speak."""

    instructions: str | None
    metadata: Mapping[str, str]
    when: str = "idle"
    deadline_ms: int | None = None
    coalesce: str | None = None
    note_only: bool = False
    """Add the instructions to the conversation, and ask for no response."""


@dataclass(frozen=True, slots=True)
class DialWish:
    """Somebody's wish that we call somebody."""

    to: str
    flow: str
    from_user: str = ""
    from_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    trunk: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    ring_timeout_s: float | None = None
    consent_reference: str = ""


@dataclass(frozen=True, slots=True)
class PhoneWish:
    """A browser's wish to call the agent."""

    sdp: str
    """Its WebRTC offer."""
    flow: str = ""
    """Which flow is to answer; empty: the one that the routes pick for ``to``."""
    to: str = ""
    """The number that counts as called."""
    user: str = ""
    """Whose limit it counts against."""
    name: str = ""
    """Who calls, as shown."""
    source: str = ""
    """Address of the request."""


@dataclass(frozen=True, slots=True)
class PhoneAnswer:
    """The call that was begun, and our WebRTC answer."""

    call_id: str
    sdp: str


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One entry of the live stream. ``id`` rises by one, and counts for this node only.

    ``type`` and ``data`` (a part of the shapes in :mod:`voiceagent.console.views`; a reader merges it):

    - ``call.started``, ``call.changed``, ``call.ended``: fields of ``call_data``;
    - ``call.found_again``: fields of ``call_data``, of a call that had been told as lost with its node;
    - ``transcript.line``: ``line_data``; a line with the ``item_id`` of an earlier one replaces it;
    - ``response.state``: ``response_data``; merged by ``id``;
    - ``trunk.changed``: one of :meth:`Directory.trunks`, without a call;
    - ``alert.raised``, ``alert.cleared``: one of :meth:`Directory.alerts`;
    - ``gap``: what came before is not whole; :meth:`Directory.seen` is. Not for readers.
    """

    id: int
    type: str
    call_id: str
    data: Mapping[str, Any]
    """What the event says."""
    cursor: str = ""
    """Its place in the one order that all nodes of a fleet see; empty where there is none."""
    node: str = ""
    """Of which node, in a fleet."""


@dataclass(frozen=True, slots=True)
class WebhookTaken:
    """What became of a genuine webhook: taken, duplicate, stale, ignored.

    ``retry_after_s`` says that it was not looked at, and when it may be delivered again.
    """

    outcome: str
    retry_after_s: int | None = None


class FlowsRefused(VoiceAgentError):
    """New flows were not taken, the old ones stay. ``problems`` are lines, ``file:line: …`` where known."""

    fault = Fault.OPERATOR
    code = "flows_refused"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""))
        self.problems = tuple(problems)


class Webhooks(Protocol):
    """Takes the provider's events. Never waits: what follows is done after the answer."""

    def take(self, webhook_id: str, timestamp: str, signature: str, body: bytes) -> WebhookTaken:
        """Verify and act. Raises :class:`~voiceagent.realtime.webhook_signature.WebhookRefused`."""
        ...


class Phones(Protocol):
    """Takes calls from the page."""

    async def call(self, wish: PhoneWish) -> PhoneAnswer:
        """Begin a call; its audio, keys and captions go over the WebRTC connection.

        Raises RequestRefused, by ``code``: ``bad_sdp``; ``unknown_flow`` and ``no_flow``; ``phone_limit``
        (this user has as many calls as are allowed); ``draining``, ``capacity`` and ``overload`` (no place);
        ``not_listening``. MediaError: ``webrtc_missing``, ``no_port``.
        """
        ...


class Directory(Protocol):
    """The calls that can be seen and acted on from here, wherever they live.

    Errors: ``KeyError`` for an unknown call or response; :class:`~voiceagent.errors.CallEnded` when the call
    is over; :class:`~voiceagent.errors.RequestRefused` naming the field. What waits (``async``) may concern a
    call of another node, and so may also raise the errors of :mod:`voiceagent.cluster.ports`.
    """

    async def calls(self) -> Sequence[CallView]:
        """Live calls first, then the most recent ended ones."""
        ...

    def seen(self) -> Sequence[CallView]:
        """Return the same as far as the events that were given out tell: what they build on."""
        ...

    async def call(self, call_id: str) -> CallView: ...

    async def timeline(self, call_id: str) -> Mapping[str, Any]:
        """Who spoke when, as :class:`voiceagent.console.models_timeline.TimelineModel` tells.

        Also of calls that :meth:`call` no longer knows, as long as their journals are kept.
        """
        ...

    async def trigger(
        self, call_id: str, trigger: Trigger, *, idempotency_key: str | None, operator: str
    ) -> ResponseView:
        """Accept a wish once. The same key on the same call returns the same request, spoken once.

        That holds after the call has ended, too: a retry must learn what became of its request.

        Raises RequestRefused with the code ``queue_full`` when too many wait in this call.
        """
        ...

    async def dial(self, wish: DialWish, *, idempotency_key: str | None, operator: str) -> CallView:
        """Place a call from this node, unless some node has placed one for the key; :meth:`call` and the
        events tell what became of it.

        Raises RequestRefused, by ``code``: ``denied_target`` and ``target_not_allowed`` (policy),
        ``unknown_flow``, ``draining`` and ``capacity`` and ``outbound_capacity`` (no place),
        ``destination_busy`` and ``destination_calls`` (caps), any other for a field that is wrong; KeyError
        when the call of the key is too long ago; AnswerLost when another node may have placed it.
        """
        ...

    async def response(self, call_id: str, response_id: str) -> ResponseView: ...

    async def withdraw(self, call_id: str, response_id: str, *, operator: str) -> ResponseView: ...

    async def hang_up(self, call_id: str, *, operator: str) -> CallView: ...

    async def act(self, call_id: str, act: Act, *, idempotency_key: str | None, operator: str) -> CallView:
        """Do it, once for a key on a call; returns the call as it stands then. A transfer is only begun.

        Raises RequestRefused, by ``code``: ``bad_target``; ``denied_target`` and ``target_not_allowed``
        (policy); ``not_answered``, ``handing_over``, ``not_supported``, ``not_recording`` and ``failed`` (not
        now, or not here); ``listen_first``, ``taken_over``, ``secret`` and ``in_queue`` (of a take-over).
        """
        ...

    async def tagged(self, call_id: str, tags: Sequence[str], *, operator: str) -> None:
        """Know a call's tags, which the database has by now; harmless for a call that is not known here."""
        ...

    async def listen(self, call_id: str, *, operator: str, here: bool = False) -> Listener:
        """Let one more hear both sides, who is shown to others from now on. ``here``: of this node only.

        Raises RequestRefused, by ``code``: ``not_answered``, ``not_supported``, ``too_many_listeners``,
        ``not_here`` (the nodes are not set up to hear each other's calls).
        """
        ...

    async def follow(self, after: int | str | None = None) -> AsyncIterator[LiveEvent]:
        """Begin to follow the live events; with ``after``, first those kept since (at least the last 1000).

        ``after`` is the ``id`` of this node's newest event that is known, or a ``cursor`` of any node. Where
        it is not kept, ids jump, or the first event is a ``gap``.
        """
        ...

    def standing(self) -> Mapping[str, Any]:
        """Return ``node``, ``shared`` and ``stale`` as :meth:`cluster` does; empty without a fleet."""
        ...

    async def cluster(self) -> Mapping[str, Any]:
        """Return ``node`` (our name), ``shared``, ``stale`` and ``nodes``, this one first.

        Each with name, epoch, seen_at and what it tells (:class:`voiceagent.cluster.ports.NodeFacts`).
        """
        ...

    def trunks(self) -> Sequence[Mapping[str, Any]]:
        """How every trunk stands: name, up, registration, keepalive, detail, calls, max_calls, servers."""
        ...

    def alerts(self) -> Sequence[Mapping[str, Any]]:
        """The newest alerts, the newest first: id, kind, since, call_id, text, cleared_at."""
        ...

    def flows(self) -> Mapping[str, Any]:
        """The flows in force: version, loaded_at, loaded_by, flows, routes, default_flow, refused …"""
        ...

    async def reload_flows(self, *, operator: str) -> Mapping[str, Any]:
        """Read the flows again; returns :meth:`flows`. Raises :class:`FlowsRefused`."""
        ...

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether new calls are taken, with details per part (sip, provider, capacity, draining)."""
        ...

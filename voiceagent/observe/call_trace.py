"""PURE. The trace of a call, made from the entries of its journal: call → turn → response → tool.

Live it is fed by a tap, later from the file; either way the same spans come out. A turn begins when the
caller begins to speak. A response belongs to the turn that it answers, and so does one that follows a tool's
result; what an operator triggers, and what the flow says by itself, belongs to the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from voiceagent.observe import trace_names as names
from voiceagent.observe.open_spans import OpenSpan, ResponseSpan, SpanBook, ToolSpan, TurnSpan
from voiceagent.observe.trace_spans import Span, trace_id_of
from voiceagent.replay.steps import field_of, number, text_of
from voiceagent.replay.turns import Turns

MOST_OPEN = 256
"""Responses, and tools, that may be under way; the oldest are let go as they are."""
SETTLES_S = 0.05
"""So long after its end a response may still learn what it cost."""
FOLLOWS_S = 0.25
"""So long after everything of a turn has ended, a response still belongs to it."""


class CallTrace:
    """The spans of one call, handed out as each ends. Feed it every entry, in order."""

    def __init__(
        self,
        call_id: str,
        out: Callable[[Span], None],
        *,
        provider: str = "",
        model: str = "",
        text: bool = False,
    ) -> None:
        """``provider`` and ``model`` are those of the settings; ``text``: what is said goes in, too."""
        self._book = SpanBook(trace_id_of(call_id), out, text=text)
        self._call_id = call_id
        self._provider, self._model = provider, model
        self._call: OpenSpan | None = None
        self._turns = Turns(keep=1)
        self._turn: TurnSpan | None = None
        self._numbers = 0
        self._responses: dict[str, ResponseSpan] = {}
        """By request."""
        self._by_response: dict[str, ResponseSpan] = {}
        self._tools: list[ToolSpan] = []
        self._steps: Mapping[str, Callable[[object, float], None]] = {
            "Submitted": self._submitted,
            "SendCreate": self._created,
            "Progressed": self._progressed,
            "OutputStarted": self._output,
            "InputCommitted": self._committed,
            "PlaybackEnded": self._played,
            "Settled": self._settled,
            "Notice": self._noticed,
        }

    def take(self, entry: Mapping[str, Any]) -> None:
        """Take one entry. Live ones hold the steps of the sequencer as they are, read ones as objects."""
        kind = entry.get("type")
        if not isinstance(kind, str) or kind.startswith("link."):
            return
        t = number(entry.get("t"))
        if kind.startswith("in."):
            if kind == "in.session":
                self._provider = text_of(entry, "provider") or self._provider
                self._model = text_of(entry, "model") or self._model
            return
        if self._call is None:
            if kind != "call.offered":
                return
            self._book.base = number(entry.get("at")) - t
            self._begin(entry, t)
        self._flush(t)
        if kind == "sequencer":
            step = self._steps.get(str(entry.get("event")))
            if step is not None:
                step(entry.get("body"), t)
            return
        if kind in names.CALL_EVENTS and self._call is not None:
            told = {
                f"{names.OURS}{name}": entry[name]
                for name in names.CALL_EVENTS[kind]
                if isinstance(entry.get(name), str | int | float)
            }
            self._book.event(self._call, names.OURS + kind, t, told)
        self._fact(kind, entry, t)

    def _fact(self, kind: str, entry: Mapping[str, Any], t: float) -> None:
        match kind:
            case "call.answered":
                self._put_call(names.CALL_SETUP, entry.get("setup_s"))
            case "caller.speech_started":
                self._turn_over()
                self._turns.begun()
                self._turn = self._turn_begun(t)
            case "caller.speech_stopped":
                self._turns.stopped(t)
                self._turn_event(names.SPEECH_STOPPED, t)
            case "caller.said":
                self._turns.said(t)
                self._turn_event(names.TRANSCRIBED, t)
                if self._turn is not None:
                    self._book.put_text(self._turn, names.CALLER_TEXT, entry.get("text"))
            case "call.held" | "caller.held" | "queue.entered":
                self._turns.begun()
            case "provider.usage":
                self._used(entry)
            case "tool.called":
                self._tool_called(entry, t)
            case "tool.ended":
                self._tool_ended(entry, t)
            case "call.ended":
                self._end(entry, t)
            case _:
                return

    # ── the call ────────────────────────────────────────────────────────────────────────────────
    def _begin(self, entry: Mapping[str, Any], t: float) -> None:
        inbound = entry.get("direction") != "outbound"
        self._call = call = self._book.opened(names.CALL, "", t, "server" if inbound else "client")
        call.put(names.CONVERSATION, self._call_id)
        call.put(names.PROVIDER, self._provider_name)
        for name, told in names.CALL_FACTS.items():
            call.put(told, entry.get(name))
        self._book.put_text(call, names.CALLER, entry.get("caller"))
        self._book.put_text(call, names.CALLED, entry.get("called"))

    def _put_call(self, name: str, value: object) -> None:
        if self._call is not None:
            self._call.put(name, value)

    def _end(self, entry: Mapping[str, Any], t: float) -> None:
        call = self._call
        if call is None:
            return
        for tool in list(self._tools):
            tool.error = "the call ended before it"
            self._tool_closed(tool, t)
        for name in list(self._responses):
            self._response_closed(name, t)
        self._by_response.clear()
        self._turn_over()
        for name, told in names.CALL_END_FACTS.items():
            call.put(told, entry.get(name))
        call.put(names.CALL_TURNS, self._numbers)
        if entry.get("outcome") in ("ours", "provider"):
            call.error = text_of(entry, "reason") or "failed"
        self._book.close(call, t)

    # ── turns ───────────────────────────────────────────────────────────────────────────────────
    def _turn_begun(self, t: float) -> TurnSpan:
        self._numbers += 1
        turn = TurnSpan(
            self._book.new_id(),
            self._root,
            names.TURN,
            self._book.at(t),
            until=self._book.at(t),
            number=self._numbers,
        )
        turn.put(names.TURN_NUMBER, self._numbers)
        turn.put(names.CONVERSATION, self._call_id)
        return turn

    def _turn_event(self, name: str, t: float) -> None:
        if self._turn is not None:
            self._book.event(self._turn, name, t)
            self._turn.until = max(self._turn.until, self._book.at(t))

    def _turn_over(self) -> None:
        """No later response is of this turn; it is handed out when its own have ended."""
        turn, self._turn = self._turn, None
        if turn is not None:
            self._turn_done(turn)

    def _turn_done(self, turn: TurnSpan) -> None:
        if turn is not self._turn and not turn.busy:
            turn.put(names.TURN_ANSWERED, turn.answered)
            self._book.close(turn)

    def _turn_of(self, origin: str, t: float) -> TurnSpan | None:
        """Return the turn that a request submitted now belongs to."""
        turn = self._turn
        if turn is None or origin == "operator":
            return None
        if turn.answered and not turn.busy and self._book.at(t) - turn.until > FOLLOWS_S:
            self._turn_over()
            return None
        return turn

    def _free(self, turn: TurnSpan | None, until: float) -> None:
        if turn is not None:
            turn.busy -= 1
            turn.until = max(turn.until, until)
            self._turn_done(turn)

    # ── responses ───────────────────────────────────────────────────────────────────────────────
    def _submitted(self, body: object, t: float) -> None:
        request = field_of(body, "request")
        request_id = text_of(request, "id")
        if not request_id or request_id in self._responses:
            return
        origin = str(field_of(request, "origin") or "")
        turn = self._turn_of(origin, t)
        parent = turn.span_id if turn is not None else self._root
        response = ResponseSpan(
            self._book.new_id(),
            parent,
            f"{names.GENERATE} {self._model}".strip(),
            self._book.at(t),
            "client",
            turn=turn,
        )
        if turn is not None:
            turn.busy += 1
        response.put(names.OPERATION, names.GENERATE)
        response.put(names.PROVIDER, self._provider_name)
        response.put(names.MODEL, self._model)
        response.put(names.CONVERSATION, self._call_id)
        response.put(names.OUTPUT_TYPE, "speech")
        response.put(names.REQUEST, request_id)
        response.put(names.ORIGIN, origin)
        self._book.put_text(response, names.INSTRUCTIONS, field_of(request, "instructions"))
        self._responses[request_id] = response
        if len(self._responses) > MOST_OPEN:
            self._response_closed(next(iter(self._responses)), t)

    def _created(self, body: object, t: float) -> None:
        response = self._responses.get(text_of(field_of(body, "request"), "id"))
        if response is not None:
            response.attempts += 1
            response.created = t
            self._book.event(response, names.CREATED, t)

    def _progressed(self, body: object, t: float) -> None:
        response = self._responses.get(text_of(body, "request_id"))
        if response is None:
            return
        response_id = text_of(body, "response_id")
        if response_id:
            response.put(names.RESPONSE, response_id)
            self._by_response[response_id] = response
            if len(self._by_response) > MOST_OPEN:
                del self._by_response[next(iter(self._by_response))]
        if field_of(body, "progress") == "audible" and not response.audible:
            response.audible = True
            self._book.event(response, names.FIRST_SOUND, t)
            self._answered(response, t)

    def _answered(self, response: ResponseSpan, t: float) -> None:
        asked = response.since - self._book.base
        created = asked if response.created is None else response.created
        answered = self._turns.reply(t, "", asked, created)
        turn = response.turn or self._turn
        if answered is None or turn is None:
            return
        turn.answered = True
        turn.put(names.TURN_LATENCY, round(answered.latency_s, 3))
        for part, seconds in answered.parts.items():
            turn.put(names.TURN_PART.format(part=part), round(seconds, 3))

    def _output(self, body: object, t: float) -> None:
        if field_of(body, "audible") is False:
            return
        self._turns.sound(t)
        response = self._by_response.get(text_of(body, "response_id"))
        if response is not None:
            self._book.event(response, names.FIRST_DELTA, t)

    def _committed(self, body: object, t: float) -> None:
        self._turns.committed(t)
        self._turn_event(names.COMMITTED, t)

    def _played(self, body: object, t: float) -> None:
        response = self._by_response.get(text_of(body, "response_id"))
        if response is not None and not response.settled:
            response.until = max(response.until, self._book.at(t))

    def _noticed(self, body: object, t: float) -> None:
        if field_of(body, "code") == "barge_in" and self._call is not None:
            self._book.event(self._call, names.BARGE_IN, t)

    def _used(self, entry: Mapping[str, Any]) -> None:
        response = self._by_response.get(text_of(entry, "response_id"))
        tokens: Mapping[str, Any] = entry.get("tokens") or {}
        if response is None:
            return
        for side, name in (("input", names.INPUT_TOKENS), ("output", names.OUTPUT_TOKENS)):
            counted = sum(int(tokens.get(kind, 0)) for kind in (side, f"{side}_text", f"{side}_audio"))
            response.put(name, counted)
        if tokens.get("input_cached"):
            response.put(names.CACHED_TOKENS, int(tokens["input_cached"]))

    def _settled(self, body: object, t: float) -> None:
        response = self._responses.get(text_of(body, "request_id"))
        if response is None or response.settled:
            return
        outcome = field_of(body, "outcome")
        kind = str(field_of(outcome, "kind") or "")
        response.put(names.OUTCOME, kind)
        by = field_of(outcome, "by")
        response.put(names.CUT_BY, None if by is None else str(by))
        response.put(names.CODE, field_of(outcome, "code"))
        response.put(names.ATTEMPTS, response.attempts)
        response.put(names.HEARD, field_of(outcome, "heard_ms") or 0)
        self._book.put_text(response, names.AGENT_TEXT, field_of(outcome, "heard_text"))
        if kind in ("failed", "lost", "rejected"):
            response.error = text_of(outcome, "code") or kind
        response.settled = True
        response.until = max(response.until, self._book.at(t))

    def _flush(self, t: float) -> None:
        """Hand out the responses that have ended and can learn nothing more."""
        if not self._responses:
            return
        late = self._book.at(t) - SETTLES_S
        for name in [key for key, one in self._responses.items() if one.settled and one.until < late]:
            self._response_closed(name, t)

    def _response_closed(self, name: str, t: float) -> None:
        response = self._responses.pop(name)
        self._book.close(response, None if response.settled else t)
        self._free(response.turn, response.until)

    # ── tools ───────────────────────────────────────────────────────────────────────────────────
    def _tool_called(self, entry: Mapping[str, Any], t: float) -> None:
        about = field_of(entry, "about")
        response = self._by_response.get(text_of(about, "response_id"))
        tool_name = text_of(entry, "tool")
        turn = None if response is None else response.turn
        parent = self._root if response is None else response.span_id
        tool = ToolSpan(
            self._book.new_id(),
            parent,
            f"{names.EXECUTE_TOOL} {tool_name}",
            self._book.at(t),
            tool=tool_name,
            turn=turn,
        )
        if turn is not None:
            turn.busy += 1
        tool.put(names.OPERATION, names.EXECUTE_TOOL)
        tool.put(names.TOOL, tool_name)
        tool.put(names.TOOL_CALL, text_of(about, "tool_call_id"))
        tool.put(names.CONVERSATION, self._call_id)
        self._book.put_text(tool, names.TOOL_ARGUMENTS, entry.get("arguments"))
        self._tools.append(tool)
        if len(self._tools) > MOST_OPEN:
            self._tool_closed(self._tools[0], t)

    def _tool_ended(self, entry: Mapping[str, Any], t: float) -> None:
        tool = next((one for one in self._tools if one.tool == entry.get("tool")), None)
        if tool is None:
            return
        tool.put(names.TOOL_DONE, bool(entry.get("ok")))
        if not entry.get("ok"):
            tool.error = "failed"
        self._tool_closed(tool, t)

    def _tool_closed(self, tool: ToolSpan, t: float) -> None:
        self._tools.remove(tool)
        self._book.close(tool, t)
        self._free(tool.turn, tool.until)

    # ── who ─────────────────────────────────────────────────────────────────────────────────────
    @property
    def _provider_name(self) -> str:
        return names.PROVIDERS.get(self._provider, self._provider)

    @property
    def _root(self) -> str:
        return "" if self._call is None else self._call.span_id


def spans_of(entries: Iterable[Mapping[str, Any]], call_id: str, **options: Any) -> list[Span]:
    """Return the spans that a finished journal makes; ``options`` as those of :class:`CallTrace`."""
    spans: list[Span] = []
    trace = CallTrace(call_id, spans.append, **options)
    for entry in entries:
        trace.take(entry)
    return spans

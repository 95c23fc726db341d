"""PURE. A call's journal read as a story: what the caller did when, what was heard, where the flow was.

Only entries that every journal has are needed; the inputs (``in.*``) add results of tools, and what an
operator asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voiceagent.errors import VoiceAgentError
from voiceagent.simulate.sim_call import ONSET_S

KEYS_APART_S = 3.0
"""Keys that follow each other faster than this are one act."""
TOGETHER_S = 0.05
"""What happens within this time of a voice's end happens at its end."""


@dataclass(slots=True)
class Act:
    """Something that the caller's side, or an operator, did. Times are seconds since the call was offered."""

    kind: str
    """says, digits, hold, operator, hangup"""
    t: float
    until: float
    text: str = ""
    details: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Voice:
    """One response that was heard. ``asked`` is when its request was submitted."""

    response_id: str
    t: float
    until: float
    request_id: str = ""
    asked: float = 0.0
    instructions: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    heard_text: str = ""
    text: str = ""
    kind: str = ""
    """How it ended."""
    cut: bool = False


@dataclass(slots=True)
class QueueStory:
    """How it went in one queue."""

    offers: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    """Tries to reach somebody, as ``Story.transfers`` has them."""
    places: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """When the caller was at which place, from 1."""


@dataclass(slots=True)
class Story:
    """What a journal tells."""

    offered: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ended: Mapping[str, Any] = field(default_factory=dict[str, Any])
    provider: str = ""
    silence_ms: int = 400
    answered: float = 0.0
    lost_at: float | None = None
    acts: list[Act] = field(default_factory=list[Act])
    voices: list[Voice] = field(default_factory=list[Voice])
    steps: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    tools: list[tuple[float, float, str]] = field(default_factory=list[tuple[float, float, str]])
    """(called, ended, name)."""
    outside: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    transfers: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    """All of them but those out of a queue."""
    queues: dict[str, QueueStory] = field(default_factory=dict[str, "QueueStory"])
    waits: list[float] = field(default_factory=list[float])
    """When the caller waited no more in a queue."""

    def audible(self, t: float) -> Voice | None:
        """Return the voice that is heard at that time."""
        for one in self.voices:
            # Who hangs up or presses a key cuts the voice at that very moment.
            if one.t <= t < one.until + (TOGETHER_S if one.cut else -TOGETHER_S):
                return one
        return None


class NoStory(VoiceAgentError):
    """The journal tells of no answered call, or not in the way that this version writes journals."""

    code = "journal"


def read_story(entries: Iterable[Mapping[str, Any]]) -> Story:
    """Read a journal's entries, in order. Raises NoStory for one that cannot be read."""
    reader = _Reader()
    for number, entry in enumerate(entries, 1):
        try:
            reader.take(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            about = f"{entry.get('type', 'an entry')}: {type(error).__name__}: {error}"
            raise NoStory(f"line {number} is not as this version writes it ({about})") from None
    return reader.finished()


class _Reader:
    def __init__(self) -> None:
        self.story = Story()
        self._requests: dict[str, Voice] = {}
        self._by_response: dict[str, str] = {}
        self._playing: dict[str, Voice] = {}
        self._speaking: float | None = None
        self._unsaid: Act | None = None
        self._begun_tools: list[tuple[float, str]] = []
        self._wishes: dict[str, Mapping[str, Any]] = {}
        self._transfer_at = 0.0
        self._picked_up: float | None = None
        """Since when the target of a transfer has been on the line: what is said then is for its ears."""

    def take(self, entry: Mapping[str, Any]) -> None:
        t = float(entry.get("t", 0.0))
        story = self.story
        match entry.get("type"):
            case "sequencer":
                self._sequencer(str(entry.get("event")), entry.get("body") or {}, t)
            case "call.offered":
                story.offered = entry
            case "call.answered":
                story.answered = t
            case "call.ended":
                story.ended = entry
            case "in.session":
                story.provider = story.provider or str(entry.get("provider", ""))
                defaults: Mapping[str, Any] = entry.get("defaults") or {}
                story.silence_ms = int(defaults.get("silence_ms") or story.silence_ms)
            case "in.outside":
                story.outside.append(entry)
            case "in.operator" if entry.get("what") == "trigger":
                self._wishes[str(entry.get("id"))] = entry
            case "operator.trigger":
                self._operator(entry, t)
            case "flow.step":
                story.steps.append((t, str(entry["step"])))
            case "tool.called":
                self._begun_tools.append((t, str(entry["tool"])))
            case "tool.ended":
                self._tool_ended(str(entry["tool"]), t)
            case "transfer.started":
                self._transfer_at, self._picked_up = t, None
            case "transfer.progress" if entry.get("status") == 200 and self._picked_up is None:
                self._picked_up = t
            case "transfer.ended" | "transfer.refused":
                rang_until = t if self._picked_up is None else self._picked_up
                story.transfers.append({**entry, "after_s": rang_until - (self._transfer_at or rang_until)})
                self._transfer_at, self._picked_up = 0.0, None
            case "queue.entered" | "queue.position":
                story.queues.setdefault(str(entry["queue"]), QueueStory()).places.append(
                    (t, int(entry["position"]))
                )
            case "queue.left":
                story.waits.append(t)
            case "queue.offered" if story.transfers:
                story.queues[str(entry["queue"])].offers.append(story.transfers.pop())
            case "provider.lost":
                story.lost_at = t if story.lost_at is None else story.lost_at
            case "leg.ended" if entry.get("end") in ("caller_hung_up", "caller_cancelled"):
                story.acts.append(Act("hangup", t, t))
            case kind:
                self._caller(str(kind), entry, t)

    def _caller(self, kind: str, entry: Mapping[str, Any], t: float) -> None:
        acts = self.story.acts
        match kind:
            case "caller.speech_started":
                self._speaking = t - ONSET_S
                self._unsaid = Act("says", self._speaking, t)
                acts.append(self._unsaid)
            case "caller.speech_stopped" if self._unsaid is not None:
                self._unsaid.until = max(self._unsaid.t, t - self.story.silence_ms / 1000)
            case "caller.said" if self._unsaid is not None:
                self._unsaid.text, self._unsaid = str(entry.get("text") or ""), None
            case "caller.digit":
                last = acts[-1] if acts else None
                digit = str(entry.get("digit", ""))
                if last is not None and last.kind == "digits" and t - last.until <= KEYS_APART_S:
                    last.text += digit
                    last.until = t
                else:
                    acts.append(Act("digits", t, t, digit))
            case "caller.held":
                acts.append(Act("hold", t, t))
            case "caller.resumed":
                held = next((one for one in reversed(acts) if one.kind == "hold"), None)
                if held is not None:
                    held.until = t
            case _:
                pass

    def _operator(self, entry: Mapping[str, Any], t: float) -> None:
        wish = self._wishes.get(str(entry.get("request_id")), {})
        options: Mapping[str, Any] = wish.get("options") or {}
        details = {"when": options.get("when"), "metadata": wish.get("metadata")}
        self.story.acts.append(Act("operator", t, t, str(entry.get("instructions") or ""), details))

    def _tool_ended(self, name: str, t: float) -> None:
        for begun in self._begun_tools:
            if begun[1] == name:
                self._begun_tools.remove(begun)
                self.story.tools.append((begun[0], t, name))
                return

    def _sequencer(self, event: str, body: Mapping[str, Any], t: float) -> None:
        match event:
            case "Submitted":
                request = body["request"]
                made = Voice("", 0.0, 0.0, str(request["id"]), t, str(request.get("instructions") or ""))
                made.metadata = request.get("metadata") or {}
                self._requests.setdefault(made.request_id, made)
            case "Progressed" if body.get("response_id"):
                self._by_response[str(body["response_id"])] = str(body["request_id"])
            case "PlaybackStarted":
                response_id = str(body["response_id"])
                asked = self._requests.get(self._by_response.get(response_id, ""))
                voice = asked if asked is not None and not asked.response_id else Voice("", t, t, asked=t)
                voice.response_id, voice.t, voice.until = response_id, t, t
                self._playing[response_id] = voice
                if self._picked_up is None:
                    self.story.voices.append(voice)
            case "PlaybackEnded":
                voice = self._playing.pop(str(body["response_id"]), None)
                if voice is not None:
                    voice.until = t
                    voice.heard_text = str(body.get("heard_text") or "")
                    voice.cut = bool(body.get("cut"))
            case "Settled":
                voice = self._requests.get(str(body["request_id"]))
                if voice is not None:
                    outcome = body["outcome"]
                    voice.kind, voice.text = str(outcome["kind"]), str(outcome.get("text") or "")
            case _:
                pass

    def finished(self) -> Story:
        story = self.story
        end = float(story.ended.get("t", story.voices[-1].t if story.voices else 0.0))
        for voice in self._playing.values():
            voice.until = end
        for act in story.acts:
            if act.kind == "hold" and act.until == act.t:
                act.until = end
        story.acts.sort(key=lambda one: one.t)
        return story


def steps_between(story: Story, since: float, until: float) -> list[str]:
    """Return the steps of a stretch of time."""
    return [name for t, name in story.steps if since <= t < until]


def voices_between(story: Story, since: float, until: float) -> Sequence[Voice]:
    """Return the voices that began in a stretch of time."""
    return [one for one in story.voices if since <= one.t < until]

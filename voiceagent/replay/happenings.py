"""PURE. Entries of a journal that are not the sequencer's, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from voiceagent.replay.telling import Kind, Told, clock, count, quote, seconds

Entry = Mapping[str, Any]
SILENT_TYPES = frozenset(
    {
        "call.state",
        "caller.speech_stopped",
        "operator.speech_started",
        "operator.speech_stopped",
        "response.ended",
        "link.sent",
        "leg.ended",
        "operator.trigger",
        "notice",
        "journal.dropped",
    }
)
"""Types that another line tells, or that nobody asks about; as all that begin with ``in.``, ``record.``"""
_PLAIN: Mapping[str, tuple[Kind, str]] = {
    "call.dialled": ("call", "the call is placed"),
    "caller.speech_started": ("caller", "the caller begins to speak"),
    "caller.held": ("hold", "the caller's side puts us on hold"),
    "apology": ("trouble", "the caller hears the recorded apology"),
    "apology.unheard": ("trouble", "nobody is left to hear the apology"),
    "goodbye.cut": ("cut", "the caller speaks into the goodbye"),
    "secret.opened": ("note", "a secret is asked for: from here neither words nor keys are written down"),
    "secret.closed": ("note", "the secret is taken"),
    "handover.started": ("note", "the session is about to expire: another one is opened beside it"),
    "task.stuck": ("trouble", "a task does not end"),
}
_TROUBLE = ("failed", "lost", "refused", "error", "stuck", "dropped", "unheard")
_FRAME = frozenset({"v", "seq", "t", "at", "type"})


class Happenings:
    """Tells entries; remembers what began, so that its end can say how long it took."""

    __slots__ = ("_since", "holds", "losses", "queued", "refused_tools", "tools", "transfers")

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self.tools: list[tuple[str, bool, float]] = []
        """Name, whether it went well, seconds."""
        self.refused_tools = 0
        self.transfers: list[tuple[str, bool]] = []
        self.queued: list[tuple[str, str, float]] = []
        """Queue, how the wait in it ended, seconds."""
        self.holds = 0
        self.losses = 0

    def take(self, entry: Entry, t: float) -> Iterator[Told]:
        """Take one entry; yield what is to be told of it."""
        kind = str(entry["type"])
        if kind in SILENT_TYPES or kind.startswith(("in.", "record.")):
            return
        group = kind.partition(".")[0]
        if kind in _PLAIN:
            told = Told(t, _PLAIN[kind][1], _PLAIN[kind][0])
        elif group == "tool" or group == "fetch":
            told = self._tool(kind, entry, t)
        elif group in ("recovery", "handover", "provider"):
            told = self._link(kind, entry, t)
        elif group in ("transfer", "refer", "fallback"):
            told = self._transfer(kind, entry, t)
        else:
            told = self._other(kind, entry, t)
        if kind in ("caller.held", "call.held"):
            self.holds += 1
            self._since[group] = t
        yield told

    def _took(self, key: str, t: float) -> str:
        since = self._since.pop(key, None)
        return f" after {seconds(t - since)}" if since is not None else ""

    def _tool(self, kind: str, entry: Entry, t: float) -> Told:
        name = str(entry.get("tool") or entry.get("fetch") or "?")
        match kind:
            case "tool.called":
                return Told(
                    t, f"the model calls the tool {name} {entry.get('arguments', '')}".rstrip(), "tool"
                )
            case "tool.ended":
                took, ok = float(entry.get("seconds") or 0.0), bool(entry.get("ok"))
                self.tools.append((name, ok, took))
                how = "answered" if ok else "failed"
                return Told(t, f"the tool {name} {how} after {seconds(took)}", "tool" if ok else "trouble")
            case "tool.refused":
                self.refused_tools += 1
                why = f"{entry.get('message', '')} ({entry.get('code', '')})"
                given = f", asked for with {quote(str(entry['arguments']))}" if entry.get("arguments") else ""
                return Told(t, f"the tool {name} is refused: {why}{given}", "trouble", _facts(entry))
            case "tool.failed":
                about = entry.get("exception") or entry.get("code") or ""
                message = f": {entry['message']}" if entry.get("message") else ""
                return Told(t, f"the tool {name} failed: {about}{message}", "trouble", more=_frames(entry))
            case "tool.repeated":
                return Told(t, f"the provider names a call of {name} again: it runs once only", "note")
            case "fetch.ended":
                ok = not entry.get("exception")
                took = (
                    f" after {seconds(float(entry['seconds']))}" if entry.get("seconds") is not None else ""
                )
                how = (
                    f"came{took}"
                    if ok
                    else f"failed{took}: {entry.get('exception')} {entry.get('message', '')}"
                )
                return Told(
                    t, f"the data of {name} {how}".rstrip(), "tool" if ok else "trouble", more=_frames(entry)
                )
            case _:
                return _generic(kind, entry, t)

    def _link(self, kind: str, entry: Entry, t: float) -> Told:
        match kind:
            case "provider.lost":
                self.losses += 1
                return Told(t, f"the provider is lost: {entry.get('reason', '')}", "trouble")
            case "provider.error":
                return Told(
                    t, f"the provider reports {entry.get('code')}: {entry.get('message', '')}", "trouble"
                )
            case "recovery.started":
                losses = count(int(entry.get("loss") or 1), "loss", "losses")
                return Told(t, f"another session is sought ({losses} so far)", "trouble")
            case "recovery.attempt":
                where = entry.get("provider", "")
                return Told(t, f"attempt {entry.get('attempt')} at the {where} provider", "note")
            case "recovery.attempt_failed" | "handover.attempt_failed":
                about = f"{entry.get('code')} {entry.get('detail') or ''}".rstrip()
                return Told(t, f"attempt {entry.get('attempt')} failed: {about}", "trouble")
            case "recovery.restored":
                took, items = float(entry.get("seconds") or 0.0), int(entry.get("items") or 0)
                audio = float(entry.get("caller_audio_ms") or 0) / 1000
                attempts = count(int(entry.get("attempts") or 1), "attempt")
                text = (
                    f"the session is restored after {seconds(took)} and {attempts}: {count(items, 'item')} "
                )
                text += f"of the conversation and {audio:.1f} s of the caller's speech are told again"
                return Told(t, text, "note", _facts(entry))
            case "recovery.failed":
                took = seconds(float(entry.get("seconds") or 0.0))
                return Told(
                    t, f"no session could be had in {took}: {entry.get('code')}", "trouble", _facts(entry)
                )
            case "recovery.elsewhere":
                return Told(t, f"the first provider is passed over: {entry.get('reason', '')}", "note")
            case "handover.done":
                took = seconds(float(entry.get("seconds") or 0.0))
                return Told(t, f"the new session takes over after {took}", "note")
            case _:
                return _generic(kind, entry, t)

    def _transfer(self, kind: str, entry: Entry, t: float) -> Told:
        target = entry.get("target", "")
        match kind:
            case "transfer.started":
                self._since["transfer"] = t
                return Told(t, f"the caller is handed to {target}", "transfer")
            case "transfer.progress":
                return Told(
                    t,
                    f"the transfer reports {entry.get('status')} {entry.get('reason') or ''}".rstrip(),
                    "transfer",
                )
            case "transfer.refused":
                self.transfers.append((str(target), False))
                return Told(t, f"the transfer to {target} is refused: {entry.get('reason')}", "trouble")
            case "transfer.ended" | "fallback.transfer":
                ok = bool(entry.get("accepted"))
                self.transfers.append((str(target), ok))
                status = f" ({entry['status']})" if entry.get("status") else ""
                how = "is accepted" if ok else "has failed"
                last = "the last resort, " if kind == "fallback.transfer" else ""
                text = f"{last}the transfer to {target} {how}{self._took('transfer', t)}{status}"
                return Told(t, text, "transfer" if ok else "trouble")
            case "refer.received":
                verdict = f"{entry.get('status')} {entry.get('reason') or ''}".rstrip()
                return Told(t, f"the other side asks for a transfer to {target}: {verdict}", "transfer")
            case _:
                return _generic(kind, entry, t)

    def _other(self, kind: str, entry: Entry, t: float) -> Told:
        match kind:
            case "call.offered":
                text = (
                    f"{entry.get('kind', '')} call {entry.get('call_id')}: {entry.get('caller')} calls "
                    f"{entry.get('called')}, flow {entry.get('flow')}"
                )
                by = f", by {entry['route']}" if entry.get("route") else ""
                return Told(t, text + by, "call")
            case "call.answered":
                return Told(
                    t, f"the call is answered after {seconds(float(entry.get('setup_s') or 0.0))}", "call"
                )
            case "call.progress":
                return Told(t, f"the far end reports {entry.get('status')}", "call")
            case "flow.step":
                place = f" ({entry['place']})" if entry.get("place") else ""
                return Told(t, f"step {entry.get('step')}{place}", "step")
            case "flow.failed":
                text = f"the flow {entry.get('flow') or ''} failed".replace("  ", " ")
                return Told(t, f"{text}: {entry.get('error')}", "trouble", more=_frames(entry))
            case "task.failed" | "close.failed":
                about = entry.get("error") or entry.get("message") or entry.get("reason")
                return Told(t, f"{kind.replace('.', ' ')}: {about}", "trouble")
            case "caller.said":
                text = str(entry.get("text") or "")
                said = f"the caller said {quote(text)}" if text else "nothing of it was understood"
                return Told(t, said, "caller")
            case "caller.digit":
                return Told(
                    t, f"the caller pressed {entry.get('digit')}", "caller", {"keys": str(entry.get("digit"))}
                )
            case "caller.resumed" | "call.resumed":
                whose = (
                    "the caller's side takes us back"
                    if kind == "caller.resumed"
                    else "we take the caller back"
                )
                return Told(t, f"{whose}{self._took(kind.partition('.')[0], t)}", "hold")
            case "call.held":
                refused = (
                    "" if entry.get("agreed", True) else ", whose side does not agree and hears it anyway"
                )
                return Told(t, f"the caller is put on hold{refused}", "hold")
            case "queue.entered" | "queue.position":
                where = f"{entry.get('position')} of {entry.get('waiting')}"
                doing = "waits" if kind == "queue.entered" else "has moved up"
                return Told(t, f"the caller {doing} in the queue {entry.get('queue')}: {where}", "hold")
            case "queue.offered":
                how = (
                    "takes the caller"
                    if entry.get("accepted")
                    else f"could not be had ({entry.get('status')})"
                )
                return Told(t, f"the queue's target {entry.get('target')} {how}", "transfer")
            case "queue.left":
                waited = float(entry.get("waited_s") or 0.0)
                self.queued.append((str(entry.get("queue")), str(entry.get("reason")), waited))
                why = str(entry.get("reason")).replace("_", " ")
                text = f"the wait in the queue {entry.get('queue')} is over after {seconds(waited)}: {why}"
                return Told(t, text, "hold", _facts(entry))
            case "recording.finished":
                took = clock(float(entry.get("seconds") or 0.0))
                lost = f", {entry['dropped_s']} s of it lost" if entry.get("dropped_s") else ""
                return Told(t, f"the recording {entry.get('name')} ends: {took}{lost}", "note", _facts(entry))
            case "operator.note":
                text = f"{entry.get('operator')} tells the agent: {quote(str(entry.get('text') or ''))}"
                return Told(t, text, "operator", {"request_id": entry.get("request_id")})
            case "operator.tag":
                tags = ", ".join(str(tag) for tag in entry.get("tags") or ())
                return Told(t, f"{entry.get('operator')} tags the call: {tags or 'no tag'}", "operator")
            case "operator.listen":
                return Told(t, f"{entry.get('operator')} listens", "operator")
            case "operator.listen_ended":
                took = clock(float(entry.get("seconds") or 0.0))
                return Told(t, f"{entry.get('operator')} listens no more, after {took}", "operator")
            case "operator.take_over":
                return Told(t, f"{entry.get('operator')} speaks in the agent's place", "operator")
            case "operator.hand_back":
                took = clock(float(entry.get("seconds") or 0.0))
                if entry.get("reason") == "voice_lost":
                    text = f"the voice of {entry.get('operator')} is lost: the agent goes on, after {took}"
                    return Told(t, text, "trouble")
                return Told(t, f"{entry.get('operator')} hands back after {took}", "operator")
            case "operator.said":
                return Told(t, f"the human said {quote(str(entry.get('text') or ''))}", "operator")
            case "line.played":
                return Told(t, f"a recorded line is played: {entry.get('line')}", "agent")
            case "line.resumed":
                heard = float(entry.get("heard_ms") or 0) / 1000
                after = quote(str(entry.get("heard_text") or ""))
                text = f"nothing was meant by that: the line goes on from {heard:.1f} s, after {after}"
                return Told(t, text, "cut", _facts(entry))
            case "call.ended":
                how = f"{entry.get('outcome')} ({entry.get('reason')}, {entry.get('duration_s')} s)"
                media = tuple(media_in_words(entry.get("media") or {}))
                return Told(t, f"the call ended: {how}", "end", more=media)
            case _:
                return _generic(kind, entry, t)


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        name: value for name, value in entry.items() if name not in _FRAME and value not in (None, "", [])
    }


def _frames(entry: Entry) -> tuple[str, ...]:
    """Return the frames of the flow's own files, innermost last."""
    frames = [f"at {one}" for one in entry.get("traceback") or ()]
    return (*frames, *(f"because of {one}" for one in entry.get("causes") or ()))


def _generic(kind: str, entry: Entry, t: float) -> Told:
    """Tell an entry that has no words of its own by its type and its short fields."""
    facts = _facts(entry)
    shown = [f"{name.replace('_', ' ')} {value}" for name, value in facts.items() if _short(value)]
    text = kind.replace(".", " ").replace("_", " ") + (f": {', '.join(shown)}" if shown else "")
    group = kind.partition(".")[0]
    tone: Kind = "operator" if group == "operator" else "note"
    return Told(t, text, "trouble" if kind.endswith(_TROUBLE) else tone, facts, _frames(entry))


def _short(value: object) -> bool:
    return isinstance(value, str | int | float) and len(str(value)) <= 80


def media_in_words(media: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the line was like."""
    if not media:
        return
    details: Mapping[str, Any] = media.get("details") or {}
    received, lost = int(media.get("received") or 0), int(media.get("lost") or 0)
    late = int(media.get("late") or 0)
    yield f"media in: {received} packets, {lost} lost, {late} late{_quality(details, '')}"
    remote = _quality(details, "remote_")
    trip = f", round trip {details['round_trip_ms']:g} ms" if details.get("round_trip_ms") else ""
    yield f"media out: {int(media.get('sent') or 0)} packets{remote}{trip}"


def _quality(details: Mapping[str, Any], prefix: str) -> str:
    told = ""
    if details.get(f"{prefix}loss_percent"):
        told += f", {details[f'{prefix}loss_percent']:g} % lost"
    if details.get(f"{prefix}jitter_ms") is not None:
        told += f", jitter {details[f'{prefix}jitter_ms']:g} ms"
    if details.get(f"{prefix}mos"):
        told += f", MOS {details[f'{prefix}mos']:g}"
    return told

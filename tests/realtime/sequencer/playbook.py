"""Ladders: a call's little story as text, played against a sequencer on a virtual clock.

    >> event …     something happens (see ``EVENTS`` below); ``>> @0.25 event`` lets 0.25 s pass first
    .. 2.0         time passes, the machine is woken whenever it asked for it
    << effect …    what must come out, in this order and nothing else
    << note code   a notice with this reason code must be among the notices of the step

Every frame, stop, swallow, ending and interrupt confirmation must be written down; progress and notices
only if wanted. ``created r1 A`` echoes the request's reserved metadata; ``created r1 A/1`` that of attempt 1.
"""

from __future__ import annotations

import shlex
from typing import Any, ClassVar

from voiceagent.ids import counted_tokens
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import BargePolicy, InterruptedBy, Origin, ResponseRequest, When
from voiceagent.realtime.sequencer import Sequencer
from voiceagent.realtime.sequencer_config import SequencerConfig
from voiceagent.realtime.sequencer_invariants import InvariantChecker

ACTIVE = "conversation_already_has_active_response"
NOT_ACTIVE = "response_cancel_not_active"


class Playbook:
    """One sequencer, one clock, one checker, and the words to talk to them."""

    machine_class: ClassVar[type[Sequencer]] = Sequencer
    """What is under test; the planted bugs put themselves here."""

    def __init__(self, *, link: bool = True, **config: Any) -> None:
        self.config = SequencerConfig(**config)
        self.machine = self.machine_class(self.config, tokens=counted_tokens("ev"), jitter=lambda _eid: 0.0)
        self.checker = InvariantChecker(self.config)
        self.now = 0.0
        self.effects: list[io.SequencerEffect] = []
        self.all: list[io.SequencerEffect] = []
        self.creates: dict[str, io.SendCreate] = {}
        self.cancels: dict[str | None, io.SendCancel] = {}
        if link:
            self.feed(io.LinkUp())
            self.effects.clear()

    # ── driving ─────────────────────────────────────────────────────────────────────────────────
    def feed(self, event: io.SequencerEvent) -> list[io.SequencerEffect]:
        effects = self.machine.handle(event, self.now)
        self._took(event, effects)
        return effects

    def _took(self, event: io.SequencerEvent | None, effects: list[io.SequencerEffect]) -> None:
        for effect in effects:
            if isinstance(effect, io.SendCreate):
                self.creates[effect.request.id] = effect
            elif isinstance(effect, io.SendCancel):
                self.cancels[effect.response_id] = effect
        self.effects.extend(effects)
        self.all.extend(effects)
        self.checker.step(event, effects, self.now)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(10_000):
            at = self.machine.wake_at()
            if at is None or at > end + 1e-9:
                break
            self.now = max(self.now, at)
            self._took(None, self.machine.wake(self.now))
        else:
            raise AssertionError("the machine wants to be woken for ever")
        self.now = end

    # ── the ladder ──────────────────────────────────────────────────────────────────────────────
    def play(self, ladder: str) -> Playbook:
        lines = [line.split("#")[0].strip() for line in ladder.strip().splitlines()]
        lines = [line for line in lines if line]
        step = "(start)"
        expected: list[str] = []
        for line in [*lines, "END"]:
            if line.startswith("<<"):
                expected.append(line[2:].strip())
                continue
            if step != "(start)" or expected:
                self._compare(step, expected)
            expected = []
            self.effects = []
            step = line
            if line.startswith(">>"):
                words = shlex.split(line[2:])
                if words[0].startswith("@"):
                    self.advance(float(words.pop(0)[1:]))
                self.feed(self._event(words))
            elif line.startswith(".."):
                self.advance(float(line[2:]))
            elif line != "END":
                raise ValueError(f"not a ladder line: {line}")
        return self

    def _compare(self, step: str, expected: list[str]) -> None:
        got = [text for effect in self.effects if (text := self._text(effect)) is not None]
        notes = [effect for effect in self.effects if isinstance(effect, io.Notice)]
        wanted: list[str] = []
        for line in expected:
            words = shlex.split(line)
            if words[0] == "note":
                options = dict(word.split("=", 1) for word in words[2:])
                assert any(
                    note.code == words[1]
                    and all(str(note.details.get(key)) == value for key, value in options.items())
                    for note in notes
                ), f"\n{step}\n  no notice {line}; got {[(n.code, dict(n.details)) for n in notes]}"
            elif words[0] == "progress":
                assert any(
                    isinstance(e, io.Progressed) and e.request_id == words[1] and e.progress.value == words[2]
                    for e in self.effects
                ), f"\n{step}\n  no {line}"
            else:
                wanted.append(line)
        assert [len(got)] == [len(wanted)], f"\n{step}\n  expected: {wanted}\n  got:      {got}"
        assert all(
            set(want.split()) <= set(have.split()) and want.split()[:2] == have.split()[:2]
            for want, have in zip(wanted, got, strict=True)
        ), f"\n{step}\n  expected: {wanted}\n  got:      {got}"

    def _text(self, effect: io.SequencerEffect) -> str | None:
        match effect:
            case io.SendCreate():
                return f"create {effect.request.id} try={effect.attempt}"
            case io.SendCancel():
                return "probe" if effect.response_id is None else f"cancel {effect.response_id}"
            case io.SendBufferClear():
                return "clear"
            case io.StopPlayback():
                return f"stop {effect.response_id}"
            case io.SwallowOutput():
                return f"swallow {effect.response_id}"
            case io.InterruptDone():
                return f"silent {effect.token} {effect.stopped or ''}".strip()
            case io.Settled():
                outcome = effect.outcome
                text = f"end {effect.request_id} {outcome.kind.value} heard={outcome.heard_ms}"
                for name, value in (("by", outcome.by), ("code", outcome.code), ("other", outcome.other)):
                    if value is not None:
                        text += f" {name}={value}"
                return text + (" incomplete" if outcome.incomplete else "")
            case _:
                return None

    # ── words ───────────────────────────────────────────────────────────────────────────────────
    def _event(self, words: list[str]) -> io.SequencerEvent:
        name, *rest = words
        args = [word for word in rest if "=" not in word]
        opts = dict(word.split("=", 1) for word in rest if "=" in word)
        return getattr(self, "_" + name.replace("-", "_"))(args, opts)

    def _submit(self, args: list[str], opts: dict[str, str]) -> io.Submitted:
        flags = set(args[1:])
        return io.Submitted(
            ResponseRequest(
                id=args[0],
                origin=Origin(opts.get("origin", "ivr")),
                instructions=opts.get("text"),
                out_of_band="oob" in flags,
                when=When(opts.get("when", "idle")),
                over_speech="over_speech" in flags,
                interruptible="uninterruptible" not in flags,
                deadline_s=float(opts["deadline"]) if "deadline" in opts else None,
                coalesce=opts.get("key"),
                needs=frozenset(opts["needs"].split(",")) if "needs" in opts else frozenset(),
                barge_policy=BargePolicy(opts.get("barge", "keep")),
                retry_on_lost="retry_on_lost" in flags,
                follow_up_of=opts.get("follow"),
                correlate="bare" not in flags,
                extra={"output_modalities": ["text"]} if "mute" in flags else {},
            )
        )

    def _meta(self, args: list[str]) -> dict[str, str] | None:
        if not args:
            return None
        name, _, attempt = args[0].partition("/")
        return {"va.req": name, "va.try": attempt or str(self.creates[name].attempt)}

    def _link(self, args: list[str], opts: dict[str, str]) -> io.SequencerEvent:
        if args[0] == "up":
            return io.LinkUp(quiet="quiet" in args)
        return io.LinkDown("socket closed", terminal="terminal" in args)

    def _close(self, args: list[str], opts: dict[str, str]) -> io.Closing:
        return io.Closing()

    def _created(self, args: list[str], opts: dict[str, str]) -> io.ResponseCreated:
        oob = "oob" in args
        names = [arg for arg in args[1:] if arg != "oob"]
        return io.ResponseCreated(args[0], self._meta(names), oob)

    def _done(self, args: list[str], opts: dict[str, str]) -> io.ResponseDone:
        oob = "oob" in args
        names = [arg for arg in args[1:] if arg != "oob"]
        return io.ResponseDone(
            None if args[0] == "-" else args[0],
            opts.get("status", "completed"),
            reason=opts.get("reason"),
            error_code=opts.get("code"),
            retry_after_s=float(opts["retry"]) if "retry" in opts else None,
            metadata=self._meta(names),
            out_of_band=oob,
            text=opts.get("text", ""),
            audio_ms=int(opts["audio"]) if "audio" in opts else None,
        )

    def _audio(self, args: list[str], opts: dict[str, str]) -> io.OutputStarted:
        return io.OutputStarted(args[0])

    def _words(self, args: list[str], opts: dict[str, str]) -> io.OutputStarted:
        return io.OutputStarted(args[0], audible=False)

    def _heard(self, args: list[str], opts: dict[str, str]) -> io.PlaybackStarted:
        return io.PlaybackStarted(args[0])

    def _played(self, args: list[str], opts: dict[str, str]) -> io.PlaybackEnded:
        return io.PlaybackEnded(args[0], int(args[1]), cut="cut" in args)

    def _speech(self, args: list[str], opts: dict[str, str]) -> io.SpeechStarted:
        return io.SpeechStarted()

    def _silence(self, args: list[str], opts: dict[str, str]) -> io.SpeechStopped:
        return io.SpeechStopped()

    def _commit(self, args: list[str], opts: dict[str, str]) -> io.InputCommitted:
        return io.InputCommitted()

    def _timeout(self, args: list[str], opts: dict[str, str]) -> io.TimeoutTriggered:
        return io.TimeoutTriggered()

    def _mirror(self, args: list[str], opts: dict[str, str]) -> io.SessionMirrored:
        return io.SessionMirrored(
            opts.get("create", "off") == "on",
            opts.get("interrupt", "on") == "on",
            event_id=opts.get("event"),
            vad=opts.get("vad", "on") == "on",
        )

    def _refuse(self, args: list[str], opts: dict[str, str]) -> io.ServerError:
        running = opts.get("running", "")
        named = f" in progress: {running}. Wait" if running else ""
        eid = None if "anonymous" in args else self.creates[args[0]].event_id
        return io.ServerError(ACTIVE, f"Conversation already has an active response{named}", eid)

    def _error(self, args: list[str], opts: dict[str, str]) -> io.ServerError:
        eid = opts.get("of")
        if eid in self.creates:
            eid = self.creates[eid].event_id
        return io.ServerError(opts.get("code"), opts.get("text", ""), eid, opts.get("param"))

    def _not_active(self, args: list[str], opts: dict[str, str]) -> io.ServerError:
        if "anonymous" in args:
            return io.ServerError(NOT_ACTIVE, "Cancellation failed: no active response found")
        rid = args[0] if args else None
        return io.ServerError(NOT_ACTIVE, "Cancellation failed", self.cancels[rid].event_id)

    def _ack(self, args: list[str], opts: dict[str, str]) -> io.ItemAcked:
        return io.ItemAcked(args[0])

    def _nack(self, args: list[str], opts: dict[str, str]) -> io.ItemRefused:
        return io.ItemRefused(args[0], opts.get("code", "invalid_value"), "bad item")

    def _interrupt(self, args: list[str], opts: dict[str, str]) -> io.InterruptAsked:
        return io.InterruptAsked(args[0], InterruptedBy(opts.get("by", "operator")), "flush" in args)

    def _withdraw(self, args: list[str], opts: dict[str, str]) -> io.Withdrawn:
        return io.Withdrawn(args[0])

    def _digit(self, args: list[str], opts: dict[str, str]) -> io.DigitReceived:
        return io.DigitReceived(args[0])

    def _rtt(self, args: list[str], opts: dict[str, str]) -> io.RoundTripMeasured:
        return io.RoundTripMeasured(float(args[0]))

    def _expires(self, args: list[str], opts: dict[str, str]) -> io.SessionExpiring:
        return io.SessionExpiring(float(args[0]))

    def _hold(self, args: list[str], opts: dict[str, str]) -> io.Paused:
        return io.Paused(args[0] == "on")

    def _human(self, args: list[str], opts: dict[str, str]) -> io.TakenOver:
        return io.TakenOver(args[0] == "on")


def ladder(text: str, **config: Any) -> Playbook:
    """Play one ladder from an attached link; return the playbook for further looks."""
    return Playbook(**config).play(text)

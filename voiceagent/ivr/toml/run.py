"""Runs a TOML flow: step by step, through the same verbs that Python flows use."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

import structlog

from voiceagent.errors import FetchFailed, RequestRefused, VoiceAgentError
from voiceagent.ivr.answers import Digits, option
from voiceagent.ivr.caller_text import CallerText
from voiceagent.ivr.ports import ToolFunction
from voiceagent.ivr.toml.endpoints import EndpointFailed
from voiceagent.ivr.toml.models import (
    AnyStep,
    Choose,
    Collect,
    Hangup,
    Note,
    Play,
    Question,
    Queue,
    Record,
    Respond,
    Transfer,
    Work,
)
from voiceagent.ivr.toml.read import ParsedFlow
from voiceagent.ivr.toml.templates import parse_template
from voiceagent.ivr.toml.values import Values, at_path, plain_result, text_of
from voiceagent.ivr.verbs import Call
from voiceagent.ivr.verbs.base import written_at
from voiceagent.ivr.verbs.fetching import SecretWorkFailed
from voiceagent.realtime.requests import Outcome, OutcomeKind

MOST_STEPS_OF_A_CALL = 1000
"""A call that takes more has lost its way."""

KINDS = {"str": str, "int": int, "decimal": Decimal, "date": date, "bool": bool}
_UNSAID = (OutcomeKind.FAILED, OutcomeKind.REJECTED, OutcomeKind.LOST, OutcomeKind.EXPIRED)
_log = structlog.get_logger("voiceagent.flows")


class RunawayFlow(VoiceAgentError):
    """A call took more steps than any call should."""

    code = "runaway_flow"


class Ask(Protocol):
    """Asks an endpoint: method, URL, headers, arguments → result; raises EndpointFailed."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], arguments: Mapping[str, object]
    ) -> Awaitable[object]: ...


class TomlRun:
    """One flow in one call."""

    def __init__(
        self, parsed: ParsedFlow, functions: Mapping[str, ToolFunction], ask: Ask, call: Call
    ) -> None:
        self._parsed = parsed
        self._functions = functions
        self._ask = ask
        self._call = call
        self._values = Values(facts_by_name(call))

    async def run(self) -> None:
        """Take step after step, to the flow's end. Raises RunawayFlow for one that has none."""
        name: str | None = self._parsed.start
        for _ in range(MOST_STEPS_OF_A_CALL):
            if name is None:
                return
            with written_at(self._parsed.place(name)):
                self._call.step(name)
                name = await self._take(name, self._parsed.steps[name])
        raise RunawayFlow(f"more than {MOST_STEPS_OF_A_CALL} steps, the last was {name!r}")

    async def _take(self, name: str, step: AnyStep) -> str | None:
        """Take one step and return the next one's name, or None at the end."""
        match step:
            case Respond():
                outcome = await self._respond(step)
                return step.otherwise or step.next if outcome.kind in _UNSAID else step.next
            case Choose():
                return await self._choose(step)
            case Collect():
                return await self._collect(step)
            case Work():
                return await self._work(name, step)
            case Transfer():
                await self._transfer(step)
                return step.otherwise
            case Queue():
                return await self._queue(step)
            case Play():
                return await self._play(name, step)
            case Note():
                await self._call.note(self._told(step.text))
                return step.next
            case Record():
                return await self._record(name, step)
            case Hangup():
                return await self._call.hangup(self._words(step.say))

    # ── speech ──────────────────────────────────────────────────────────────────────────────────
    async def _respond(self, step: Respond) -> Outcome:
        metadata = self._metadata(step.metadata)
        if step.say is not None:
            text = self._told(step.say)
            return await self._call.say(text, metadata=metadata, interruptible=step.interruptible)
        return await self._call.respond(
            self._told(step.guide or ""),
            metadata=metadata,
            interruptible=step.interruptible,
            replace=step.replace,
        )

    async def _choose(self, step: Choose) -> str | None:
        asking = self._asking(step)
        for name, one in step.options.items():
            asking[name] = option(one.key or "", *one.phrases)
        prompt = self._told(step.prompt)
        chosen = await self._call.choose(prompt, interruptible=step.interruptible, **asking)
        if chosen is None:
            return step.otherwise
        self._values.put(step.into, chosen)
        return step.options[chosen].next

    async def _collect(self, step: Collect) -> str | None:
        asking = self._asking(step)
        if step.invalid is not None:
            asking["invalid"] = self._lines(step.invalid)
        if step.digits is not None:
            given = step.digits
            asking["digits"] = Digits(given.least, given.most, given.end, given.pause_s)
        value: object = await self._call.collect(
            self._told(step.prompt),
            KINDS[step.kind],
            confirm=step.confirm,
            secret=step.secret,
            speech=step.speech,
            **asking,
        )
        if value is None:
            return step.otherwise
        self._values.put(step.into, CallerText(value) if isinstance(value, str) else value)
        return step.next

    def _asking(self, step: Question) -> dict[str, Any]:
        asking: dict[str, Any] = {"attempts": step.attempts, "metadata": self._metadata(step.metadata)}
        if step.no_input_s is not None:
            asking["no_input_s"] = step.no_input_s
        for key, lines in (("no_input", step.no_input), ("no_match", step.no_match)):
            if lines is not None:
                asking[key] = self._lines(lines)
        return asking

    def _lines(self, lines: str | Sequence[str]) -> str | list[str]:
        return self._told(lines) if isinstance(lines, str) else [self._told(line) for line in lines]

    async def _transfer(self, step: Transfer) -> None:
        await self._call.transfer(
            step.target,
            announce=self._words(step.announce),
            attended=step.attended,
            whisper=self._words(step.whisper),
            timeout_s=step.timeout_s,
        )

    async def _queue(self, step: Queue) -> str | None:
        outcome = await self._call.queue(
            step.name,
            announce=step.announce,
            timeout_s=step.timeout_s,
            whisper=self._words(step.whisper),
            leave=step.leave,
        )
        return step.left or step.otherwise if outcome.reason == "left" else step.otherwise

    # ── recordings ──────────────────────────────────────────────────────────────────────────────
    async def _play(self, name: str, step: Play) -> str:
        beside = self._parsed.path.parent.resolve() / step.file
        path = beside if beside.exists() else step.file
        try:
            outcome = await self._call.play(path, text=step.text, interruptible=step.interruptible)
        except RequestRefused as error:
            if step.otherwise is None:
                raise  # what must be heard was not: silence about it would be worse
            self._failed(name, str(error))
            return step.otherwise
        return step.otherwise or step.next if outcome.kind in _UNSAID else step.next

    async def _record(self, name: str, step: Record) -> str:
        call = self._call
        match step.action:
            case "pause":
                await call.pause_recording()
            case "resume":
                await call.resume_recording()
            case "stop":
                await call.stop_recording()
            case "start":
                try:
                    recording = await call.record(step.name, announce=self._words(step.announce))
                except RequestRefused as error:
                    self._failed(name, str(error))
                    recording = None
                if recording is None:
                    return step.otherwise or step.next
        return step.next

    def _failed(self, name: str, about: str) -> None:
        _log.warning("flow step failed", flow=self._parsed.flow.name, step=name, error=about)

    def _told(self, text: str) -> str:
        return self._values.words(parse_template(text))

    def _words(self, text: str | None) -> str | None:
        return None if text is None else self._told(text)

    def _metadata(self, pairs: Mapping[str, str]) -> dict[str, str]:
        return {key: self._values.plain(parse_template(text))[:512] for key, text in pairs.items()}

    # ── work of others ──────────────────────────────────────────────────────────────────────────
    async def _work(self, name: str, step: Work) -> str | None:
        work = self._task(step)
        work.__name__ = name  # by which journals, simulations and replays know it
        working = self._words(step.working)
        try:
            result = await self._call.fetch(work, timeout_s=step.timeout_s, working=working)
            result = at_path(result, step.result) if step.result is not None else result
        except (FetchFailed, KeyError) as error:
            cause = error.__cause__
            about = str(cause) if isinstance(cause, EndpointFailed) else type(cause or error).__name__
            self._failed(name, about)
            return step.otherwise
        self._values.put(step.into, result)
        heard = text_of(result).strip().casefold()
        for case, target in step.cases.items():
            if case.strip().casefold() == heard:
                return target
        return step.next

    def _task(self, step: Work) -> Callable[[], Awaitable[object]]:
        """Return what a step has others do; its result is plain JSON."""
        templates = {
            key: parse_template(value) for key, value in step.arguments.items() if isinstance(value, str)
        }
        arguments = {**step.arguments, **{key: self._values.argument(one) for key, one in templates.items()}}
        secret = any(self._values.is_secret(name) for one in templates.values() for name in one.names)
        if step.function is not None:
            ask = functools.partial(self._functions[step.function], **arguments)
        else:
            url = self._values.url(parse_template(step.url or ""))
            ask = functools.partial(self._ask, step.method, url, step.headers, arguments)

        async def work() -> object:
            try:
                return plain_result(await ask())
            except Exception as error:
                if secret and not isinstance(error, EndpointFailed):
                    # Its message may well tell what it was given.
                    raise SecretWorkFailed(type(error).__name__) from None
                raise

        return work


def facts_by_name(call: Call) -> dict[str, str]:
    """Return the facts of a call under the names that templates have for them."""
    facts: dict[str, str] = {"caller": call.caller, "caller_name": call.caller_name, "called": call.called}
    for name, value in call.headers.items():
        facts.setdefault(f"header.{str.__str__(name).lower()}", value)
    facts.update({f"metadata.{key}": value for key, value in call.metadata.items()})
    return facts

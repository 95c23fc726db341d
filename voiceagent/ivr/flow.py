"""Flows: ``@flow`` coroutines, and the book that picks one by the called number."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from voiceagent.errors import ConfigError
from voiceagent.ivr.options import FlowOptions, flow_options
from voiceagent.ivr.routing import Arrival, Route, Router
from voiceagent.ivr.routing.patterns import normal_number
from voiceagent.ivr.routing.router import normal_numbers
from voiceagent.ivr.verbs import Call

FlowFunction = Callable[[Call], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FlowSource:
    """The text that a flow was read from."""

    file: Path
    sha256: str
    """Of the text as it was read, in hex; the file may be another by now."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow: a coroutine over the verbs of :class:`~voiceagent.ivr.verbs.Call`.

    ``instructions`` is the standing prompt of the session; ``numbers`` are the called users it answers
    (``*`` answers what no other flow does).
    """

    name: str
    function: FlowFunction
    numbers: tuple[str, ...] = ()
    instructions: str = ""
    options: FlowOptions = field(default_factory=FlowOptions)
    fallback: str | None = None
    """Said word for word to the caller when the flow raises; None: ``call.fallback_sentence``."""
    fallback_target: str | None = None
    """To whom the caller is handed then; None: ``call.fallback_target``."""
    source: FlowSource | None = field(default=None, compare=False)
    """Of a flow that is no Python function: its file. A function knows its own."""

    async def __call__(self, call: Call) -> None:
        await self.function(call)

    def without_code(self) -> Flow:
        """Return what is kept of the flow of an ended call; its modules may go."""
        return replace(self, function=_over)


async def _over(call: Call) -> None:
    """Do nothing: the call has ended."""


def flow(
    name: str,
    *,
    numbers: Iterable[str] = (),
    instructions: str = "",
    voice: str | None = None,
    language: str = "en",
    model: str | None = None,
    speed: float | None = None,
    silence_ms: int | None = None,
    max_output_tokens: int | None = None,
    idle: str | Iterable[str] = (),
    idle_s: float | None = None,
    resume: bool = True,
    fallback: str | None = None,
    fallback_target: str | None = None,
) -> Callable[[FlowFunction], Flow]:
    """Declare a flow. The decorated function must be ``async def`` and take the call.

    ``fallback`` is said when the flow raises, and the caller is then handed to ``fallback_target``. For the
    others see :class:`~voiceagent.ivr.options.FlowOptions`. Raises :class:`~voiceagent.errors.ConfigError`
    naming the flow and what is wrong with it.
    """
    options = flow_options(
        name,
        voice=voice,
        language=language,
        model=model,
        speed=speed,
        silence_ms=silence_ms,
        max_output_tokens=max_output_tokens,
        idle=idle,
        idle_s=idle_s,
        resume=resume,
    )

    def declare(function: FlowFunction) -> Flow:
        if not inspect.iscoroutinefunction(function):
            raise ConfigError(f"flow {name}", "must be an async function that takes the call")
        if fallback is not None and not fallback.strip():
            raise ConfigError(f"flow {name}", "fallback must be a sentence")
        return Flow(
            name,
            function,
            tuple(numbers),
            instructions or inspect.getdoc(function) or "",
            options,
            fallback=fallback,
            fallback_target=fallback_target,
        )

    return declare


@dataclass(frozen=True, slots=True)
class Picked:
    """The flow that answers a call, and why it does."""

    flow: Flow
    by: str
    """As :attr:`voiceagent.ivr.routing.Decision.by` has it."""
    book: FlowBook
    """Where it was found. Whoever runs the flow holds it, so that the flow's modules stay."""


class FlowBook:
    """All flows of a service, and which of them answers a call. Never changed: another one takes its place.

    Raises ConfigError on doubles, and naming the setting where a flow is meant that does not exist.
    """

    def __init__(
        self,
        flows: Iterable[Flow],
        *,
        routes: Sequence[Route] = (),
        default_flow: str = "",
        hosted_numbers: Mapping[str, str] | None = None,
        version: int = 1,
        sources: Mapping[str, str] | None = None,
    ) -> None:
        """``sources`` says from which file each flow came, by its name."""
        self.flows: Sequence[Flow] = tuple(flows)
        self.version = version
        self.sources = dict(sources or {})
        self._by_name: dict[str, Flow] = {}
        numbers: dict[str, str] = {}
        for one in self.flows:
            if one.name in self._by_name:
                raise ConfigError("flows", f"two flows are named {one.name!r}")
            self._by_name[one.name] = one
            for number in one.numbers:
                key = normal_number(number)
                if key in numbers:
                    raise ConfigError(
                        "flows", f"number {number!r} belongs to both {numbers[key]!r} and {one.name!r}"
                    )
                numbers[key] = one.name
        self.router = Router(normal_numbers(hosted_numbers or {}), routes, numbers, default_flow)
        self.router.check_names(self._by_name)

    def __iter__(self) -> Iterator[Flow]:
        return iter(self.flows)

    def get(self, name: str) -> Flow | None:
        """Return the flow of this name, or None."""
        return self._by_name.get(name)

    def pick(self, arrival: Arrival) -> Picked | None:
        """Return the flow that answers the call, or None (the caller gets 404)."""
        decision = self.router.decide(arrival)
        if decision.flow is None:
            return None
        return Picked(self._by_name[decision.flow], decision.by, self)

"""Flows: ``@flow`` coroutines, and the book that picks one by the called number."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voiceagent.errors import ConfigError
from voiceagent.ivr.options import FlowOptions, flow_options
from voiceagent.ivr.verbs import Call

FlowFunction = Callable[[Call], Awaitable[None]]
ANY_NUMBER = "*"

_SEPARATORS = re.compile(r"[\s().\-]")


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

    async def __call__(self, call: Call) -> None:
        await self.function(call)


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
) -> Callable[[FlowFunction], Flow]:
    """Declare a flow. The decorated function must be ``async def`` and take the call.

    From ``voice`` on: see :class:`~voiceagent.ivr.options.FlowOptions`. Raises
    :class:`~voiceagent.errors.ConfigError` naming the flow and what is wrong with it.
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
        return Flow(name, function, tuple(numbers), instructions or inspect.getdoc(function) or "", options)

    return declare


def normal_number(number: str) -> str:
    """Return ``number`` without separators and leading ``+`` or ``00``; other users in lower case."""
    bare = _SEPARATORS.sub("", number)
    if bare.startswith("+"):
        bare = bare[1:]
    elif bare.startswith("00") and bare.isdigit():
        bare = bare[2:]
    return bare if bare.isdigit() else number.strip().lower()


class FlowBook:
    """All flows of a service, found by called number. Raises ConfigError on doubles."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self.flows: Sequence[Flow] = tuple(flows)
        self._by_number: dict[str, Flow] = {}
        names: set[str] = set()
        for one in self.flows:
            if one.name in names:
                raise ConfigError("flows", f"two flows are named {one.name!r}")
            names.add(one.name)
            for number in one.numbers:
                key = normal_number(number)
                if key in self._by_number:
                    other = self._by_number[key].name
                    raise ConfigError(
                        "flows", f"number {number!r} belongs to both {other!r} and {one.name!r}"
                    )
                self._by_number[key] = one

    def __iter__(self) -> Iterator[Flow]:
        return iter(self.flows)

    def pick(self, called: str) -> Flow | None:
        """Return the flow for the called user, else the one for ``*``, else None (the caller gets 404)."""
        return self._by_number.get(normal_number(called)) or self._by_number.get(ANY_NUMBER)


def load_flows(paths: Iterable[str | Path]) -> FlowBook:
    """Import Python files and collect the flows they declare.

    Raises :class:`~voiceagent.errors.ConfigError` naming the file when it is missing, fails to import, or
    declares no flow.
    """
    found: list[Flow] = []
    for path in paths:
        found.extend(_flows_of(Path(path)))
    return FlowBook(found)


def _flows_of(path: Path) -> list[Flow]:
    if not path.is_file():
        raise ConfigError("flows", f"no such file: {path}")
    module_name = f"voiceagent_flow_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ConfigError("flows", f"not a Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError("flows", f"{path} fails to import: {type(error).__name__}: {error}") from error
    flows = [value for value in vars(module).values() if isinstance(value, Flow)]
    if not flows:
        raise ConfigError("flows", f"{path} declares no flow (use @flow)")
    return flows

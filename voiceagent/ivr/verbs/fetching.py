"""Data from elsewhere: a function of the flow's author, bounded in time, with a word while it takes long."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from pydantic import SecretBytes, SecretStr

from voiceagent.errors import CallEnded, ConfigError, FetchFailed, FetchTimedOut
from voiceagent.ivr.options import FlowOptions
from voiceagent.ivr.ports import CallPort
from voiceagent.ivr.tools import LONGEST_S, TIMEOUT_S, WORKING_AFTER_S
from voiceagent.ivr.verbs.base import Verbs

MESSAGE_CHARS = 300

P = ParamSpec("P")
T = TypeVar("T")


class SecretWorkFailed(Exception):
    """A function that was given a secret has raised; only the name of what it raised is told."""


class FetchingVerbs(Verbs):
    """``fetch``."""

    def __init__(
        self, port: CallPort, *, no_input_s: float, transfer_timeout_s: float, options: FlowOptions
    ) -> None:
        super().__init__(port, no_input_s=no_input_s, transfer_timeout_s=transfer_timeout_s, options=options)
        self._fetched: Counter[str] = Counter()

    async def fetch(
        self,
        function: Callable[..., Awaitable[T]],
        *args: Any,
        timeout_s: float = TIMEOUT_S,
        working: str | None = None,
        working_after_s: float = WORKING_AFTER_S,
        **kwargs: Any,
    ) -> T:
        """Return ``await function(*args, **kwargs)``, and raise FetchFailed when it raises or takes too long.

        The result is an input of the call: a simulation answers in the function's place, a replay from the
        journal, rebuilt by the function's return annotation. ``working`` is said once it has taken
        ``working_after_s``, and now and then after, whenever nobody speaks. Where an argument is a SecretStr,
        no message of an exception is told, only its type.
        """
        name = name_of(function)
        if not (inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(_call_of(function))):
            raise ConfigError(f"fetch {name}", "must be an async function")
        for field, value in (("timeout_s", timeout_s), ("working_after_s", working_after_s)):
            if not 0 < value <= LONGEST_S:
                raise ConfigError(f"fetch {name}", f"{field} must be above 0, at most {LONGEST_S:.0f}")
        self._step("fetch")
        self._fetched[name] += 1
        number = self._fetched[name]
        now = asyncio.get_running_loop().time
        began = now()
        limit = asyncio.timeout(timeout_s)
        failure: BaseException | None = None
        ok = False
        secret = any(isinstance(one, (SecretStr, SecretBytes)) for one in (*args, *kwargs.values()))
        ask = functools.partial(function, *args, **kwargs)
        work = functools.partial(_untold, ask) if secret else ask
        try:
            async with self._port.working(self._guarded(working or ""), working_after_s), limit:
                result = await self._port.outside(f"fetch:{name}:{number}", work, kind=kind_of(function))
            ok = True
            return result
        except CallEnded:
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            failure = error  # from a task of the function's own
        except (Exception, SystemExit) as error:
            failure = error
        finally:
            facts: dict[str, Any] = {"ok": ok, "seconds": round(now() - began, 3)}
            if not ok:
                facts["code"] = "cancelled" if failure is None else FetchFailed.code
            if limit.expired():
                facts["code"] = FetchTimedOut.code
            self._port.note_fact("fetch.ended", failure, fetch=name, number=number, **facts)
        if limit.expired():
            raise FetchTimedOut(name, f"took longer than {timeout_s:g} s") from failure
        told = str(failure) if secret else f"{type(failure).__name__}: {failure}"
        raise FetchFailed(name, told[:MESSAGE_CHARS]) from failure


async def _untold(ask: Callable[[], Awaitable[T]]) -> T:
    """Do work that was given a secret: the message of what it raises may well tell it."""
    try:
        return await ask()
    except (Exception, SystemExit) as error:
        raise SecretWorkFailed(type(error).__name__) from None


def name_of(function: Any) -> str:
    """Return a function's own name, also of a partial one or of an object that can be called."""
    while isinstance(function, functools.partial):
        function = function.func  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return getattr(function, "__name__", type(function).__name__)  # pyright: ignore[reportUnknownArgumentType]


def kind_of(function: Any) -> Any:
    """Return the type that a function says it returns; Any where it says none that can be read."""
    try:
        found = inspect.signature(function, eval_str=True).return_annotation
    except (NameError, SyntaxError, TypeError, ValueError):
        return Any
    return Any if found is inspect.Signature.empty else found


def _call_of(function: Any) -> Any:
    return getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at

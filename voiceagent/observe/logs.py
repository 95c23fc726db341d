"""Logs: one line per event, for people (``console``) or machines (``json``), without secrets.

Our own modules use ``logging.getLogger("voiceagent.…")`` and libraries do the same; all of it takes one road
through structlog's processors: ids of the call, redaction, rendering.
"""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable, MutableMapping
from typing import Any, Literal, TextIO, cast

import structlog

from voiceagent.errors import ConfigError
from voiceagent.observe.redact import redact

Format = Literal["json", "console"]
LEVELS = ("debug", "info", "warning", "error", "critical")
CHATTY = ("websockets", "httpx", "httpcore", "uvicorn", "asyncio", "picows")
"""Libraries that are told only from WARNING on, unless everything is at DEBUG."""
_PLAIN_FIELDS = frozenset({"timestamp", "level", "logger", "node"})
"""Fields that we write ourselves."""
_OURS = "_voiceagent_handler"


_secrets: list[weakref.WeakMethod[Callable[[str], str]]] = []


def hide_secrets(hidden: Callable[[str], str]) -> None:
    """Have the method ``hidden`` take out of every field what it knows to be secret.

    The last guard, for what Python itself logs: a task of a flow's own that failed, say. It counts as long as
    its object lives.
    """
    _secrets.append(weakref.WeakMethod(hidden))


def _without_secrets(text: str) -> str:
    for one in tuple(_secrets):
        hidden = one()
        if hidden is None:
            _secrets.remove(one)
        else:
            text = hidden(text)
    return text


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Clean every field of an event; a traceback keeps its line breaks."""
    for name in list(event):
        if name in _PLAIN_FIELDS or name.startswith("_"):
            continue
        value = event[name]
        if isinstance(value, str) and not name.endswith("_id"):
            value = _without_secrets(value)
        if name == "exception" and isinstance(value, str):
            event[name] = "\n".join(cast("str", redact(name, line)) for line in value.splitlines())
        else:
            event[name] = redact(name, value)
    return event


def _standing(node: str) -> Callable[..., MutableMapping[str, Any]]:
    def add(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["node"] = node
        return event

    return add


def configure_logs(
    *,
    format: Format = "console",  # noqa: A002
    level: str = "info",
    stream: TextIO | None = None,
    node: str = "",
) -> None:
    """Send all logs of this process to ``stream`` (standard error when None). May be called again.

    ``node`` stands on every line. What a line is about (call, response, trace) is bound by
    :func:`voiceagent.log_context.about`.

    Raises :class:`~voiceagent.errors.ConfigError` naming ``log.level`` or ``log.format``.
    """
    if level.lower() not in LEVELS:
        raise ConfigError("log.level", f"{level!r} is not one of {', '.join(LEVELS)}")
    if format not in ("json", "console"):
        raise ConfigError("log.format", f"{format!r} is neither json nor console")
    out = sys.stderr if stream is None else stream
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        *([_standing(node)] if node else []),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = [structlog.processors.format_exc_info, redact_event]
    if format == "json":
        last.append(structlog.processors.JSONRenderer(default=str))
    else:
        last.append(structlog.dev.ConsoleRenderer(colors=out.isatty()))
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    setattr(handler, _OURS, True)
    root = logging.getLogger()
    for old in list(root.handlers):
        if getattr(old, _OURS, False):
            root.removeHandler(old)
    root.addHandler(handler)
    number = getattr(logging, level.upper())
    root.setLevel(number)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING) if number > logging.DEBUG else number)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )

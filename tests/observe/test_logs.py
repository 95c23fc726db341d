"""Log lines as they come out."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from voiceagent.errors import ConfigError
from voiceagent.log_context import about
from voiceagent.observe.logs import configure_logs


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    for name in ("websockets", "httpx", "httpcore", "uvicorn", "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_logger_takes_the_same_road() -> None:
    out = io.StringIO()
    configure_logs(format="json", stream=out)
    logging.getLogger("voiceagent.call").info("caller %s", "+447700900123", extra={"token": "abc"})
    structlog.get_logger("voiceagent.sip").info(
        "took a call", caller="+447700900123", authorization="Bearer x"
    )
    first, second = lines(out)
    assert first["event"] == "caller +44********23"
    assert first["token"] == "[hidden]"
    assert (first["logger"], first["level"]) == ("voiceagent.call", "info")
    assert (second["caller"], second["authorization"]) == ("+44********23", "[hidden]")
    assert str(first["timestamp"]).endswith("Z")


def test_ids_are_bound_within_and_gone_after() -> None:
    out = io.StringIO()
    configure_logs(format="json", stream=out)
    log = logging.getLogger("voiceagent.call")
    with about(call_id="c1"):
        with about(response_id="r1"):
            log.info("inner")
        log.info("outer")
    log.info("after")
    inner, outer, after = lines(out)
    assert (inner["call_id"], inner["response_id"]) == ("c1", "r1")
    assert outer["call_id"] == "c1"
    assert "response_id" not in outer
    assert "call_id" not in after


def test_the_node_stands_on_every_line_whoever_writes_it() -> None:
    out = io.StringIO()
    configure_logs(format="json", stream=out, node="west-1")
    logging.getLogger("uvicorn.error").warning("a library")
    structlog.get_logger("voiceagent.sip").info("we")
    assert [line["node"] for line in lines(out)] == ["west-1", "west-1"]


def test_a_traceback_is_kept_and_cleaned() -> None:
    out = io.StringIO()
    configure_logs(format="json", stream=out)
    try:
        raise ValueError("no route for +447700900123 with sk-abcdefgh12345678")
    except ValueError:
        logging.getLogger("voiceagent").exception("failed")
    (line,) = lines(out)
    trace = str(line["exception"])
    assert "ValueError" in trace
    assert "+447700900123" not in trace
    assert "sk-abc" not in trace


@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_value_can_forge_a_line(format_: str) -> None:
    out = io.StringIO()
    configure_logs(format=format_, stream=out)  # type: ignore[arg-type]
    structlog.get_logger("x").warning("from %s", "a\nlevel=critical forged", name="b\r\nc\x1b[2J")
    assert len(out.getvalue().splitlines()) == 1
    assert "\x1b[2J" not in out.getvalue()


def test_levels_and_chatty_libraries() -> None:
    out = io.StringIO()
    configure_logs(format="json", level="info", stream=out)
    logging.getLogger("httpx").info("GET http://localhost/?token=abcdef")
    logging.getLogger("voiceagent").debug("detail")
    structlog.get_logger("voiceagent").debug("detail")
    assert out.getvalue() == ""
    configure_logs(format="json", level="debug", stream=out)
    logging.getLogger("httpx").debug("detail")
    assert len(lines(out)) == 1


def test_configured_again_it_does_not_repeat_itself() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logs(format="json", stream=first)
    configure_logs(format="json", stream=second)
    logging.getLogger("voiceagent").info("once")
    assert first.getvalue() == ""
    assert len(lines(second)) == 1


@pytest.mark.parametrize(
    ("settings", "named"), [({"level": "loud"}, "log.level"), ({"format": "xml"}, "log.format")]
)
def test_a_wrong_setting_is_named(settings: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError) as found:
        configure_logs(**settings)  # type: ignore[arg-type]
    assert found.value.setting == named

"""The shop's flow, and ways to make mistakes in it."""

from __future__ import annotations

from pathlib import Path

from voiceagent.ivr.check.allowed import Allowed, Queues, Targets
from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.toml_check import check_flow
from voiceagent.ivr.toml.read import FlowFileError, ParsedFlow, parse_toml_flow

HERE = Path(__file__).parent
SHOP = (HERE / "shop.toml").read_text(encoding="utf-8")


def shop(*changes: tuple[str, str]) -> str:
    """Return the shop's flow with each first text replaced by the second; a text that is not there fails."""
    text = SHOP
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def parsed(text: str) -> ParsedFlow:
    """Read a flow that stands beside the shop's functions."""
    return parse_toml_flow(text, HERE / "shop.toml")


def checked(text: str, targets: Targets | None = None, queues: Queues | None = None) -> list[Finding]:
    """Return everything that is wrong with a flow, whether reading or checking tells it."""
    try:
        return check_flow(parsed(text), Allowed(targets, queues=queues))
    except FlowFileError as error:
        return list(error.findings)


def line_of(text: str, part: str) -> int:
    """Return the line in which ``part`` stands for the first time."""
    return text[: text.index(part)].count("\n") + 1

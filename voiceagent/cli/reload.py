"""``voiceagent reload``: have a running service read its flows and routes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from voiceagent.cli.node import Node, Refused, node_of
from voiceagent.cli.run import FAILED, fail, fail_with, show_json
from voiceagent.errors import VoiceAgentError

LIMIT_S = 40.0
"""Longer than a service takes to give up reading."""


def run_reload(
    config: Path | None, overrides: list[str], url: str | None, token: str | None, *, as_json: bool
) -> None:
    """Ask, and say what became of it; exit status 1 when the flows were refused.

    Without ``url`` and ``token`` those of the settings are taken.
    """
    try:
        view = _asked(node_of(config, overrides, url, token))
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if "version" not in view:
        _refused(view, as_json=as_json)
    if as_json:
        show_json(view)
        return
    names = ", ".join(one["name"] for one in view["flows"])
    print(f"Version {view['version']} of the flows is in force: {names}; {len(view['routes'])} route(s).")
    if view["needs_restart"]:
        print(f"Not taken over, they need a restart: {', '.join(view['needs_restart'])}")


def _asked(node: Node) -> dict[str, Any]:
    """Return the flows in force, or the problem when they were refused."""
    try:
        return node.ask("POST", "/v1/flows/reload", limit_s=LIMIT_S)
    except Refused as refused:
        if refused.code != "flows_refused":
            raise
        return refused.problem


def _refused(problem: dict[str, Any], *, as_json: bool) -> NoReturn:
    lines = [one["detail"] for one in problem["errors"]]
    if as_json:
        show_json({"error": {"code": problem["code"], "message": problem["detail"], "problems": lines}})
        raise SystemExit(FAILED)
    fail("\n".join(["the new flows were not taken, the old ones stay:", *lines]), FAILED)

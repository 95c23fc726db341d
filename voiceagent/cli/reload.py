"""``voiceagent reload``: have a running service read its flows and routes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from voiceagent.cli.run import FAILED, fail, fail_with, parse_overrides, show_json
from voiceagent.errors import ConfigError, VoiceAgentError

LIMIT_S = 40.0
"""Longer than a service takes to give up reading."""


def run_reload(
    config: Path | None, overrides: list[str], url: str | None, token: str | None, *, as_json: bool
) -> None:
    """Ask, and say what became of it; exit status 1 when the flows were refused.

    Without ``url`` and ``token`` those of the settings are taken.
    """
    try:
        if url is None or token is None:
            url, token = _of_settings(config, overrides, url, token)
        view = _asked(url, token)
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


def _of_settings(
    config: Path | None, overrides: list[str], url: str | None, token: str | None
) -> tuple[str, str]:
    from voiceagent.settings import load_settings
    from voiceagent.sip.syntax.uri import host_text

    console = load_settings(config, parse_overrides(overrides)).console
    if token is None and console.token is not None:
        token = console.token.get_secret_value()
    if token is None:
        raise ConfigError("console.token", "is needed: set it, or give --token (serve prints its own)")
    return url or f"http://{host_text(console.host, console.port)}", token


def _asked(url: str, token: str) -> dict[str, Any]:
    import httpx

    try:
        answer = httpx.post(
            f"{url.rstrip('/')}/v1/flows/reload",
            headers={"Authorization": f"Bearer {token}"},
            timeout=LIMIT_S,
        )
        data: dict[str, Any] = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise VoiceAgentError(f"{url}: {error or type(error).__name__}", code="unreachable") from None
    if answer.status_code >= 400 and data.get("code") != "flows_refused":
        raise VoiceAgentError(f"{url}: {data.get('detail')}", code=str(data.get("code", "failed")))
    return data


def _refused(problem: dict[str, Any], *, as_json: bool) -> NoReturn:
    lines = [one["detail"] for one in problem["errors"]]
    if as_json:
        show_json({"error": {"code": problem["code"], "message": problem["detail"], "problems": lines}})
        raise SystemExit(FAILED)
    fail("\n".join(["the new flows were not taken, the old ones stay:", *lines]), FAILED)

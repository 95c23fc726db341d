"""A running service as its API shows it: what every command about live calls uses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceagent.cli.run import parse_overrides
from voiceagent.errors import ConfigError, VoiceAgentError

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]
LIMIT_S = 15.0
QUIET_S = 60.0
"""The live stream beats every 15 s; after so long without a byte it is gone."""


class Refused(VoiceAgentError):
    """The service said no; ``problem`` is what it said (RFC 9457)."""

    def __init__(self, status: int, problem: Json) -> None:
        words = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        remedy = problem.get("remedy")
        super().__init__(f"{words} {remedy}" if remedy else words, code=str(problem.get("code", "refused")))
        self.status = status
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Node:
    """One service. ``url`` is its console's, ``token`` a key (or the token that it printed)."""

    url: str
    token: str

    def ask(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
        limit_s: float = LIMIT_S,
    ) -> Json:
        """Return the answer. Raises :class:`Refused`, or VoiceAgentError ``unreachable``."""
        import httpx

        headers = self._headers() | ({} if key is None else {"Idempotency-Key": key})
        given = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            answer = httpx.request(
                method, self.url + path, json=body, params=given, headers=headers, timeout=limit_s
            )
            data: Json = answer.json() if answer.content else {}
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise _unreachable(self.url, error) from None
        if answer.status_code >= 400:
            raise Refused(answer.status_code, data)
        return data

    def download(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """Yield an answer's body piece by piece. Raises as :meth:`ask`."""
        import httpx

        try:
            with httpx.stream(
                "GET", self.url + path, params=dict(params or {}), headers=self._headers(), timeout=LIMIT_S
            ) as answer:
                if answer.status_code >= 400:
                    raise Refused(answer.status_code, json.loads(answer.read()))
                yield from answer.iter_bytes()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise _unreachable(self.url, error) from None

    def events(self) -> Iterator[tuple[str, Json]]:
        """Yield (type, data) of the live stream; reconnects and resumes as a browser does, until the end.

        Raises :class:`Refused`, and ``unreachable`` when the service was never reached or stays away.
        """
        import httpx

        last_id, tries = "", 0
        while True:
            headers = self._headers() | ({"Last-Event-ID": last_id} if last_id else {})
            timeout = httpx.Timeout(LIMIT_S, read=QUIET_S)
            try:
                with httpx.stream("GET", self.url + "/v1/events", headers=headers, timeout=timeout) as answer:
                    if answer.status_code >= 400:
                        raise Refused(answer.status_code, json.loads(answer.read()))
                    for event in _parsed(answer):
                        tries = 0
                        last_id = event.pop("id", last_id)
                        yield event["event"], json.loads(event["data"])
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                tries += 1
                if tries > 3 or not last_id:
                    raise _unreachable(self.url, error) from None

    def call(self, name: str) -> Json:
        """Return a call by its id, an unmistakable beginning of it, or ``last`` (the newest live one)."""
        try:
            if name != "last":
                return self.ask("GET", f"/v1/calls/{quoted(name)}")
        except Refused as refused:
            if refused.code != "unknown_call":
                raise
            unknown = refused
        else:
            unknown = Refused(404, {"code": "unknown_call", "detail": "There is no live call."})
        everyone: list[Json] = self.ask("GET", "/v1/calls")["calls"]
        if name == "last":
            found = sorted(
                (one for one in everyone if one["state"] != "ended"), key=lambda one: one["started_at"]
            )[-1:]
        else:
            found = [one for one in everyone if one["id"].startswith(name)]
        if len(found) > 1:
            ids = ", ".join(one["id"] for one in found[:5])
            raise VoiceAgentError(f"{name} begins the ids of several calls: {ids}", code="ambiguous")
        if not found:
            raise unknown
        return self.ask("GET", f"/v1/calls/{quoted(found[0]['id'])}")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def node_of(config: Path | None, overrides: list[str], url: str | None, token: str | None) -> Node:
    """Return the service to talk to; what is not given is taken from the settings.

    Raises ConfigError naming ``console.token`` without a key.
    """
    if url is None or token is None:
        from voiceagent.settings import load_settings
        from voiceagent.sip.syntax.uri import host_text

        console = load_settings(config, parse_overrides(overrides)).console
        if token is None and console.token is not None:
            token = console.token.get_secret_value()
        if token is None:
            raise ConfigError(
                "console.token",
                "is needed: set it, or give --token a key (`voiceagent key add` makes one)",
            )
        url = url or f"http://{host_text(console.host, console.port)}"
    return Node(url.rstrip("/"), token)


def quoted(part: str) -> str:
    """Return one part of a path."""
    from urllib.parse import quote

    return quote(part, safe="")


def _parsed(answer: httpx.Response) -> Iterator[dict[str, str]]:
    """Read server-sent events (HTML §9.2): those with data."""
    event: dict[str, str] = {}
    for line in answer.iter_lines():
        if not line:
            if "data" in event:
                yield {"event": "message"} | event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            event[name] = value.removeprefix(" ")


def _unreachable(url: str, error: Exception) -> VoiceAgentError:
    return VoiceAgentError(f"{url}: {error or type(error).__name__}", code="unreachable")

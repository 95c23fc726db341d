"""``voiceagent calls …``: what the commands do, by the public API only."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceagent.cli.calls_text import call_rows, call_text, doing, line_text, party, response_text, short
from voiceagent.cli.node import Json, Node, Refused, node_of, quoted
from voiceagent.cli.run import FAILED, fail, fail_with, printable, show_json
from voiceagent.errors import VoiceAgentError

LOOK_S = 0.2
WAIT_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Where:
    """Which service, and how to tell."""

    config: Path | None
    overrides: list[str]
    url: str | None
    token: str | None
    as_json: bool


def run(where: Where, work: Callable[[Node], Any]) -> None:
    """Do ``work`` with the node. A refusal is one line (an object with ``--json``) and exit status 1."""
    try:
        work(node_of(where.config, where.overrides, where.url, where.token))
    except Refused as refused:
        if where.as_json:
            show_json({"error": refused.problem})
            raise SystemExit(FAILED) from None
        fail(printable(str(refused)))
    except VoiceAgentError as error:
        fail_with(error, as_json=where.as_json)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def list_calls(where: Where, state: str) -> None:
    """Print the calls of the node."""

    def work(node: Node) -> None:
        found = node.ask("GET", "/v1/calls", params={"state": state})
        if where.as_json:
            show_json(found)
        elif found["calls"]:
            print("\n".join(call_rows(found["calls"])))
        else:
            print("No live calls." if state == "live" else "No calls.")

    run(where, work)


def show_call(where: Where, name: str) -> None:
    """Print one call."""

    def work(node: Node) -> None:
        call = node.call(name)
        if where.as_json:
            show_json(call)
        else:
            print("\n".join(call_text(call)))

    run(where, work)


def tail(where: Where, name: str | None) -> None:
    """Follow one call to its end, or all calls for ever."""

    def work(node: Node) -> None:
        wanted = None if name is None else node.call(name)["id"]
        told: dict[tuple[str, str], str] = {}
        for kind, message in node.events():
            if where.as_json:
                if kind != "snapshot" and wanted in (None, message.get("call_id")):
                    print(json.dumps({"type": kind, **message}, ensure_ascii=False), flush=True)
            else:
                _tell(kind, message, wanted, told)
            if kind == "call.ended" and message["call_id"] == wanted:
                return
            if kind == "snapshot" and wanted is not None:
                live = {call["id"] for call in message["calls"] if call["state"] != "ended"}
                if wanted not in live:
                    return

    run(where, work)


def _tell(kind: str, message: Json, wanted: str | None, told: dict[tuple[str, str], str]) -> None:
    if kind == "snapshot":
        for call in message["calls"]:
            if call["state"] != "ended" and wanted in (None, call["id"]):
                print(f"{call['id']}  {party(call)}  {doing(call)}", flush=True)
        return
    call_id, data = message.get("call_id"), message.get("data", {})
    if wanted not in (None, call_id):
        return
    if kind == "transcript.line":
        key, text = (str(call_id), data["item_id"]), line_text(data)
        growing = data["speaker"] == "agent" and data["text"] == data["full_text"] and not data["cut"]
        text = text if not growing else text + " …"
    elif kind == "response.state":
        key, text = (str(call_id), data["id"]), response_text(data)
    elif kind in ("call.started", "call.ended"):
        key, text = (str(call_id), kind), f"{party(data)}  {doing(data)}"
    elif kind == "call.changed":
        key, text = (str(call_id), "state"), f"{doing(data)}  {printable(data.get('step') or '')}".rstrip()
    elif kind in ("caller.digit", "tool.ended", "alert.raised", "alert.cleared"):
        key, text = (str(call_id), kind), printable(f"{kind} {json.dumps(data, ensure_ascii=False)}")
    else:
        return
    if told.get(key) == text and kind != "caller.digit":
        return
    told[key] = text
    print(f"{call_id or '':<24} {text}", flush=True)


@dataclass(frozen=True, slots=True)
class Wish:
    """What ``respond`` and ``say`` ask for."""

    instructions: str | None
    metadata: tuple[str, ...] = ()
    when: str = "idle"
    deadline_ms: int | None = None
    coalesce: str | None = None
    note_only: bool = False
    wait: bool = False


def respond(where: Where, name: str, wish: Wish) -> None:
    """Make the agent speak; with ``wait`` exit status 1 unless it was heard to its end."""

    def work(node: Node) -> None:
        call_id = node.call(name)["id"]
        body: Json = {"metadata": dict(_pair(text) for text in wish.metadata), "when": wish.when}
        for field in ("instructions", "deadline_ms", "coalesce"):
            if getattr(wish, field) is not None:
                body[field] = getattr(wish, field)
        if wish.note_only:
            body["note_only"] = True
        key = secrets.token_hex(16)
        found = node.ask("POST", f"/v1/calls/{quoted(call_id)}/responses", body, key=key)
        if wish.wait:
            found = _settled(node, found)
        outcome: Json = found["outcome"] or {}
        if where.as_json:
            show_json(found)
        else:
            print(response_text(found))
            if outcome.get("heard_text"):
                print(f"  heard: {printable(outcome['heard_text'])}")
        if wish.wait and outcome.get("kind") not in ("completed", "satisfied"):
            raise SystemExit(FAILED)

    run(where, work)


def _settled(node: Node, response: Json) -> Json:
    """Return the request once it has ended."""
    until = time.monotonic() + WAIT_LIMIT_S
    while not response["ended"]:
        if time.monotonic() > until:
            raise VoiceAgentError(f"{response['id']} has not ended in {WAIT_LIMIT_S:g} s", code="timeout")
        time.sleep(LOOK_S)
        response = node.ask("GET", response["links"]["self"])
    return response


def withdraw(where: Where, name: str, response: str) -> None:
    """Take a request back."""

    def work(node: Node) -> None:
        call_id = node.call(name)["id"]
        found = node.ask("DELETE", f"/v1/calls/{quoted(call_id)}/responses/{quoted(response)}")
        show_json(found) if where.as_json else print(response_text(found))

    run(where, work)


def act(where: Where, name: str, action: str, body: Json | None = None) -> None:
    """Do one of the API's actions to a call and print how it stands then."""

    def work(node: Node) -> None:
        call_id = node.call(name)["id"]
        path = f"/v1/calls/{quoted(call_id)}/actions/{action}"
        key = secrets.token_hex(16)
        found = node.ask("POST", path, {} if body is None else body, key=key)
        if where.as_json:
            show_json(found)
            return
        call = found if "state" in found else node.call(call_id)
        print(f"{call['id']}  {party(call)}  {doing(call)}")
        handing = call.get("transfer") if action == "transfer" else None
        if handing:
            print(
                printable(
                    f"  handing over to {handing['target']}: {handing['state']} {handing['reason']}".rstrip()
                )
            )

    run(where, work)


def tag(where: Where, name: str, words: list[str], *, remove: bool) -> None:
    """Put tags on a call, live or ended, or take them off."""

    def work(node: Node) -> None:
        try:
            call_id = node.call(name)["id"]
        except Refused as refused:
            if refused.code != "unknown_call":
                raise
            call_id = name  # one that ended long ago
        found: Json = {"tags": []}
        for word in words:
            path = f"/v1/calls/{quoted(call_id)}/tags"
            if remove:
                found = node.ask("DELETE", f"{path}/{quoted(word)}")
            else:
                found = node.ask("POST", path, {"tag": word})
        if where.as_json:
            show_json(found)
        else:
            print(printable(", ".join(found["tags"])) or "No tags.")

    run(where, work)


def history(where: Where, filters: Json, export: str | None) -> None:
    """Search ended calls; ``export`` (csv or json) writes all that fit to standard output."""

    def work(node: Node) -> None:
        given = {name: value for name, value in filters.items() if value not in (None, "")}
        if export is not None:
            import sys

            for piece in node.download("/v1/history/export", {**given, "format": export}):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        found = node.ask("GET", "/v1/history", params=given)
        if where.as_json:
            show_json(found)
            return
        from voiceagent.cli.calls_text import clock, table

        rows = [
            (
                time.strftime("%Y-%m-%d %H:%M", time.localtime(call["started_at"])),
                call["id"],
                party(call),
                clock(call["duration_s"]),
                printable(f"{call['outcome']}: {call['reason']}"),
                printable(call["flow"]),
                short(", ".join(call.get("tags") or ()), 40),
            )
            for call in found["calls"]
        ]
        head = ("BEGAN", "CALL", "PARTY", "TIME", "OUTCOME", "FLOW", "TAGS")
        print("\n".join(table(rows, head)) if rows else "No calls found.")
        if found["next"]:
            print(f"There are more: --after {found['next']}")

    run(where, work)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise VoiceAgentError(f"--metadata {text}: must look like key=value", code="config")
    return key, value

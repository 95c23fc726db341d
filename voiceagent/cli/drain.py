"""``voiceagent drain``: have a running service finish its calls and end, or take that back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from voiceagent.cli.node import Json, Node, node_of
from voiceagent.cli.run import FAILED, fail, fail_with, show_json
from voiceagent.errors import VoiceAgentError

LOOK_S = 0.5
"""How often a waiting command looks."""
GONE: Json = {"state": "gone", "calls": 0, "limit_in_s": None}
_WORDS = {
    "serving": "It takes calls.",
    "draining": "It takes no new calls, and ends when the running ones have ended.",
    "goodbye": "Its calls are being said goodbye to.",
    "drained": "It is ending.",
}


def run_drain(
    config: Path | None,
    overrides: list[str],
    url: str | None,
    token: str | None,
    *,
    name: str | None = None,
    limit_s: float | None,
    wait: bool,
    resume: bool,
    show: bool,
    as_json: bool,
) -> None:
    """Ask, and say how the node stands; with ``wait`` stay until it has gone.

    ``name`` is that of another node of the fleet: it is asked where the first one says that it lives.

    Exit status 1 when it cannot be reached or refuses.
    """
    try:
        node = _named(node_of(config, overrides, url, token), name)
        if show:
            view = node.ask("GET", "/v1/drain")
        elif resume:
            view = node.ask("DELETE", "/v1/drain")
        else:
            view = node.ask("POST", "/v1/drain", {} if limit_s is None else {"limit_s": limit_s})
        if wait and not resume and not show:
            view = _gone(node, view, as_json=as_json)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if view["state"] == "serving" and wait and not resume and not show:
        fail("the drain was taken back", FAILED, as_json=as_json, code="resumed")
    if as_json:
        show_json(view)
    elif view["state"] == "gone":
        print("It has gone.")
    else:
        print(_line(view))


def _named(node: Node, name: str | None) -> Node:
    """Return the node of that name, for which the same key is good."""
    if name is None:
        return node
    nodes: list[Json] = node.ask("GET", "/v1/cluster")["nodes"]
    found = next((one for one in nodes if one["name"] == name), None)
    if found is None:
        known = ", ".join(one["name"] for one in nodes)
        raise VoiceAgentError(f"there is no node {name!r} in the fleet: {known}", code="unknown_node")
    if not found["console"]:
        raise VoiceAgentError(f"{name} tells nobody where its console is", code="unreachable")
    return Node(found["console"].rstrip("/"), node.token)


def _line(view: Json) -> str:
    limit = view.get("limit_in_s")
    until = "" if limit is None or not view["calls"] else f" At the latest in {limit:.0f} s."
    return f"{view['calls']} call(s). {_WORDS.get(view['state'], view['state'])}{until}"


def _gone(node: Node, view: Json, *, as_json: bool) -> dict[str, Any]:
    """Look until that run of the node is there no more, or the drain was taken back.

    A node may have been started anew between two looks: then its console is there, of another run.
    """
    begun = view.get("epoch")
    shown: tuple[Any, ...] = ()
    while view["state"] != "serving":
        now = (view["calls"], view["state"])
        if now != shown and not as_json:
            print(_line(view), flush=True)
        shown = now
        time.sleep(LOOK_S)
        try:
            view = node.ask("GET", "/v1/drain")
        except VoiceAgentError as error:
            if error.code != "unreachable":
                raise
            return GONE
        if view.get("epoch") != begun:
            return GONE
    return view

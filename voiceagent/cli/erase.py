"""``voiceagent erase``: by a running service where there is one, else on the files and the database."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceagent.cli.node import node_of
from voiceagent.cli.records import at_the_shelves
from voiceagent.cli.run import FAILED, fail_with, parse_overrides, printable, show_json
from voiceagent.errors import VoiceAgentError

if TYPE_CHECKING:
    from voiceagent.app.retention import Shelves
    from voiceagent.settings import Settings

LIMIT_S = 1500.0
"""How long a service may take: it reads every journal, after the fleet's other nodes have read theirs."""


def run_erase(
    config: Path | None,
    overrides: list[str],
    url: str | None,
    token: str | None,
    caller: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Erase, and print the report."""
    from voiceagent.records.lock import holder_of
    from voiceagent.settings import load_settings

    try:
        folder = Path(load_settings(config, parse_overrides(overrides)).journal_dir)
        if url is not None or holder_of(folder) is not None:
            body = {"caller": caller, "dry_run": dry_run}
            report = node_of(config, overrides, url, token).ask("POST", "/v1/erasures", body, limit_s=LIMIT_S)
        else:
            report = _here(config, overrides, caller, dry_run=dry_run, as_json=as_json)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if as_json:
        show_json(report)
    else:
        for line in told(report):
            print(printable(line))
    raise SystemExit(0 if report["complete"] or dry_run else FAILED)


def _here(
    config: Path | None, overrides: list[str], caller: str, *, dry_run: bool, as_json: bool
) -> dict[str, Any]:
    from voiceagent.app.erasure import erase
    from voiceagent.store.audit import Deed

    by = Deed(getpass.getuser(), "admin", "cli", "")

    def work(_settings: Settings, shelves: Shelves) -> dict[str, Any]:
        return erase(shelves, caller, by=by, now=time.time(), dry_run=dry_run).as_data()

    return at_the_shelves(config, overrides, work, as_json=as_json)


def told(report: dict[str, Any]) -> list[str]:
    """PURE. Return the lines that tell a report."""
    calls = report["calls"]
    verb = "would be erased" if report["dry_run"] else "erased"
    lines = [f"{len(calls)} calls of {report['number']} {verb}"]
    for one in calls:
        audio = sum(kept["bytes"] for kept in one["recordings"])
        what = [f"journal {one['journal_bytes']} bytes"] if one["journal_bytes"] else []
        what += [f"{len(one['recordings'])} recordings, {audio} bytes"] if one["recordings"] else []
        lines.append(f"  {one['call_id']}  {', '.join(what)}".rstrip())
        if one["failed"]:
            lines.append(f"    NOT erased: {one['failed']}")
        if one["node"]:
            lines.append(f"    its journal is not here: erase on node {one['node']}, too")
    for one in report["nodes"]:
        name = "the other nodes" if one["node"] == "*" else f"node {one['node']}"
        if one["result"] in ("done", "incomplete"):
            kept = f"{len(one['calls'])} calls, {one['journals']} journals, {one['recordings']} recordings"
            lines.append(f"{name}: {kept} {verb}")
        if one["result"] != "done":
            lines.append(f"  NOT erased on {name} ({one['result']}): {one['why']}; repeat it")
    if report["events"] is None:
        lines.append("the fleet's newest events were NOT removed: its registry is away")
    if report["rows"]:
        lines.append("database: " + ", ".join(f"{count} {name}" for name, count in report["rows"].items()))
    if report["audit"].get("changed"):
        told = report["audit"]
        lines.append(
            f"audit log: {told['changed']} lines lost their details; its last hash was {told['hash_before']}"
        )
    if report["mentioned_in"]:
        lines.append(f"named in calls of others, left as they are: {', '.join(report['mentioned_in'])}")
    if report["audit_line"] is not None:
        lines.append(f"proof: line {report['audit_line']} of the audit log, sha256 {report['sha256']}")
    return lines

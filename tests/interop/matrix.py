"""The interop matrix: which peer was tried with which feature, and what came of it in this very run.

A test claims its row with ``@pytest.mark.matrix("sipp", "TCP", "100 calls, -t t1")``. After a run that had
all such tests in it, ``docs/interop.md`` holds what happened; a run of a part leaves the page alone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "interop.md"
_VERSIONS = {
    "sipp": (("sipp", "-v"), r"SIPp v([\d.]+)"),
    "baresip": (("baresip", "-h"), r"baresip v([\d.]+)"),
    "Kamailio": (("kamailio", "-v"), r"kamailio ([\d.]+)"),
}
_HEAD = """# Interoperability

Peers that we did not write, on loopback, against the whole service; and, as "raw SIP", thirteen questions in
hand-made messages. This page is written by the test run (`make test`): a row stands here because its test
ran; nothing is claimed that did not. The tests are in [tests/interop](../tests/interop),
[tests/deploy](../tests/deploy), [tests/loopback](../tests/loopback) and
[tests/sip](../tests/sip).

"""
_WORDS = {"passed": "✓", "failed": "**failed**", "skipped": "not run"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the page."""

    peer: str
    feature: str
    how: str


class Matrix:
    """Collects rows and results during a run."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        """By the test's node id."""
        self.results: dict[str, str] = {}

    def collected(self, nodeid: str, arguments: Iterable[str]) -> None:
        """A test that claims a row will run."""
        self.rows[nodeid] = Row(*arguments)

    def result(self, nodeid: str, outcome: str, why: str = "") -> None:
        """What came of one phase of a test; the worst of its phases counts."""
        if nodeid not in self.rows or self.results.get(nodeid, "passed") != "passed":
            return
        self.results[nodeid] = (
            _WORDS[outcome] + (f": {why}" if why else "") if outcome != "passed" else "passed"
        )

    def whole(self) -> bool:
        """Tell whether every test that claims a row was in this run and has a result."""
        files = {nodeid.partition("::")[0] for nodeid in self.rows}
        return claiming_files() == files and set(self.results) == set(self.rows)

    def page(self) -> str:
        """Return the text of ``docs/interop.md``."""
        parts = [_HEAD, "| peer | feature | how | result |\n|---|---|---|---|\n"]
        rows = sorted(
            (row.peer.lower(), row.feature, row.how, row.peer, self.results[nodeid])
            for nodeid, row in self.rows.items()
        )
        parts += [
            f"| {peer} | {feature} | {how} | {_WORDS.get(result, result)} |\n"
            for _, feature, how, peer, result in rows
        ]
        versions = ", ".join(f"{peer} {version(peer)}" for peer in _VERSIONS)
        parts.append(f"\nVersions: {versions}.\n")
        return "".join(parts)

    def write(self) -> bool:
        """Write the page where it has changed; True when it did."""
        text = self.page()
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
            return False
        PAGE.write_text(text, encoding="utf-8")
        return True


def claiming_files() -> set[str]:
    """Return the test files that hold a matrix mark, as in node ids."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        if re.search(r"^[^#\n]*pytest\.mark\.matrix\(", path.read_text("utf-8"), re.M):
            found.add(path.relative_to(ROOT).as_posix())
    return found


def version(peer: str) -> str:
    """Return a peer's version, or that it is missing."""
    command, pattern = _VERSIONS[peer]
    if shutil.which(command[0]) is None:
        return "(not installed)"
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    found = re.search(pattern, told.stdout + told.stderr)
    return found.group(1) if found else "(unknown)"

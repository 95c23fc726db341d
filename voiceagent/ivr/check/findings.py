"""PURE. What a check finds: one mistake, where it stands, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]

_ALLOWED = re.compile(r"#\s*check:\s*allow\s+([a-z\-]+(?:\s*,\s*[a-z\-]+)*)")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One mistake in a flow. ``code`` is stable and meant for programs; ``line`` counts from 1."""

    file: str
    line: int
    severity: Severity
    code: str
    """``unknown-target``, ``unreachable`` …: every code stands in docs/flows.md."""
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return the finding as compilers do: ``file:line: error: message [code]``."""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.file}:{self.line}: {self.severity}: {self.message}{remedy} [{self.code}]"

    def plain(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return asdict(self)


def failed(findings: Iterable[Finding], *, strict: bool = False) -> bool:
    """Return whether a check has failed: an error, or with ``strict`` anything at all."""
    return any(strict or one.severity == "error" for one in findings)


def allowed_out(findings: Iterable[Finding], text: str) -> Iterator[Finding]:
    """Yield the findings whose line does not say ``# check: allow CODE``."""
    lines = text.splitlines()
    for finding in findings:
        line = lines[finding.line - 1] if 0 < finding.line <= len(lines) else ""
        allowed = _ALLOWED.search(line)
        if allowed is None or finding.code not in re.split(r"\s*,\s*", allowed[1]):
            yield finding

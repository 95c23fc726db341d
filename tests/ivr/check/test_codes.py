"""The manual names every code as it is."""

from __future__ import annotations

import re
from pathlib import Path

from voiceagent.ivr.check.codes import CODES

ROOT = Path(__file__).parents[3]


def test_the_manual_lists_every_code_with_its_severity_and_meaning() -> None:
    page = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")
    section = page.partition("\n## Checking\n")[2].partition("\n## ")[0]
    told = re.findall(r"^\| `([a-z\-]+)` \| (error|warning) \| (.*) \|$", section, re.MULTILINE)
    assert told == [(code, one.severity, one.meaning) for code, one in CODES.items()]


def test_every_code_that_a_rule_finds_stands_in_the_table() -> None:
    folder = ROOT / "voiceagent" / "ivr"
    texts = [
        path.read_text(encoding="utf-8") for path in [*folder.glob("check/*.py"), *folder.glob("toml/*.py")]
    ]
    used = {
        code
        for text in texts
        for code in re.findall(r'(?:found\(|"(?:error|warning)",)\s*[^"]*"([a-z]+-[a-z\-]+)"', text)
    }
    assert used
    assert used <= set(CODES)

"""PURE. Results as JUnit XML: one testsuite, one testcase per scenario."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from voiceagent.simulate.engine import SimResult
from voiceagent.simulate.report import transcript

_NO_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[SimResult], suite: str) -> str:
    """Return the document. Times are seconds of the calls' own clocks."""
    failed = sum(not one.ok for one in results)
    root = ElementTree.Element("testsuites")
    node = ElementTree.SubElement(
        root,
        "testsuite",
        name=_clean(suite),
        tests=str(len(results)),
        failures=str(failed),
        errors="0",
        skipped="0",
        time=_seconds(sum(one.duration_s for one in results)),
    )
    for one in results:
        case = ElementTree.SubElement(
            node, "testcase", name=_clean(one.name), classname=_clean(suite), time=_seconds(one.duration_s)
        )
        if one.failures:
            first = ElementTree.SubElement(
                case, "failure", message=_clean(one.failures[0].text), type=one.failures[0].what
            )
            first.text = _clean("\n".join(failure.text for failure in one.failures))
        ElementTree.SubElement(case, "system-out").text = _clean("\n".join(transcript(one.events)))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _clean(text: str) -> str:
    """Leave out what XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)

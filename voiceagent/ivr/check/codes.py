"""PURE. Every code that a check may find: how bad it is, and what it means. docs/flows.md lists the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voiceagent.ivr.check.findings import Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of mistake. ``meaning`` is the sentence in the manual."""

    severity: Severity
    meaning: str


def _error(meaning: str) -> Code:
    return Code("error", meaning)


def _warning(meaning: str) -> Code:
    return Code("warning", meaning)


PYTHON_CODES: Mapping[str, Code] = {
    "syntax": _error("not valid Python"),
    "import-fails": _error("the file raises when it is imported"),
    "no-flow": _error("no `@flow` in the file"),
    "not-async": _error("a flow, a tool or a fetched function is not `async def`"),
    "missing-await": _error("a verb or a sub-flow without `await`: nothing happens"),
    "needless-await": _error("`await` before something that returns at once: it raises"),
    "unknown-verb": _error("the call has no such verb"),
    "bad-argument": _error("a verb's argument is missing, unknown, or of a value that cannot be"),
    "duplicate-key": _error("two options of a question have the same key"),
    "ambiguous-phrases": _error("two options of a question have the same phrase"),
    "ambiguous-digits": _error("the key that ends a string of digits can be one of the digits"),
    "missing-no-input": _error("nothing handles None: no input, or nothing that was understood"),
    "unhandled-option": _warning("an option that no branch handles"),
    "unreachable": _warning("code that never runs, or a branch for a name that is no option"),
    "endless-loop": _error("a loop without a way out, or without one for a caller who says nothing"),
    "transfer-not-allowed": _error("`call.transfer_targets` refuse it; a warning while they are empty"),
    "transfer-no-fallback": _warning("nothing follows for the caller when the transfer fails"),
    "unknown-queue": _error("the settings have no queue of that name; a warning while they have none at all"),
    "missing-function": _error("a tool, a fetched function or a sub-flow that does not exist"),
    "missing-file": _error("a file to be played is not there, or cannot be played"),
    "long-uninterruptible": _warning("more than 40 words that the caller cannot interrupt"),
    "raw-caller-text": _error("the caller's text enters instructions without being quoted"),
    "secret-spoken": _error("a secret's value reaches the model"),
    "blocking-call": _error("a call that blocks: every other call of the service waits, too"),
    "outside-await": _warning("waiting for something outside without `call.fetch`: no time-out, no replay"),
    "number-twice": _error("two flows answer the same number"),
    "name-twice": _error("two flows have the same name"),
    "fails-in-simulation": _error("a scenario made the flow raise"),
}
"""Codes of flows in Python, and of several files together."""

TOML_CODES: Mapping[str, Code] = {
    "bad-toml": _error("the file cannot be read, or is not TOML"),
    "missing-key": _error("a key that a step needs is not there"),
    "unknown-key": _error("a key that means nothing here"),
    "bad-value": _error("a key has a value that cannot be"),
    "unknown-target": _error("a way leads to a step that does not exist"),
    "unknown-name": _error("a text has a `{name}` that nothing sets, or not on every way there"),
    "host-not-allowed": _error("`call.http_hosts` refuse the host; a warning while they are empty"),
    "missing-otherwise": _error("a step says nothing about no answer, an error or a time-out"),
    "no-end": _error("from a step no way leads to a hangup, a transfer or a queue"),
}
"""Codes that only flows in TOML have; the others they share with flows in Python."""

CODES: Mapping[str, Code] = {**PYTHON_CODES, **TOML_CODES}
"""Every code."""

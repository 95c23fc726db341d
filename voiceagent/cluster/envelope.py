"""PURE: a command and its reply as they travel, and what an owner does with one that arrives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from voiceagent.cluster.ports import Command

SLACK_S = 5.0
"""How much longer than its deadline an id is remembered: clocks are estimates."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A command on its way. ``deadline`` is on the fleet's clock, seconds; ``reply_to`` names a channel."""

    command: Command
    deadline: float
    reply_to: str = ""

    def encode(self) -> str:
        """Return it as JSON."""
        command = self.command
        return json.dumps(
            {
                "id": command.id,
                "op": command.op,
                "call": command.call_id,
                "args": command.args,
                "actor": command.actor,
                "idempotency_key": command.idempotency_key,
                "deadline": self.deadline,
                "reply_to": self.reply_to,
            },
            default=str,
        )

    @classmethod
    def decode(cls, text: str | bytes) -> Envelope:
        """Read it back; ``within_s`` of the command is lost on the way. Raises ValueError."""
        found = _object(text)
        key, args = found.get("idempotency_key"), found.get("args")
        command = Command(
            id=_text(found, "id"),
            op=_text(found, "op"),
            call_id=str(found.get("call", "")),
            args=cast("Mapping[str, Any]", args) if isinstance(args, dict) else {},
            actor=str(found.get("actor", "")),
            idempotency_key=key if isinstance(key, str) else None,
        )
        deadline = found.get("deadline")
        if not isinstance(deadline, int | float):
            raise ValueError("an envelope without a deadline")
        return cls(command, float(deadline), str(found.get("reply_to", "")))


class Fate(StrEnum):
    """What became of a command at its owner."""

    DONE = "done"
    LATE = "late"
    """It came after its deadline, and was not done."""
    FAILED = "failed"
    """Who should have done it raised: half of it may have been done."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The owner's word on a command."""

    id: str
    fate: Fate
    answer: Mapping[str, Any] = field(default_factory=dict[str, Any])
    why: str = ""
    """Of ``failed``."""

    def encode(self) -> str:
        """Return it as JSON."""
        return json.dumps(
            {"id": self.id, "fate": self.fate.value, "answer": self.answer, "why": self.why}, default=str
        )

    @classmethod
    def decode(cls, text: str | bytes) -> Reply:
        """Read it back. Raises ValueError."""
        found = _object(text)
        answer = found.get("answer")
        return cls(
            _text(found, "id"),
            Fate(str(found.get("fate"))),
            cast("Mapping[str, Any]", answer) if isinstance(answer, dict) else {},
            str(found.get("why", "")),
        )


class Verdict(StrEnum):
    """What to do with a command that arrives."""

    TAKE = "take"
    LATE = "late"
    SEEN = "seen"
    """It was taken before: whoever waits gets the answer of that."""


class Inbox:
    """Takes each command id at most once, and none after its deadline.

    An id is forgotten once its deadline is well past: a copy that comes even later is refused for that.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def arrived(self, envelope: Envelope, now: float) -> Verdict:
        """Judge a command at ``now`` on the fleet's clock."""
        if envelope.command.id in self._until:
            return Verdict.SEEN
        if now >= envelope.deadline:
            return Verdict.LATE
        self._until[envelope.command.id] = envelope.deadline + SLACK_S
        return Verdict.TAKE

    def forget(self, now: float) -> list[str]:
        """Return the ids that need not be remembered any more."""
        old = [id_ for id_, until in self._until.items() if until <= now]
        for id_ in old:
            del self._until[id_]
        return old


def _object(text: str | bytes) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return cast("dict[str, Any]", found)


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"an envelope without {name}")
    return value

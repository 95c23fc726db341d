"""What the console asks of a node that can erase somebody's calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from voiceagent.store.audit import Deed


class Erasures(Protocol):
    """Erases all that is kept of a person's calls."""

    async def erase(self, caller: str, *, dry_run: bool, by: Deed) -> Mapping[str, Any]:
        """Return the report. ``by`` says who wants it.

        Raises RequestRefused naming ``caller``, VoiceAgentError ``call_live`` while the person is on the
        line, and DatabaseDown.
        """
        ...

"""The built-in recogniser: pocketsphinx in worker processes."""

from __future__ import annotations

import logging
from typing import Any

from voiceagent.engine.ports import Expectation, ExpectKind, Hypothesis
from voiceagent.engine.workers import Workers

_log = logging.getLogger("voiceagent.engine")

MODULE = "voiceagent.engine.stt.worker"
LONGEST_S = 30
"""A turn longer than this is cut at its end: nobody answers a question for so long."""


class PocketsphinxRecogniser:
    """One whole turn at a time, two passes, off the event loop; see ``voiceagent.engine.stt.grammar``."""

    name = "pocketsphinx"

    def __init__(self, *, workers: int = 1, queue: int = 64) -> None:
        self._workers = Workers(MODULE, count=workers, queue=queue)
        self.guessed: dict[str, str] = {}
        """Words missing from the dictionary, with the pronunciation guessed from the spelling (ARPABET)."""

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return self._workers.pids

    async def warm_up(self) -> None:
        """Start the workers, derive the telephone-band model if need be, and load it."""
        await self._workers.start(_job("prepare", Expectation(ExpectKind.YES_NO)))

    async def prepare(self, expect: Expectation) -> None:
        """Make ready for a question that will be asked, and learn which of its words are guessed."""
        head, _ = await self._workers.run(_job("prepare", expect))
        self._note(head)

    async def transcribe(self, pcm: bytes, rate: int, expect: Expectation) -> Hypothesis:
        """Return what one turn says; digits as figures ("4815"), all else as the words spoken."""
        job = _job("decode", expect) | {"rate": rate}
        head, _ = await self._workers.run(job, pcm[: 2 * rate * LONGEST_S])
        self._note(head)
        return Hypothesis(head["text"], head["confident"], head["alternative"], head["decode_ms"])

    async def close(self) -> None:
        """End the workers and wait until they are gone."""
        await self._workers.close()

    def _note(self, head: dict[str, Any]) -> None:
        for word, sound in head["guessed"].items():
            if word not in self.guessed:
                self.guessed[word] = sound
                _log.warning("the word %r is not in the dictionary; listening for %s", word, sound)


def _job(job: str, expect: Expectation) -> dict[str, Any]:
    return {
        "job": job,
        "expect": {
            "kind": expect.kind.value,
            "phrases": list(expect.phrases),
            "min_digits": expect.min_digits,
            "max_digits": expect.max_digits,
        },
    }

"""The recogniser's worker process: ``python -m voiceagent.engine.stt.worker``."""

from __future__ import annotations

from typing import Any

from voiceagent.engine.ports import Expectation, ExpectKind
from voiceagent.engine.resample import Resampler
from voiceagent.engine.stt.narrowband import RATE
from voiceagent.engine.stt.sphinx import SphinxDecoder
from voiceagent.engine.workers import Answer, serve


def expectation_from_json(value: dict[str, Any]) -> Expectation:
    """Return the expectation that a job's header carries."""
    return Expectation(
        ExpectKind(value["kind"]), tuple(value["phrases"]), int(value["min_digits"]), int(value["max_digits"])
    )


class Ear:
    """Answers the jobs ``prepare`` and ``decode``."""

    def __init__(self) -> None:
        self._decoder = SphinxDecoder()

    def handle(self, head: dict[str, Any], body: bytes) -> Answer:
        """Do one job; ``body`` is PCM at ``head["rate"]``."""
        import numpy as np

        guessed = self._decoder.lexicon.guessed
        expect = expectation_from_json(head["expect"])
        if head["job"] == "prepare":
            self._decoder.prepare(expect)
            return {"guessed": guessed}, b""
        samples = np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.float64)
        heard = self._decoder.decode(Resampler(int(head["rate"]), RATE).feed_floats(samples), expect)
        return {
            "text": heard.text,
            "confident": heard.confident,
            "alternative": heard.alternative,
            "decode_ms": heard.decode_ms,
            "guessed": guessed,
        }, b""


if __name__ == "__main__":
    serve(Ear().handle)

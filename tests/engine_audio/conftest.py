"""One derived model per test run, and synthetic speech by the voice that is here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voiceagent.engine.synth_callers import telephone
from voiceagent.engine.tts.caller import synthesize


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Derived files go to a folder of the run, not to the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    patch = pytest.MonkeyPatch()
    patch.setenv("VOICEAGENT_CACHE", str(folder))
    yield folder
    patch.undo()


@pytest.fixture(scope="session")
def say() -> Callable[[str], bytes]:
    """Return a maker of 8 kHz telephone recordings; each sentence is made once."""
    made: dict[str, bytes] = {}

    def make(text: str) -> bytes:
        if text not in made:
            # Not asyncio.run(), which would unset the event loop that pytest-asyncio keeps.
            loop = asyncio.new_event_loop()
            try:
                made[text] = telephone(loop.run_until_complete(synthesize(text, "rms")))
                loop.run_until_complete(loop.shutdown_default_executor())
            finally:
                loop.close()
        return made[text]

    return make

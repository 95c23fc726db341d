"""After every story: the journal alone gives the record that the call gave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.story import UNLIKE


@pytest.fixture(autouse=True)
def journals_are_the_truth() -> Iterator[None]:
    UNLIKE.clear()
    yield
    found = list(UNLIKE)
    UNLIKE.clear()
    assert found == []

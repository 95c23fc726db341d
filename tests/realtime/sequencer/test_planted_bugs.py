"""Small defects, planted one at a time: a property catches each, and so does a ladder.

The report at the end of the run says which property caught which defect, and which ladder first turned red.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.realtime.sequencer import test_scenarios_01_17, test_scenarios_18_36, test_scenarios_37_57
from tests.realtime.sequencer.conftest import PlantedReport
from tests.realtime.sequencer.playbook import Playbook
from voiceagent.bench.planted import BUGS, PROMISES, catch
from voiceagent.realtime.sequencer import Sequencer


def _ladders() -> list[Callable[[], None]]:
    modules = (test_scenarios_01_17, test_scenarios_18_36, test_scenarios_37_57)
    return [
        test
        for module in modules
        for name, test in sorted(vars(module).items())
        if name.startswith("test_scenario_") and not hasattr(test, "pytestmark")
    ]


def first_red_ladder(machine: type[Sequencer], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(Playbook, "machine_class", machine)
    for test in _ladders():
        try:
            test()
        except Exception:
            return test.__name__.removeprefix("test_")
    return ""


def test_at_least_a_dozen_and_the_sound_machine_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(set(BUGS)) == len(BUGS) >= 12
    assert len(_ladders()) >= 57
    assert first_red_ladder(Sequencer, monkeypatch) == ""
    assert catch(Sequencer, lives=10).property == ""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_planted_bug_is_caught(
    bug: type[Sequencer], monkeypatch: pytest.MonkeyPatch, planted_report: PlantedReport
) -> None:
    caught = catch(bug)
    ladder = first_red_ladder(bug, monkeypatch)
    planted_report[bug.__name__] = (caught, ladder)
    assert caught.property in PROMISES, f"{bug.__doc__} escaped: {caught}"
    assert ladder, f"{bug.__doc__}: no ladder turned red"

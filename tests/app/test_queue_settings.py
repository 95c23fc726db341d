"""``[[queues]]``: what is read, and what is told at the start, by name and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voiceagent.call.queueing import QueueConfig
from voiceagent.errors import ConfigError
from voiceagent.settings import bare_settings, load_settings
from voiceagent.settings.queues import queue_configs

DESK = "sip:desk@example.com"


def flags(**queue: Any) -> dict[str, Any]:
    given = {"name": "sales", "targets": [DESK], **queue}
    return {
        "realtime.provider": "embedded",
        "call.transfer_targets": [DESK],
        "queues": [{name: value for name, value in given.items() if value is not None}],
    }


def test_a_queue_of_the_file_is_what_the_node_waits_by(tmp_path: Path) -> None:
    file = tmp_path / "voiceagent.toml"
    file.write_text(
        f'[call]\ntransfer_targets = ["{DESK}"]\n[realtime]\nprovider = "embedded"\n'
        f'[[queues]]\nname = "sales"\ntargets = ["{DESK}"]\nmax_waiting = 7\nring_s = 12\n',
        encoding="utf-8",
    )
    settings = load_settings(file)
    assert queue_configs(settings.queues) == {"sales": QueueConfig((DESK,), max_waiting=7, ring_s=12.0)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"targets": ["sip:premium@elsewhere.example"]}, r"queues\.sales\.targets: .*call\.transfer_targets"),
        ({"targets": []}, r"queues\.sales\.targets: .*at least 1"),
        ({"targets": [DESK, DESK]}, r"queues\.sales\.targets: names one twice"),
        ({"targets": None}, r"queues\.sales\.targets: is needed"),
        ({"name": "a queue"}, r"queues\.1\.name: must be 1 to 64"),
        ({"name": None}, r"queues\.1\.name: is needed"),
        ({"max_waiting": 0}, r"queues\.sales\.max_waiting: .*\(not 0\)"),
        ({"music": "loud"}, r"queues\.sales\.music: there is no such setting"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_queue_and_the_field(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        bare_settings(flags(**wrong))


def test_two_queues_of_one_name_and_what_is_no_list_are_refused() -> None:
    two = flags()
    two["queues"] *= 2
    with pytest.raises(ConfigError, match=r"queues\.sales: there are two"):
        bare_settings(two)
    for value, message in (("sales", "a list of tables"), ([3], r"queues\.1: must be a table")):
        with pytest.raises(ConfigError, match=message):
            bare_settings({**flags(), "queues": value})


def test_a_fallback_target_must_be_somebody_whom_callers_may_be_handed_to() -> None:
    with pytest.raises(ConfigError, match=r"call\.fallback_target: .*call\.transfer_targets"):
        bare_settings({**flags(), "call.fallback_target": "sip:night@example.com"})
    assert bare_settings({**flags(), "call.fallback_target": DESK}).call.fallback_target == DESK

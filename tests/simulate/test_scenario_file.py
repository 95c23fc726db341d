"""Scenario files: what is refused, with file and line; and the page that describes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voiceagent.simulate.scenario import TABLES
from voiceagent.simulate.scenario_file import ScenarioError, parse_scenario, read_scenario, scenario_files

PAGE = (Path(__file__).parents[2] / "docs" / "flows.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Simulating\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = ", "s.toml:1: Invalid value"),
        ("nme = 'x'", "s.toml:1: nme: is no such key"),
        ("\n[[turn]]\nsays = 1", "s.toml:3: turn[1].says: "),
        ("[[turn]]\n[[turn]]\nsays = 'a'\ndigits = '1'", "s.toml:2: turn[2]: has more than one act: says, d"),
        ("[[turn]]\ndigits = '1a'", "s.toml:2: turn[1].digits: keys are 0123456789*#ABCD, not '1a'"),
        ("[[turn]]\nexpect = { sad = 'x' }", "s.toml:2: turn[1].expect.sad: is no such key"),
        ("[[turn]]\n\n[turn.expect]\nsaid_re = '('", "s.toml:4: turn[1].expect.said_re: not a regular"),
        ("[[turn]]\nbarge_in_at_ms = 5", "turn[1]: barge_in_at_ms needs an act"),
        ("[[turn]]\nbarge_in_at_ms = 5\nsilence_ms = 5", "turn[1]: silence does not barge in"),
        ("[[turn]]\nlasts_ms = 5", "turn[1]: lasts_ms belongs to says"),
        ("[[turn]]\nhangup = false", "s.toml:2: turn[1].hangup: "),
        ("[tools.a]\nresult = 1\nerror = 'x'", "s.toml:1: tools.a: has both a result and an error"),
        ("[[tools.a]]\nresult = 1\n[[tools.a]]\nreslt = 1", "s.toml:4: tools.a[2].reslt: is no such key"),
        ("[provider]\nwords_per_minute = 5", "s.toml:2: provider.words_per_minute: "),
        ("limit_s = 0", "s.toml:1: limit_s: "),
        ("after_ms = " + "9" * 6000, "s.toml: Exceeds the limit"),
        ("tools.a.result = " + "[" * 20_000, "s.toml: is nested too deeply"),
        ("turn = 5", "s.toml:1: turn: must be a list"),
        ("turn = [1]", "s.toml:1: turn[1]: must be a table"),
        ("tools = 3", "s.toml:1: tools: must be a table"),
        ("[[turn]]\noperator = 'x'", "s.toml:2: turn[1].operator: must be a table"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        parse_scenario(text, "s.toml")
    assert told in str(raised.value)


def test_a_scenario_without_a_name_has_its_files(tmp_path: Path) -> None:
    path = tmp_path / "hours.toml"
    path.write_text("[[turn]]\n", encoding="utf-8")
    assert read_scenario(path).name == "hours"
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        read_scenario(path)


def test_folders_hold_scenarios(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="holds no scenario"):
        scenario_files([tmp_path])
    with pytest.raises(ScenarioError, match="no such file"):
        scenario_files([tmp_path / "none.toml"])
    for name in ("b.toml", "a.toml", "c.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in scenario_files([tmp_path])] == ["a.toml", "b.toml"]


def test_the_page_on_flows_lists_every_key_with_its_meaning() -> None:
    told = re.findall(r"^\| `([\w.]+)` \| (.*) \|$", SECTION, re.MULTILINE)
    meant = [
        (f"{table}.{field.alias or name}".lstrip("."), field.description)
        for table, model in TABLES.items()
        for name, field in model.model_fields.items()
    ]
    assert told == meant


def test_the_scenario_on_the_page_is_one() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", SECTION, re.DOTALL)
    assert len(parse_scenario(text).turns) == 5

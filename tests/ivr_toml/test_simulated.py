"""TOML flows in simulated calls: answers of functions and endpoints come from the scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ivr_toml.kit import shop
from voiceagent.errors import ConfigError
from voiceagent.ivr import load_flows
from voiceagent.simulate.engine import pick_flow, simulate
from voiceagent.simulate.scenario_file import parse_scenario

SCENARIO = """
name = "balance by keys"
flow = "shop"
{answer}
[[turn]]
expect = {{ step = "greet" }}
[[turn]]
says = "my account"
expect = {{ step = "account" }}
[[turn]]
digits = "481516"
expect = {{ said = "{said}", step = "{step}" }}
[expect]
outcome = "success"
steps = ["greet", "menu", "account", "lookup", "{step}"]
"""
ANSWERS = [
    ('fetch.lookup.result = "7 euros"', "7 euros", "tell"),
    ('fetch.lookup.result = "Overdue"', "One moment", "desk"),
    ('fetch.lookup.error = "the database is down"', "One moment", "desk"),
    ('[fetch.lookup]\nresult = "7 euros"\ndelay_ms = 9000', "One moment", "desk"),
]


@pytest.mark.parametrize(("answer", "said", "step"), ANSWERS)
@pytest.mark.parametrize("work", ['function = "shop:balance"', 'url = "https://api.example.com/balance"'])
def test_a_scenario_answers_in_place_of_functions_and_endpoints(
    tmp_path: Path, answer: str, said: str, step: str, work: str
) -> None:
    (tmp_path / "shop.py").write_text("async def balance(account): raise SystemError", "utf-8")
    path = tmp_path / "shop.toml"
    path.write_text(shop(('function = "shop:balance"', work)), "utf-8")
    scenario = parse_scenario(SCENARIO.format(answer=answer, said=said, step=step))
    result = simulate(pick_flow(load_flows([path], None), scenario), scenario)
    assert result.failures == []


def test_what_a_simulation_may_load_the_service_may_refuse(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(shop(('function = "shop:balance"', 'url = "https://api.example.com/"')), "utf-8")
    load_flows([path], None)
    with pytest.raises(ConfigError, match=r"call.http_hosts"):
        load_flows([path])

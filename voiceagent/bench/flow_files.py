"""Flows of any length, and a long call, made to be measured: they are sound, and a check finds nothing."""

from __future__ import annotations

from voiceagent.simulate.scenario import Scenario
from voiceagent.simulate.scenario_file import parse_scenario

_PYTHON_HEAD = '''\
from voiceagent.ivr import Call, flow, option


@flow("long", numbers=["100"])
async def long(call: Call) -> None:
    """You are the friendly voice of a shop. Be brief."""
'''
_PYTHON_PAIR = """\
    topic_{n} = await call.choose(
        'Ask: "Question {n}: our opening hours, or something else?"',
        hours=option("1", "opening hours", "when are you open"),
        other=option("2", "something else"),
    )
    if topic_{n} == "hours":
        await call.say("Answer {n}: from nine to five.")
    else:
        pass
"""
_TOML_PAIR = """
[steps.ask_{n}]
type = "choose"
prompt = 'Ask: "Question {n}: our opening hours, or something else?"'
options.hours = {{ key = "1", phrases = ["opening hours", "when are you open"], next = "tell_{n}" }}
options.other = {{ key = "2", phrases = ["something else"], next = "ask_{m}" }}
no_input = "Are you still there?"
otherwise = "ask_{m}"

[steps.tell_{n}]
type = "respond"
say = "Answer {n}: from nine to five."
next = "ask_{m}"
"""


def python_flow(steps: int) -> str:
    """Return a flow in Python of so many steps (questions, and what is said to their answers)."""
    pairs = [_PYTHON_PAIR.format(n=n) for n in range(steps // 2)]
    return _PYTHON_HEAD + "".join(pairs) + '    await call.hangup("Goodbye.")\n'


def toml_flow(steps: int) -> str:
    """Return the same in TOML."""
    count = steps // 2
    head = '[flow]\nname = "long-toml"\nnumbers = ["200"]\ninstructions = "You are a shop. Be brief."\n'
    pairs = [_TOML_PAIR.format(n=n, m=n + 1) for n in range(count)]
    return head + "".join(pairs) + f'\n[steps.ask_{count}]\ntype = "hangup"\nsay = "Goodbye."\n'


def long_call(rounds: int) -> tuple[Scenario, str]:
    """Return a caller of the front desk who asks for the opening hours so often; and the scenario's text."""
    turns = ["opening hours", "yes please"] * rounds + [
        "billing please",
        "four eight one five one six",
        "yes",
    ]
    text = "".join(f'[[turn]]\nsays = "{said}"\n\n' for said in [*turns, "no thanks"])
    text = f'name = "a long call"\n\n{text}[expect]\nreason = "completed"\nduration_ms = 3600000\n'
    return parse_scenario(text), text

"""``voiceagent flow check``: output as compilers write it, exit statuses, what import and simulation add."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from voiceagent.cli.main import app
from voiceagent.errors import ConfigError
from voiceagent.ivr import load_flows
from voiceagent.media.wav import WavWriter

SOUND = """
from voiceagent.ivr import Call, flow

@flow("shop", numbers=["1"])
async def shop(call: Call) -> None:
    await call.say("Hello.")
    await call.hangup("Goodbye.")
"""
HASTY = SOUND.replace("await call.say", "call.say").replace('"shop"', '"hasty"').replace('["1"]', '["+1"]')


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("VOICEAGENT_CALL__TRANSFER_TARGETS", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["flow", "check", *arguments])


def codes(result: Result) -> list[tuple[str, int, str]]:
    told: dict[str, Any] = json.loads(result.stdout)
    return [(one["file"], one["line"], one["code"]) for one in told["findings"]]


def test_nothing_found_is_one_line_and_status_0() -> None:
    result = check(write("shop.py", SOUND))
    assert result.exit_code == 0
    assert result.stdout == "nothing found in 1 flow of 1 file\n"


def test_findings_are_lines_sorted_by_file_and_line_and_status_1() -> None:
    result = check(write("shop.py", SOUND), write("hasty.py", HASTY))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines[:-1]] == ["hasty.py:4", "hasty.py:6"]
    assert lines[0] == "hasty.py:4: error: +1 belongs to 'shop' as well (shop.py:5) [number-twice]"
    assert lines[1].startswith("hasty.py:6: error: call.say(…) is not awaited")
    assert lines[2] == "2 errors, 0 warnings in 2 flows of 2 files"


def test_json_has_the_same_as_data() -> None:
    result = check(write("hasty.py", HASTY), "--json")
    told = json.loads(result.stdout)
    assert (told["ok"], told["errors"], told["warnings"]) == (False, 1, 0)
    assert told["findings"][0]["remedy"] == "put await before it"
    assert told["flows"] == [{"file": "hasty.py", "line": 5, "name": "hasty", "numbers": [["+1", 4]]}]


def test_warnings_fail_only_when_they_are_to() -> None:
    late = SOUND.replace('await call.hangup("Goodbye.")', 'return\n    await call.say("Never.")')
    assert check(write("shop.py", late)).exit_code == 0
    assert check("shop.py", "--strict").exit_code == 1


@pytest.mark.parametrize("name", ["none.py", "flow.txt", "latin.py"])
def test_what_cannot_be_read_is_status_2_and_the_rest_is_checked(name: str) -> None:
    write("flow.txt", SOUND)
    Path("latin.py").write_bytes(b"# \xff\n")
    result = check(name, write("hasty.py", HASTY), "--json")
    assert result.exit_code == 2
    assert codes(result) == [("hasty.py", 6, "missing-await")]
    assert name in json.loads(result.stdout)["unreadable"][0]


def test_targets_come_from_the_settings() -> None:
    text = SOUND.replace('await call.say("Hello.")', 'await call.transfer("sip:desk@example.com")')
    write("shop.py", text)
    nobody_allowed = check("shop.py")
    assert nobody_allowed.exit_code == 0
    assert "call.transfer_targets is empty" in nobody_allowed.stdout
    assert check("shop.py", "--set", 'call.transfer_targets=["sip:desk@example.com"]').stdout.startswith(
        "nothing"
    )
    write("voiceagent.toml", '[call]\ntransfer_targets = ["sip:boss@example.com"]\n')
    result = check("shop.py", "--json")
    assert result.exit_code == 1
    assert codes(result) == [("shop.py", 6, "transfer-not-allowed")]
    assert check("shop.py", "--set", "call.nonsense=1").exit_code == 2


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("from math import squareroot", "missing-function"),
        ("import nothing_of_this_name", "import-fails"),
        ("print(1 / 0)", "import-fails"),
        ("raise SystemExit", "import-fails"),
    ],
)
def test_what_an_import_tells_has_its_line(line: str, code: str) -> None:
    result = check(write("shop.py", SOUND.replace("\n\n@flow", f"\n\n{line}\n@flow")), "--json")
    assert codes(result) == [("shop.py", 4, code)]


HARSH = """

class Stop(BaseException):
    def __str__(self) -> str:
        raise ValueError

"""


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("raise SystemExit('no')", "SystemExit: no"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit('x')", "GeneratorExit: x"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
        ("raise BaseExceptionGroup('many', [KeyboardInterrupt()])", "BaseExceptionGroup"),
        ("raise Stop", "Stop"),
    ],
)
def test_whatever_an_import_raises_has_its_line(line: str, told: str) -> None:
    write("shop.py", SOUND + HARSH + line + "  # here\n")
    number = next(
        n for n, one in enumerate(Path("shop.py").read_text("utf-8").splitlines(), 1) if "here" in one
    )
    result = check("shop.py")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"shop.py:{number}: error: {told}")
    assert "[import-fails]" in result.stdout
    with pytest.raises(ConfigError, match=rf"shop.py:{number} fails to import: {told}"):
        load_flows(["shop.py"])


def test_a_user_who_interrupts_an_import_ends_the_check() -> None:
    # Whoever starts the tests in the background may have them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    write(
        "shop.py", SOUND + "\nimport os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True:\n    pass\n"
    )
    try:
        with pytest.raises(KeyboardInterrupt):
            load_flows(["shop.py"])
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_tool_that_its_module_does_not_have() -> None:
    text = SOUND.replace('say("Hello.")', 'respond("Look.", tools=[math.pi, math.balance])').replace(
        "\nfrom", "\nimport math\nfrom"
    )
    assert codes(check(write("shop.py", text), "--json")) == [("shop.py", 7, "missing-function")]


def test_functions_of_other_files_are_looked_at() -> None:
    write("orders.py", "def plain(n): ...\nasync def status(n): ...\n")
    text = SOUND.replace("\nfrom", "\nfrom orders import plain, status\nimport orders\nfrom", 1)
    body = """await call.fetch(status, 1)
    await call.fetch(orders.status, 1)
    await call.fetch(plain, 1)
    await call.fetch(orders.plain, 1)
    await call.fetch(orders.gone, 1)
    await call.respond("Look.", tools=[status])
"""
    text = text.replace('await call.say("Hello.")\n', body)
    assert codes(check(write("shop.py", text), "--json")) == [
        ("shop.py", 10, "not-async"),
        ("shop.py", 11, "not-async"),
        ("shop.py", 12, "missing-function"),
        ("shop.py", 13, "missing-function"),
    ]


def test_a_file_to_be_played_is_there() -> None:
    with WavWriter("legal.wav") as file:
        file.write(bytes(320))
    text = SOUND.replace(
        'await call.say("Hello.")', 'await call.play("legal.wav")\n    await call.play("gone.wav")'
    )
    result = check(write("shop.py", text), "--json")
    assert codes(result) == [("shop.py", 7, "missing-file")]


def test_a_decorator_that_raises_is_told_once() -> None:
    text = SOUND.replace("async def", "def").replace("    await call", "    call").replace("say(", "step(")
    text = text.replace('    call.hangup("Goodbye.")\n', "")
    assert codes(check(write("shop.py", text), "--json")) == [("shop.py", 5, "not-async")]


def test_what_a_file_prints_stays_out_of_the_json() -> None:
    assert check(write("shop.py", SOUND + "print('loaded')\n"), "--json").exit_code == 0


SCENARIO = """
name = "hours"
[[turn]]
silence_ms = 500
[[turn]]
hangup = true
"""


def test_a_flow_that_raises_in_a_scenario_is_told_at_its_line() -> None:
    broken = SOUND.replace('await call.say("Hello.")', 'await call.say("Hello.")\n    int("x")')
    write("hours.toml", SCENARIO)
    result = check(write("shop.py", broken), "--scenario", "hours.toml", "--json")
    assert codes(result) == [("shop.py", 7, "fails-in-simulation")]
    assert "hours" in json.loads(result.stdout)["findings"][0]["message"]


def test_a_scenario_says_how_far_it_came() -> None:
    write("hours.toml", SCENARIO)
    result = check(write("shop.py", SOUND), "--scenario", "hours.toml")
    assert result.stdout.startswith("nothing found in 1 flow of 1 file (1 scenario came through ")
    told = json.loads(check("shop.py", "-s", "hours.toml", "--json").stdout)["scenarios"][0]
    assert told["steps"][0] == {"step": "say", "place": "shop.py:6"}


def test_a_scenario_that_no_file_fits_is_status_2() -> None:
    write("hours.toml", SCENARIO.replace('name = "hours"', 'name = "hours"\nflow = "other"'))
    result = check(write("shop.py", SOUND), "--scenario", "hours.toml", "--json")
    assert result.exit_code == 2
    assert "other" in json.loads(result.stdout)["error"]["message"]


TOML = """
[flow]
name = "desk"
numbers = ["1"]
instructions = "You are the voice of a shop."
[steps.greet]
type = "respond"
guide = "Greet the caller."
next = "by"
[steps.bye]
type = "hangup"
"""


def test_toml_and_python_are_checked_together() -> None:
    result = check(write("shop.py", SOUND), write("desk.toml", TOML), "--json")
    assert result.exit_code == 1
    assert ("desk.toml", 9, "unknown-target") in codes(result)
    assert ("desk.toml", 4, "number-twice") in codes(result)


def test_a_line_of_toml_may_allow_what_is_found_there() -> None:
    lonely = TOML.replace('"by"', '"bye"') + '[steps.lonely]  # check: allow unreachable\ntype = "hangup"\n'
    assert codes(check(write("desk.toml", lonely), "--json")) == []
    assert codes(check(write("desk.toml", lonely.replace("  # check", "  # see")), "--json")) == [
        ("desk.toml", 12, "unreachable")
    ]


def test_a_broken_neighbour_is_named_itself() -> None:
    write("prices.py", "\n1 / 0\n")
    result = check(write("shop.py", SOUND.replace("\nfrom", "\nimport prices\nfrom")), "--json")
    assert codes(result) == [("prices.py", 2, "import-fails")]


def test_queues_come_from_the_settings() -> None:
    wait = SOUND.replace('await call.say("Hello.")', 'await call.queue("sale")')
    write("shop.py", wait)
    none = check("shop.py")
    assert none.exit_code == 0
    assert "shop.py:6: warning: there is no queue 'sale': the settings have none" in none.stdout
    write(
        "voiceagent.toml",
        '[call]\ntransfer_targets = ["sip:a@example.com"]\n'
        '[[queues]]\nname = "sales"\ntargets = ["sip:a@example.com"]\n',
    )
    result = check("shop.py")
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "shop.py:6: error: there is no queue 'sale': the settings have sales (did you mean 'sales'?)"
    )
    write("shop.py", wait.replace("sale", "sales"))
    assert check("shop.py").exit_code == 0

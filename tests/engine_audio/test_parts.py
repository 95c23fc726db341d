"""Parts by name, plug-ins, and errors that name the setting."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest

from voiceagent.engine import parts as parts_module
from voiceagent.engine.parts import build_parts
from voiceagent.engine.vad import EnergyVad
from voiceagent.errors import ConfigError


class PluggedEar:
    name = "plugged"


def test_describe_is_plain_json() -> None:
    facts = build_parts(vad="energy").describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["vad"] == "energy"
    assert facts["recogniser"] == "pocketsphinx"
    assert "silero" in facts["available"]["vad"]


def test_each_stream_gets_its_own_detector() -> None:
    parts = build_parts(vad="energy")
    first, second = parts.vad_factory(), parts.vad_factory()
    assert isinstance(first, EnergyVad)
    assert first is not second


async def test_parts_start_and_end() -> None:
    parts = build_parts(voice="espeak")
    await parts.warm_up()
    pids = [*parts.recogniser.pids, *parts.voice.pids]  # type: ignore[attr-defined]
    assert len(pids) == 2
    await parts.close()
    assert parts.recogniser.pids == parts.voice.pids == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wish", "setting"),
    [
        ({"voice": "caruso"}, "engine.voice"),
        ({"voice": "flite:caruso"}, "engine.voice"),
        ({"recogniser": "whisper"}, "engine.recogniser"),
        ({"vad": "telepathy"}, "engine.vad"),
        ({"language": "de"}, "engine.language"),
    ],
)
def test_a_wrong_name_is_told_with_its_setting(wish: dict[str, str], setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_parts(**wish)
    assert caught.value.setting == setting


def test_missing_packages_are_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "find_spec", lambda name: None if name == "pocketsphinx" else object())
    with pytest.raises(ConfigError, match=r"pip install 'voiceagent\[embedded\]'") as caught:
        build_parts()
    assert caught.value.setting == "engine.recogniser"


def test_a_plug_in_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("plugged", f"{__name__}:PluggedEar", "voiceagent.stt")
    broken = EntryPoint("broken", "no_such_module_anywhere:Thing", "voiceagent.stt")
    monkeypatch.setattr(
        EntryPoint, "load", lambda self: PluggedEar if self is point else __import__("no_such_module")
    )
    monkeypatch.setattr(
        parts_module, "plug_ins", lambda group: {"plugged": point, "broken": broken} if group == "stt" else {}
    )
    chosen = build_parts(recogniser="plugged", language="de", voice="espeak:de")
    assert chosen.recogniser.name == "plugged"
    assert chosen.describe()["available"]["recogniser"] == ["pocketsphinx", "plugged", "broken"]
    with pytest.raises(ConfigError, match="could not be loaded"):
        build_parts(recogniser="broken")

"""Every mistake in the settings is one line naming the setting, before any port is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voiceagent.app import service as service_module
from voiceagent.app.service import Service
from voiceagent.errors import ConfigError
from voiceagent.settings import bare_settings, load_settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "VOICEAGENT_SIP__PORT", "VOICEAGENT_REALTIME__API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_closed() -> None:
    settings = load_settings()
    assert settings.sip.host == settings.console.host == settings.engine.host == "127.0.0.1"
    assert settings.sip.allowed_sources == ("127.0.0.0/8", "::1/128")
    assert settings.call.transfer_targets == ()
    assert settings.console.token is None
    assert settings.console.metrics_open is False
    assert settings.provider == "embedded"


def test_flags_beat_the_environment_beats_the_file_beats_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "voiceagent.toml"
    file.write_text("[sip]\nport = 5070\n[call]\nmax_calls = 7\n", encoding="utf-8")
    assert load_settings().sip.port == 5070
    monkeypatch.setenv("VOICEAGENT_SIP__PORT", "5080")
    settings = load_settings(file)
    assert (settings.sip.port, settings.call.max_calls) == (5080, 7)
    assert load_settings(file, {"sip.port": 5090}).sip.port == 5090


def test_a_key_makes_openai_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    settings = load_settings()
    assert settings.provider == "openai"
    assert "sk-test" not in repr(settings)
    assert load_settings(flags={"realtime.provider": "embedded"}).provider == "embedded"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"sip.port": "x"}, "sip.port: "),
        ({"sip.port": 70000}, "sip.port: "),
        ({"sip.prot": 1}, "sip.prot: there is no such setting"),
        ({"nothing": 1}, "nothing: there is no such setting"),
        ({"sip.host": "localhost"}, "sip.host: "),
        ({"sip.listen": ["udp:localhost:5060"]}, "sip.listen: localhost:5060: "),
        ({"sip.listen": ["sctp:127.0.0.1:5060"]}, "sip.listen: must look like udp:127.0.0.1:5060"),
        ({"sip.listen": ["tcp:127.0.0.1:5060", "tls:127.0.0.1:5060"]}, "sip.listen: names an address and"),
        ({"sip.realm": ""}, "sip.realm: "),
        ({"sip.realm": 'a"b'}, "sip.realm: "),
        ({"sip.session_expires_s": 30}, "sip.session_expires_s: must be 0 or at least min_se_s"),
        ({"sip.stream.reserve": 5000}, "sip.stream.reserve: must be below connections"),
        ({"media.port_low": 40000}, "media.port_high: must be above port_low"),
        ({"media.codecs": ["g729"]}, "media.codecs.0: "),
        ({"outbound.from_user": "a b"}, "outbound.from_user: "),
        ({"outbound.allowed": ["sip:*@*x*"]}, "outbound.allowed: '*x*': * stands for the rest"),
        ({"sip.listen": ["udp:127.0.0.1:70000"]}, "sip.listen: 127.0.0.1:70000: "),
        ({"sip.listen": ["udp:0.0.0.0"], "media.host": "127.0.0.1"}, "sip.listen: 0.0.0.0 cannot be told"),
        ({"sip.listen": ["tls:127.0.0.1"]}, "sip.tls.certificate: a tls listener needs a certificate"),
        ({"sip.tls.client_certificates": "maybe"}, "sip.tls.client_certificates: "),
        ({"sip.stream.message_s": 0}, "sip.stream.message_s: "),
        ({"sip.host": "0.0.0.0"}, "sip.advertised_host: 0.0.0.0 cannot be told to others"),
        ({"sip.host": "0.0.0.0", "media.advertised_host": "192.0.2.1"}, "sip.advertised_host: "),
        ({"media.host": "foo"}, "media.host: "),
        ({"media.advertised_host": "pbx.example.com"}, "media.advertised_host: "),
        ({"media.host": "::"}, "media.advertised_host: :: cannot be told to others"),
        ({"call.transfer_targets": "sip:x"}, "call.transfer_targets: must be a list"),
        ({"sip.allowed_sources": ["10.0.0.0/99"]}, "sip.allowed_sources: "),
        ({"media.port_low": 40000, "media.port_high": 30000}, "media.port_high: must be above port_low"),
        ({"realtime.provider": "nobody"}, "realtime.provider: "),
        ({"realtime.provider": "openai"}, "realtime.api_key: the provider openai needs a key"),
        ({"realtime.provider": "azure", "realtime.api_key": "k"}, "realtime.url: "),
        ({"realtime.url": "https://example.com"}, "realtime.url: must begin with ws:// or wss://"),
        ({"call.max_calls": 0}, "call.max_calls: "),
        ({"log.level": "loud"}, "log.level: "),
    ],
)
def test_a_wrong_setting_is_named(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_settings(flags=flags)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_wildcard_is_fine_where_an_address_is_advertised() -> None:
    settings = load_settings(flags={"sip.host": "0.0.0.0", "sip.advertised_host": "192.0.2.1"})
    assert settings.media.host is None


def test_a_key_is_never_shown_in_an_error() -> None:
    with pytest.raises(ConfigError) as error:
        load_settings(flags={"realtime.api_key": ["sk-secret"]})
    assert "sk-secret" not in str(error.value)


@pytest.mark.parametrize(("text", "message"), [("[sip", "is not TOML"), ("[sip]\nport = 'a'", "sip.port")])
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_settings(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_settings(tmp_path / "none.toml")


def test_the_shipped_settings_file_is_valid() -> None:
    shipped = Path(__file__).parents[2] / "deploy" / "voiceagent.toml"
    assert load_settings(shipped).call.max_calls == 100


def test_bare_settings_look_at_neither_file_nor_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "voiceagent.toml").write_text("[sip]\nport = 5070\n", encoding="utf-8")
    monkeypatch.setenv("VOICEAGENT_CALL__MAX_CALLS", "3")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    settings = bare_settings({"call.no_input_s": 2})
    assert (settings.sip.port, settings.call.max_calls, settings.provider) == (5060, 100, "embedded")
    assert settings.call.no_input_s == 2
    with pytest.raises(ConfigError, match=r"sip\.port"):
        bare_settings({"sip.port": "x"})


@pytest.mark.parametrize(
    ("variable", "value", "setting"),
    [
        ("VOICEAGENT_FLOWS", "abc", "flows"),
        ("VOICEAGENT_CALL__TRANSFER_TARGETS", "sip:x", "call"),
        ("VOICEAGENT_SIP", "nonsense", "sip"),
    ],
)
def test_a_variable_of_the_wrong_shape_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, setting: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as wrong:
        load_settings()
    assert wrong.value.setting.startswith(setting)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["call.max_duration_s", "call.drain_limit_s", "media.silence_limit_s"])
def test_a_duration_is_a_number_with_an_end(name: str, value: float) -> None:
    with pytest.raises(ConfigError) as wrong:
        load_settings(None, {name: value})
    assert wrong.value.setting == name


@pytest.mark.parametrize(
    ("codecs", "told"),
    [
        (["PCMU", "PCMU"], "media.codecs: names a codec twice"),
        (["G729"], "media.codecs.0: input should be"),
    ],
)
def test_codecs_are_known_and_named_once(codecs: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=f"^{told}"):
        bare_settings({"media.codecs": codecs})


def test_a_codec_that_is_not_installed_cannot_be_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bare_settings({"media.codecs": ["PCMA", "opus"]}).media.codecs == ("PCMA", "opus")
    monkeypatch.setattr("voiceagent.media.codecs.have_wide", lambda: False)
    with pytest.raises(ConfigError, match="opus needs PyAV"):
        bare_settings({"media.codecs": ["PCMA", "opus"]})


def test_codecs_are_the_same_in_any_case() -> None:
    assert load_settings(flags={"media.codecs": ["pcmu", "G722"]}).media.codecs == ("PCMU", "G722")


def test_udp_and_tcp_share_a_port_and_free_ports_are_no_doubles() -> None:
    listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "udp:127.0.0.1:0", "udp:127.0.0.1:0"]
    assert len(load_settings(flags={"sip.listen": listen}).sip.listen) == 4


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"call.hold_music": "/nowhere.wav"}, "call.hold_music: cannot read '/nowhere.wav'"),
        ({"sip.tls.ca": "/nowhere.pem"}, "sip.tls.ca: cannot read /nowhere.pem"),
        ({"sip.tls.key": "/nowhere.pem"}, "sip.tls.key: needs sip.tls.certificate"),
        ({"sip.tls.certificate": "/nowhere.pem"}, "sip.tls.certificate: cannot read /nowhere.pem"),
        ({"sip.tls.certificate": "{text}"}, "sip.tls.certificate: "),
        ({"sip.tls.certificate": "{certificate}"}, "sip.tls.key: must name the private key"),
        (
            {"trunks": [{"name": "a", "host": "127.0.0.1", "username": "u", "secret_env": "NO_SUCH"}]},
            "trunks.a.",
        ),
    ],
)
async def test_files_are_read_before_a_port_is_opened(
    flags: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text("no certificate", encoding="utf-8")
    (tmp_path / "certificate").write_text("-----BEGIN CERTIFICATE-----\n", encoding="utf-8")
    files = {name: str(tmp_path / name) for name in ("text", "certificate")}
    filled = {
        name: value.format(**files) if isinstance(value, str) else value for name, value in flags.items()
    }
    service = Service(bare_settings({"journal_dir": str(tmp_path), **filled}))

    async def opened(*_: object) -> None:
        raise AssertionError("a port was opened")

    monkeypatch.setattr(service.embedded, "start", opened)
    monkeypatch.setattr(service_module, "start_console", opened)
    with pytest.raises(ConfigError) as caught:
        await service.start()
    assert str(caught.value).startswith(message)

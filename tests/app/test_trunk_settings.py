"""Trunks in the settings: what is read, what is refused, and that no secret is ever shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voiceagent.app.trunking import trunk_table
from voiceagent.errors import ConfigError
from voiceagent.settings import bare_settings, load_settings
from voiceagent.settings.trunks import read_server
from voiceagent.sip.effects import Address
from voiceagent.sip.net.resolver import Answer, Kind, Resolver


def resolver() -> Resolver:
    async def ask(name: str, kind: Kind) -> Answer:
        return Answer(("127.0.0.1",) if (name, kind) == ("localhost", "A") else (), 60)

    return Resolver(ask)


def table(**fields: Any) -> dict[str, Any]:
    return {"name": "carrier", **fields}


async def test_a_file_with_two_trunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush-file\n", encoding="utf-8")
    secret.chmod(0o600)
    monkeypatch.setenv("DESK_SECRET", "hush-env")
    file = tmp_path / "voiceagent.toml"
    file.write_text(
        f"""
        [[trunks]]
        name = "carrier"
        servers = ["192.0.2.10", "192.0.2.11:5070;transport=tcp", "[2001:db8::1]:5061;transport=tls"]
        from_domain = "carrier.example"
        username = "acct"
        secret_file = "{secret}"
        register = true
        keepalive_s = 30
        numbers_in = ["+4420*"]
        codecs = ["PCMA"]
        srtp = "off"

        [[trunks]]
        name = "desk"
        addresses = ["198.51.100.0/24", "localhost"]
        digest_users = {{ alice = "hush-plain", bob = {{ env = "DESK_SECRET" }} }}
        algorithms = ["SHA-256", "MD5"]
        max_calls = 3
        """,
        encoding="utf-8",
    )
    settings = load_settings(file)
    assert "hush" not in repr(settings)
    trunks = await trunk_table(settings, resolver())
    assert list(trunks.by_name) == ["carrier", "desk", "default"]
    carrier, desk, default = trunks.by_name.values()
    assert carrier.servers == (
        Address("192.0.2.10", 5060),
        Address("192.0.2.11", 5070, "tcp"),
        Address("2001:db8::1", 5061, "tls"),
    )
    assert (carrier.password, carrier.uri("1"), carrier.register) == (
        "hush-file",
        "sip:1@carrier.example",
        True,
    )
    # Whom we register with may call us: its servers, without being listed once more.
    assert [str(network) for network in carrier.networks] == [
        "192.0.2.10/32",
        "192.0.2.11/32",
        "2001:db8::1/128",
    ]
    assert dict(desk.digest_users) == {"alice": "hush-plain", "bob": "hush-env"}
    assert "127.0.0.1/32" in [str(network) for network in desk.networks]
    assert [str(network) for network in default.networks] == ["127.0.0.0/8", "::1/128"]
    assert "hush" not in repr(trunks.by_name)


@pytest.mark.parametrize(
    ("trunks", "message"),
    [
        ("carrier", "trunks: must be a list of tables"),
        (["carrier"], "trunks.0: must be a table"),
        ([{}], "trunks.0.name: "),
        ([{"name": "Carrier One"}], "trunks.Carrier One.name: "),
        ([table()], "trunks.carrier.addresses: or identities, digest_users, host"),
        ([table(addresses="192.0.2.1")], "trunks.carrier.addresses: must be a list"),
        ([table(addresses=["192.0.2.0/33"])], "trunks.carrier.addresses: "),
        ([table(addresses=["a b"])], "trunks.carrier.addresses: 'a b' is no address"),
        ([table(adresses=["192.0.2.1"])], "trunks.carrier.adresses: there is no such setting"),
        ([table(host="192.0.2.1", port=70000)], "trunks.carrier.port: "),
        ([table(host="sip:x")], "trunks.carrier.host: "),
        ([table(servers=["a:b:c"])], "trunks.carrier.servers: 'a:b:c' must look like"),
        ([table(servers=["a;transport=sctp"])], "trunks.carrier.servers: "),
        ([table(servers=["a"], host="b")], "trunks.carrier.servers: cannot stand beside host"),
        (
            [table(servers=["a"], transport="tls")],
            "trunks.carrier.transport: stands in each of servers",
        ),
        ([table(addresses=["10.0.0.1"], port=5070)], "trunks.carrier.port: means nothing without host"),
        ([table(host="a", numbers_in=["1*2"])], "trunks.carrier.numbers_in: "),
        ([table(host="a", methods=["INVITE", "DANCE"])], "trunks.carrier.methods: "),
        ([table(host="a", srtp="maybe")], "trunks.carrier.srtp: "),
        ([table(host="a", codecs=["G729"])], "trunks.carrier.codecs: "),
        ([table(host="a", username="u")], "trunks.carrier.secret: is needed with username"),
        ([table(host="a", secret="hush")], "trunks.carrier.username: is needed with a secret"),
        ([table(host="a", username='u"', secret="x")], "trunks.carrier.username: "),
        (
            [table(host="a", username="u", secret="hush", secret_env="X")],
            "trunks.carrier.secret: stands twice",
        ),
        ([table(username="u", secret="hush", register=True)], "trunks.carrier.host: is needed to register"),
        ([table(host="a", register=True)], "trunks.carrier.username: is needed to register"),
        ([table(addresses=["10.0.0.1"], keepalive_s=5)], "trunks.carrier.host: is needed for keepalive_s"),
        (
            [table(identities=["sbc.example.com"])],
            "sip.tls.client_certificates: must ask for the certificates of trunks.carrier.identities",
        ),
        ([table(host="a"), table(host="b")], "trunks.carrier.name: there is another trunk"),
        ([{"name": "default", "host": "a"}], "trunks.default.name: is the name of the trunk"),
        ([table(digest_users={"u": {"file": "x", "env": "y"}})], "trunks.carrier.digest_users: "),
        ([table(digest_users={"u": 5})], "trunks.carrier.digest_users: "),
        (
            [table(digest_users={"u": "hush"}), {"name": "two", "digest_users": {"u": "hush"}}],
            "trunks.two.digest_users: 'u' is a user of 'carrier'",
        ),
    ],
)
def test_a_wrong_trunk_is_named_in_one_line(trunks: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        bare_settings({"trunks": trunks})
    told = str(error.value)
    assert told.startswith(message), told
    assert "\n" not in told
    assert "hush" not in told


async def test_a_secret_that_others_may_read_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_SECRET", raising=False)
    open_to_all, empty, two_lines = tmp_path / "open", tmp_path / "empty", tmp_path / "two"
    for path, text, mode in ((open_to_all, "hush", 0o640), (empty, "\n", 0o600), (two_lines, "a\nb", 0o600)):
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
    for field, value, message in (
        ("secret_file", str(open_to_all), "can be read by others"),
        ("secret_file", str(empty), "must hold one line"),
        ("secret_file", str(two_lines), "must hold one line"),
        ("secret_file", str(tmp_path / "missing"), "cannot read"),
        ("secret_file", str(tmp_path), "cannot read"),
        ("secret_env", "NO_SUCH_SECRET", "the environment has no NO_SUCH_SECRET"),
    ):
        settings = bare_settings({"trunks": [table(host="192.0.2.1", username="u", **{field: value})]})
        with pytest.raises(ConfigError, match=message) as error:
            await trunk_table(settings, resolver())
        assert str(error.value).startswith(f"trunks.carrier.{field}: ")
        assert "hush" not in str(error.value)


def test_servers_as_they_are_written() -> None:
    assert read_server("sip.example.com") == ("sip.example.com", 0, "udp")
    assert read_server("[2001:db8::1]:5070;transport=tls") == ("2001:db8::1", 5070, "tls")
    for wrong in ("", "a:99999", "a:5060;transport=ws", "[x]:1", "a/b"):
        with pytest.raises(ValueError):
            read_server(wrong)

"""Certificates: what they prove, and how a mistake in the files is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kit.certificates import Authority
from voiceagent.errors import ConfigError
from voiceagent.sip.net.tls import (
    TlsConfig,
    client_context,
    identities_of,
    inspect_certificate,
    proves,
    server_context,
)


@pytest.mark.parametrize(
    ("certificate", "identities"),
    [
        (None, ()),
        ({}, ()),
        ({"subject": ((("commonName", "PBX.example"),),)}, ("pbx.example",)),
        (
            {
                "subject": ((("commonName", "cn.example"),),),
                "subjectAltName": (
                    ("DNS", "sbc1.example"),
                    ("URI", "sip:Example.com"),
                    ("URI", "sip:bob@example.org"),
                    ("URI", "https://example.net"),
                    ("IP Address", "192.0.2.1"),
                ),
            },
            ("example.com", "sbc1.example", "192.0.2.1"),
        ),
        ({"subject": ((("commonName", "cn.example"),),), "subjectAltName": (("email", "a@b"),)}, ()),
    ],
)
def test_the_names_in_a_certificate(certificate: Any, identities: tuple[str, ...]) -> None:
    assert identities_of(certificate) == identities


@pytest.mark.parametrize(
    ("identity", "name", "same"),
    [
        ("example.com", "Example.com.", True),
        ("example.com", "sip.example.com", False),
        ("*.example.com", "sip.example.com", True),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", "example.com", False),
        ("*.com", "example.com", False),
        ("*.0.2.1", "192.0.2.1", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1", True),
        ("example.com", "2001:db8::1", False),
    ],
)
def test_what_a_name_proves(identity: str, name: str, same: bool) -> None:
    assert proves((identity,), name) is same


def test_what_our_own_certificate_says(tmp_path: Path) -> None:
    pair = Authority(tmp_path).sign("agent.example", "agent.example", "127.0.0.1")
    facts = inspect_certificate(TlsConfig(pair.certificate, pair.key))
    assert facts.names == ("agent.example", "127.0.0.1")
    assert facts.expires > 0


@pytest.mark.parametrize(
    ("change", "setting", "text"),
    [
        ({"certificate": None}, "sip.tls.certificate", "needs a certificate"),
        ({"certificate": "missing.pem"}, "sip.tls.certificate", "No such file"),
        ({"key": "missing.pem"}, "sip.tls.key", "No such file"),
        ({"key": "other"}, "sip.tls.key", "MISMATCH"),
        ({"certificate": "rubbish"}, "sip.tls.certificate", "holds no certificate in PEM"),
        ({"ca": "missing.pem"}, "sip.tls.ca", "No such file"),
        ({"ca": "rubbish"}, "sip.tls.ca", "holds no certificates"),
        ({"certificate": "expired", "key": "expired"}, "sip.tls.certificate", "expired"),
    ],
)
def test_a_mistake_names_its_setting(
    tmp_path: Path, change: dict[str, str | None], setting: str, text: str
) -> None:
    authority = Authority(tmp_path)
    good, other = authority.sign("a.example", "a.example"), authority.sign("b.example", "b.example")
    old = authority.sign("c.example", "c.example", days=-1, begun=9)
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("no PEM at all\n")
    named = {
        "rubbish": str(rubbish),
        "other": other.key,
        "missing.pem": str(tmp_path / "missing.pem"),
    }
    files: dict[str, Any] = {"certificate": good.certificate, "key": good.key, "ca": authority.ca}
    for field, value in change.items():
        files[field] = getattr(old, field) if value == "expired" else named.get(value or "", value)
    config = TlsConfig(**files, client_certificates="required")
    with pytest.raises(ConfigError, match=text) as caught:
        server_context(config)
        client_context(config)
        inspect_certificate(config)
    assert caught.value.setting == setting

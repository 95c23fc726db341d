"""What is sent is what Standard Webhooks asks for; our own verifier and the standard's package agree."""

from __future__ import annotations

import json
import time

import pytest

from tests.notify.kit import OLD_SECRET, SECRET
from voiceagent.notify.endpoint import url_refusal
from voiceagent.notify.message import message, signed_headers
from voiceagent.realtime.webhook_signature import WebhookRefused, WebhookVerifier

NOW = 1_800_000_000.25


def test_the_body_is_type_timestamp_and_data() -> None:
    one = message("ab12", "call.ended", "c1", NOW, {"id": "c1", "caller": "+44…\ud83d"}, ["crm"])
    assert one.id == "msg_ab12"
    assert one.body.isascii()
    told = json.loads(one.body)
    assert list(told) == ["type", "timestamp", "data"]
    assert told["type"] == "call.ended"
    assert told["timestamp"] == "2027-01-15T08:00:00.250Z"
    assert told["data"]["id"] == "c1"


@pytest.mark.parametrize("known", [SECRET, OLD_SECRET])
def test_the_receiver_may_know_either_secret(known: str) -> None:
    body = b'{"type":"call.ended"}'
    headers = signed_headers((SECRET, OLD_SECRET), "msg_1", NOW, body)
    verifier = WebhookVerifier([known])
    given = headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"]
    verifier.verify(*given, body, NOW)
    with pytest.raises(WebhookRefused):
        verifier.verify(*given, body + b" ", NOW)
    with pytest.raises(WebhookRefused):
        verifier.verify("msg_2", *given[1:], body, NOW)


@pytest.mark.parametrize("known", [SECRET, OLD_SECRET])
def test_the_standards_own_package_takes_it(known: str) -> None:
    oracle = pytest.importorskip("standardwebhooks")
    body = message("1", "call.ended", "c1", NOW, {"caller": "Zoë"}, ["crm"]).body.encode()
    headers = signed_headers((SECRET, OLD_SECRET), "msg_1", time.time(), body)
    assert oracle.Webhook(known).verify(body, headers)["data"] == {"caller": "Zoë"}
    with pytest.raises(oracle.WebhookVerificationError):
        oracle.Webhook(known).verify(body + b" ", headers)


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://hooks.example.com/in", True),
        ("https://10.0.0.7:8443/in", True),
        ("http://127.0.0.1:9000/in", True),
        ("http://[::1]:9000/in", True),
        ("http://localhost:9000/in", True),
        ("http://hooks.example.com/in", False),
        ("http://10.0.0.7/in", False),
        ("http://127.0.0.2/in", False),
        ("http://2130706433/in", False),
        ("https://user:pass@hooks.example.com/in", False),
        ("ftp://hooks.example.com/in", False),
        ("https:///in", False),
        ("https://hooks.example.com:99999/in", False),
        ("https://hooks.example.com/\r\nx: y", False),
        ("", False),
    ],
)
def test_https_only_but_for_this_machine(url: str, taken: bool) -> None:
    assert (url_refusal(url) is None) is taken

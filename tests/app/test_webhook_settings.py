"""Settings of outgoing webhooks: every mistake is one line that names the setting and shows no secret."""

from __future__ import annotations

from typing import Any

import pytest

from tests.notify.kit import OLD_SECRET, SECRET
from voiceagent.errors import ConfigError
from voiceagent.notify.message import EVENTS
from voiceagent.settings import bare_settings
from voiceagent.settings.webhooks import webhook_endpoints

GOOD = {"name": "crm", "url": "https://hooks.example.com/in", "secret": SECRET}


def test_a_plain_one() -> None:
    (one,) = webhook_endpoints(bare_settings({"webhooks": [GOOD]}).webhooks)
    assert (one.name, one.events, one.secrets, one.timeout_s) == ("crm", EVENTS, (SECRET,), 5.0)
    assert one.waits_s == (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
    assert SECRET not in repr(one)


def test_two_secrets_and_one_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET.removeprefix("whsec_"))
    told = {"name": "crm", "url": GOOD["url"], "secret_env": "CRM_SECRET", "old_secret": OLD_SECRET}
    (one,) = webhook_endpoints(bare_settings({"webhooks": [told]}).webhooks)
    assert one.secrets == (SECRET, OLD_SECRET)


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"url": "http://hooks.example.com/t0ken"}, "webhooks.crm.url"),
        ({"url": None}, "webhooks.crm.url"),
        ({"events": ["call.rang"]}, "webhooks.crm.events"),
        ({"secret": "whsec_c2hvcnQ="}, "webhooks.crm.secret"),
        ({"secret": "t0ken"}, "webhooks.crm.secret"),
        ({"old_secret": "t0ken"}, "webhooks.crm.old_secret"),
        ({"secret": None}, "webhooks.crm.secret"),
        ({"secret_env": "NOBODY_SET_THIS"}, "webhooks.crm.secret"),
        ({"secret": None, "secret_env": "NOBODY_SET_THIS"}, "webhooks.crm.secret_env"),
        ({"waits_s": [-1.0]}, "webhooks.crm.waits_s"),
        ({"name": "c r m"}, "webhooks.1.name"),
        ({"colour": "red"}, "webhooks.crm.colour"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigError) as told:
        webhook_endpoints(bare_settings({"webhooks": [GOOD | changes]}).webhooks)
    assert told.value.setting == setting
    assert "t0ken" not in str(told.value)


def test_no_name_twice() -> None:
    with pytest.raises(ConfigError, match="two of that name"):
        bare_settings({"webhooks": [GOOD, GOOD]})

"""The commands that start a hosting provider."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from voiceagent.cli.main import app


@pytest.mark.parametrize(
    ("words", "secret", "message"),
    [
        (["engine", "--port", "0", "--webhook", "http://127.0.0.1:9/"], None, "VOICEAGENT_WEBHOOK_SECRET"),
        (["engine", "--port", "0", "--webhook", "http://127.0.0.1:9/"], "whsec_no", "whsec_ and at least 16"),
        (["serve", "--provider", "openai", "--hosted"], None, "hosted.webhook_secrets"),
    ],
)
def test_a_missing_secret_is_told_before_anything_is_opened(
    words: list[str], secret: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    if secret is None:
        monkeypatch.delenv("VOICEAGENT_WEBHOOK_SECRET", raising=False)
    else:
        monkeypatch.setenv("VOICEAGENT_WEBHOOK_SECRET", secret)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert message in result.output

"""What the command line imports must not bring the web framework."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "voiceagent.console.ports",
        "voiceagent.console.config",
        "voiceagent.console.views",
        "voiceagent.observe.redact",
    ],
)
def test_the_ports_are_light(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('fastapi', 'uvicorn', 'starlette') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200
    )
    assert done.stdout.strip() == "[]"

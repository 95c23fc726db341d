"""What stands before the first call, so that no call has to wait for it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from voiceagent.app.provider import SessionFactory
from voiceagent.settings import bare_settings

SessionFactory(bare_settings({}), None)
print(*(name for name in sys.modules if name.startswith("voiceagent.realtime.transport_")))
"""


def test_the_client_of_the_provider_is_loaded_before_the_first_call() -> None:
    loaded = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() in (
        "voiceagent.realtime.transport_picows",
        "voiceagent.realtime.transport_websockets",
    )

"""``voiceagent call`` over TCP and TLS, with encrypted media, against listeners as they are by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.certificates import Authority
from tests.kit.service import service, until
from tests.loopback.test_outbound import command
from voiceagent.media.srtp import srtp_available

pytestmark = pytest.mark.loopback


async def test_the_command_line_calls_by_every_transport(tmp_path: Path) -> None:
    pair = Authority(tmp_path).sign("agent.example", "127.0.0.1")
    listen = ["tcp:127.0.0.1:0", "tls:127.0.0.1:0"]
    async with service(
        tmp_path, sip__listen=listen, sip__tls__certificate=pair.certificate, sip__tls__key=pair.key
    ) as running:
        assert running.addresses is not None
        tcp, tls = (one.split(":", 1)[1] for one in running.addresses.listeners)
        hang_up = ("--do", "wait:0.2", "--do", "hangup")
        code, said = await command(f"sip:100@{tcp};transport=tcp", *hang_up, cwd=tmp_path)
        assert (code, said["ended_by"], said["srtp"]) == (0, "us", ""), said
        keying = ("--srtp", "sdes") if srtp_available() else ()
        code, said = await command(f"sips:100@{tls}", "--insecure", *keying, *hang_up, cwd=tmp_path)
        assert (code, said["ended_by"], bool(said["srtp"])) == (0, "us", bool(keying)), said
        code, said = await command(f"sip:100@{tls};transport=tls", *hang_up, cwd=tmp_path)
        assert code == 1, "nobody vouches for its certificate"
        assert "503" in said["error"]["message"]
        await until(lambda: not running.directory.live)
        assert len(running.directory.calls()) == 2

"""Kamailio between the phone and the service: everything in the dialog goes through it."""

from __future__ import annotations

import shutil
import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.interop import kit
from tests.interop.baresip import baresip
from tests.interop.kamailio import kamailio
from tests.interop.sipp import answered, hangs_up, scenario, sipp
from tests.kit.service import service, until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("kamailio") is None, reason="KAMAILIO MISSING: install kamailio"),
]


@pytest.mark.matrix("Kamailio", "record-routing proxy", "baresip behind it: hold, resume, keys, our BYE")
@pytest.mark.skipif(shutil.which("baresip") is None, reason="BARESIP MISSING: install baresip-core")
async def test_a_record_routing_proxy(tmp_path: Path) -> None:
    async with service(tmp_path, flows=kit.flow_file(tmp_path)) as running:
        assert running.addresses is not None
        async with (
            kamailio(tmp_path / "proxy", [f"sip:{running.addresses.sip}"]) as proxy,
            baresip(tmp_path / "phone", kit.silence(60)) as phone,
        ):
            await phone.command("dial", f"sip:200@{proxy.address}")
            await phone.event("CALL_ESTABLISHED")
            await until(lambda: running.directory.live)
            live = running.directory.live[0]
            assert any(name == "Record-Route" for name, _ in live.info.headers)
            await phone.command("hold")
            await until(lambda: live.held)
            await phone.command("resume")
            await until(lambda: not live.held)
            for digit in "4711":
                count = live.digits_pressed
                await phone.command("sndcode", digit)
                await until(lambda count=count: live.digits_pressed > count)
            await phone.event("CALL_CLOSED", within_s=60)
        await until(lambda: not running.directory.live)
    assert kit.entries(tmp_path)[-1]["reason"] == "completed"


@pytest.mark.matrix("Kamailio", "dispatcher, one target dead", "20 calls, all answered by the one that lives")
@pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPP MISSING: install sip-tester")
async def test_a_dispatcher_with_a_dead_target(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        assert running.addresses is not None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:  # bound, and never answers
            dead.bind(("127.0.0.1", 0))
            targets = [f"sip:127.0.0.1:{dead.getsockname()[1]}", f"sip:{running.addresses.sip}"]
            async with kamailio(tmp_path / "proxy", targets) as proxy:
                caller = scenario(tmp_path, *answered(routed=True), *hangs_up(routed=True))
                code, output = await sipp(
                    tmp_path, proxy.address, *("-sf", caller, "-s", "100", "-r", "10", "-m", "20")
                )
                assert code == 0, output[-2000:]
        await until(lambda: not running.directory.live)
        outcomes = Counter((call.outcome or {}).get("reason") for call in running.directory.calls())
        assert outcomes == {"caller_hung_up": 20}

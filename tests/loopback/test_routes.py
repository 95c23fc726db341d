"""Routes under real calls: trunk, header and number pick the flow; a header that is not trusted does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.service import service, until
from voiceagent.errors import SipError
from voiceagent.phone.phone import Phone
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

FLOWS = """
from voiceagent.ivr import Call, flow


async def nothing(call: Call) -> None: ...


desk = flow("desk", numbers=["100"])(nothing)
spring = flow("spring")(nothing)
agents = flow("agents")(nothing)
"""
ROUTES = [
    {"flow": "spring", "trunk": "default", "header": {"name": "X-Campaign", "matches": "spring*"}},
    {"flow": "agents", "number": "2[0-9]?", "caller": "phone"},
]


async def picked(folder: Path, number: str, *, trusted: bool, campaign: str = "") -> tuple[str, str]:
    """Place a call; return its flow and why that one, as the journal has them."""
    (folder / "flows.py").write_text(FLOWS, encoding="utf-8")
    settings = {"flows": [str(folder / "flows.py")], "routes": ROUTES, "sip__trust_headers": trusted}
    async with service(folder, **settings) as running, Phone(user="phone") as phone:
        assert running.addresses is not None
        headers = [("X-Campaign", campaign)] if campaign else []
        call = phone.dial(f"sip:{number}@{running.addresses.sip}", headers=headers)
        await call.answered()
        await call.over(45)
        await until(lambda: not running.directory.live)
    (journal,) = (folder / "journals").glob("*.jsonl")
    offered = next(entry for entry in read_journal(journal) if entry["type"] == "call.offered")
    return offered["flow"], offered["route"]


@pytest.mark.parametrize(
    ("number", "trusted", "campaign", "expected"),
    [
        ("100", True, "spring-26", ("spring", "routes.1")),
        ("100", False, "spring-26", ("desk", "numbers")),
        ("21", True, "autumn", None),
        ("211", True, "", ("agents", "routes.2")),
    ],
)
async def test_the_first_route_that_holds_picks_the_flow(
    tmp_path: Path, number: str, trusted: bool, campaign: str, expected: tuple[str, str] | None
) -> None:
    if expected is None:
        with pytest.raises(SipError) as refused:
            await picked(tmp_path, number, trusted=trusted, campaign=campaign)
        assert refused.value.status == 404
    else:
        assert await picked(tmp_path, number, trusted=trusted, campaign=campaign) == expected

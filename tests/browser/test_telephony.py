"""Trunks, directions and an operator's hand on a call, as the page shows them."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.console.fake_directory import a_call, a_trunk
from voiceagent.console.ports import Act, TranscriptLine
from voiceagent.errors import RequestRefused

from .conftest import VIEWER, Desk
from .rest import at_call, at_rest, look
from .test_page import FAINT, HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]

HELD = ["us"]


async def test_trunks_are_shown_live_and_hidden_when_there_are_none(desk: Desk) -> None:
    desk.directory.trunk_views = [a_trunk("default", up=True, registration="off", detail="")]
    page = await desk.signed_in()
    await expect(page.get_by_text("No live calls.")).to_be_visible()
    await expect(page.locator("va-trunk-list")).to_be_hidden()
    registered = a_trunk("office", up=True, registration="registered", detail="", calls=4, max_calls=30)
    desk.directory.trunk_views = [a_trunk(), registered, *desk.directory.trunk_views]
    await page.reload()
    await at_rest(page)
    row = page.get_by_role("listitem").filter(has_text="carrier")
    await expect(row).to_contain_text("refused")
    await expect(row).to_contain_text("403 Forbidden")
    office = page.get_by_role("listitem").filter(has_text="office")
    await expect(office).to_contain_text("registered")
    await expect(office.locator(".calls")).to_have_text("4 / 30")
    up = a_trunk(up=True, registration="registered", detail="")
    desk.directory.trunk_views[0] = up
    desk.directory.emit("trunk.changed", "", up)
    await expect(row).to_contain_text("registered")
    await expect(row.locator(".detail")).to_be_hidden()
    desk.directory.trunk_views[1]["calls"] = 5
    desk.directory.put_call(a_call("c1"))
    await expect(office.locator(".calls")).to_have_text("5 / 30")


async def test_a_call_of_ours_shows_whom_we_call_over_what_and_how_far_it_is(desk: Desk) -> None:
    ours = {"direction": "outbound", "caller": "+442079460018", "called": "+447700900999", "trunk": "carrier"}
    desk.directory.put_call(a_call("c1", state="dialling", floor="nobody", **ours))
    page = await desk.signed_in()
    row = page.get_by_role("listitem").filter(has_text="+447700900999")
    await expect(row.get_by_role("img", name="outbound")).to_have_text("→")
    await expect(row).to_contain_text("+442079460018 · carrier")
    await expect(row.locator(".state")).to_have_text("dialling")
    desk.directory.change("c1", state="ringing")
    await expect(row.locator(".state")).to_have_text("ringing")
    await row.get_by_role("link").click()
    await at_call(page)
    await expect(page.get_by_role("heading", name="+447700900999")).to_be_visible()
    await expect(page.locator(".facts")).to_contain_text("Trunkcarrier")
    await expect(page.get_by_role("button", name="Hold", exact=True)).to_be_hidden()
    desk.directory.change("c1", state="talking")
    await expect(page.get_by_role("button", name="Hold", exact=True)).to_be_visible()


async def test_an_operator_holds_resumes_hands_over_and_presses_keys(desk: Desk) -> None:
    desk.directory.put_call(a_call("c1"))
    page = await desk.signed_in()
    await page.get_by_role("link", name="+447700900123").click()
    await at_call(page)
    await page.get_by_role("button", name="Hold", exact=True).click()
    await expect(page.locator(".call-head .floor")).to_have_text("on hold")
    await page.get_by_role("button", name="Resume", exact=True).click()
    await expect(page.get_by_role("button", name="Hold", exact=True)).to_be_visible()

    await page.get_by_role("button", name="Keys").click()
    keys = page.get_by_role("dialog", name="Press keys in this call")
    for key in ("1", "#"):
        await keys.get_by_role("button", name=key, exact=True).click()
    await keys.get_by_role("button", name="Send").click()
    await expect(keys).to_be_hidden()
    await page.get_by_role("button", name="Keys").click()
    await keys.get_by_label("Keys").fill("x")
    await keys.get_by_role("button", name="Send").click()
    await expect(keys.locator("[data-problem=digits]")).to_contain_text("digits")
    await keys.get_by_role("button", name="Close").click()

    await page.get_by_role("button", name="Transfer").click()
    hand = page.get_by_role("dialog", name="Hand the caller to")
    await hand.get_by_label("Number or SIP address").fill("sip:desk@example.com")
    await hand.get_by_label("Call them first").check()
    desk.directory.refuse = RequestRefused("target", "is not on the list", code="target_not_allowed")
    await hand.get_by_role("button", name="Transfer").click()
    await expect(hand.locator("[data-problem=target]")).to_have_text("target: is not on the list")
    await expect(hand.get_by_label("Number or SIP address")).to_have_attribute("aria-invalid", "true")
    desk.directory.refuse = RequestRefused("call", "is being handed over", code="handing_over")
    await hand.get_by_role("button", name="Transfer").click()
    await expect(hand.get_by_role("alert")).to_contain_text("Wait for the end of the transfer")
    desk.directory.refuse = None
    await hand.get_by_role("button", name="Transfer").click()
    await expect(page.locator(".handing")).to_have_text("Handing over to sip:desk@example.com")
    failed = {"target": "sip:desk@example.com", "attended": True, "state": "failed"}
    desk.directory.change("c1", transfer={**failed, "status": 486, "reason": "Busy Here"})
    told = "Not handed over to sip:desk@example.com: 486 Busy Here"
    await expect(page.locator(".handing")).to_have_text(told)
    assert [act for _, act, _ in desk.directory.acts] == [
        Act("hold"),
        Act("resume"),
        Act("send_digits", digits="1#"),
        Act("transfer", target="sip:desk@example.com", attended=True),
    ]
    desk.directory.end_call("c1", "caller_hung_up")
    await expect(page.get_by_role("button", name="Transfer")).to_be_hidden()


async def test_only_what_a_call_takes_is_offered_and_nothing_to_a_viewer(desk: Desk) -> None:
    desk.directory.put_call(a_call("c1", kind="hosted", abilities=("transfer",)))
    page = await desk.signed_in()
    await page.get_by_role("link", name="+447700900123").click()
    await at_call(page)
    await page.get_by_role("button", name="Transfer").click()
    hand = page.get_by_role("dialog", name="Hand the caller to")
    await expect(hand.get_by_label("Call them first")).to_be_hidden()
    for name in ("Hold", "Keys"):
        await expect(page.get_by_role("button", name=name, exact=True)).to_be_hidden()
    viewer = await desk.signed_in(token=VIEWER)
    await viewer.get_by_role("link", name="+447700900123").click()
    await expect(viewer.get_by_role("heading", name="+447700900123")).to_be_visible()
    await expect(viewer.get_by_role("button", name="Transfer")).to_be_hidden()


async def test_it_fits_stands_out_and_stays_text_narrow_and_wide_light_and_dark(desk: Desk) -> None:
    desk.directory.trunk_views = [a_trunk(f"t{number}", detail=text) for number, text in enumerate(HOSTILE)]
    desk.directory.trunk_views.append(a_trunk("up", up=True, registration="off", detail=""))
    desk.directory.trunk_views.append(a_trunk("new", registration="registering", detail=""))
    ours = {"direction": "outbound", "called": "+447700900999", "trunk": HOSTILE[0]}
    desk.directory.put_call(a_call("c2", state="ringing", floor="nobody", **ours))
    failed = {"target": HOSTILE[0], "attended": False, "state": "failed", "status": 486, "reason": HOSTILE[1]}
    desk.directory.put_call(a_call("c1", held_by=HELD, floor="held", transfer=failed, trunk="carrier"))
    desk.directory.say("c1", TranscriptLine(1.0, "agent", "One moment, please.", item_id="i1"))
    for width, scheme in ((1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")):
        page = await desk.signed_in(width=width, scheme=scheme)
        await expect(page.get_by_role("listitem").filter(has_text="t0")).to_contain_text(HOSTILE[0])
        assert await look(page, FAINT) == [], (width, scheme)
        await page.get_by_role("link", name="inbound +447700900123").click()
        await at_call(page)
        await expect(page.locator(".handing")).to_contain_text(HOSTILE[1])
        assert await look(page, "document.documentElement.scrollWidth") <= width
        assert await look(page, FAINT) == [], (width, scheme)
        await page.get_by_role("button", name="Keys").click()
        assert await look(page, FAINT) == [], (width, scheme)
        assert await page.evaluate("window.pwned") is None

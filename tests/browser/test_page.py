"""The page as an operator uses it, and as an attacker would like to."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.console.fake_directory import a_call
from tests.console.kit import TOKEN
from voiceagent.console.ports import ResponseView, TranscriptLine

from .conftest import VIEWER, Desk
from .rest import at_call, at_rest, close_by_escape, hold_questions, look, open_call

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]

HOSTILE = [
    "<img src=x onerror=\"window.pwned=1;alert('img')\">",
    "</script><script>window.pwned=1;alert('script')</script>",
    '"><svg onload=window.pwned=1>',
    "javascript:window.pwned=1",
    "{{constructor.constructor('window.pwned=1')()}}",
    "<style>*{display:none}</style>",
    "\u202egnp.exe",
]


async def test_an_operator_follows_a_call_and_makes_the_agent_speak(desk: Desk) -> None:
    page = await desk.signed_in()
    await expect(page).not_to_have_url(re.compile("token"))
    assert TOKEN not in await page.evaluate("document.documentElement.outerHTML + location.href")

    await expect(page.get_by_text("No live calls.")).to_be_visible()
    desk.directory.put_call(a_call("c1", caller="+447700900123", step="greeting"))
    row = page.get_by_role("listitem").filter(has_text="+447700900123")
    await expect(row).to_contain_text("front-desk · greeting")
    await expect(row).to_contain_text("agent speaks")

    await row.get_by_role("link").click()
    await at_call(page)
    log = page.get_by_role("log", name="Transcript")
    desk.directory.say("c1", TranscriptLine(1.0, "agent", "Good morning", item_id="i1"))
    await expect(log).to_contain_text("Good morning")
    desk.directory.say(
        "c1", TranscriptLine(1.0, "agent", "Good morning, how", "Good morning, how can I help?", "i1", True)
    )
    desk.directory.say("c1", TranscriptLine(3.0, "caller", "Where is my order?", item_id="i2"))
    await expect(log.get_by_role("listitem")).to_have_count(2)
    await expect(log.locator("del")).to_have_text("can I help?")
    desk.directory.change("c1", floor="caller", step="order")
    await expect(row).to_contain_text("caller speaks")

    await page.get_by_label("Instructions").fill("Tell the caller that it arrives on Thursday.")
    await page.get_by_text("Deadline, replacing, metadata").click()
    await page.get_by_role("button", name="+ Metadata").click()
    await page.get_by_label("Metadata key").fill("purpose")
    await page.get_by_label("Metadata value").fill("status")
    await page.get_by_label("When").select_option("after_playback")
    await page.get_by_role("button", name="Send").click()
    item = page.locator("va-queue-item")
    await expect(item.locator(".chip")).to_have_text("queued")
    await expect(item).to_contain_text("caller speaking")
    call_id, wish, operator = desk.directory.spoken[0]
    assert (call_id, operator) == ("c1", "console.token via page")
    assert (wish.instructions, wish.when) == (
        "Tell the caller that it arrives on Thursday.",
        "after_playback",
    )
    assert wish.metadata == {"purpose": "status"}

    for state in ("sent", "started", "audible", "generated", "played"):
        desk.directory.progress("c1", "req1", state)
        await expect(item.locator(".chip")).to_have_text(state)
    desk.directory.settle("c1", "req1", "completed", heard_ms=2400)
    await expect(item.locator(".chip")).to_have_text("completed")
    await expect(item).to_contain_text("heard 2.4\u00a0s")
    await expect(item.get_by_role("button")).to_have_count(0)


async def test_a_refusal_stands_beside_its_field_and_a_waiting_wish_can_be_cancelled(desk: Desk) -> None:
    desk.directory.put_call(a_call("c1"))
    page = await desk.signed_in()
    await page.get_by_role("link", name="+447700900123").click()
    await at_call(page)
    await page.get_by_label("Instructions").fill("x" * 16_385)
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".trigger [data-problem=instructions]")).to_contain_text(
        "at most 16384 characters"
    )
    await expect(page.get_by_label("Instructions")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Instructions").fill("Say hello.")
    await page.get_by_text("Deadline, replacing, metadata").click()
    await page.get_by_role("button", name="+ Metadata").click()
    await page.get_by_label("Metadata key").fill("va.req")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".trigger [data-problem=metadata]")).to_contain_text("metadata.va.req")
    assert desk.directory.spoken == []
    await page.get_by_role("button", name="Remove this pair").click()
    await page.get_by_label("Instructions").press("Control+Enter")
    await page.get_by_role("button", name="Cancel req1").click()
    await expect(page.locator("va-queue-item .chip")).to_have_text("withdrawn")


async def test_hanging_up_asks_first(desk: Desk) -> None:
    desk.directory.put_call(a_call("c1"))
    page = await desk.signed_in()
    await page.get_by_role("link", name="+447700900123").click()
    await at_call(page)
    hang_up = page.get_by_role("button", name="Hang up")
    await hang_up.click()
    await page.get_by_role("button", name="Keep talking").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await hang_up.click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await close_by_escape(page)
    assert desk.directory.hung_up == []
    await hang_up.click()
    await page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
    await expect(page.get_by_text("Ended: we hung up")).to_be_visible()
    assert desk.directory.hung_up == [("c1", "console.token via page")]
    await expect(page.get_by_label("Instructions")).to_be_hidden()
    await expect(hang_up).to_be_hidden()


async def test_signing_in_by_hand_and_out_again(desk: Desk) -> None:
    page = await desk.page()
    await page.goto(desk.url)
    await page.get_by_role("button", name="Use a key or token instead").click()
    token = page.get_by_label("Token")
    await token.fill("not the token at all")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("That is not the token of this console.")
    await token.fill(TOKEN)
    await token.press("Enter")
    await page.locator(".link[data-link=live]").wait_for()
    await page.goto(f"{desk.url}/#token={TOKEN}")
    await page.wait_for_url(lambda url: "token" not in url)
    await page.locator(".link[data-link=live]").wait_for()
    await at_rest(page)
    await page.reload()
    await page.locator(".link[data-link=live]").wait_for()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Token")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("Token")).to_be_visible()


async def test_a_viewer_sees_but_has_no_buttons(desk: Desk) -> None:
    desk.directory.put_call(a_call("c1"))
    page = await desk.signed_in(token=VIEWER)
    await page.get_by_role("link", name="+447700900123").click()
    await at_call(page)
    await expect(page.get_by_role("heading", name="+447700900123")).to_be_visible()
    await expect(page.get_by_role("button", name="Hang up")).to_be_hidden()
    await expect(page.get_by_label("Instructions")).to_be_hidden()


async def test_a_cut_stream_comes_back_with_what_was_missed(desk: Desk) -> None:
    desk.directory.put_call(a_call("c1"))
    page = await desk.signed_in()
    await page.get_by_role("link", name="+447700900123").click()
    await at_call(page)
    await expect(page.get_by_text("Nothing has been said yet.")).to_be_visible()
    gate = await hold_questions(page, "**/v1/events")
    # The directory ends its stream: the browser is sent away and must return by itself.
    desk.directory.finish()
    await expect(page.locator(".link[role=status][data-link=lost]")).to_be_visible()
    desk.directory.say("c1", TranscriptLine(1.0, "caller", "Are you there?", item_id="i1"))
    gate.set()
    await expect(page.get_by_role("log", name="Transcript")).to_contain_text("Are you there?")
    await expect(page.locator(".link[data-link=live]")).to_be_visible()


async def test_hostile_words_stay_words_in_every_field(desk: Desk) -> None:
    for number, text in enumerate(HOSTILE):
        call_id = f"c{number}"
        desk.directory.put_call(
            a_call(
                call_id,
                caller=text,
                called=text,
                flow=text,
                step=text,
                floor=text,
                kind=text,
                provider=text,
                last_words=text,
                figures={text: 1.0},
            )
        )
        desk.directory.say(call_id, TranscriptLine(1.0, "caller", text, item_id=text))
        desk.directory.say(call_id, TranscriptLine(2.0, text, text, text + text, "i2", cut=True))
        desk.directory.put_response(
            ResponseView(f"r{number}", call_id, text, text, {text: text}, text, text, 0.0)
        )
        desk.directory.put_response(
            ResponseView(
                f"s{number}",
                call_id,
                "ivr",
                text,
                {},
                "failed",
                text,
                0.0,
                {"kind": text, "reason": text, "code": text},
            )
        )
    page = await desk.signed_in()
    for number, text in enumerate(HOSTILE):
        await open_call(page, f"c{number}")
        await expect(page.locator("h2.caller")).to_have_text(text)
        await expect(page.locator("va-line .said").first).to_have_text(text)
        await expect(page.locator("va-queue-item .wish").first).to_have_text(text)
        await page.get_by_role("button", name="Hang up").click()
        await close_by_escape(page)
        desk.directory.end_call(f"c{number}", text)
        await expect(page.locator(".ending")).to_contain_text("Ended: ")
    await page.evaluate("location.hash = '#/calls/%00<img onerror=alert(1)>'")
    await expect(page.get_by_text("This call is not known here.")).to_be_visible()
    assert await page.evaluate("window.pwned") is None
    assert await page.evaluate("document.querySelectorAll('script:not([src]), iframe, style').length") == 0


async def test_the_page_works_by_keyboard_and_narrow_and_dark(desk: Desk) -> None:
    for number in range(3):
        desk.directory.put_call(
            a_call(f"c{number}", caller=f"+44770090012{number}", started_at=1000.0 - number)
        )
    page = await desk.signed_in(width=360, height=740, scheme="dark")
    await page.get_by_role("link", name="+447700900120").focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="+447700900121")).to_be_visible()
    assert await look(page, "document.documentElement.scrollWidth") <= 360
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(part) for part in dark[4:-1].split(",")) < 150
    unnamed = await page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, textarea')]
            .filter((e) => e.checkVisibility() && !e.labels?.length && !e.ariaLabel && !e.textContent.trim())
            .map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    await page.get_by_role("link", name="Back to all calls").click()
    await expect(page.get_by_role("link", name="+447700900120")).to_be_visible()


async def test_text_stands_out_enough_in_both_schemes(desk: Desk) -> None:
    """Every pair of text and ground colour keeps WCAG 2 AA: a ratio of at least 4.5."""
    desk.directory.put_call(a_call("c1", figures={"rtp_lost": 3}))
    desk.directory.put_call(a_call("c2", floor="caller"))
    desk.directory.end_call("c2", "caller_hung_up")
    for number, speaker in enumerate(("agent", "caller", "operator", "system")):
        desk.directory.say("c1", TranscriptLine(1.0, speaker, "Words", "Words", f"i{number}"))
    for number, kind in enumerate(("completed", "interrupted", "failed", "superseded")):
        desk.directory.put_response(
            ResponseView(f"r{number}", "c1", "ivr", "Say it.", {"a": "b"}, kind, "why", 0.0, {"kind": kind})
        )
    desk.directory.put_response(ResponseView("r8", "c1", "ivr", "Say it.", {}, "audible", "", 0.0))
    desk.directory.put_response(ResponseView("r9", "c1", "ivr", "Say it.", {}, "queued", "why", 0.0))
    for scheme in ("light", "dark"):
        page = await desk.signed_in(scheme=scheme)
        await page.get_by_role("link", name="+447700900123").first.click()
        await expect(page.locator("va-queue-item")).to_have_count(6)
        faint = await look(page, FAINT)
        assert faint == [], scheme


FAINT = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.checkVisibility()) continue;
    if (e.closest('.visually-hidden, .skip, noscript')) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(rgb(style.color).slice(0, 3)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${e.tagName}.${e.className}: ${walker.currentNode.data} ${ratio}`);
  }
  return found;
}"""

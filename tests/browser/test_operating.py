"""An operator at work: one click speaks once, presets, notes, tags, recording, alerts, keyboard."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.console.fake_directory import a_call
from voiceagent.console.ports import ResponseView

from .conftest import Desk
from .rest import at_call, at_rest, close_by_escape, hold_answers, open_call
from .staged import a_timeline

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]


async def opened(desk: Desk, call_id: str = "c1", **fields: Any) -> Page:
    """Open a page that looks at one call."""
    desk.directory.put_call(a_call(call_id, **fields))
    page = await desk.signed_in()
    await open_call(page, call_id)
    return page


def put_three(desk: Desk) -> None:
    for number in range(3):
        caller = f"+44770090012{number}"
        desk.directory.put_call(a_call(f"c{number}", caller=caller, started_at=1000.0 - number))


async def test_a_double_click_speaks_once(desk: Desk) -> None:
    page = await opened(desk)
    await page.get_by_label("Instructions").fill("Say hello.")
    await page.get_by_role("button", name="Send").dblclick()
    await expect(page.locator("va-queue-item")).to_have_count(1)
    await at_rest(page)  # the stream tells of it before the answer comes
    # Fast fingers on the next wish, and a click too many on an empty form.
    await page.get_by_label("Instructions").fill("Say goodbye.")
    await page.get_by_label("Instructions").press("Control+Enter")
    await page.get_by_label("Instructions").press("Control+Enter")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("status").filter(has_text="Say first")).to_be_visible()
    assert [wish.instructions for _, wish, _ in desk.directory.spoken] == ["Say hello.", "Say goodbye."]


async def test_what_is_written_while_an_answer_is_under_way_stays(desk: Desk) -> None:
    page = await opened(desk)
    gate = await hold_answers(page, "**/v1/calls/c1/responses", "**/v1/calls/c1/tags")
    await page.get_by_label("Instructions").fill("Say hello.")
    await page.get_by_role("button", name="Send").click()
    await page.get_by_label("New tag").fill("vip")
    await page.get_by_label("New tag").press("Enter")
    # Both are done, as the stream tells, but not yet answered.
    await expect(page.locator("va-queue-item")).to_have_count(1)
    await expect(page.get_by_role("list", name="Tags")).to_contain_text("vip")
    await page.get_by_label("Instructions").fill("Say goodbye.")
    await page.get_by_label("New tag").fill("refund")
    gate.set()
    await expect(page.get_by_text("Accepted as req1.")).to_be_visible()
    await at_rest(page)
    await expect(page.get_by_label("Instructions")).to_have_value("Say goodbye.")
    await expect(page.get_by_label("New tag")).to_have_value("refund")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_label("Instructions")).to_have_value("")
    assert [wish.instructions for _, wish, _ in desk.directory.spoken] == ["Say hello.", "Say goodbye."]


async def test_the_words_that_were_sent_go_and_what_was_changed_meanwhile_stays(desk: Desk) -> None:
    desk.directory.put_call(a_call("c2", caller="+447700900555", started_at=1.0))
    page = await opened(desk)
    gate = await hold_answers(page, "**/v1/calls/c1/responses", "**/v1/calls/c1/tags")
    await page.get_by_label("Instructions").fill("Say hello.")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("va-queue-item")).to_have_count(1)
    when = page.get_by_label("When", exact=True)
    await when.select_option(index=1)
    chosen = await when.input_value()
    await page.get_by_label("New tag").fill("vip")
    await page.get_by_label("New tag").press("Enter")
    await expect(page.get_by_role("list", name="Tags")).to_contain_text("vip")
    gate.set()
    await expect(page.get_by_label("Instructions")).to_have_value("")
    await expect(when).to_have_value(chosen)

    await at_rest(page)
    gate.clear()
    await page.get_by_label("New tag").fill("again")
    await page.get_by_label("New tag").press("Enter")
    await expect(page.get_by_role("list", name="Tags")).to_contain_text("again")
    await page.evaluate("() => { location.hash = '#/calls/c2' }")
    await expect(page.get_by_role("heading", name="+447700900555")).to_be_visible()
    await page.get_by_label("New tag").fill("again")
    gate.set()
    await at_rest(page)
    await expect(page.get_by_label("New tag")).to_have_value("again")


async def test_a_wish_whose_answer_is_lost_is_sent_again_as_the_same_one(desk: Desk) -> None:
    page = await opened(desk)
    lost: list[str] = []

    async def lose_the_answer(route: Route) -> None:
        if not lost:
            lost.append(route.request.headers["idempotency-key"])
            await route.fetch()
            await route.abort()
        else:
            assert route.request.headers["idempotency-key"] == lost[0]
            await route.continue_()

    await page.route("**/v1/calls/c1/responses", lose_the_answer)
    await page.get_by_label("Instructions").fill("Say hello.")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("The console cannot be reached.")).to_be_visible()
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("Accepted as req1.")).to_be_visible()
    assert len(desk.directory.spoken) == 1
    desk.complaints[:] = [one for one in desk.complaints if "net::ERR_FAILED" not in one]


async def test_deadline_and_replacing_go_along_and_a_full_queue_says_what_stands_before(desk: Desk) -> None:
    page = await opened(desk)
    await page.get_by_text("Deadline, replacing, metadata").click()
    await page.get_by_label("Instructions").fill("Say where the parcel is.")
    await page.get_by_label("Give up after, s").fill("2.5")
    await page.get_by_label("Replace what waits as").fill("parcel")
    await page.get_by_label("When").select_option("now")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("Accepted as req1.")).to_be_visible()
    _, wish, _ = desk.directory.spoken[0]
    assert (wish.deadline_ms, wish.coalesce, wish.when) == (2500, "parcel", "now")

    before = [{"id": "req1", "origin": "operator", "state": "queued", "reason": "caller_speaking"}]
    full = {"status": 429, "code": "queue_full", "detail": "The queue is full.", "before": before}
    await page.route("**/v1/calls/c1/responses", lambda route: route.fulfill(status=429, json=full))
    await page.get_by_label("Instructions").fill("And this.")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".trigger .problem").filter(has_text="The queue is full.")).to_be_visible()
    await expect(page.locator(".before")).to_have_text("operator · queued · caller speaking")
    await expect(page.get_by_label("Instructions")).to_have_value("And this.")


async def test_only_noting_is_asked_for_and_a_note_has_a_dialog(desk: Desk) -> None:
    page = await opened(desk)
    asked: list[tuple[str, Any]] = []

    async def take(route: Route) -> None:
        asked.append((route.request.url.rpartition("/")[2], route.request.post_data_json))
        await route.fulfill(status=202, json={"request_id": "req1"})

    await page.route("**/v1/calls/c1/responses", take)
    await page.route("**/v1/calls/c1/actions/*", take)
    await page.get_by_label("Instructions").fill("The courier was late.")
    await page.get_by_label("When").select_option("only note it")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("Noted.")).to_be_visible()
    await page.get_by_role("button", name="Note").click()
    await page.get_by_label("What it should know; it says nothing now").fill("A regular customer.")
    await page.get_by_role("dialog").get_by_role("button", name="Note").click()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(page.get_by_role("button", name="Pause recording")).to_be_hidden()
    desk.directory.change("c1", recording={"state": "running", "files": []})
    await page.get_by_role("button", name="Pause recording").click()
    desk.directory.change("c1", recording={"state": "paused", "files": []})
    await page.get_by_role("button", name="Resume recording").click()
    wish = {"instructions": "The courier was late.", "when": "idle", "note_only": True}
    await expect(page.get_by_role("button", name="Resume recording")).to_be_enabled()
    assert asked == [
        ("responses", wish),
        ("note", {"text": "A regular customer."}),
        ("pause_recording", {}),
        ("resume_recording", {}),
    ]


async def test_a_preset_is_kept_picked_and_removed(desk: Desk) -> None:
    page = await opened(desk)
    await page.get_by_text("Deadline, replacing, metadata").click()
    await page.get_by_label("Instructions").fill("Say sorry.")
    await page.get_by_label("When").select_option("after_playback")
    await page.get_by_role("button", name="+ Metadata").click()
    await page.get_by_label("Metadata key").fill("purpose")
    await page.get_by_label("Metadata value").fill("care")
    await page.get_by_role("button", name="Save as preset").click()
    await page.get_by_label("Name").fill("Apology")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_label("Preset").locator("option")).to_have_text(["Presets", "Apology"])
    await page.reload()
    await at_call(page)
    await page.get_by_label("Preset").select_option("Apology")
    await expect(page.get_by_label("Instructions")).to_have_value("Say sorry.")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("Accepted as req1.")).to_be_visible()
    _, wish, _ = desk.directory.spoken[0]
    assert (wish.instructions, wish.when, wish.metadata) == (
        "Say sorry.",
        "after_playback",
        {"purpose": "care"},
    )
    await expect(page.get_by_label("Preset")).to_have_value("")
    await page.get_by_label("Preset").select_option("Apology")
    await page.get_by_text("Deadline, replacing, metadata").click()
    await page.get_by_role("button", name="Remove preset").click()
    await expect(page.get_by_label("Preset").locator("option")).to_have_text(["No presets yet"])


async def test_tags_are_added_found_and_removed(desk: Desk) -> None:
    desk.directory.put_call(a_call("c2", caller="+447700900555", started_at=1.0))
    page = await opened(desk)
    await page.get_by_label("New tag").fill("vip")
    await page.get_by_label("New tag").press("Enter")
    tags = page.get_by_role("list", name="Tags")
    await expect(tags).to_contain_text("vip")
    await page.get_by_label("Filter calls").fill("VIP")
    live = page.get_by_role("list", name="Live calls").get_by_role("listitem")
    await expect(live).to_have_count(1)
    await page.get_by_label("Filter calls").fill("")
    await expect(live).to_have_count(2)
    await page.get_by_role("button", name="Remove tag vip").click()
    await expect(tags).to_be_hidden()


async def test_alerts_stand_above_all_and_their_calls_on_top(desk: Desk) -> None:
    for number in range(3):
        desk.directory.put_call(
            a_call(f"c{number}", caller=f"+44770090012{number}", started_at=1000.0 - number)
        )
    page = await desk.signed_in()
    first = page.get_by_role("list", name="Live calls").get_by_role("listitem").first
    await expect(first).to_contain_text("+447700900120")
    alert = {"id": "a1", "call_id": "c2", "text": "Silence.", "since": 1.0}
    desk.directory.alert("dead_air", **alert)
    strip = page.get_by_role("region", name="Alerts")
    await expect(strip).to_contain_text("Silence.")
    await expect(first).to_contain_text("dead air")
    await page.get_by_role("button", name="1 need help").click()
    await expect(page.get_by_role("list", name="Live calls").get_by_role("listitem")).to_have_count(1)
    await strip.get_by_role("link", name="+447700900122").click()
    await expect(page.get_by_role("heading", name="+447700900122")).to_be_visible()
    desk.directory.alert("dead_air", **alert, cleared_at=2.0)
    await expect(strip).to_be_hidden()


async def test_single_keys_do_the_work_unless_one_writes_or_turns_them_off(desk: Desk) -> None:
    for number in range(3):
        desk.directory.put_call(
            a_call(f"c{number}", caller=f"+44770090012{number}", started_at=1000.0 - number)
        )
    page = await desk.signed_in()
    await expect(page.get_by_role("link", name="+447700900120")).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("?jx")
    await expect(page.get_by_label("Filter calls")).to_have_value("?jx")
    await page.get_by_label("Filter calls").fill("")
    await page.get_by_label("Filter calls").blur()
    await page.keyboard.press("j")
    await expect(page.get_by_role("heading", name="+447700900120")).to_be_visible()
    await at_call(page)
    await page.keyboard.press("j")
    await expect(page.get_by_role("heading", name="+447700900121")).to_be_visible()
    await at_call(page)
    await page.keyboard.press("h")
    await expect(page.locator(".call-head .floor")).to_have_text("on hold")
    await page.keyboard.press("s")
    await expect(page.get_by_label("Instructions")).to_be_focused()
    await page.get_by_label("Instructions").blur()
    await page.keyboard.press("x")
    await expect(page.get_by_role("dialog", name="Hang up this call?")).to_be_visible()
    await close_by_escape(page)
    assert desk.directory.hung_up == []
    await page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard")
    await expect(sheet).to_contain_text("make the agent speak")
    await sheet.get_by_label("Single keys do this").uncheck()
    await close_by_escape(page)
    await page.keyboard.press("x")
    await page.keyboard.press("j")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.get_by_role("heading", name="+447700900121")).to_be_visible()


async def test_now_and_next_are_said_and_a_reply_says_how_long_it_waits(desk: Desk) -> None:
    page = await opened(desk, floor="caller")
    now = page.locator(".now")
    await expect(now).to_have_text("The caller speaks.")
    began = await page.evaluate("Date.now() / 1000 - 3630")
    wish = "Say when it comes."
    desk.directory.put_response(
        ResponseView("r1", "c1", "operator", wish, {}, "queued", "caller_speaking", began)
    )
    await expect(now).to_have_text(re.compile("Next: Say when it comes. — waits: caller speaking, 36"))
    desk.directory.progress("c1", "r1", "audible")
    desk.directory.change("c1", floor="agent")
    await expect(now).to_have_text("The agent speaks: Say when it comes.")
    desk.directory.change("c1", taken_over_by="ann", listeners=[{"name": "ann", "since": 1.0}])
    await expect(now).to_contain_text("ann speaks with the caller; the agent is silent.")
    await expect(page.locator(".facts")).to_contain_text("Heard byann")


async def test_latency_per_turn_is_shown_where_there_is_a_time_line(desk: Desk) -> None:
    desk.directory.put_call(a_call("c1"))
    page = await desk.page()
    await page.route("**/v1/calls/c1/timeline", lambda route: route.fulfill(json=a_timeline()))
    await page.goto(f"{desk.url}/#token=operator-token-for-tests")
    await page.get_by_role("link", name="+447700900123").click()
    turns = page.locator("va-turns")
    await expect(turns).to_contain_text("p50 640\u00a0ms · p95 910\u00a0ms")
    await expect(turns.get_by_role("row").nth(2)).to_contain_text("910\u00a0ms")

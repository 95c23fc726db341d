"""The picture of a call: what it shows to eyes, hands and screen readers, and how often it is drawn."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from .conftest import Desk
from .rest import at_rest, look

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]

PUT = """async (timeline) => {
  await import("/static/timeline.js");
  const element = document.createElement("va-timeline");
  element.id = "shown";
  // In the place of the page's own main, so that nothing the page shows by itself comes beside it.
  const own = document.getElementById("main"), main = own.cloneNode(false);
  own.replaceWith(main);
  main.append(element);
  element.update(timeline);
}"""
DRAWN = """async () => {
  const element = document.getElementById("shown");
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  // Twice, for the first draw can change the size, and that draws again.
  for (let calm = 0; calm < 2; calm++) {
    do await frame(); while (!element.drawings || element.timer || element.frame);
  }
}"""
"""Waits until all that is to be drawn has been; of a line that is not live."""
COLOUR = """([seconds, row]) => {
  const element = document.getElementById("shown"), canvas = element.querySelector("canvas");
  const dense = canvas.width / canvas.clientWidth, found = {};
  const x = element.scale().x(seconds);
  const copy = document.createElement("canvas"), side = 7 * dense;
  copy.width = copy.height = side;
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, (x - 3) * dense, row * dense, side, side, 0, 0, side, side);
  const data = pen.getImageData(0, 0, side, side).data;
  for (let at = 0; at < data.length; at += 4) {
    const name = data[at + 3] < 128 ? "none" : [...data.slice(at, at + 3)].join(",");
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}"""
CALLER, AGENT = 36, 66


def near(value: float, within: float = 0.01) -> Any:
    return pytest.approx(value, abs=within)  # pyright: ignore[reportUnknownMemberType]


BLUE, TEAL = "29,79,196", "15,118,110"
DARK_TEAL = "79,209,191"


def a_line(**fields: Any) -> dict[str, Any]:
    """Return the time line of a call in which the caller cut a long answer."""
    values: dict[str, Any] = {
        "duration_s": 60.0,
        "live": False,
        "caller": [[10.3, 11.7], [19.0, 21.0]],
        "generated": [
            {"from": 1.0, "to": 9.0, "response_id": "p1"},
            {"from": 13.0, "to": 33.0, "response_id": "p2"},
            {"from": 22.9, "to": 41.0, "response_id": "p3"},
        ],
        "heard": [
            {"from": 1.0, "to": 9.0, "response_id": "p1", "cut": False},
            {"from": 13.0, "to": 19.1, "response_id": "p2", "cut": True},
            {"from": 22.9, "to": 41.0, "response_id": "p3", "cut": False},
        ],
        "marks": [
            {"at": 19.1, "kind": "barge_in", "text": "the caller speaks over the agent"},
            {"at": 43.0, "kind": "digit", "text": "481516#"},
            {"at": 43.2, "kind": "tool", "text": "account_balance answered after 40 ms"},
            {"at": 50.0, "kind": "operator", "text": "kim makes the agent speak"},
        ],
        "turns": [
            {
                "at": 11.7,
                "response_id": "p2",
                "latency_ms": 1300.0,
                "parts": {"transcript": 800, "model": 500},
            },
            {"at": 21.0, "response_id": "p3", "latency_ms": 1900.0, "parts": {"model": 1900}},
        ],
        "latency": {"p50_ms": 1600.0, "p95_ms": 1900.0},
    }
    return {**values, **fields}


async def shown(desk: Desk, line: dict[str, Any] | None = None, **options: Any) -> Page:
    page = await desk.signed_in(**options)
    await page.evaluate(PUT, line or a_line())
    await at_rest(page)
    await page.evaluate(DRAWN)
    return page


async def x_of(page: Page, seconds: float) -> float:
    return await page.evaluate("(t) => document.getElementById('shown').scale().x(t)", seconds)


async def test_what_was_generated_but_not_heard_is_hatched_behind_what_was_heard(desk: Desk) -> None:
    page = await shown(desk)
    solid = await page.evaluate(COLOUR, [16, AGENT])
    assert set(solid) == {TEAL}
    hatched = await page.evaluate(COLOUR, [21, AGENT])
    assert len(hatched) > 2, "lines with the ground between them"
    assert hatched.get(TEAL, 0) < 30
    assert set(await page.evaluate(COLOUR, [11, CALLER])) == {BLUE}
    assert BLUE not in await page.evaluate(COLOUR, [15, CALLER])
    silence = await page.evaluate(COLOUR, [55, AGENT])
    assert len(silence) == 1
    # The cut reply's rest ends where the next reply begins, and is no part of the lane after that.
    assert set(await page.evaluate(COLOUR, [30, AGENT])) == {TEAL}


async def test_a_dark_scheme_has_its_own_colours_and_a_dense_screen_its_own_pixels(desk: Desk) -> None:
    page = await shown(desk, scheme="dark")
    assert set(await page.evaluate(COLOUR, [16, AGENT])) == {DARK_TEAL}
    drawn = await page.evaluate("document.getElementById('shown').drawings")
    await page.emulate_media(color_scheme="light")
    # A function, and no expression: that would be looked at once only, for the page's policy forbids `eval`.
    await page.wait_for_function("(drawn) => document.getElementById('shown').drawings > drawn", arg=drawn)
    assert set(await page.evaluate(COLOUR, [16, AGENT])) == {TEAL}
    context = await desk.browser.new_context(device_scale_factor=3, viewport={"width": 800, "height": 600})
    page = await context.new_page()
    await page.goto(f"{desk.url}/static/icon.svg")
    await page.goto(desk.url)
    await page.evaluate(
        "document.body.replaceChildren(Object.assign(document.createElement('main'), {id: 'main'}))"
    )
    await page.evaluate(PUT, a_line())
    await page.evaluate(DRAWN)
    wide = await page.evaluate(
        "(() => { const c = document.querySelector('canvas'); return c.width / c.clientWidth })()"
    )
    assert wide == near(3)


async def test_pointing_at_a_mark_a_bar_or_a_wait_tells_what_it_is(desk: Desk) -> None:
    page = await shown(desk, a_line(operator=[[52.0, 58.0]]))
    label = page.locator(".tl-label")
    stage = page.locator(".tl-stage")

    async def at(seconds: float, y: float) -> None:
        await stage.hover(position={"x": await x_of(page, seconds), "y": y})

    await expect(label).to_be_hidden()
    await at(50, 12)
    await expect(label).to_have_text("0:50 operator: kim makes the agent speak")
    await at(43.1, 12)
    await expect(label.locator("div")).to_have_text(
        ["0:43 digit: 481516#", "0:43 tool: account_balance answered after 40 ms"]
    )
    await at(16, AGENT)
    await expect(label).to_have_text("0:13 agent: heard 6.1 s of 20.0 s, then cut")
    await at(20, CALLER)
    await expect(label).to_have_text("0:19 caller: spoke for 2.0 s")
    await at(13.0, 92)
    await expect(label).to_have_text("0:11 waited 1.3 s for the reply (800 ms transcript, 500 ms model)")
    await at(55, AGENT)
    await expect(label).to_have_text("0:52 operator: spoke instead of the agent for 6.0 s")
    await at(46, 12)
    await expect(label).to_be_hidden()


async def test_keys_go_from_mark_to_mark_and_are_spoken(desk: Desk) -> None:
    page = await shown(desk)
    await page.locator(".tl-stage").focus()
    said = page.locator("va-timeline [role=status]")
    for words in (
        "0:11 waited",
        "0:19 barge in",
        "0:21 waited 1.9 s",
        "0:43 digit: 481516#; 0:43 tool",
        "0:50 operator",
    ):
        await page.keyboard.press("ArrowRight")
        await expect(said).to_contain_text(words)
        await expect(page.locator(".tl-label")).to_be_visible()
    await page.keyboard.press("Home")
    await expect(said).to_contain_text("0:11 waited")
    await page.keyboard.press("Escape")
    await expect(page.locator(".tl-label")).to_be_hidden()


async def test_zoom_in_and_to_fit(desk: Desk) -> None:
    page = await shown(desk)
    fit = page.get_by_role("button", name="Show the whole call")
    await expect(fit).to_be_disabled()
    before = await x_of(page, 31) - await x_of(page, 30)
    await page.get_by_role("button", name="Zoom in").click()
    await expect(fit).to_be_enabled()
    assert await x_of(page, 31) - await x_of(page, 30) == near(2 * before)
    await page.locator(".tl-stage").focus()
    await page.keyboard.press("+")
    assert await x_of(page, 31) - await x_of(page, 30) == near(4 * before)
    await page.keyboard.press("End")  # beyond the part that is shown: it comes into view
    assert 50 < await x_of(page, 50) < 900
    await fit.click()
    assert await x_of(page, 31) - await x_of(page, 30) == near(before)


async def test_a_table_tells_the_same_without_the_picture(desk: Desk) -> None:
    page = await shown(desk)
    assert await page.locator("va-timeline tbody tr").count() == 0, "made only when somebody reads it"
    await page.get_by_text("Time line as a table").click()
    rows = page.locator("va-timeline tbody tr")
    await expect(rows).to_have_count(2 + 3 + 4 + 2)
    await expect(rows.nth(0)).to_have_text("0:01agentheard 8.0 s")
    await expect(rows.filter(has_text="then cut")).to_have_text("0:13agentheard 6.1 s of 20.0 s, then cut")
    await expect(rows.filter(has_text="waited 1.3")).to_have_text(
        "0:11waitwaited 1.3 s for the reply (800 ms transcript, 500 ms model)"
    )
    await expect(page.get_by_role("group", name="Time line of 1:00, wait 1.6 s median")).to_be_visible()


async def test_of_a_cut_reply_that_nobody_counted_only_the_heard_part_is_told(desk: Desk) -> None:
    line = a_line()
    line["generated"][1]["to"] = line["heard"][1]["to"]
    page = await shown(desk, line)
    await page.get_by_text("Time line as a table").click()
    await expect(page.locator("va-timeline tbody tr").filter(has_text="then cut")).to_have_text(
        "0:13agentheard 6.1 s, then cut"
    )


async def test_a_live_line_grows_by_itself_and_is_drawn_four_times_a_second_at_most(desk: Desk) -> None:
    page = await desk.page()
    await page.clock.install()
    await page.goto(f"{desk.url}/#token=operator-token-for-tests")
    await page.locator(".link[data-link=live]").wait_for()
    # From here on time passes by the test alone; to stop it one has to name a moment that is yet to come.
    await page.clock.pause_at(await page.evaluate("Date.now() + 600_000"))
    line = a_line(duration_s=20.0, live=True, caller=[[10.0, 11.0], [19.0, 20.0]], marks=[], turns=[])
    line["generated"] = line["heard"] = []
    await page.evaluate(PUT, line)
    await page.clock.run_for(300)
    drawn = await page.evaluate("document.getElementById('shown').drawings")
    await page.evaluate(
        """(line) => { const shown = document.getElementById("shown");
        window.many = setInterval(() => shown.update(line), 10); }""",
        line,
    )
    await page.clock.run_for(2000)
    assert 6 <= await page.evaluate("document.getElementById('shown').drawings") - drawn <= 9
    await page.evaluate("clearInterval(window.many)")
    await page.clock.run_for(5000)
    now = await page.evaluate("document.getElementById('shown').now()")
    assert now["duration_s"] == near(25, 0.1)
    assert now["caller"] == [[10.0, 11.0], [19.0, now["duration_s"]]]
    # Nobody tells any more: it does not go on for ever.
    await page.clock.run_for(60_000)
    drawn = await page.evaluate("document.getElementById('shown').drawings")
    await page.clock.run_for(5_000)
    assert await page.evaluate("document.getElementById('shown').drawings") == drawn


async def test_hostile_words_stay_words(desk: Desk) -> None:
    bad = ["<img src=x onerror=window.pwned=1>", "</script><script>window.pwned=1</script>", "\u202egnp.exe"]
    marks = [{"at": 5.0 * n, "kind": text, "text": text} for n, text in enumerate(bad, 1)]
    page = await shown(desk, a_line(marks=marks))
    await page.get_by_text("Time line as a table").click()
    await page.locator(".tl-stage").focus()
    for _ in range(5):
        await page.keyboard.press("ArrowRight")
    assert await page.evaluate("window.pwned") is None
    await expect(page.locator("va-timeline tbody")).to_contain_text(bad[0])
    assert await page.locator("va-timeline img").count() == 0


async def test_marks_of_a_call_of_hours_are_gathered_where_they_stand_on_one_another(desk: Desk) -> None:
    spoken = [[n * 9.0, n * 9.0 + 4] for n in range(1000)]
    replies = [{"from": n * 9.0 + 5, "to": n * 9.0 + 8, "response_id": f"p{n}"} for n in range(1000)]
    line = a_line(
        duration_s=9000.0,
        caller=spoken,
        generated=replies,
        heard=[{**one, "cut": False} for one in replies],
        marks=[{"at": n * 9.0, "kind": "digit", "text": "1"} for n in range(500)],
    )
    page = await shown(desk, line)
    assert await page.evaluate("document.getElementById('shown').drawings") >= 1
    await page.locator(".tl-stage").hover(position={"x": 300, "y": 12})
    await expect(page.locator(".tl-label")).to_contain_text("more: zoom in")


async def test_it_fits_a_narrow_screen(desk: Desk) -> None:
    page = await shown(desk, width=360, height=740)
    assert await look(page, "document.documentElement.scrollWidth") <= 360
    box = await page.locator("va-timeline").bounding_box()
    assert box is not None
    assert box["width"] <= 360

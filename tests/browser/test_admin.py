"""Users, keys and the audit log, as an admin and a supervisor see them."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable
from typing import Any

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import update

from tests.console.kit import VIEWER
from voiceagent.store import Database
from voiceagent.store.audit import Deed, append
from voiceagent.store.tables import audit

from .conftest import Desk
from .rest import at_rest, close_by_escape, go, look
from .test_page import FAINT, HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.asyncio(loop_scope="module")]

PASSWORD = "correct horse battery"


async def entered(desk: Desk, name: str = "ann", role: str = "admin", **options: Any) -> Page:
    """Make a user and open the admin page as that one."""
    page = await desk.page(**options)
    await desk.make_user(name, PASSWORD, role)
    await page.goto(desk.url)
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.locator(".link[data-link=live]").wait_for()
    await go(page, "#/admin")
    return page


async def test_an_admin_makes_changes_and_removes_a_user(staffed: Desk) -> None:
    page = await entered(staffed)
    ann = page.get_by_role("row").filter(has_text="ann")
    await expect(ann).to_contain_text("you")
    await expect(ann.get_by_role("button")).to_have_count(0)

    await page.get_by_role("button", name="New user").click()
    dialog = page.get_by_role("dialog", name="New user")
    await expect(dialog.get_by_label("Name")).to_be_focused()
    await dialog.get_by_label("Name").fill("ann")
    await dialog.get_by_label("Password").fill("short")
    await dialog.get_by_role("button", name="Make the user").click()
    await expect(dialog.locator("[data-problem=password]")).to_contain_text("12")
    await dialog.get_by_label("Password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Make the user").click()
    await expect(dialog.locator("[data-problem=name]")).to_contain_text("ann")
    await dialog.get_by_label("Name").fill("ben")
    await dialog.get_by_label("viewer").check()
    await dialog.get_by_label("Password").press("Enter")
    await expect(dialog).to_have_count(0)
    ben = page.get_by_role("row").filter(has_text="ben")
    await expect(ben).to_contain_text("viewer")

    await page.get_by_role("button", name="Change ben").click()
    dialog = page.get_by_role("dialog", name="Change ben")
    await dialog.get_by_label("supervisor").check()
    await dialog.get_by_label("Shut out").check()
    await dialog.get_by_role("button", name="Save").click()
    await expect(ben).to_contain_text("supervisor")
    await expect(ben).to_contain_text("shut out")

    await page.get_by_role("button", name="Change ben").click()
    await page.get_by_role("button", name="Remove…").click()
    await page.get_by_role("dialog", name="Remove ben?").get_by_role("button", name="Remove").click()
    await expect(ben).to_have_count(0)


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(staffed: Desk) -> None:
    page = await entered(staffed)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("navigation", name="Administration").get_by_role("link", name="Keys").click()
    await expect(page.get_by_text("There are no keys yet.")).to_be_visible()
    await page.get_by_role("button", name="New key").click()
    await page.get_by_label("Name").fill("dialler")
    await page.get_by_label("operator").check()
    await page.get_by_role("button", name="Make the key").click()
    dialog = page.get_by_role("dialog", name="The key of dialler")
    key = await dialog.get_by_label("The key").input_value()
    await dialog.get_by_role("button", name="Copy").click()
    await expect(dialog.get_by_role("status")).to_have_text("Copied")  # the button says so for a moment only
    assert await page.evaluate("navigator.clipboard.readText()") == key
    assert await staffed.status_with(key, "/v1/calls") == 200
    await dialog.get_by_role("button", name="Done").click()
    await expect(page.locator("va-admin-keys dialog")).to_have_count(
        0
    )  # out of the document, not only out of sight
    assert key not in await page.evaluate(
        "document.documentElement.outerHTML + JSON.stringify({...localStorage, ...sessionStorage})"
        " + [...document.querySelectorAll('input')].map((one) => one.value)"
    )
    row = page.get_by_role("row").filter(has_text="dialler")
    await expect(row).to_contain_text("good")
    await expect(row).to_contain_text("by ann")
    await page.get_by_role("button", name="Revoke dialler").click()
    await page.get_by_role("dialog", name="Revoke dialler?").get_by_role("button", name="Revoke").click()
    await expect(row).to_contain_text("revoked")
    await expect(row.get_by_role("button")).to_have_count(0)
    assert await staffed.status_with(key, "/v1/calls") == 401


async def test_ones_own_password_is_changed_and_only_with_the_old_one(staffed: Desk) -> None:
    page = await entered(staffed)
    await go(page, "#/admin/me")
    await page.get_by_label("Current password").fill("not the old one")
    await page.get_by_label("New password").fill(PASSWORD * 2)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.locator("[data-problem=current]")).to_contain_text("is not the password")
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_text("Changed. Your other sessions have ended.")).to_be_visible()
    await expect(page.get_by_label("New password")).to_have_value("")
    await page.reload()
    await page.locator(".link[data-link=live]").wait_for()
    await at_rest(page)
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_label("Name").fill("ann")
    await page.get_by_label("Password").fill(PASSWORD * 2)
    await page.get_by_role("button", name="Sign in").click()
    await page.locator(".link[data-link=live]").wait_for()


def deeds(database: Database, count: int) -> Awaitable[object]:
    some = [Deed("ann", "admin", "page", "call.hold", f"c{n}", detail={"n": n}) for n in range(count)]
    return database.run(lambda c: append(c, [*some, Deed("ben", "operator", "api", "key.add", "key_1")]))


async def test_the_audit_log_is_filtered_paged_and_linked(staffed: Desk) -> None:
    page = await entered(staffed, "sue", "supervisor")
    assert staffed.database is not None
    await deeds(staffed.database, 250)
    await go(page, "#/admin/audit?action=call.&actor=ann")
    rows = page.locator("va-admin-audit tbody tr")
    await expect(rows).to_have_count(100)
    await expect(rows.first).to_contain_text("c249")
    await expect(page.get_by_label("What", exact=True)).to_have_value("call.")
    await page.get_by_role("button", name="Older lines").click()
    await page.get_by_role("button", name="Older lines").click()
    await expect(rows).to_have_count(250)
    await expect(page.get_by_role("button", name="Older lines")).to_be_hidden()
    await expect(rows.last).to_contain_text("n 0")

    await page.get_by_label("To what").fill("c7")
    await expect(rows).to_have_count(1)
    await expect(page).to_have_url(
        re.compile(re.escape("#/admin/audit?action=call.&actor=ann&target=c7") + "$")
    )
    await expect(rows.get_by_role("link")).to_have_attribute("href", "#/history/c7")
    await page.reload()
    await expect(rows).to_have_count(1)
    await page.get_by_label("Who", exact=True).fill("nobody at all")
    await expect(page.get_by_text("No line fits.")).to_be_visible()


async def test_the_verdict_on_the_log_is_told_in_words(staffed: Desk) -> None:
    page = await entered(staffed, "sue", "supervisor")
    assert staffed.database is not None
    await deeds(staffed.database, 3)
    await go(page, "#/admin/audit")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Export").click()
    text = (await (await download.value).path()).read_text()
    assert [json.loads(line)["action"] for line in text.splitlines()][-1] == "key.add"
    await page.get_by_role("button", name="Verify").click()
    await expect(page.get_by_text("The log is whole.")).to_be_visible()
    await expect(page.get_by_label("Hash of the last line")).not_to_have_value("")
    changed = update(audit).where(audit.c.target == "c1").values(actor="mallory")
    await staffed.database.run(lambda c: c.execute(changed))
    await page.get_by_role("button", name="Verify").click()
    await expect(page.get_by_text("The log is not whole.")).to_be_visible()
    await expect(page.get_by_text("has been changed")).to_be_visible()


async def test_a_right_that_is_missing_is_named_with_who_has_it(staffed: Desk) -> None:
    page = await entered(staffed, "sue", "supervisor")
    await expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    await go(page, "#/admin/users")
    notice = page.locator("va-admin-users .state-note")
    await expect(notice).to_contain_text("the right 'admin', which the role admin has; yours is supervisor")
    await expect(notice).to_contain_text("Ask an admin for the role admin")
    await expect(page.get_by_role("button", name="New user")).to_have_count(0)


async def test_a_viewer_sees_their_own_account_only(desk: Desk) -> None:
    page = await desk.signed_in(token=VIEWER)
    await page.locator(".who-am-i").click()
    await expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    await expect(page.get_by_text("You came in by a key, which has no password.")).to_be_visible()
    await go(page, "#/admin/audit")
    await expect(page.locator("va-admin-audit .state-note")).to_contain_text("which the role supervisor has")
    await expect(page.get_by_role("button", name="Verify")).to_have_count(0)


async def test_without_a_database_the_page_says_what_helps_and_tries_again(bare: Desk) -> None:
    page = await bare.signed_in()
    await go(page, "#/admin/users")
    notice = page.locator("va-admin-users .state-note")
    await expect(notice).to_contain_text("voiceagent doctor")
    users = {"users": [{"id": "u1", "name": "ann", "role": "admin", "disabled": False, "created_at": 1.0}]}
    await page.route("**/v1/users", lambda route: route.fulfill(json=users))
    await notice.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("row").filter(has_text="ann")).to_be_visible()


async def test_hostile_names_and_details_stay_words(staffed: Desk) -> None:
    page = await entered(staffed)
    assert staffed.database is not None
    hostile = [Deed(text, text, text, "call.tag", text, text, text, {text: text}) for text in HOSTILE]
    await staffed.database.run(lambda c: append(c, hostile))
    people = [{"id": t, "name": t, "role": t, "disabled": True, "created_at": 1.0} for t in HOSTILE]
    keys = [
        {"id": t, "name": t, "role": t, "created_by": t, "created_at": 1.0}
        | {"expires_at": None, "revoked_at": None, "used_at": None}
        for t in HOSTILE
    ]
    await page.route("**/v1/users", lambda route: route.fulfill(json={"users": people}))
    await page.route("**/v1/keys", lambda route: route.fulfill(json={"keys": keys}))
    await go(page, "#/admin/audit")
    for text in HOSTILE:
        row = page.locator("va-admin-audit tbody tr").filter(has_text=text)
        await expect(row.locator("b")).to_have_text(text)
    await go(page, "#/admin/keys")
    await expect(page.locator("va-admin-keys tbody th")).to_have_text(HOSTILE)
    await page.get_by_role("button", name=f"Revoke {HOSTILE[0]}", exact=True).click()
    await expect(page.get_by_role("dialog")).to_contain_text(HOSTILE[0])
    await close_by_escape(page)
    await go(page, "#/admin/users")
    await expect(page.locator("va-admin-users tbody th")).to_have_text(HOSTILE)
    assert await page.evaluate("window.pwned") is None


async def test_admin_is_legible_and_fits_in_both_schemes(staffed: Desk) -> None:
    await staffed.make_user("olga", PASSWORD, "operator", disabled=True)
    for n, (scheme, width) in enumerate((("light", 1280), ("dark", 360))):
        page = await entered(staffed, f"ann{n}", scheme=scheme, width=width, height=740)
        assert staffed.database is not None
        await deeds(staffed.database, 3)
        for name in ("users", "keys", "audit", "erasure", "me"):
            await go(page, f"#/admin/{name}")
            await expect(page.locator(f"va-admin-{name} h2")).to_be_visible()
            assert await look(page, FAINT) == [], (scheme, name)
            assert await look(page, "document.documentElement.scrollWidth") <= width, name
        await go(page, "#/admin/users")
        await page.get_by_role("button", name="New user").click()
        await expect(page.get_by_role("dialog", name="New user")).to_be_visible()
        assert await look(page, FAINT) == [], scheme


async def test_somebody_is_erased_after_a_look(staffed: Desk) -> None:
    page = await entered(staffed)
    asked: list[Any] = []

    async def answer(route: Any) -> None:
        body = route.request.post_data_json
        asked.append(body)
        if "0958" not in body["caller"]:
            problem = {"status": 422, "code": "invalid", "detail": "is nobody's number", "field": "caller"}
            await route.fulfill(status=422, json=problem, content_type="application/problem+json")
            return
        report = {
            "number": "…58",
            "dry_run": body["dry_run"],
            "calls": [{"call_id": "call_1", "failed": HOSTILE, "node": ""}],
            "mentioned_in": ["call_7"],
            "nodes": [
                {"node": "b", "result": "done", "why": "", "calls": ["call_1", "call_2"]},
                {"node": "c", "result": "node_gone", "why": "it is down", "calls": []},
            ],
            "audit_line": None if body["dry_run"] else 12,
        }
        await route.fulfill(json=report)

    await page.route("**/v1/erasures", answer)
    await go(page, "#/admin/erasure")
    form = page.get_by_role("form", name="Erasure")
    await form.get_by_label("Number").fill("anonymous")
    await form.get_by_role("button", name="Look").click()
    await expect(form.locator("[data-problem=caller]")).to_contain_text("nobody's number")
    await expect(form.get_by_role("button", name="Erase")).to_be_hidden()

    await form.get_by_label("Number").fill("+44 20 7946 0958")
    await form.get_by_role("button", name="Look").click()
    await expect(form.get_by_role("status")).to_contain_text("2 calls of …58 would be erased.")
    await expect(form.get_by_role("status")).to_contain_text("Node c: it is down")
    await form.get_by_label("Number").press("End")
    await form.get_by_label("Number").press("Backspace")
    await expect(form.get_by_role("button", name="Erase")).to_be_hidden()  # another number: look first
    await form.get_by_label("Number").press("8")
    await form.get_by_role("button", name="Look").click()
    await form.get_by_role("button", name="Erase 2 calls").click()
    await expect(form.get_by_role("status")).to_contain_text("Proof: line 12 of the audit log.")
    await expect(form.get_by_role("button", name="Erase")).to_be_hidden()
    assert [one["dry_run"] for one in asked] == [True, True, True, False]
    assert asked[-1]["caller"] == "+44 20 7946 0958"

"""Runs axe-core in a page: the accessibility rules of WCAG and common practice."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from playwright.async_api import Page

from .rest import at_rest


@cache
def _source() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


async def axe_findings(page: Page) -> list[str]:
    """Return one line for every rule that something visible on ``page`` breaks.

    It looks when the page has come to rest. The script is run by the browser's debugger, which the page's
    content policy does not bind.
    """
    await at_rest(page, looks=True)
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_source())
    result: dict[str, Any] = await page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:160]} ({node['failureSummary']})"
        for one in result["violations"]
        for node in one["nodes"]
    ]

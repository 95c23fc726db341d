"""The browser of ``voiceagent bench console``: a Chromium that opens the floor, in a process of its own.

    python -m voiceagent.bench.console_browser URL TOKEN SECONDS

prints one line of JSON. ``skipped`` says why there are no figures. The age of words on the page is taken from
the mark inside them when the DOM has them, by a MutationObserver; the two clocks are compared on this side.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from typing import Any

from voiceagent.bench.load_frames import spread

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
OPENINGS = 5
WATCH = """() => {
  window.seen = [];
  const known = new Set();
  const look = (node) => {
    const now = performance.timeOrigin + performance.now();
    for (const found of (node.textContent || "").matchAll(/mark (\\d{6,20})/g)) {
      if (!known.has(found[1])) { known.add(found[1]); window.seen.push([found[1], now]); }
    }
  };
  look(document.body); window.seen = [];
  new MutationObserver((changes) => {
    for (const change of changes) { look(change.target); for (const node of change.addedNodes) look(node); }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
PAINTS = "() => performance.getEntriesByType('paint').map((one) => [one.name, one.startTime])"
LOADED = """() => {
  const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter((one) => !one.name.includes('/v1/'));
  return { files: all.length, bytes: all.reduce((sum, one) => sum + one.decodedBodySize, 0),
           bytes_sent: all.reduce((sum, one) => sum + one.encodedBodySize, 0) };
}"""


async def look(url: str, token: str, seconds: float) -> dict[str, Any]:
    """Open the floor a few times, then watch it for ``seconds``."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        return {"skipped": "no Chromium on this machine"}
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        return {"skipped": "playwright is not installed"}
    paints: dict[str, list[float]] = {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for opening in range(OPENINGS):
            context = await browser.new_context(viewport={"width": 1280, "height": 800})
            page = await context.new_page()
            await page.goto(f"{url}/#token={token}")
            await page.locator(".link[data-link=live]").wait_for(timeout=30_000)
            for name, at in await page.evaluate(PAINTS):
                paints.setdefault(name.replace("-", "_") + "_ms", []).append(at)
            loaded = await page.evaluate(LOADED)
            if opening < OPENINGS - 1:
                await context.close()
        # Of the last one, still open, what the DOM shows of the live stream.
        await page.evaluate(WATCH)  # pyright: ignore[reportPossiblyUnboundVariable]
        await asyncio.sleep(seconds)
        seen = await page.evaluate("() => window.seen")  # pyright: ignore[reportPossiblyUnboundVariable]
        await browser.close()
    wall = min((time.time_ns() - before for before in (time.monotonic_ns() for _ in range(50))), default=0)
    ages = [at - (int(sent) + wall) / 1e6 for sent, at in seen]
    return {
        **{name: spread(values, 50, 100) for name, values in paints.items()},
        "openings": OPENINGS,
        "floor_loaded": loaded,  # pyright: ignore[reportPossiblyUnboundVariable]
        "wire_to_dom_ms": spread(ages, 50, 99, 100),
        "events": len(ages),
    }


def main() -> None:
    """Print the figures."""
    url, token, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(look(url, token, float(seconds)))))


if __name__ == "__main__":
    main()

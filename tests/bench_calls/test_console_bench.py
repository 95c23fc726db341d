"""The bench of the console measures what it says: marks, the page's files, and one short real run."""

import pytest

from voiceagent.bench.console import run_console_bench
from voiceagent.bench.console_page import page_weights
from voiceagent.bench.console_provider import mark, mark_in
from voiceagent.console.page import load_page


class ThePage:
    """Answers as the console does, out of the page's files."""

    def __init__(self, **more: str) -> None:
        self._files = {name: one.content for name, one in load_page().items()}
        self._files |= {name.replace("_js", ".js"): text.encode() for name, text in more.items()}

    async def ask(self, method: str, path: str, *, headers: tuple[str, ...]) -> tuple[int, dict, bytes]:
        name = "index.html" if path == "/" else path.removeprefix("/static/")
        content = self._files.get(name)
        return (404, {}, b"") if content is None else (200, {}, content)


def test_a_mark_knows_when_it_was_made():
    first, second = mark_in(f"Say it; {mark()}"), mark_in(mark())
    assert first is not None
    assert second is not None
    assert first < second
    assert mark_in("no moment in here: mark 12") is None


async def test_every_file_of_the_page_is_weighed_with_one_of_its_pages():
    figures = await page_weights(ThePage())
    pages = {name: one for name, one in figures.items() if isinstance(one, dict)}
    assert set(pages) >= {"first", "history", "phone", "admin"}
    assert all(one["bytes"] > 0 for name, one in pages.items() if name != "health")
    assert not figures["gzip"]  # this one does not pack


async def test_the_first_page_is_light_with_all_that_a_call_loads_later():
    """Under 200 kB as the goal says; more than that must wait until it is asked for."""
    figures = await page_weights(ThePage())
    assert 50_000 < figures["first"]["bytes"] < 200_000


async def test_a_file_that_a_module_of_the_first_page_imports_is_weighed():
    before = (await page_weights(ThePage()))["first"]
    format_js = load_page()["format.js"].content.decode()
    heavier = ThePage(format_js='import "./large.js";\n' + format_js, large_js="x" * 5000)
    after = (await page_weights(heavier))["first"]
    assert after["files"] == before["files"] + 1
    assert after["bytes"] > before["bytes"] + 5000


@pytest.mark.loopback
def test_a_short_run_has_every_figure():
    figures = run_console_bench(calls=2, readers=3, seconds=1.0, browser=False, warm_up_s=0.2)
    trigger = figures["trigger"]
    assert trigger["creates"] == trigger["triggers"] > 0
    assert 0 < trigger["accepted_to_create_ms"]["p50"] <= trigger["post_to_create_ms"]["p50"]
    assert figures["live"]["stream_bytes_per_s"] > 0
    for kind in ("stalled_streams", "stalled_listeners"):
        assert figures[kind]["calls_lost"] == 0
        assert figures[kind]["ratio"] > 0
    assert figures["page"]["gzip"]
    assert figures["page"]["first"]["bytes_sent"] < figures["page"]["first"]["bytes"]

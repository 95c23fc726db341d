"""The page's files as they are served: packed for who takes that, with an ETag for each form."""

from __future__ import annotations

import gzip

import pytest

from voiceagent.console.page import load_page, takes_gzip

from .fake_directory import FakeDirectory
from .kit import a_client, an_app


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("gzip; q=0.001", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("br", False),
        ("xgzip", False),
        ("*", False),
        ("", False),
    ],
)
def test_gzip_is_sent_to_who_takes_it(asked: str, taken: bool) -> None:
    assert takes_gzip(asked) is taken


async def test_both_forms_hold_the_same_and_have_an_etag_of_their_own() -> None:
    etags: set[str] = set()
    async with a_client(an_app(FakeDirectory())) as client:
        for encoding in ("gzip", "identity"):
            headers = {"Accept-Encoding": encoding}
            answer = await client.get("/static/main.js", headers=headers)
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.headers.get("content-encoding", "identity") == encoding
            assert answer.content == load_page()["main.js"].content
            etags.add(answer.headers["etag"])
            known = {**headers, "If-None-Match": answer.headers["etag"]}
            again = await client.get("/static/main.js", headers=known)
            assert (again.status_code, again.content) == (304, b"")
    assert len(etags) == 2


def test_what_is_packed_is_what_stands_in_the_file() -> None:
    for file in load_page().values():
        assert gzip.decompress(file.packed) == file.content
        assert file.packed == gzip.compress(file.content, mtime=0), "the same in every process"

"""Object stores: the same contract for a folder and for S3 over HTTP, and an upload that is proven."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from voiceagent.records import objects
from voiceagent.records.objects import (
    NoSuchObject,
    ObjectStore,
    StoreError,
    check_store_url,
    name_of,
    open_store,
    verify,
)

from .s3_stand_in import Bucket, bucket

pytest.importorskip("obstore", reason="obstore is not installed: object stores are not tested")

BODY = os.urandom(3_000_000)
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    with bucket() as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "call_1.opus"
    file.write_bytes(BODY)
    return file


def s3_store(server: Bucket) -> ObjectStore:
    return open_store("s3://bucket/calls/2026", {"endpoint": server.url, "region": "test"})


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, s3: Bucket) -> ObjectStore:
    return s3_store(s3) if request.param == "s3" else open_store(f"file://{tmp_path}/some/where")


def test_put_head_read_delete(store: ObjectStore, path: Path) -> None:
    with pytest.raises(NoSuchObject):
        store.head("call_1.opus")
    store.put("call_1.opus", path)
    assert store.head("call_1.opus").size == len(BODY)
    assert store.read("call_1.opus", 0, 10) == BODY[:10]
    assert store.read("call_1.opus", len(BODY) - 5, len(BODY)) == BODY[-5:]
    verify(store, "call_1.opus", path, SHA)
    assert store.delete("call_1.opus")
    assert not store.delete("call_1.opus")
    with pytest.raises(NoSuchObject):
        store.read("call_1.opus", 0, 10)


def test_an_upload_that_is_short_or_another_is_found(store: ObjectStore, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(BODY[:-1])
    store.put("call_1.opus", other)
    with pytest.raises(StoreError, match="2999999 bytes there and 3000000 here"):
        verify(store, "call_1.opus", path, SHA)
    other.write_bytes(BODY[:-1] + bytes([BODY[-1] ^ 1]))
    store.put("call_1.opus", other)
    with pytest.raises(StoreError, match="another file"):
        verify(store, "call_1.opus", path, SHA)


def test_the_digest_of_the_store_spares_reading_back(s3: Bucket, path: Path) -> None:
    store = s3_store(s3)
    store.put("call_1.opus", path)
    s3.seen.clear()
    verify(store, "call_1.opus", path, SHA)
    assert s3.seen == ["HEAD /bucket/calls/2026/call_1.opus"]
    s3.odd_tags = True
    verify(store, "call_1.opus", path, SHA)
    assert s3.seen[-1].startswith("GET ")


def test_faults_are_tried_again_and_refusals_are_told(s3: Bucket, path: Path) -> None:
    store = s3_store(s3)
    s3.faults = [500, 503]
    store.put("call_1.opus", path)
    assert s3.objects == {"/bucket/calls/2026/call_1.opus": BODY}
    s3.faults = [403]
    with pytest.raises(StoreError) as refused:
        store.put("call_1.opus", path)
    assert "test-secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "s3://",
        "s3://key:secret@bucket/x",
        "https://host/x",
        "file://relative/x",
        "file:///",
        "s3://bucket/x?key=secret",
        "bucket",
    ],
)
def test_urls_that_name_no_store(url: str) -> None:
    with pytest.raises(ValueError):
        check_store_url(url)


def test_urls_that_do() -> None:
    assert check_store_url("s3://bucket/calls/") == "s3://bucket/calls"
    for url in ("s3://bucket", "gs://bucket/x", "az://container/x", "file:///srv/calls", "memory:///"):
        assert check_store_url(url) == url


def test_names_of_objects(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/calls")
    assert name_of(f"file://{tmp_path}/calls/a.opus", store) == "a.opus"
    assert name_of(f"file://{tmp_path}/calls-2/a.opus", store) is None
    assert name_of("a.opus", store) is None


def test_no_credentials_stand_in_what_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "REQUEST_S", 0.2)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    store = open_store("s3://bucket/calls", {"endpoint": "http://ann:canary@127.0.0.1:1", "region": "x"})
    for work in (lambda: store.put("a.wav", path), lambda: store.head("a.wav")):
        with pytest.raises(StoreError) as told:
            work()
        assert "127.0.0.1" in str(told.value)
        assert "canary" not in str(told.value)


def test_no_signature_stands_in_what_is_told() -> None:
    told = objects._short(  # pyright: ignore[reportPrivateUsage]
        OSError("HEAD https://x.blob.example/c/n?sv=1&sig=canary in 1 s: refused")
    )
    assert told == "HEAD https://x.blob.example/c/n?… in 1 s: refused"

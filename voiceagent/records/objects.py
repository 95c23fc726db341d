"""Recordings in an object store: a narrow port, and obstore behind it (S3, Google Cloud, Azure, a folder).

Everything here waits; call it from a thread. Whatever a store says comes out as :class:`StoreError`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from voiceagent.errors import Fault, VoiceAgentError

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Obstore

SCHEMES = ("s3", "gs", "az", "file", "memory")
HOW_TO_INSTALL = "an object store needs obstore: pip install 'voiceagent[objects]'"
REQUEST_S = 60.0
"""How long one request to the store may take, tries and all; the next attempt comes later."""
_USER = re.compile(r"(\w://)[^/\s@]*@")
_QUERY = re.compile(r"(\w://[^\s?]*)\?\S+")
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


class StoreError(VoiceAgentError):
    """The store could not be asked, or refused. Calls go on; what is to be stored waits."""

    fault = Fault.OURS
    code = "object_store"


class NoSuchObject(StoreError):
    """The store has no object of this name."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a store says of an object."""

    size: int
    tag: str
    """Its entity tag; empty where there is none."""


class ObjectStore(Protocol):
    """A place for files under names."""

    url: str
    """Without credentials; an object's URL is this, a slash and its name."""

    def put(self, name: str, path: Path) -> None:
        """Store a file; what had this name is replaced."""
        ...

    def head(self, name: str) -> Head:
        """Raises NoSuchObject."""
        ...

    def read(self, name: str, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end`` (exclusive)."""
        ...

    def delete(self, name: str) -> bool:
        """Forget an object; False when there was none."""
        ...


def store_available() -> bool:
    """Whether obstore is installed (it is not imported)."""
    return find_spec("obstore") is not None


def check_store_url(url: str) -> str:
    """Return ``url`` if it can name a store. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError("must begin with s3://, gs://, az:// or file:///")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("may hold no credentials and no query: those come from the environment")
    if parts.scheme == "file" and (parts.netloc or not parts.path.strip("/")):
        raise ValueError("must name a folder as file:///path/to/folder")
    if parts.scheme in ("s3", "gs", "az") and not parts.netloc:
        raise ValueError("must name a bucket: s3://bucket/prefix")
    return url.rstrip("/") if parts.scheme != "memory" else url


def open_store(url: str, options: Mapping[str, str] | None = None) -> ObjectStore:
    """Return the store at ``url``. Nothing is asked of it yet. Raises StoreError.

    ``options`` are obstore's own, ``endpoint`` and ``region`` above all; credentials come from where the
    vendor's tools look for them (``AWS_ACCESS_KEY_ID`` …, ``GOOGLE_APPLICATION_CREDENTIALS``, ``AZURE_…``,
    the machine's own role).
    """
    if not store_available():
        raise StoreError(HOW_TO_INSTALL)
    from obstore.store import LocalStore, from_url

    given = dict(options or {})
    try:
        if url.startswith("file://"):
            folder = Path(urlsplit(url).path)
            return _Obstore(url, LocalStore(folder, automatic_cleanup=True, mkdir=True))
        if url.startswith("memory:"):
            return _Obstore(url, from_url(url))
        plain = any(value.startswith("http://") for value in given.values())
        store = from_url(
            url,
            config=cast("Any", given),
            client_options={"allow_http": plain, "timeout": timedelta(seconds=REQUEST_S)},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=REQUEST_S)},
        )
    except Exception as error:
        raise StoreError(f"{url} cannot be opened: {_short(error)}") from None
    return _Obstore(url, store)


Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def _told(work: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Turn whatever a store raises into our errors."""

    @wraps(work)
    def asked(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        try:
            return work(*args, **kwargs)
        except FileNotFoundError as error:
            raise NoSuchObject(_short(error)) from None
        except Exception as error:
            raise StoreError(_short(error)) from None

    return asked


class _Obstore:
    def __init__(self, url: str, store: Obstore) -> None:
        self.url = url
        self._store = store

    @_told
    def put(self, name: str, path: Path) -> None:
        import obstore

        obstore.put(self._store, name, path)

    @_told
    def head(self, name: str) -> Head:
        import obstore

        about = obstore.head(self._store, name)
        return Head(about["size"], about["e_tag"] or "")

    @_told
    def read(self, name: str, start: int, end: int) -> bytes:
        import obstore

        return bytes(obstore.get_range(self._store, name, start=start, end=end)) if end > start else b""

    def delete(self, name: str) -> bool:
        try:
            self.head(name)  # S3 says the same whether there was one or not
            self._delete(name)
        except NoSuchObject:
            return False
        return True

    @_told
    def _delete(self, name: str) -> None:
        import obstore

        obstore.delete(self._store, name)


CHUNK = 1 << 20


def verify(store: ObjectStore, name: str, path: Path, sha256: str) -> None:
    """Prove that the store holds what the file holds. Raises StoreError.

    The size must be the same. Where the entity tag is an MD5 digest, it must be that of the file; where it is
    something else, the object is read back, and its SHA-256 must be ``sha256``.
    """
    head = store.head(name)
    size = path.stat().st_size
    if head.size != size:
        raise StoreError(f"{name} has {head.size} bytes there and {size} here")
    found = _MD5.fullmatch(head.tag)
    if found and found[1] == _digest("md5", _pieces(path)):
        return
    pieces = (store.read(name, at, min(at + CHUNK, size)) for at in range(0, size, CHUNK))
    if _digest("sha256", pieces) != sha256:
        raise StoreError(f"{name} is another file there than here")


def _pieces(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _digest(kind: str, pieces: Iterable[bytes]) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def name_of(location: str, store: ObjectStore) -> str | None:
    """PURE. Return the object's name of a URL, where it lies in this store; None for what lies elsewhere."""
    before = store.url.rstrip("/") + "/"
    return location[len(before) :] if location.startswith(before) else None


def _short(error: BaseException) -> str:
    """Return what a person can use of an error: its first line, without the debug output that follows it.

    Vendors' errors name the whole URL of the request: who asks, and a signature, may stand in it.
    """
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return _QUERY.sub(r"\1?…", _USER.sub(r"\1…@", first))[:300]

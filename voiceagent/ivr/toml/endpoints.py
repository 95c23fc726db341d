"""HTTP endpoints that TOML flows call: where they may be, and one request to one of them.

The one home of httpx in this room. No connection is kept between requests: a flow asks seldom, and nothing is
left to be closed. What is dear (httpx itself, the context of TLS) is made once, when a flow that asks is
loaded, and never on the loop, where every call's sound would wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import json
import os
import re
import ssl
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from voiceagent.egress import LOOPBACK, PrivateAddress, Resolve, addresses_of, is_private_literal, ways
from voiceagent.ivr.toml.values import text_of

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 64 * 1024
"""Of an answer."""
_PATTERN = re.compile(r"(\*|(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*|https?://[a-z0-9.\-\[\]:]+)")


class EndpointFailed(Exception):
    """An endpoint could not be asked, or gave no good answer. The text holds nothing of the call's."""


class EndpointRules:
    """Which endpoints may be asked: those of this machine, and hosts on the list.

    Entries: ``api.example.com`` (https, any port), ``*.example.com`` (hosts below it), ``*`` (any of the
    internet, https), ``http://10.0.0.7:8080`` (this very origin, also without encryption). Private networks
    and this machine's own have to be named: ``*`` does not mean them.
    """

    def __init__(self, hosts: Iterable[str] = (), *, offline: bool = False) -> None:
        """Raises ValueError for what is no entry. ``offline``: none is asked, so any may stand in a flow."""
        self.offline = offline
        self._hosts = tuple(host.lower() for host in hosts)
        for host in self._hosts:
            if _PATTERN.fullmatch(host) is None:
                raise ValueError(
                    f"{host!r} is no host: api.example.com, *.example.com, http://host:port, or *"
                )

    def refusal(self, url: str) -> str | None:
        """Return why ``url`` may not be asked, or None."""
        try:
            parts = urlsplit(url)
            host, origin = parts.hostname or "", _origin(parts)
        except ValueError as error:
            return str(error)
        if parts.scheme not in ("https", "http") or not host or "@" in parts.netloc:
            return "is no https:// or http:// address"
        if (
            self.offline
            or host in LOOPBACK
            or any(origin == _origin(urlsplit(one)) for one in self._hosts if "://" in one)
        ):
            return None
        if not any(_fits(host, one) for one in self._hosts):
            return f"the host {host} is not allowed"
        if self.public_only(url) and is_private_literal(host):
            return f"the host {host} is private, which * does not mean"
        return None if parts.scheme == "https" else f"the host {host} is allowed over https only"

    def public_only(self, url: str) -> bool:
        """Return whether nothing but ``*`` allows ``url``, so that it must be at a public address."""
        parts = urlsplit(url)
        host, origin = parts.hostname or "", _origin(parts)
        named = any(
            origin == _origin(urlsplit(one)) if "://" in one else one != "*" and _fits(host, one)
            for one in self._hosts
        )
        return not named and host not in LOOPBACK


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", parts.port or default


def _fits(host: str, entry: str) -> bool:
    if entry.startswith("*."):
        return host.endswith(entry[1:])
    return entry in ("*", host)


async def ask_endpoint(
    method: str,
    url: str,
    headers: Mapping[str, str],
    arguments: Mapping[str, object],
    rules: EndpointRules,
    transport: httpx.AsyncBaseTransport | None = None,
    resolve: Resolve | None = None,
) -> object:
    """Send ``arguments`` to an endpoint and return its answer: what the JSON says, else the text.

    They go as JSON, with GET and DELETE in the query. Raises :class:`EndpointFailed` for an address that the
    rules refuse, a status that is no success (redirects are none), an answer of more than ``MOST_BYTES``, and
    one that is not what it says. How long it may take is the caller's business.

    ``transport`` takes the place of the network; there, hosts have addresses only if ``resolve`` knows them.
    """
    if rules.offline:
        raise EndpointFailed("is not asked here: the scenario gives its answer")
    refusal = rules.refusal(url)
    if refusal is not None:
        raise EndpointFailed(f"{refusal} (call.http_hosts)")
    tls = await prepared()
    import httpx

    in_query = method in ("GET", "DELETE")
    sent: dict[str, Any] = {
        "params": {name: text_of(value) for name, value in arguments.items()} if in_query else None,
        "content": None if in_query else json.dumps(dict(arguments), default=str).encode(),
    }
    own_headers = _headers(headers, sends_json=not in_query)
    if resolve is None and transport is None:
        resolve = addresses_of
    try:
        found = await ways(url, public_only=rules.public_only(url), resolve=resolve)
        for number, way in enumerate(found, 1):
            client = httpx.AsyncClient(
                verify=tls,
                trust_env=way.by_environment,
                proxy=way.proxy,
                follow_redirects=False,
                timeout=None,
                transport=transport,
            )
            try:
                async with (
                    client,
                    client.stream(
                        method, way.url, headers=way.headers | own_headers, extensions=way.extensions, **sent
                    ) as response,
                ):
                    return await _answer(response)
            except httpx.ConnectError:  # nothing was sent
                if number == len(found):
                    raise
    except PrivateAddress:
        raise EndpointFailed("is at a private address, which * does not mean (call.http_hosts)") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
        raise EndpointFailed(f"could not be asked ({type(error).__name__})") from None
    raise EndpointFailed("has no address")


async def _answer(response: httpx.Response) -> object:
    if not response.is_success:
        raise EndpointFailed(f"answered with status {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise EndpointFailed("answered with a compressed text, which was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise EndpointFailed(f"answered with more than {MOST_BYTES} bytes")
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        text = body.decode("utf-8")
        return json.loads(text) if text.strip() and (kind.endswith(("/json", "+json"))) else text
    except (ValueError, RecursionError):
        raise EndpointFailed("answered with something that is not what it says") from None


def _headers(given: Mapping[str, str], *, sends_json: bool) -> dict[str, str]:
    """Return all headers of a request; ``env:NAME`` stands for an environment variable."""
    headers = {"Accept-Encoding": "identity"}
    if sends_json:
        headers["Content-Type"] = "application/json"
    for name, value in given.items():
        variable = value.removeprefix("env:")
        headers[name] = value if variable == value else os.environ.get(variable, "")
        if not headers[name]:
            raise EndpointFailed(f"needs the environment variable {variable}")
    return headers


async def prepared() -> ssl.SSLContext:
    """Return what :func:`prepare` does, without holding up the loop."""
    return prepare() if prepare.cache_info().currsize else await asyncio.to_thread(prepare)


@functools.cache
def prepare() -> ssl.SSLContext:
    """Load what asking needs, once: half a second of work. Returns the context of TLS."""
    import httpx

    context = ssl.create_default_context()
    httpx.AsyncClient(verify=context)  # which loads more
    with contextlib.suppress(ImportError):
        importlib.import_module("anyio._backends._asyncio")  # else loaded by the first connection
    return context

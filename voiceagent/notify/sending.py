"""One attempt over HTTP: resolved, looked at, sent to that very address; no redirects, bounded in time."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING

import voiceagent
from voiceagent.egress import PrivateAddress, Resolve, Way, addresses_of, ways
from voiceagent.ivr.toml.endpoints import prepared
from voiceagent.notify.endpoint import Endpoint
from voiceagent.notify.schedule import Answer, retry_after_s

if TYPE_CHECKING:
    import httpx

AGENT = f"voiceagent/{voiceagent.__version__}"


async def send(
    endpoint: Endpoint, headers: dict[str, str], body: bytes, *, resolve: Resolve = addresses_of
) -> Answer:
    """Post ``body`` to an endpoint. Never raises but when cancelled; the answer's body is not read.

    The name's addresses, the connection and the answer's head share ``endpoint.timeout_s``.
    """
    import httpx

    tls = await prepared()
    try:
        async with asyncio.timeout(endpoint.timeout_s):
            found = await ways(endpoint.url, public_only=endpoint.public_only, resolve=resolve)
            for number, way in enumerate(found, 1):
                try:
                    return await _post(way, headers, body, tls)
                except httpx.ConnectError:  # nothing was sent
                    if number == len(found):
                        raise
    except TimeoutError:
        return Answer(None, f"no answer within {endpoint.timeout_s:g} s")
    except PrivateAddress:
        return Answer(None, "the host is at a private address; name that address itself if it is meant")
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
        return Answer(None, f"could not be reached ({type(error).__name__})")
    return Answer(None, "the host has no address")


async def _post(way: Way, headers: dict[str, str], body: bytes, tls: ssl.SSLContext) -> Answer:
    import httpx

    client = httpx.AsyncClient(
        verify=tls, trust_env=way.by_environment, proxy=way.proxy, follow_redirects=False, timeout=None
    )
    sent = {"User-Agent": AGENT, "Accept-Encoding": "identity", **way.headers, **headers}
    async with (
        client,
        client.stream("POST", way.url, headers=sent, content=body, extensions=way.extensions) as response,
    ):
        return _answer_of(response)


def _answer_of(response: httpx.Response) -> Answer:
    wait = retry_after_s(response.headers.get("retry-after", ""), time.time())
    return Answer(response.status_code, retry_after_s=wait)

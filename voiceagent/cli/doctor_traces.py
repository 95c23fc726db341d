"""What ``voiceagent doctor`` finds of the traces' collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceagent.cli.finding import Finding
from voiceagent.observe.trace_endpoint import endpoint_url

if TYPE_CHECKING:
    from voiceagent.settings import Settings

LIMIT_S = 5.0


async def trace_findings(settings: Settings) -> list[Finding]:
    """Send the collector a request without spans; nothing where no traces are wanted."""
    traces = settings.traces
    if not traces.endpoint:
        return []
    import httpx

    headers = {name: secret.get_secret_value() for name, secret in traces.headers.items()}
    headers["Content-Type"] = "application/x-protobuf"
    url = endpoint_url(traces.endpoint)
    try:
        async with httpx.AsyncClient(timeout=LIMIT_S) as client:
            answer = await client.post(url, content=b"", headers=headers)  # no bytes: an empty message
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return [Finding("traces", False, f"traces.endpoint: {url}: {error or type(error).__name__}")]
    if answer.is_success:
        return [Finding("traces", True, f"the collector at {url} takes spans")]
    setting = "traces.headers" if answer.status_code in (401, 403) else "traces.endpoint"
    return [Finding("traces", False, f"{setting}: {url} answers {answer.status_code}")]

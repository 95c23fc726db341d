"""``voiceagent bench fuzz``: the endpoint, session descriptions, and a whole service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voiceagent.bench.fuzz import fuzz_endpoint, fuzz_sdp, own_seeds
from voiceagent.bench.fuzz_socket import run_fuzz_service
from voiceagent.errors import ConfigError


def corpora_seeds(folder: Path | None) -> list[bytes]:
    """Return the messages of ``folder`` (``rfc4475/*.dat``, ``rfc5118/*``) with CRLF; none without it.

    Raises ConfigError where the folder does not hold them.
    """
    if folder is None:
        return []
    files = [*sorted(folder.glob("rfc4475/*.dat")), *sorted(folder.glob("rfc5118/*"))]
    if not files:
        raise ConfigError("--corpora", f"no rfc4475/*.dat and rfc5118/* in {folder}")
    seeds = [file.read_bytes() for file in files if file.is_file()]
    return [data if b"\r\n" in data else data.replace(b"\n", b"\r\n") for data in seeds]


def run_fuzz_bench(
    messages: int, *, sockets: int, corpora: Path | None = None, seed: int = 1
) -> dict[str, Any]:
    """Run all parts; see :mod:`voiceagent.bench.fuzz` and :mod:`voiceagent.bench.fuzz_socket`."""
    seeds = corpora_seeds(corpora)
    figures: dict[str, Any] = {
        "corpora_messages": len(seeds),
        "endpoint": fuzz_endpoint(messages, seed, seeds),
        "sdp": fuzz_sdp(messages // 4, seed),
    }
    if sockets:
        figures["service"] = run_fuzz_service(sockets, seed, [*own_seeds(), *seeds])
    return figures

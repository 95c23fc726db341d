"""``voiceagent kamailio``: the nodes as Kamailio's dispatcher wants to have them listed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voiceagent.cli.run import fail_with, parse_overrides, show_json
from voiceagent.errors import ConfigError, VoiceAgentError


def run_kamailio(
    config: Path | None, overrides: list[str], *, workers: int, nodes: Sequence[str], as_json: bool
) -> None:
    """Print the list: of this machine's workers, or of the ``nodes`` (HOST:PORT) that are named."""
    try:
        uris = [f"sip:{one}" for one in nodes] or _workers(config, overrides, workers)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if as_json:
        show_json({"dispatcher": uris})
        return
    print("# dispatcher.list for deploy/kamailio/kamailio.cfg: set, URI, flags, priority")
    for uri in uris:
        print(f"1 {uri} 0 0")


def _workers(config: Path | None, overrides: list[str], workers: int) -> list[str]:
    from voiceagent.settings import load_settings
    from voiceagent.settings.workers import worker_settings
    from voiceagent.sip.syntax.uri import host_text

    settings = load_settings(config, parse_overrides(overrides))
    told = settings.sip.first_told
    if workers == 0:
        ports = [settings.sip.port]
    else:
        ports = [worker_settings(settings, index, workers)["sip.port"] for index in range(workers)]
    if not ports[0]:
        raise ConfigError("sip.port", "is chosen at each start (0): a proxy cannot know it beforehand")
    return [f"sip:{host_text(told, port)}" for port in ports]

"""``voiceagent flow graph``: flows as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.cli.run import USAGE, fail, fail_with, show_json
from voiceagent.errors import ConfigError, VoiceAgentError

if TYPE_CHECKING:
    from voiceagent.ivr.check.walks import Walk
    from voiceagent.ivr.graph.model import Picture

FORMATS = ("mermaid", "dot", "json")


def run_graph(
    file: Path, scenarios: Sequence[Path], journals: Sequence[Path], *, style: str, as_json: bool
) -> None:
    """Print the picture of a file's flows. Exit status 2 where it cannot be drawn."""
    from voiceagent.cli.flow_evidence import walks_of_journals, walks_of_scenarios
    from voiceagent.ivr.graph.dot import dot
    from voiceagent.ivr.graph.mermaid import mermaid

    if style not in FORMATS:
        fail(f"--format {style}: must be {', '.join(FORMATS)}", USAGE, as_json=as_json, code="config")
    try:
        walks = [*walks_of_scenarios([file], scenarios), *walks_of_journals(journals)]
        pictures = pictures_of(file, walks)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    if as_json or style == "json":
        show_json({"flows": [one.plain() for one in pictures]})
    else:
        print(mermaid(pictures) if style == "mermaid" else dot(pictures), end="")


def pictures_of(file: Path, walks: Sequence[Walk]) -> list[Picture]:
    """Return the pictures of the flows in a file. Raises ConfigError."""
    from voiceagent.ivr.check.files import CHECKERS, Unreadable, read_text
    from voiceagent.ivr.check.source import TOO_DEEP

    if file.suffix not in CHECKERS:
        raise Unreadable(file, f"must end with {' or '.join(CHECKERS)}")
    text = read_text(file)
    if file.suffix == ".toml":
        from voiceagent.ivr.graph.toml_graph import toml_picture
        from voiceagent.ivr.toml.read import parse_toml_flow

        return [toml_picture(parse_toml_flow(text, file), walks)]
    from voiceagent.ivr.graph.python_graph import python_pictures

    try:
        pictures = python_pictures(text, str(file), walks)
    except TOO_DEEP:
        raise ConfigError("flows", f"{file}: is nested too deeply to be read") from None
    except SyntaxError as error:
        raise ConfigError("flows", f"{file}:{error.lineno or 1}: {error.msg}") from None
    if not pictures:
        raise ConfigError("flows", f"{file} declares no flow (use @flow)")
    return pictures

"""PURE. The texts of a TOML flow, checked: each name in braces has a value by then, and no secret is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.toml.complaints import nearest
from voiceagent.ivr.toml.graph import Edge
from voiceagent.ivr.toml.lines import Path
from voiceagent.ivr.toml.models import AnyStep, Collect, Play, Work
from voiceagent.ivr.toml.read import ParsedFlow
from voiceagent.ivr.toml.templates import FACTS, BadTemplate, known_to_every_call, parse_template
from voiceagent.ivr.toml.texts import TextUse, into_of, texts_of

Names = frozenset[str]


def check_names(parsed: ParsedFlow, ways: Sequence[Edge]) -> Iterator[Finding]:
    """Yield names that nobody sets, or not on every way; secrets in texts; bad endpoints."""
    everywhere = {name for step in parsed.steps.values() if (name := into_of(step)) is not None}
    secrets = frozenset(
        step.into for step in parsed.steps.values() if isinstance(step, Collect) and step.secret
    )
    known = _known_before(parsed, ways)
    for name, step in parsed.steps.items():
        for use in texts_of(step):
            yield from _text(parsed, name, use, everywhere, known.get(name), secrets)
        for path, text in _plain_texts(step):
            yield from _never_filled(parsed, name, path, text, everywhere)
        if isinstance(step, Work) and step.url is not None:
            yield from _endpoint(parsed, name, step.url)


def _text(
    parsed: ParsedFlow, step: str, use: TextUse, everywhere: set[str], known: Names | None, secrets: Names
) -> Iterator[Finding]:
    line = parsed.line("steps", step, *use.path)
    label = f"step {step}: `{use.path[0]}`"
    try:
        template = parse_template(use.text)
    except BadTemplate as error:
        yield Finding(parsed.file, line, "error", "bad-value", f"{label}: {error}")
        return
    for name in template.names:
        if known_to_every_call(name):
            continue
        if name not in everywhere:
            remedy = nearest(name, [*everywhere, *FACTS]) or "set it with `into`"
            yield Finding(
                parsed.file, line, "error", "unknown-name", f"{label}: nothing sets {{{name}}}", remedy
            )
        elif known is not None and name not in known:
            message = f"{label}: {{{name}}} is not set on every way that leads here"
            yield Finding(
                parsed.file, line, "error", "unknown-name", message, "collect it on every way, or ask again"
            )
        elif name in secrets and not use.hidden:
            message = f"{label}: {{{name}}} is secret and would be told"
            yield Finding(
                parsed.file, line, "error", "secret-spoken", message, "only `arguments` of a call may have it"
            )


def _plain_texts(step: AnyStep) -> Iterator[tuple[Path, str]]:
    """Yield texts that are taken as they stand."""
    match step:
        case Work():
            yield from ((("headers", name), value) for name, value in step.headers.items())
        case Play(text=str(text)):
            yield ("text",), text
        case _:
            return


def _never_filled(
    parsed: ParsedFlow, step: str, path: Path, text: str, everywhere: set[str]
) -> Iterator[Finding]:
    """Yield a name in a text that is no template, where it is one that the flow has: it was meant to be."""
    try:
        names = parse_template(text).names
    except BadTemplate:
        return  # braces of another kind
    for name in names:
        if name in everywhere or known_to_every_call(name):
            line = parsed.line("steps", step, *path)
            message = f"step {step}: `{path[0]}`: {{{name}}} is not filled in here"
            yield Finding(parsed.file, line, "error", "bad-value", message, "names are for other keys")


def _endpoint(parsed: ParsedFlow, step: str, url: str) -> Iterator[Finding]:
    line = parsed.line("steps", step, "url")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        yield Finding(parsed.file, line, "error", "bad-value", f"step {step}: `url`: {error}")
        return
    if parts.scheme not in ("https", "http") or not host:
        message = f"step {step}: `url` must begin with https:// (or http:// on this machine) and name a host"
        yield Finding(parsed.file, line, "error", "bad-value", message)
    elif "{" in parts.netloc or "@" in parts.netloc:
        message = f"step {step}: `url` must name its host in plain text, without a user"
        yield Finding(
            parsed.file, line, "error", "bad-value", message, "put names into the path or the arguments"
        )


def _known_before(parsed: ParsedFlow, ways: Sequence[Edge]) -> Mapping[str, Names]:
    """Return the names that are set on every way from the start to each step; unreached ones are left out."""
    start = parsed.start
    if start not in parsed.steps:
        return {}
    leaving: dict[str, list[Edge]] = {name: [] for name in parsed.steps}
    for way in ways:
        if way.target in parsed.steps:
            leaving[way.source].append(way)
    known: dict[str, Names] = {start: frozenset()}
    queue = [start]
    while queue:
        name = queue.pop()
        for way in leaving[name]:
            set_here = into_of(parsed.steps[name]) if not way.otherwise else None
            after = known[name] | {set_here} if set_here is not None else known[name]
            before = known.get(way.target)
            met = after if before is None else before & after
            if met != before:
                known[way.target] = met
                queue.append(way.target)
    return known

"""PURE. What callers may answer in a TOML flow, checked: one key or phrase means one thing."""

from __future__ import annotations

from collections.abc import Iterator

from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.matching import words
from voiceagent.ivr.toml.models import Choose, Collect
from voiceagent.ivr.toml.read import ParsedFlow


def check_answers(parsed: ParsedFlow) -> Iterator[Finding]:
    """Yield keys and phrases that mean two things, and digits that end themselves."""
    for name, step in parsed.steps.items():
        match step:
            case Choose():
                yield from _options(parsed, name, step)
            case Collect():
                yield from _digits(parsed, name, step)
            case _:
                pass


def _options(parsed: ParsedFlow, name: str, step: Choose) -> Iterator[Finding]:
    keys: dict[str, str] = {}
    phrases: dict[tuple[str, ...], str] = {}
    for option, choice in step.options.items():
        at = ("steps", name, "options", option)
        if choice.key is not None:
            other = keys.setdefault(choice.key, option)
            if other != option:
                yield Finding(
                    parsed.file, parsed.line(*at, "key"), "error", "duplicate-key",
                    f"step {name}: key {choice.key} means both {other} and {option}", "give one another key",
                )  # fmt: skip
        own = [(option.replace("_", " "), at)]
        own += [(phrase, (*at, "phrases", number)) for number, phrase in enumerate(choice.phrases)]
        for phrase, place in own:
            heard = tuple(words(phrase))
            if not heard:
                yield Finding(
                    parsed.file, parsed.line(*place), "error", "bad-value",
                    f"step {name}: the phrase {phrase!r} has no word that could be heard",
                )  # fmt: skip
                continue
            other = phrases.setdefault(heard, option)
            if other != option:
                yield Finding(
                    parsed.file, parsed.line(*place), "error", "ambiguous-phrases",
                    f"step {name}: {phrase!r} means both {other} and {option}", "leave it to one of them",
                )  # fmt: skip


def _digits(parsed: ParsedFlow, name: str, step: Collect) -> Iterator[Finding]:
    end = step.digits.end if step.digits is not None else ""
    if end.isdigit():
        yield Finding(
            parsed.file, parsed.line("steps", name, "digits", "end"), "error", "ambiguous-digits",
            f"step {name}: {end} ends the digits and may be one of them", "end them with # or *",
        )  # fmt: skip

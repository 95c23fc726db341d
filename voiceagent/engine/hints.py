"""From the wire to a grammar: what should the recogniser expect? PURE.

A realtime client cannot name a grammar, so the expectation is read from two places, in this order.

1. ``session.audio.input.transcription.prompt``, one sentence of this form (case and final stop do not matter;
   text before it is ignored, so it may end a longer prompt):

   =============================================================  =====================================
   ``Expect one of: billing; opening hours; an operator.``         these phrases, separated by ``;``
   ``Expect yes or no.``                                           yes or no, in their usual wordings
   ``Expect 6 digits.``                                            exactly six digits
   ``Expect 1 to 16 digits.``                                      between one and sixteen digits
   ``Expect anything.``                                            free speech (poorly recognised)
   ``Expect anything, such as: that is all; goodbye.``             the same, but these phrases well
   =============================================================  =====================================

   ``transcription.keywords``, a list of phrases, is read as ``one of`` when the prompt says nothing.
2. The function tools on offer: their schemas' ``enum`` values, and their names as spoken commands.

With neither, a short list of usual telephone commands is expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from .ports import Expectation, ExpectKind

USUAL_COMMANDS = (
    "yes",
    "no",
    "yes please",
    "no thank you",
    "help",
    "repeat that",
    "main menu",
    "cancel",
    "goodbye",
    "billing",
    "opening hours",
    "check my order status",
    "make a payment",
    "agent",
    "representative",
    "operator",
    "speak to an operator",
)
_ONE_OF = re.compile(r"expect one of:\s*(?P<list>[^\n]+)", re.IGNORECASE)
_YES_NO = re.compile(r"expect yes or no\b", re.IGNORECASE)
_DIGITS = re.compile(r"expect (?:(?P<low>\d{1,2}) to )?(?P<high>\d{1,2}) digits?\b", re.IGNORECASE)
_ANYTHING = re.compile(r"expect anything\b(?:, such as:\s*(?P<list>[^\n]+))?", re.IGNORECASE)
MOST_DIGITS = 32


def expectation(
    transcription: Mapping[str, Any] | None, tools: Sequence[Mapping[str, Any]] = ()
) -> Expectation:
    """Return the grammar for the next turn, from the session's transcription settings and tools."""
    settings = transcription or {}
    found = from_prompt(settings.get("prompt") or "")
    if found is not None:
        return found
    keywords = _phrases(settings.get("keywords") or ())
    if keywords:
        return Expectation(ExpectKind.PHRASES, keywords)
    offered = from_tools(tools)
    if offered:
        return Expectation(ExpectKind.PHRASES, _phrases((*offered, *USUAL_COMMANDS)))
    return Expectation(ExpectKind.ANYTHING, USUAL_COMMANDS)


def from_prompt(prompt: str) -> Expectation | None:
    """Read the ``Expect …`` sentence of a transcription prompt, or return None."""
    if match := _ONE_OF.search(prompt):
        phrases = _phrases(match["list"].rstrip(" .").split(";"))
        return Expectation(ExpectKind.PHRASES, phrases) if phrases else None
    if _YES_NO.search(prompt):
        return Expectation(ExpectKind.YES_NO)
    if match := _DIGITS.search(prompt):
        high = min(int(match["high"]), MOST_DIGITS)
        low = min(int(match["low"] or match["high"]), high)
        return Expectation(ExpectKind.DIGITS, min_digits=max(low, 1), max_digits=max(high, 1))
    if match := _ANYTHING.search(prompt):
        wanted = _phrases((match["list"] or "").rstrip(" .").split(";"))
        return Expectation(ExpectKind.ANYTHING, _phrases((*wanted, *USUAL_COMMANDS)) if wanted else ())
    return None


def from_tools(tools: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the phrases which the function tools suggest: enum values, and names read as words."""
    phrases: list[str] = []
    for tool in tools:
        if tool.get("type", "function") != "function":
            continue
        phrases.append(str(tool.get("name", "")).replace("_", " ").replace("-", " "))
        schema: Any = tool.get("parameters")
        for field in _object(_object(schema).get("properties")).values():
            phrases.extend(str(value).replace("_", " ") for value in _object(field).get("enum", ()))
    return _phrases(phrases)


def _object(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _phrases(raw: Iterable[str]) -> tuple[str, ...]:
    """Lower-case, keep letters and digits, drop doubles, keep the order."""
    clean = (" ".join(re.sub(r"[^\w' ]+", " ", phrase.lower()).split()) for phrase in raw)
    return tuple(dict.fromkeys(phrase for phrase in clean if phrase))

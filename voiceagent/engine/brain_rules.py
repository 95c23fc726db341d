"""The brain without a model: instructions and what was heard become speech by these rules. PURE.

The line to perform is the response's ``instructions``; when they begin with the session's standing
instructions, only the rest. A line may have several parts, divided by ``Then:``; each is performed by itself
("Say "Sorry." Then: Offer tea, or coffee."). A line that goes on with a reply which was cut is performed from
the word on where that stopped (see :mod:`.brain_going_on`). Of the rules the first that fits counts:

1. ``tool_choice`` is ``required`` or names a function: that tool is called (see :mod:`.brain_tools`).
2. Quoted text ("…", “…”, «…») is spoken word for word; several quotes are joined.
3. ``Say: X``, ``Tell the caller: X``, ``Tell the caller that X``, ``Read out: X``: X.
4. ``Repeat …``: what the agent said last.
5. An offered tool matches the line, or the caller's last words in a bare response: it is called.
6. ``Greet …``, ``Say goodbye …``, ``Apologise …``, ``Thank …``, ``Confirm …``, ``Wait``: such a sentence.
7. ``Ask (the caller) for X`` / ``to X`` / ``whether X``, ``Offer A, B, or C``: a question.
8. A bare response answers the newest item: a tool's result is read out; the caller's words are taken up.
9. Else a sentence which says that this is a demonstration voice, not a language model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import brain_going_on
from .brain_results import result_sentence
from .brain_text import finish, listing, plain
from .brain_tools import choose_tool
from .items import text_of
from .ports import BrainTurn, CallTool, Say

WHO_I_AM = "This is the built-in demonstration voice, not a language model."
GREETING = "Hello, and thank you for calling. How can I help you?"
GOODBYE = "Thank you for calling. Goodbye."
SORRY = "I am sorry about that."
NOT_HEARD = "Sorry, I did not catch that. Could you say it again?"

_QUOTES = re.compile(r'"([^"]+)"|“([^”]+)”|«([^»]+)»|„([^“”]+)[“”]')
_WHOM = r"(?:the |our |your |this )?(?:caller|customer|user|person|guest|patient|client|them|him|her)"
_THEN = re.compile(r"(?:^|(?<=[.!?\"”»])\s+)Then:\s+")
_EXACT = re.compile(
    rf"^(?:please )?(?:say|tell {_WHOM}|inform {_WHOM}|let {_WHOM} know|read out|announce|answer|reply)"
    r"(?: exactly| word for word| verbatim)?(?: this| the following)?\s*(?::|\bthat\b)\s*(?P<text>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_ASK = re.compile(
    rf"^(?:please |now |then |politely |kindly )*ask(?: {_WHOM})?\s+"
    r"(?P<how>for|to|whether|if|about|what|which|when|"
    r"where|who|how)\b\s*(?P<rest>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_OFFER = re.compile(
    rf"^(?:please |now |then )*(?:offer|let {_WHOM} choose(?: between| from)?|give {_WHOM} the choice of)"
    rf"(?: {_WHOM})?:?\s+(?P<rest>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_MANNER = re.compile(
    r"[,;]?\s*(?:\b(?:briefly|politely|warmly|kindly|clearly|slowly|again|please)\b|"
    r"\bin (?:one|a|two|a single|one short|a short|a few)(?: short| friendly| warm| brief)* "
    r"(?:sentences?|words?|lines?|phrases?)\b)",
    re.IGNORECASE,
)
_AN_ANSWER = re.compile(r"an answer to what the caller\b", re.IGNORECASE)
_ALREADY_SAID = ("assistant",)


def decide(turn: BrainTurn) -> list[Say | CallTool]:
    """Return what a response consists of; never empty."""
    line = line_of(turn)
    tool = choose_tool(turn, line, forced=True)
    if tool is not None:
        return [tool]
    cut = brain_going_on.parse(line)
    if cut is not None:
        return _go_on(turn, *cut)
    return _perform(turn, line)


def _perform(turn: BrainTurn, line: str) -> list[Say | CallTool]:
    return [_from_line(turn, part) for part in parts_of(line)] or [_answer(turn)]


def _go_on(turn: BrainTurn, heard: str, about: str) -> list[Say | CallTool]:
    """Say what is left of a reply of which ``heard`` are the last words that were heard."""
    if _AN_ANSWER.match(about):
        whole = _perform(replace(turn, items=brain_going_on.before_the_reply(turn.items)), "")
    else:
        whole = _perform(turn, about)
    texts = [step.text for step in whole if isinstance(step, Say)]
    if len(texts) < len(whole):
        return whole
    text = " ".join(texts)
    return [Say(brain_going_on.rest_after(text, heard) or text)]


def parts_of(line: str) -> list[str]:
    """Return the parts of a line that are divided by ``Then:``; none for an empty line."""
    return [part.strip() for part in _THEN.split(line) if part.strip()]


def line_of(turn: BrainTurn) -> str:
    """Return the response's own instructions, standing ones before them cut off; empty for a bare create."""
    line = (turn.instructions or "").strip()
    standing = turn.session_instructions.strip()
    if standing and line.startswith(standing):
        line = line[len(standing) :].strip()
    return line


def _from_line(turn: BrainTurn, line: str) -> Say | CallTool:
    spoken = quoted(line)
    if spoken:
        return Say(spoken)
    if match := _EXACT.match(line):
        return Say(finish(match["text"]))
    first = line.split(maxsplit=1)[0].lower().strip(",.:;!")
    if first == "repeat":
        return Say(last_said(turn.items) or NOT_HEARD)
    tool = choose_tool(turn, line)
    if tool is not None:
        return tool
    return Say(guided(line) or f"{WHO_I_AM} I was asked to do this: {finish(line)}")


def guided(line: str) -> str:
    """Turn plain guidance ("Ask for the order number.") into speech, or return an empty text."""
    if match := _EXACT.match(line):
        return finish(match["text"])
    parts = [_sentence(part) for part in re.split(r"(?<=[.!?])\s+", line)]
    known = [part for part in parts if part]
    return " ".join(known)


def _sentence(part: str) -> str:
    text = _MANNER.sub("", part).strip().rstrip(".!?").strip()
    lowered = text.lower()
    if match := _ASK.match(text):
        return _question(match["how"].lower(), match["rest"].strip())
    if match := _OFFER.match(text):
        return f"You can say {match['rest'].strip()}."
    for opening, speech in _OPENINGS:
        if opening.match(lowered):
            return speech
    return ""


_OPENINGS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:please )?(?:greet|welcome|say hello)\b"), GREETING),
    (re.compile(r"(?:please )?(?:say (?:goodbye|good-bye|bye)|bid .*farewell|end the call)\b"), GOODBYE),
    (re.compile(r"(?:please )?(?:apologi[sz]e|say sorry)\b"), SORRY),
    (re.compile(r"(?:please )?thank\b"), "Thank you."),
    (re.compile(r"(?:please )?(?:confirm|acknowledge)\b"), "Thank you, I have noted that."),
    (re.compile(r"(?:please )?(?:hold|wait|ask .*to hold)\b"), "One moment, please."),
    (re.compile(r"(?:please )?(?:say (?:that )?you did not (?:understand|hear|catch))"), NOT_HEARD),
)


def _question(how: str, rest: str) -> str:
    rest = _second_person(rest)
    match how:
        case "for":
            return (
                f"Please tell me {rest}."
                if rest.startswith(("your ", "the "))
                else f"May I have {rest}, please?"
            )
        case "to":
            return f"Please {rest}."
        case "whether" | "if":
            return f"May I ask: {_as_question(rest)}?"
        case "about":
            return f"May I ask you about {rest}?"
        case _:
            return f"Could you tell me {how} {rest}?"


def _as_question(clause: str) -> str:
    """Turn "you want a receipt" into "do you want a receipt"; leave other clauses alone."""
    words = clause.split(" ", 2)
    if words[0] == "you" and len(words) > 1:
        verb = words[1]
        if verb in ("are", "have", "can", "would", "will", "were", "could", "should", "need not"):
            rest = f" {words[2]}" if len(words) > 2 else ""
            return f"{verb} you{rest}"
        return f"do {clause}"
    return clause


def _second_person(text: str) -> str:
    text = re.sub(rf"^{_WHOM}\b", "you", text, flags=re.IGNORECASE)
    text = re.sub(r"\b(?:the caller's|their|his or her|his|her)\b", "your", text, flags=re.IGNORECASE)
    text = re.sub(r"\bthey are\b", "you are", text)
    text = re.sub(r"\b(?:they|he or she|he|she)\b", "you", text)
    text = re.sub(r"\bthe caller\b", "you", text, flags=re.IGNORECASE)
    text = re.sub(r"\byou is\b", "you are", text)
    text = re.sub(r"\byou has\b", "you have", text)
    return re.sub(r"\byou (want|need|like|wish|prefer)(?:e?s)\b", r"you \1", text)


def quoted(text: str) -> str:
    """Return all quoted texts, joined by blanks."""
    return " ".join(" ".join(match.groups(default="")).strip() for match in _QUOTES.finditer(text))


def last_said(items: Sequence[Mapping[str, Any]]) -> str:
    """Return what the agent said last."""
    for item in reversed(items):
        if item["type"] == "message" and item.get("role") in _ALREADY_SAID and (said := text_of(item)):
            return said
    return ""


def last_item(items: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the newest item that asks for an answer: the caller's, or a tool's result."""
    for item in reversed(items):
        if item["type"] == "function_call_output" or item.get("role") == "user":
            return item
        if item.get("role") == "assistant":
            return None
    return None


def _answer(turn: BrainTurn) -> Say | CallTool:
    """Answer the newest item of the conversation."""
    item = last_item(turn.items)
    if item is None:
        return Say(_opening(turn))
    if item["type"] == "function_call_output":
        return Say(result_sentence(str(item["output"])))
    heard = text_of(item)
    if not heard:
        return Say(NOT_HEARD)
    tool = choose_tool(turn, "")
    if tool is not None:
        return tool
    wanted = heard.lower()
    if re.search(r"\b(?:repeat|say that again|pardon)\b", wanted):
        return Say(last_said(turn.items) or NOT_HEARD)
    if re.search(r"\b(?:goodbye|good bye|bye)\b", wanted):
        return Say(GOODBYE)
    if re.search(r"\b(?:hello|good morning|good afternoon|good evening)\b", wanted):
        return Say(GREETING)
    offer = _offers(turn)
    return Say(f"I heard: {finish(heard)} {offer or WHO_I_AM}")


def _opening(turn: BrainTurn) -> str:
    """Say the first words of a conversation, after the standing instructions where they can be followed."""
    standing = turn.session_instructions
    return quoted(standing) or guided(standing) or GREETING


def _offers(turn: BrainTurn) -> str:
    names = [
        plain(str(tool.get("name", ""))) for tool in turn.tools if tool.get("type", "function") == "function"
    ]
    return f"I can help with {listing(names)}." if names else ""

"""PURE. From the journal of a real call to a scenario that plays it again.

What the caller did comes from the journal, what is expected from what was heard. Only what a simulated model
says the same way is expected: everything where the embedded provider spoke, else what flows had quoted. The
rest stands there as a comment.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from voiceagent.engine.brain_rules import quoted
from voiceagent.engine.brain_text import sentences
from voiceagent.engine.tts.text import speakable
from voiceagent.simulate.journal_story import (
    Act,
    NoStory,
    Story,
    Voice,
    read_story,
    steps_between,
    voices_between,
)
from voiceagent.simulate.scenario import KEYS, LIMIT_S
from voiceagent.simulate.speech_time import PAUSE_MS, spoken_ms

SILENCE_S = 3.0
"""A caller who says nothing for so long, though it is their turn, is silent on purpose."""
AT_ONCE_S = 0.25
"""… and after a hold or an operator's words, what comes later than this follows from silence."""
UNUSUAL_S = 1.5
"""Differences below this are not worth a line."""
PLACEHOLDER = "0"
"""Stands for each key of a secret."""
FACTOR = 2.0
"""How much longer the simulated call may take."""
SHORT = 60
"""Characters of what was said that an expectation, or a comment, repeats."""


def scenario_of(entries: Iterable[Mapping[str, Any]], name: str) -> str:
    """Return a scenario (TOML) that plays a journal's call. Raises NoStory for one without an answer."""
    story = read_story(entries)
    if not story.offered or not story.answered:
        raise NoStory("the journal tells of no call that was answered")
    lines = [*_head(story, name), *_outside(story), *_provider(story), *_transfers(story), *_queues(story)]
    for turn in _turns(story):
        lines += ["", *turn]
    lines += ["", *_end(story)]
    return "\n".join(lines) + "\n"


# ── facts ───────────────────────────────────────────────────────────────────────────────────────
def _head(story: Story, name: str) -> Iterator[str]:
    offered = story.offered
    yield f"# From the journal of call {_one_line(str(offered.get('call_id', '')))}."
    yield f"name = {toml(name)}"
    yield f"flow = {toml(offered.get('flow', ''))}"
    for key in ("caller", "called", "trunk"):
        if offered.get(key):
            yield f"{key} = {toml(offered[key])}"
    if offered.get("direction") == "outbound":
        yield 'direction = "outbound"'
        if offered.get("metadata"):
            yield f"metadata = {toml(offered['metadata'])}"
    seconds = float(story.ended.get("duration_s") or 0.0) * FACTOR
    if seconds > LIMIT_S:
        yield f"limit_s = {math.ceil(seconds)}"


def _outside(story: Story) -> Iterator[str]:
    """Yield the results of tools and fetches, in the order in which they came."""
    given: dict[tuple[str, str], list[dict[str, Any]]] = {}
    delays = {name: ended - called for called, ended, name in story.tools}
    for entry in story.outside:
        place, _, rest = str(entry.get("key", "")).partition(":")
        name = rest.rpartition(":")[0] or rest
        answer = _answer(entry)
        if place == "tool" and delays.get(name, 0.0) >= 0.05:
            answer["delay_ms"] = round(delays[name] * 1000)
        given.setdefault(("tools" if place == "tool" else place, name), []).append(answer)
    for (table, name), answers in given.items():
        if table not in ("tools", "fetch"):
            continue
        same = all(answer == answers[0] for answer in answers)
        for answer in answers[:1] if same else answers:
            yield ""
            header = f"{table}.{_key(name)}"
            yield f"[{header}]" if same else f"[[{header}]]"
            if "unwritten" in answer:
                yield f"# The journal does not hold the result: {_one_line(answer.pop('unwritten'))}"
            yield from (f"{key} = {toml(value)}" for key, value in answer.items())


def _answer(entry: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in entry:
        error = entry["error"]
        return {"error": str(error.get("message") or error.get("type") or "failed")}
    if "value" in entry and entry["value"] is not None:
        return {"result": _as_table(entry["value"])}
    return {"unwritten": str(entry["unwritten"])} if "unwritten" in entry else {}


def _as_table(value: Any) -> Any:
    """Return the table that a text of JSON stands for, if nothing of it is lost; else the value itself."""
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    try:
        table: Any = json.loads(value)
    except ValueError:
        return value
    return table if json.dumps(table, ensure_ascii=False) == value and "null" not in value else value


def _provider(story: Story) -> Iterator[str]:
    found: dict[str, int] = {}
    pace = _pace(story.voices)
    if pace is not None:
        found["words_per_minute"] = pace
    if story.lost_at is not None:
        found["lost_at_ms"] = max(0, round((story.lost_at - story.answered) * 1000))
    if found:
        yield ""
        yield "[provider]"
        yield from (f"{key} = {value}" for key, value in found.items())


def _pace(voices: Iterable[Voice]) -> int | None:
    """Return how many words a minute the agent spoke, where enough of it was heard whole."""
    words, ms = 0, 0.0
    for voice in voices:
        if voice.kind == "completed" and voice.text:
            words += len(speakable(voice.text).split())
            ms += (voice.until - voice.t) * 1000 - PAUSE_MS * len(sentences(voice.text))
    return min(600, max(40, round(words * 60_000 / ms))) if words >= 10 and ms > 0 else None


def _transfers(story: Story) -> Iterator[str]:
    failed = next((one for one in story.transfers if not one.get("accepted")), None)
    if failed is not None:
        yield ""
        yield "[transfer]"
        yield from (f"{key} = {value}" for key, value in _transfer(failed).items())


def _transfer(ended: Mapping[str, Any]) -> dict[str, int]:
    """Return how a transfer went, as a scenario says it."""
    status = ended.get("status")
    refused = status if isinstance(status, int) and 300 <= status <= 699 else 480
    found = {"status": 200 if ended.get("accepted") else refused}
    return found | ({"after_ms": round(ended["after_s"] * 1000)} if ended.get("after_s") else {})


def _queues(story: Story) -> Iterator[str]:
    for name, queue in story.queues.items():
        yield ""
        yield f"[queues.{_key(name)}]"
        if queue.offers:
            yield f"answers = [{', '.join(toml(_transfer(one)) for one in queue.offers)}]"
        (since, before), (until, after) = queue.places[0], queue.places[-1]
        if before > 1:
            yield f"waiting = {before - 1}"
        if before > after:
            yield f"served_every_ms = {round((until - since) * 1000 / (before - after))}"


# ── turns ───────────────────────────────────────────────────────────────────────────────────────
def _turns(story: Story) -> Iterator[list[str]]:
    marks = _with_silences(story)
    first = marks[0].t if marks else math.inf
    yield ["[[turn]]", *_expected(story, -math.inf, first)]
    for index, act in enumerate(marks):
        before = marks[index - 1] if index else None
        until = marks[index + 1].t if index + 1 < len(marks) else math.inf
        yield [*_act(story, act, before), *_expected(story, act.t, until)]


def _with_silences(story: Story) -> list[Act]:
    """Return all acts, and the silences between them that made the agent speak again."""
    found: list[Act] = []
    for index in range(-1, len(story.acts)):
        act = story.acts[index] if index >= 0 else None
        following = story.acts[index + 1].t if index + 1 < len(story.acts) else math.inf
        if act is not None:
            found.append(act)
        silences = list(_silences(story, act, following))
        found += silences
        begun = story.answered if act is None else act.until
        found += _waits(story, silences[-1].until if silences else begun, following)
    return found


def _waits(story: Story, since: float, until: float) -> Iterator[Act]:
    """Yield the time in a queue in which nothing was said any more: who does not wait hangs up."""
    for left in story.waits:
        quiet_from = max((one.until for one in story.voices if one.until < left), default=since)
        quiet_from = max(since, quiet_from)
        if since < left < until and left - quiet_from >= AT_ONCE_S:
            yield Act("silence", quiet_from + 0.3, left)


def _silences(story: Story, act: Act | None, until: float) -> Iterator[Act]:
    """Yield the silences after an act (None: the call's beginning) that the agent broke itself."""
    since = story.answered if act is None else act.until
    voices = voices_between(story, -math.inf if act is None else act.t, until)
    ends = [one.until for one in voices]
    least = SILENCE_S
    if act is not None and act.kind not in ("says", "digits"):
        before = max((one.until for one in story.voices if one.t < act.t), default=since)
        pairs = zip([max(since, before), *ends], voices, strict=False)
        least = AT_ONCE_S
    else:
        pairs = zip(ends, voices[1:], strict=False)
    for quiet_from, voice in pairs:
        if voice.asked - quiet_from >= least and not _working(story, quiet_from, voice.asked):
            yield Act("silence", quiet_from + 0.3, voice.asked)


def _working(story: Story, since: float, until: float) -> bool:
    """Tell whether a tool was at work: the caller was not silent, but waited."""
    return any(called < until and ended > since for called, ended, _ in story.tools)


def _act(story: Story, act: Act, before: Act | None) -> Iterator[str]:
    yield "[[turn]]"
    since = -math.inf if before is None else before.until
    match act.kind:
        case "says":
            yield from _says(story, act)
        case "digits":
            yield from _digits(act)
        case "silence":
            yield f"silence_ms = {round((act.until - act.t) * 1000) + 500}"
            return
        case "hold":
            yield f"holds_ms = {max(1, round((act.until - act.t) * 1000))}"
        case "operator":
            wish = {"instructions": act.text}
            wish |= {name: value for name, value in act.details.items() if value and value != "idle"}
            yield f"operator = {toml(wish)}"
        case _:
            yield "hangup = true"
    yield from _moment(story, act, since)


def _says(story: Story, act: Act) -> Iterator[str]:
    lasts_ms = round((act.until - act.t) * 1000)
    if not act.text:
        yield "# The caller spoke, and nothing of it was understood."
    yield f"says = {toml(act.text)}"
    usual = spoken_ms(act.text, _pace(story.voices) or 160)
    if not act.text or abs(lasts_ms - usual) > UNUSUAL_S * 1000:
        yield f"lasts_ms = {max(0, lasts_ms)}"


def _digits(act: Act) -> Iterator[str]:
    keys = "".join(key if key in KEYS else PLACEHOLDER for key in act.text)
    hidden = sum(key not in KEYS for key in act.text)
    if hidden:
        yield f"# A secret of {hidden} keys was typed here; the journal does not hold it. Put in what fits."
    yield f"digits = {toml(keys)}"
    if len(keys) > 1:
        pace_ms = round((act.until - act.t) * 1000 / (len(keys) - 1))
        if abs(pace_ms - 250) > 50:
            yield f"pace_ms = {pace_ms}"


def _moment(story: Story, act: Act, since: float) -> Iterator[str]:
    """Yield when the act comes: into the agent's speech, or after it and how long after."""
    voice = story.audible(act.t)
    if voice is None:
        last = max((one.until for one in story.voices if one.until <= act.t + 0.1), default=act.t)
        if act.kind != "hold" and since < last and act.t - last > SILENCE_S:
            yield f"after_ms = {round((act.t - last) * 1000)}"
        return
    heard = [one for one in story.voices if since <= one.t <= voice.t]
    steps = steps_between(story, since, voice.asked + 0.001)
    if (len(heard) > 1 or voice.t < since) and steps and voice.t >= since:
        yield f"wait_for = {toml(steps if len(steps) > 1 else steps[0])}"
    yield f"barge_in_at_ms = {max(0, round((act.t - voice.t) * 1000))}"


def _expected(story: Story, since: float, until: float) -> Iterator[str]:
    expect: dict[str, Any] = {}
    steps = steps_between(story, since, until)
    if steps:
        expect["step"] = steps if len(steps) > 1 else steps[0]
    tools = [name for called, _, name in story.tools if since <= called < until]
    if tools:
        expect["tool"] = tools if len(tools) > 1 else tools[0]
    said: list[str] = []
    for voice in voices_between(story, since, until):
        text = _sure(story, voice)
        if text:
            said.append(text)
        elif voice.heard_text:
            yield f"# The agent said: {_one_line(voice.heard_text)}"
        if voice.kind == "interrupted":
            expect["outcome"] = "interrupted"
    if said:
        expect["said"] = said if len(said) > 1 else said[0]
    if expect:
        yield f"expect = {toml(expect)}"


def _sure(story: Story, voice: Voice) -> str:
    """Return what of a voice a simulated model says, too: the beginning, where it was heard whole."""
    if voice.kind != "completed":
        return ""
    if story.provider in ("", "embedded"):
        return _beginning(voice.text)
    words = quoted(voice.instructions.rpartition("\n\n")[2])
    return _beginning(words) if words and words.lower() in voice.text.lower() else ""


def _beginning(text: str) -> str:
    if len(text) <= SHORT:
        return text
    return text[:SHORT].rpartition(" ")[0] or text[:SHORT]


def _end(story: Story) -> Iterator[str]:
    yield "[expect]"
    yield f"outcome = {toml(story.ended.get('outcome', 'success'))}"
    yield f"reason = {toml(story.ended.get('reason', 'completed'))}"
    if story.steps:
        yield f"steps = {toml([name for _, name in story.steps])}"
    accepted = [one for one in story.transfers if one.get("accepted")]
    if accepted:
        yield f"transferred_to = {toml(accepted[-1].get('target', ''))}"


# ── TOML ────────────────────────────────────────────────────────────────────────────────────────
def toml(value: Any) -> str:
    """Return a plain value as TOML; what is None is left out of tables, and empty in lists."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value) if math.isfinite(value) else toml(str(value))
        case dict():
            table = cast("dict[Any, Any]", value)
            pairs = [f"{_key(name)} = {toml(one)}" for name, one in table.items() if one is not None]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
        case list() | tuple():
            return f"[{', '.join(toml(one) for one in cast('list[Any]', value))}]"
        case None:
            return '""'
        case _:
            return _string(str(value))


def _string(text: str) -> str:
    whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text in TOML
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007F")


def _key(name: object) -> str:
    text = str(name)
    bare = text and all(one.isascii() and (one.isalnum() or one in "-_") for one in text)
    return text if bare else _string(text)


def _one_line(text: str) -> str:
    line = "".join(one if one.isprintable() else " " for one in text)
    return line if len(line) <= SHORT else f"{line[: SHORT - 1].rstrip()}…"

"""What a new session is told of the conversation, and what it must hear again."""

from __future__ import annotations

from typing import Any

from voiceagent.realtime.conversation import Conversation
from voiceagent.realtime.history import History
from voiceagent.realtime.requests import ResponseRequest
from voiceagent.realtime.wishes import Wishes


def said(conversation: Conversation, item_id: str, role: str, text: str) -> None:
    kind = "output_text" if role == "assistant" else "input_text"
    raw = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
    conversation.item_seen(item_id, raw)


def spoke(conversation: Conversation, item_id: str, text: str, audio_ms: int, heard_ms: int | None) -> None:
    conversation.audio_received("r_" + item_id, item_id, 0, audio_ms * 8)
    conversation.text_done("r_" + item_id, item_id, 0, text, spoken=True)
    conversation.items[item_id].complete = True
    if heard_ms is not None:
        conversation.heard(item_id, heard_ms, cut=heard_ms < audio_ms)


def texts(history: History) -> list[str]:
    return [item["content"][0]["text"] if "content" in item else item["type"] for item in history.items()]


def test_turns_come_in_order_and_the_cut_one_is_cut() -> None:
    conversation, history = Conversation(), History()
    spoke(conversation, "a", "Hello there.", 1000, 1000)
    said(conversation, "b", "user", "hi")
    spoke(conversation, "c", "one two three four five six", 6000, 2000)
    history.fold(conversation)
    first, second, third = texts(history)
    assert (first, second) == ("Hello there.", "hi")
    assert third
    assert "one two three four five six".startswith(third)
    assert "six" not in third


def test_what_was_never_heard_or_understood_is_left_out_but_what_still_sounds_is_in() -> None:
    conversation, history = Conversation(), History()
    conversation.item_seen("u", {"type": "message", "role": "user", "content": []})
    spoke(conversation, "unheard", "Swallowed.", 1000, None)
    spoke(conversation, "sounding", "Still to be heard.", 1000, None)
    conversation.response("r_oob").out_of_band = True
    spoke(conversation, "oob", "Beside.", 1000, 1000)
    history.fold(conversation, {"sounding"})
    assert texts(history) == ["Still to be heard."]
    assert history.recut("sounding", "Still")
    assert texts(history) == ["Still"]
    assert not history.recut("unheard", "x")


def test_a_call_is_followed_by_its_output_whenever_that_comes() -> None:
    conversation, history = Conversation(), History()
    item: dict[str, Any] = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    conversation.output_item("r", "i1")
    conversation.item_seen("i1", item)
    history.called("i1", "c1", "f", "{}")
    said(conversation, "b", "user", "and?")
    history.fold(conversation)
    assert [each["type"] for each in history.items()] == ["function_call", "message"]
    history.answered("c1", "42")
    history.answered("c1", "43")
    call, output, _ = history.items()
    assert (call["call_id"], call["name"], call["arguments"]) == ("c1", "f", "{}")
    assert (output["type"], output["call_id"], output["output"]) == ("function_call_output", "c1", "42")


def test_a_message_that_nobody_acknowledged_is_not_forgotten_and_none_is_told_twice() -> None:
    conversation, history = Conversation(), History()
    history.typed("acknowledged", "system")
    history.typed("under way", "user")
    said(conversation, "x", "system", "acknowledged")
    history.fold(conversation)
    assert texts(history) == ["acknowledged", "under way"]

    again = Conversation()  # the next server gives ids of its own making
    for index, item in enumerate(list(history.items())):
        said(again, f"srv{index}", item["role"], item["content"][0]["text"])
    said(again, "new", "user", "more")
    history.fold(again)
    assert texts(history) == ["acknowledged", "under way", "more"]


def test_a_wish_has_an_id_of_its_own_on_every_link_and_a_deadline_of_its_own() -> None:
    wishes = Wishes()
    wishes.add(ResponseRequest(id="r", deadline_s=5.0, needs=frozenset({"i"})), 100.0, asked=True)
    assert wishes.asked("r") is not None
    assert not wishes.unasked()
    wishes.link_lost()
    assert wishes.asked("r") is None
    (wish,) = wishes.unasked()
    again = wishes.ask_again(wish, 102.0)
    assert again is not None
    assert (again.id, again.deadline_s, again.needs) == ("r~2", 3.0, frozenset())
    assert wishes.id_of("r~2") == "r"
    wishes.link_lost()
    assert wishes.ask_again(wish, 106.0) is None
    wishes.drop("r")
    assert not wishes

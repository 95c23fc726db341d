"""The brain without a model: what it says to which instructions, and when it calls a tool."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from voiceagent.engine.brain_results import result_sentence
from voiceagent.engine.brain_rules import (
    GOODBYE,
    GREETING,
    NOT_HEARD,
    SORRY,
    WHO_I_AM,
    decide,
)
from voiceagent.engine.brain_text import digits_in, sentences
from voiceagent.engine.ports import BrainTurn, CallTool, Say

STANDING = "You are the voice of Hill Street Surgery. Be brief."


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": text}]}


def agent(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": text}]}


def result(output: Any) -> dict[str, Any]:
    text = output if isinstance(output, str) else json.dumps(output)
    return {"type": "function_call_output", "call_id": "c", "output": text}


def tool(
    name: str, description: str = "", required: Sequence[str] | None = None, **properties: Any
) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(required or properties)}
    return {"type": "function", "name": name, "description": description, "parameters": schema}


def think(
    line: str | None,
    *items: dict[str, Any],
    tools: Sequence[dict[str, Any]] = (),
    choice: Any = "auto",
    standing: str = STANDING,
) -> Say | CallTool:
    (step,) = decide(BrainTurn(standing, line, items, tools, choice))
    return step


def said(line: str | None, *items: dict[str, Any], **more: Any) -> str:
    step = think(line, *items, **more)
    assert isinstance(step, Say)
    return step.text


@pytest.mark.parametrize(
    ("line", "speech"),
    [
        ('Say "Hello there."', "Hello there."),
        ("Greet with “Good morning!” and then “How are you?”", "Good morning! How are you?"),
        ("Tell the caller: your order ships today", "Your order ships today."),
        ("Tell the caller that the shop is closed.", "The shop is closed."),
        ("Say: one moment please", "One moment please."),
        ("Please say exactly: It is 5 p.m.", "It is 5 p.m."),
        ("Read out the following: A. B.", "A. B."),
        ("Greet the caller in one sentence.", GREETING),
        ("Say goodbye.", GOODBYE),
        ("Apologise briefly.", SORRY),
        ("Apologize and ask the caller for the order number.", SORRY),
        ("Ask for the six digit order number.", "Please tell me the six digit order number."),
        ("Ask the caller for their date of birth.", "Please tell me your date of birth."),
        ("Ask the caller to hold the line.", "Please hold the line."),
        ("Ask whether they want a receipt.", "May I ask: do you want a receipt?"),
        ("Ask the caller whether the caller is at home.", "May I ask: are you at home?"),
        ("Ask what the caller needs.", "Could you tell me what you need?"),
        ("Offer hours, an order, or a person.", "You can say hours, an order, or a person."),
        ("Greet the caller. Offer billing or support.", f"{GREETING} You can say billing or support."),
    ],
)
def test_guidance_becomes_speech(line: str, speech: str) -> None:
    assert said(line) == speech
    assert said(f"{STANDING}\n\n{line}") == speech, "appended to the standing instructions"


def test_what_cannot_be_followed_is_said_openly() -> None:
    speech = said("Explain our refund policy in two sentences.")
    assert speech.startswith(WHO_I_AM)
    assert "refund policy" in speech


def test_repeat() -> None:
    assert said("Repeat the date, briefly.", agent("It is Monday."), user("what")) == "It is Monday."
    assert said("Repeat that.") == NOT_HEARD


def test_a_bare_response_answers_the_newest_item() -> None:
    assert said(None, standing="Be kind.") == GREETING
    assert said(None, standing='Open with "Hill Street, hello."') == "Hill Street, hello."
    assert said(None, agent("Hello."), user("")) == NOT_HEARD
    assert said(None, user("opening hours")) == f"I heard: Opening hours. {WHO_I_AM}"
    assert said(None, user("goodbye")) == GOODBYE
    assert said(None, agent("It is Monday."), user("repeat that")) == "It is Monday."
    assert said(STANDING, user("goodbye")) == GOODBYE, "the standing prompt alone is a bare response"


def test_results_are_read_out() -> None:
    assert said(None, user("x"), result({"status": "shipped", "arrives_on": "Friday"})) == (
        "The status is shipped and arrives on is Friday."
    )


@pytest.mark.parametrize(
    ("output", "speech"),
    [
        ("done", "Done."),
        ("", "That is done."),
        ("{}", "That is done."),
        ("null", "That is done."),
        ('{"message": "All set"}', "All set."),
        ('{"error": "no such order"}', "Sorry, that did not work: no such order."),
        ('{"error": {"code": "timeout", "message": "x"}}', "Sorry, that takes too long just now."),
        (
            '{"error": {"code": "invalid_arguments", "message": "p0: Field required"}}',
            "Sorry, I did not get all the details. Could you tell me again?",
        ),
        ('{"error": {"code": "sold_out", "message": "none left"}}', "Sorry, that did not work: none left."),
        ('["a", "b", "c"]', "A, b, and c."),
        ("[]", "Nothing was found."),
        ("42", "42."),
        ("true", "Yes."),
        ('{"open": false}', "The open is no."),
    ],
)
def test_result_sentences(output: str, speech: str) -> None:
    assert result_sentence(output) == speech


STATUS = tool(
    "get_order_status", "Look up an order", order_number={"type": "string", "pattern": "^[0-9]{6}$"}
)
ROUTE = tool("route_call", department={"type": "string", "enum": ["billing", "support", "opening_hours"]})
BOOK = tool("book_table", people={"type": "integer"}, outside={"type": "boolean"}, required=["people"])


@pytest.mark.parametrize(
    ("heard", "tools", "call"),
    [
        ("billing please", [ROUTE], CallTool("route_call", {"department": "billing"})),
        (
            "what are your opening hours",
            [STATUS, ROUTE],
            CallTool("route_call", {"department": "opening_hours"}),
        ),
        ("order status 123456", [STATUS, ROUTE], CallTool("get_order_status", {"order_number": "123456"})),
        (
            "check order status one two three four five six",
            [STATUS],
            CallTool("get_order_status", {"order_number": "123456"}),
        ),
        ("book a table for four outside yes", [BOOK], CallTool("book_table", {"people": 4, "outside": True})),
        ("billing please", [tool("route_billing"), tool("get_hours")], CallTool("route_billing", {})),
        ("what are your hours", [tool("route_billing"), tool("get_hours")], CallTool("get_hours", {})),
        ("can you transfer me", [tool("transfer_call")], CallTool("transfer_call", {})),
        ("book a table for 12", [BOOK], CallTool("book_table", {"people": 12})),
    ],
)
def test_heard_words_call_tools(heard: str, tools: list[dict[str, Any]], call: CallTool) -> None:
    assert think(None, user(heard), tools=tools) == call


@pytest.mark.parametrize("heard", ["hello", "what is the weather", "please", "I said route"])
def test_other_words_call_nothing(heard: str) -> None:
    assert isinstance(think(None, user(heard), tools=[ROUTE, STATUS, tool("route_billing")]), Say)


def test_missing_arguments_are_asked_for() -> None:
    assert said(None, user("order status please"), tools=[STATUS]) == "Please tell me the order number."
    assert said(None, user("order status 12"), tools=[STATUS]) == "Please tell me the order number."


def test_tool_choice() -> None:
    heard = user("hello")
    assert isinstance(think(None, user("billing"), tools=[ROUTE], choice="none"), Say)
    assert said(None, heard, tools=[ROUTE]) == GREETING
    plain = tool("hang_up")
    assert think(None, heard, tools=[plain], choice="required") == CallTool("hang_up", {})
    named = {"type": "function", "name": "hang_up"}
    assert think(None, heard, tools=[ROUTE, plain], choice=named) == CallTool("hang_up", {})
    assert think('Say "Hi."', heard, tools=[plain], choice=named) == CallTool("hang_up", {})


def test_instructions_call_tools_unless_they_quote() -> None:
    call = CallTool("get_order_status", {"order_number": "654321"})
    assert think("Get the order status of 654321.", tools=[STATUS]) == call
    assert said('Say "Your order status is fine."', tools=[STATUS]) == "Your order status is fine."


def test_no_second_call_right_after_a_result() -> None:
    items = [user("billing"), result({"message": "Connected"})]
    assert said(None, *items, tools=[ROUTE]) == "Connected."


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("one two three", ["123"]),
        ("my number is 12 34 56", ["123456"]),
        ("double five oh six", ["5506"]),
        ("that one please", []),
        ("one", ["1"]),
        ("oh no", []),
        ("order 77 and table 3", ["77", "3"]),
        ("12-34", ["1234"]),
        ("", []),
    ],
)
def test_digits(text: str, digits: list[str]) -> None:
    assert digits_in(text) == digits


def test_sentences() -> None:
    text = 'Hello, Dr. No. It is 5 p.m. now! Is it No. 5? "Yes." Good… Fine'
    assert sentences(text) == [  # one list member each
        "Hello, Dr. No.",
        "It is 5 p.m. now!",
        "Is it No. 5?",
        '"Yes."',
        "Good…",
        "Fine",
    ]

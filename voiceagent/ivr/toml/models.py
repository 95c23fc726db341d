"""PURE. What may stand in a flow written as TOML: one model per table, unknown keys refused, nothing coerced.

The descriptions are what editors show (``voiceagent flow schema``) and what docs/flows.md lists.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from voiceagent.errors import ConfigError
from voiceagent.ivr.answers import KEYS
from voiceagent.ivr.languages import ENGLISH, language_of
from voiceagent.ivr.options import (
    IDLE_CHARS,
    IDLE_LINES,
    IDLE_S,
    MAX_OUTPUT_TOKENS,
    NAME_CHARS,
    SILENCE_MS,
    SPEED,
)

MOST_STEPS = 1000
MOST_TEXT = 4000
"""Characters of one text."""

RECORD_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Of queues and of recordings."""
STEP_NAME = r"^[A-Za-z0-9_-]{1,64}$"

Text = Annotated[str, StringConstraints(min_length=1, max_length=MOST_TEXT)]
StepName = Annotated[str, StringConstraints(pattern=STEP_NAME)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
OptionName = VariableName
Key = Annotated[str, StringConstraints(pattern=rf"^[{KEYS}]$")]
Seconds = Annotated[float, Field(gt=0, le=600)]
Attempts = Annotated[int, Field(ge=1, le=20)]
Lines = Text | Annotated[list[Text], Field(min_length=1, max_length=10)]
Scalar = str | int | float | bool
Pairs = dict[
    Annotated[str, StringConstraints(min_length=1, max_length=64)], Annotated[str, Field(max_length=512)]
]
OptionalName = Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARS)] | None
IdleLine = Annotated[str, StringConstraints(min_length=1, max_length=IDLE_CHARS)]


def _language(tag: str) -> str:
    try:
        language_of(tag)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("language: ")) from None
    return tag


class Table(BaseModel):
    """A table of the file: frozen, strict, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class FlowTable(Table):
    """``[flow]``: what the ``@flow`` decorator takes."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        description="Name of the flow, as scenarios and routes write it."
    )
    numbers: list[str] = Field(
        default_factory=list,
        description="Called numbers that it answers; `*` answers what no other flow does.",
    )
    instructions: Annotated[str, Field(max_length=16_000)] = Field(
        default="", description="The standing prompt: who the voice is, and how it speaks."
    )
    voice: OptionalName = Field(
        default=None, description="Voice of the model; default: that of the settings."
    )
    language: Annotated[str, AfterValidator(_language)] = Field(
        default=ENGLISH.tag, description="What is spoken, as a tag: `en`, `de`, `de-AT`, `fr`, `es`."
    )
    model: OptionalName = Field(
        default=None, description="The provider's model; default: that of the settings."
    )
    speed: Annotated[float, Field(ge=SPEED[0], le=SPEED[1])] | None = Field(
        default=None, description="Of the voice; 1 is its ordinary one."
    )
    silence_ms: Annotated[int, Field(ge=SILENCE_MS[0], le=SILENCE_MS[1])] | None = Field(
        default=None, description="Silence that ends the caller's turn."
    )
    max_output_tokens: Annotated[int, Field(ge=MAX_OUTPUT_TOKENS[0], le=MAX_OUTPUT_TOKENS[1])] | None = Field(
        default=None, description="The most that one response may take."
    )
    idle: IdleLine | Annotated[list[IdleLine], Field(max_length=IDLE_LINES)] = Field(
        default_factory=list, description="What is said to a caller who is silent, stage by stage."
    )
    idle_s: Annotated[float, Field(gt=0, le=IDLE_S)] | None = Field(
        default=None, description="Silence before each of them; default: `call.no_input_s`."
    )
    resume: bool = Field(
        default=True, description="Whether a line that a cough has cut is spoken on from there."
    )
    fallback: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = Field(
        default=None, description="What is said when the flow fails; default: `call.fallback_sentence`."
    )
    fallback_target: str | None = Field(
        default=None, description="Whom the caller is handed to then; default: `call.fallback_target`."
    )
    start: StepName | None = Field(
        default=None, description="The first step; default: the first in the file."
    )


class Speaking(Table):
    """What steps that speak share."""

    metadata: Pairs = Field(
        default_factory=dict, description="Pairs of text that go out with the response, for your own records."
    )


class Respond(Speaking):
    """The model speaks."""

    type: Literal["respond"]
    guide: Text | None = Field(default=None, description="What to say, in words of the model. This or `say`.")
    say: Text | None = Field(default=None, description="What to say, word for word. This or `guide`.")
    interruptible: bool = Field(default=True, description="Whether the caller may talk over it.")
    replace: bool = Field(
        default=False, description="The guide stands in place of the standing prompt, this once."
    )
    next: StepName = Field(description="The step that follows.")
    otherwise: StepName | None = Field(
        default=None, description="The step when it could not be said; default: that in `next`."
    )


class Choice(Table):
    """One way to answer a `choose`."""

    key: Key | None = Field(default=None, description="The key that means it: 0-9, `*`, `#`.")
    phrases: Annotated[list[Text], Field(max_length=50)] = Field(
        default_factory=list, description="Words that mean it, besides the option's own name."
    )
    next: StepName = Field(description="The step that follows when the caller chooses it.")


class Question(Speaking):
    """What steps that ask share."""

    prompt: Text = Field(description="What to ask, in words of the model.")
    attempts: Attempts = Field(default=3, description="How often it is asked.")
    no_input: Lines | None = Field(
        default=None, description="What is said after silence: one text, or one per attempt."
    )
    no_match: Lines | None = Field(
        default=None, description="What is said when no answer was understood: one text, or one per attempt."
    )
    no_input_s: Seconds | None = Field(
        default=None, description="Silence after the question; default: `call.no_input_s`."
    )
    otherwise: StepName | None = Field(
        default=None, description="The step when no answer came after all attempts. Needed."
    )


class Choose(Question):
    """The caller chooses, by words or by key."""

    type: Literal["choose"]
    options: Annotated[dict[OptionName, Choice], Field(min_length=1, max_length=16)] = Field(
        description='What may be chosen, by name: `options.hours = { key = "1", next = "hours" }`.'
    )
    interruptible: bool = Field(
        default=True, description="Whether an answer may come before the prompt ends."
    )
    into: VariableName | None = Field(default=None, description="Name that keeps which option was chosen.")


class DigitsTable(Table):
    """How many digits, and what ends them."""

    least: Annotated[int, Field(ge=1, le=32)] = Field(description="Fewest digits.")
    most: Annotated[int, Field(ge=1, le=32)] | None = Field(
        default=None, description="Most digits; default: as many as `least`."
    )
    end: Key | Literal[""] = Field(default="#", description="The key that ends them early; empty: none.")
    pause_s: Annotated[float, Field(ge=0.2, le=60)] = Field(
        default=4.0, description="Longest gap between two keys."
    )


class Collect(Question):
    """The caller gives one value, typed or spoken."""

    type: Literal["collect"]
    digits: DigitsTable | None = Field(
        default=None, description='How many digits: `{ least = 6, end = "#" }`. Without it, words answer.'
    )
    kind: Literal["str", "int", "decimal", "date", "bool"] = Field(
        default="str", alias="as", description="What the value must be."
    )
    confirm: bool | Literal["always"] = Field(
        default=False,
        description='Whether what was spoken is read back first; `"always"`: typed digits, too.',
    )
    secret: bool = Field(
        default=False,
        description="Only keys answer, and only a called function gets the value: neither model nor records.",
    )
    speech: bool = Field(default=True, description="Whether speech may answer; `false`: keys only.")
    invalid: Lines | None = Field(
        default=None,
        description="What is said when the answer is no such value: one text, or one per attempt.",
    )
    into: VariableName = Field(description="Name that keeps the answer.")
    next: StepName = Field(description="The step that follows an answer.")


class Work(Table):
    """Something is looked up or done: by a Python function, or by an HTTP endpoint."""

    type: Literal["call"]
    function: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = Field(
        default=None,
        description="`module:function`, an `async def`, of a file beside this one, else of a module that can "
        "be imported. This or `url`.",
    )
    url: Text | None = Field(
        default=None, description="An endpoint that is sent the arguments as JSON. This or `function`."
    )
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="POST", description="Of the endpoint; `GET` and `DELETE` send the arguments in the query."
    )
    headers: Pairs = Field(
        default_factory=dict,
        description="Headers for the endpoint; `env:NAME` is an environment variable, never shown.",
    )
    arguments: dict[Annotated[str, Field(min_length=1, max_length=64)], Scalar] = Field(
        default_factory=dict, description="Arguments by name; `{name}` is what was collected."
    )
    result: Annotated[str, StringConstraints(pattern=r"^[\w-]+(\.[\w-]+)*$")] | None = Field(
        default=None, description="Which part of the result counts, as a path: `status.text`."
    )
    into: VariableName | None = Field(default=None, description="Name that keeps the result.")
    timeout_s: Annotated[float, Field(gt=0, le=120)] = Field(default=5.0, description="How long it may take.")
    working: Text | None = Field(
        default=None, description="What the caller hears, word for word, when it takes longer."
    )
    cases: Annotated[dict[str, StepName], Field(max_length=50)] = Field(
        default_factory=dict, description='Steps by the text of the result: `{ overdue = "desk" }`.'
    )
    next: StepName = Field(description="The step that follows, where no case fits.")
    otherwise: StepName | None = Field(
        default=None, description="The step when it failed or took too long. Needed."
    )


class Transfer(Table):
    """The caller is handed to somebody else."""

    type: Literal["transfer"]
    target: Text = Field(
        description="A `sip:` or `tel:` URI, or a number; `call.transfer_targets` must allow it."
    )
    announce: Text | None = Field(default=None, description="What the caller hears first, word for word.")
    attended: bool = Field(
        default=False, description="Whether the target is called first, while music plays."
    )
    whisper: Text | None = Field(
        default=None, description="Attended: what the target hears first, word for word."
    )
    timeout_s: Seconds | None = Field(
        default=None, description="How long it may take; default: `call.transfer_timeout_s`."
    )
    otherwise: StepName | None = Field(default=None, description="The step when it failed. Needed.")


class Queue(Table):
    """The caller waits for a person, with music."""

    type: Literal["queue"]
    name: Annotated[str, StringConstraints(pattern=RECORD_NAME)] = Field(
        description="Name of a queue in the settings (`[[queues]]`)."
    )
    announce: bool = Field(default=True, description="Whether the caller is told the position now and then.")
    whisper: Text | None = Field(
        default=None, description="What the person who answers hears first, word for word."
    )
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] | None = Field(
        default=None, description="The longest wait; default, and the most: the queue's `wait_limit_s`."
    )
    leave: Key = Field(default="*", description="The key with which the caller leaves it.")
    left: StepName | None = Field(
        default=None, description="The step when the caller has pressed it; default: that in `otherwise`."
    )
    otherwise: StepName | None = Field(
        default=None,
        description="The step when nobody has answered: full, closed, or too long. Needed.",
    )


class Play(Table):
    """A recorded file is played."""

    type: Literal["play"]
    file: Text = Field(description="A WAV file; its path begins in the folder of this file.")
    text: Text | None = Field(
        default=None,
        description="What it says, word for word: for the model, and for calls where no file can be played.",
    )
    interruptible: bool = Field(default=True, description="Whether the caller may stop it.")
    next: StepName = Field(description="The step that follows.")
    otherwise: StepName | None = Field(
        default=None, description="The step when it could not be played; default: the flow fails."
    )


class Note(Table):
    """The model is told something; nothing is spoken."""

    type: Literal["note"]
    text: Text = Field(description="What the model is to know.")
    next: StepName = Field(description="The step that follows.")


class Record(Table):
    """The call is recorded, from here on."""

    type: Literal["record"]
    action: Literal["start", "pause", "resume", "stop"] = Field(
        default="start", description="`pause`: silence stands in the recording until `resume`."
    )
    name: Annotated[str, StringConstraints(pattern=RECORD_NAME)] | None = Field(
        default=None, description="Becomes part of the name of the file; each only once in a call."
    )
    announce: Text | None = Field(
        default=None, description="What the caller hears first, word for word; must be heard to its end."
    )
    next: StepName = Field(description="The step that follows.")
    otherwise: StepName | None = Field(
        default=None, description="The step when nothing is recorded; default: that in `next`."
    )


class Hangup(Table):
    """The call ends."""

    type: Literal["hangup"]
    say: Text | None = Field(default=None, description="The goodbye, word for word.")


AnyStep = Respond | Choose | Collect | Work | Transfer | Queue | Play | Note | Record | Hangup
Step = Annotated[AnyStep, Field(discriminator="type")]
STEP_TYPES: dict[str, type[Table]] = {
    "respond": Respond,
    "choose": Choose,
    "collect": Collect,
    "call": Work,
    "transfer": Transfer,
    "queue": Queue,
    "play": Play,
    "note": Note,
    "record": Record,
    "hangup": Hangup,
}


class FlowDocument(Table):
    """The whole file."""

    flow: FlowTable = Field(description="What the flow is called, whom it answers, and how it speaks.")
    steps: Annotated[dict[StepName, Step], Field(min_length=1, max_length=MOST_STEPS)] = Field(
        description="The steps by name: `[steps.greet]`."
    )

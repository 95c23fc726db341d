"""What flows need of the call that runs them. The call handler fulfils it; the simulator will, too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

from voiceagent.claims import CallerClaims
from voiceagent.ivr.caller_text import CallerText
from voiceagent.ivr.tool_run import ToolRun
from voiceagent.realtime.requests import BargePolicy, InterruptedBy, Origin, Outcome, When

NO_CLAIMS = CallerClaims()
HIDDEN = "•"
"""Stands for a key that was pressed in secret."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Who calls whom; claims of the caller's side, kept as data."""

    call_id: str
    caller: str
    called: str
    caller_name: str = ""
    headers: Sequence[tuple[str, str]] = ()
    direction: Literal["inbound", "outbound"] = "inbound"
    dialled: str = ""
    """Outbound: the URI that we called."""
    claims: CallerClaims = NO_CLAIMS
    """What the headers say about the caller."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """Outbound: what whoever asked for the call gave with it."""


@dataclass(frozen=True, slots=True)
class Answering:
    """A hint who has answered a call of ours; it may be wrong."""

    kind: Literal["person", "machine", "unknown"] = "unknown"
    greeting_ms: int = 0
    """How long the first utterance is, or is so far."""
    beep_at_ms: int | None = None
    """End of the last beep, counted from the answer."""
    decided: bool = False
    """False while it listens on; a beep may still come after True."""


@dataclass(frozen=True, slots=True)
class CallerSpoke:
    """The caller has begun to speak."""


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """One turn of the caller as text; empty when nothing could be understood."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", CallerText(self.text))


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """One key: 0-9, ``*``, ``#``, A-D."""

    digit: str
    secret: bool = False
    """Pressed while nobody but the flow may know it: write :data:`HIDDEN` wherever it would be shown."""

    def __repr__(self) -> str:
        return f"DigitPressed({HIDDEN if self.secret else self.digit!r})"


@dataclass(frozen=True, slots=True)
class CallerStopped:
    """The caller has stopped speaking; what was said follows as :class:`CallerSaid`."""


CallerInput = CallerSpoke | CallerStopped | CallerSaid | DigitPressed


@dataclass(frozen=True, slots=True)
class TransferOutcome:
    """Final word on a transfer."""

    accepted: bool
    status: int | None = None
    reason: str = ""
    """What somebody's SIP says: text of the caller's side, which quotes itself."""
    steps: tuple[tuple[int, str], ...] = ()
    """Every status and reason on the way: of the consultation, and what the caller's side reported."""


ToolFunction = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Which run of a tool this is. A parameter of a tool with this type gets it."""

    call_id: str
    tool_call_id: str
    """The provider's name of this one call of the tool."""
    step: str = ""
    """The flow's step, as it has named it."""

    @property
    def idempotency_key(self) -> str:
        """The same whenever this one tool call is made again, by whomever: for systems that must act once."""
        return f"{self.call_id}:{self.tool_call_id}"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call while one response is made.

    ``parameters`` is a JSON Schema object; ``function`` gets the arguments by name and returns text or
    anything that JSON can hold. Made by :func:`voiceagent.ivr.tool`.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    function: ToolFunction
    timeout_s: float = 8.0
    read: Callable[[str], Mapping[str, Any]] | None = None
    """From the model's JSON to values by parameter; None: names are checked, types are not."""
    takes_call: str = ""
    """The parameter that gets the running call."""
    takes_context: str = ""
    """The parameter that gets the :class:`ToolContext`."""
    call: Any = None
    """The running call, once a line was made with this tool."""
    working: str = ""
    """Said while it runs longer than ``working_after_s``."""
    working_after_s: float = 3.0
    silent: bool = False
    """Nothing is said about its result: the flow goes on instead."""
    steps: tuple[str, ...] = ()
    """Steps of the flow in which the model may call it; empty means all."""

    def allowed_in(self, step: str) -> bool:
        """Return whether the model may call it in this step of the flow."""
        return not self.steps or step in self.steps

    def of_call(self, call: object) -> Tool:
        """Return the tool of one running call."""
        return replace(self, call=call) if self.takes_call else self

    def declaration(self) -> dict[str, Any]:
        """Return the tool as the Realtime wire wants it."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to say, on its way to the sequencer."""

    instructions: str
    """Empty: the model answers what was said last, by its standing prompt."""
    origin: Origin = Origin.IVR
    replace: bool = False
    """False: the standing prompt stays in force and the line is added to it."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    interruptible: bool = True
    when: When = When.IDLE
    deadline_s: float | None = None
    """A flow waits for its line, so the line does not grow stale while the caller talks or is on hold. It
    still ends in every case: the sequencer gives up on speech without an end, and a lost link ends it."""
    question: bool = False
    """The line is the prompt of a question, which judges by itself what a key means."""
    barge_policy: BargePolicy = BargePolicy.DROP
    tools: Sequence[Tool] = ()
    ran: Callable[[ToolRun], None] | None = field(default=None, compare=False)
    """Told of each tool call that the line brings about: when it begins, and how it has ended."""
    step: str = ""
    """The flow's step, as it has named it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of the call; the file's digest stands in the journal (``recording.finished``)."""

    name: str
    file: str
    """Its name in the folder of the recordings."""
    seconds: float = 0.0
    """Its length, once it has ended."""


@dataclass(frozen=True, slots=True)
class QueueOutcome:
    """How waiting in a queue ended; a caller who got through never sees it."""

    reason: str
    """full, timed_out, left (the caller pressed the key), or closed (the node takes no more)."""
    position: int
    """The last one, from 1; 0: the caller never was in it."""
    waited_s: float


class RecorderPort(Protocol):
    """Records the call, one file at a time."""

    @property
    def announcement(self) -> str:
        """What the node says before recordings whose flow says nothing: words, or a WAV file's path."""
        ...

    def check(self, name: str | None) -> str:
        """Return the name that :meth:`start` will take. Raises RequestRefused where it will refuse."""
        ...

    def start(self, name: str | None = None) -> Recording:
        """Begin. Raises RequestRefused for a bad or used name, and where it cannot be done."""
        ...

    def gate(self, by: str, shut: bool) -> None:
        """Keep what is heard out of every recording while ``shut``; ``by`` says for whom."""
        ...

    def stop(self, reason: str = "flow") -> Recording | None:
        """End the recording; None where nothing is recorded."""
        ...


class CallPort(Protocol):
    """The running call, as its flow sees it.

    Once the call is over, whatever would reach the caller (or somebody else on the caller's behalf), or wait
    for the caller, raises :class:`~voiceagent.errors.CallEnded`; a flow that waits is cancelled instead. What
    only concerns the flow's own affairs (``outside``, ``note_fact``, ``step``, the end of a recording) may
    still be done in its ``finally`` blocks.
    """

    @property
    def facts(self) -> CallFacts: ...

    async def speak(self, line: Line, audible: Callable[[], None] | None = None) -> Outcome:
        """Have the model say ``line`` and return how that ended, tool calls included.

        ``audible`` is called when the caller begins to hear it. Cancelling withdraws the line.
        """
        ...

    @property
    def can_play(self) -> bool:
        """True where files can be played."""
        ...

    async def play(
        self, path: Path, *, text: str, interruptible: bool, from_ms: int = 0
    ) -> tuple[int, int, InterruptedBy | None]:
        """Play a WAV file in its turn, from a position on.

        Returns the milliseconds that were heard, how many the whole file has, and who cut it, if somebody
        did. Raises RequestRefused for a file that cannot be played, and where none can (``not_supported``).
        """
        ...

    def silent_since(self) -> float | None:
        """Loop time since when the caller could answer; None while the agent speaks, or during a hold."""
        ...

    def drop_prompt(self) -> None:
        """End the prompts that may be dropped, heard or not: the last key has answered them."""
        ...

    def spare_key(self, digit: str, within_s: float) -> None:
        """Let this key, if it comes once more within the time, end nothing: it belongs to the last answer."""
        ...

    async def next_input(self, timeout_s: float | None) -> CallerInput | None:
        """Return the caller's next input in order of arrival, or None after ``timeout_s``."""
        ...

    def unread(self, item: CallerInput) -> None:
        """Put an input back, as the next one to be read."""
        ...

    @property
    def transcribes(self) -> bool:
        """True where the caller's words arrive as :class:`CallerSaid`."""
        ...

    def unread_inputs(self) -> Sequence[tuple[float, CallerInput]]:
        """Return the inputs that nobody has read, with the loop time of their arrival; they stay unread."""
        ...

    async def input_came(self, timeout_s: float) -> bool:
        """Wait for another input without reading it; False when none came in time."""
        ...

    def drop_input(self, items: Iterable[CallerInput]) -> None:
        """Drop these inputs (these very objects) unread."""
        ...

    def forget_input(self, older_than_s: float = 0.0) -> None:
        """Drop what the caller did longer than ``older_than_s`` ago and nobody asked for."""
        ...

    def secret(self) -> AbstractContextManager[None]:
        """While it is open, keys are shown to the flow only, and nobody hears the caller.

        May be entered again within itself. RequestRefused where others hear the caller's keys before us.
        """
        ...

    async def expect(self, hint: str | None) -> None:
        """Tell the recogniser what the next question expects (a line of plain words), or nothing."""
        ...

    async def outside(self, key: str, work: Callable[[], Awaitable[Any]], *, kind: Any = None) -> Any:
        """Run ``work``, which is not of this call's doing (a function of the flow's author, an HTTP request).

        The journal keeps its result under ``key``, so that a replay needs nothing but the journal; ``kind``
        is the type that a result from a journal has to have again.
        """
        ...

    def working(self, text: str, after_s: float) -> AbstractAsyncContextManager[None]:
        """Say ``text`` while the block lasts longer than ``after_s``, whenever nobody speaks."""
        ...

    def note_fact(self, kind: str, error: BaseException | None = None, **facts: Any) -> None:
        """Write an entry of the journal; of an error, what it was and where in the flow's own files."""
        ...

    async def note(self, text: str) -> None:
        """Add context to the conversation without a reply."""
        ...

    def answering(self) -> Answering:
        """Who has answered, as far as is known; asking for the first time begins to listen."""
        ...

    async def answering_changed(self, timeout_s: float) -> bool:
        """Wait for news about who has answered; False when none came in time."""
        ...

    def step(self, name: str, place: str = "") -> None:
        """Tell console and journal where the flow is; ``place`` is that in its file (``file.py:line``)."""
        ...

    async def goodbye(self, line: Line) -> bool:
        """Have the last line said until it was heard whole; False where that could not be had in time."""
        ...

    async def hang_up(self, reason: str) -> NoReturn:
        """End the call after what is being said has been heard; its end cancels the flow here."""
        ...

    async def transfer(
        self, target: str, timeout_s: float, *, attended: bool = False, whisper: Line | None = None
    ) -> TransferOutcome:
        """Hand the caller to ``target``; refused unless the configuration allows it.

        ``attended``: call it first, while the caller hears music; ``whisper`` is said to it.
        """
        ...

    async def queue(
        self,
        name: str,
        say: Callable[[int], Line] | None,
        *,
        timeout_s: float | None,
        whisper: Line | None,
        leave: str,
    ) -> QueueOutcome:
        """Let the caller wait in a queue of the node; ``say`` gives the line that tells a position.

        RequestRefused where there is no such queue, or the call cannot be handed over.
        """
        ...

    @property
    def recorder(self) -> RecorderPort:
        """Records the call."""
        ...

    @property
    def held(self) -> bool:
        """True while the caller's side has put us on hold."""
        ...

    async def hold(self) -> bool:
        """Put the caller on hold with music; False where its side did not agree."""
        ...

    async def resume(self) -> bool:
        """Take the caller back."""
        ...

    async def until_back(self) -> None:
        """Wait until neither side holds the other."""
        ...

    async def send_digits(self, digits: str) -> None:
        """Send keys, and return when they are sent. RequestRefused where the call cannot."""
        ...

"""Calls composed at random: a flow of any verbs, a world that does anything at any time, from one seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.kit.voices import Played, play_call
from voiceagent.errors import CallEnded, FetchFailed, RequestRefused
from voiceagent.ivr import Call, Digits, Flow, flow, goal, tool
from voiceagent.simulate.scenario import Operator, Provider, Scenario, Transfer
from voiceagent.simulate.sim_call import SimCall

TEXT = (
    "Our opening hours are from nine to five on weekdays and from ten to two on Saturdays, "
    "and we are closed on Sundays."
)
SAID = ("mhm", "", "okay", "hours please", "yes", "no", "one two", "stop that and listen to me", "Tuesday")
TARGET = "sip:desk@example.com"
LIMIT_S = 600.0
"""No call of these lasts longer, whatever happens in it."""

Verb = Callable[[Call], Awaitable[Any]]


class RandomFlow:
    """A flow of one to five verbs, some of them at once or cut off by a time of the flow's own."""

    def __init__(self, dice: random.Random, wav: Path, *, fails: bool) -> None:
        self.dice = dice
        self.attempts: dict[str, int] = {}
        """Of each question, by the ``q`` of its metadata: how often it may be asked."""
        self.ended = False
        """Its ``finally`` has run."""
        self._wav = wav
        self._delays = [dice.choice((0.0, 0.2, 2.0, 6.0, 12.0)) for _ in range(60)]
        self._verbs = [self._verb() for _ in range(dice.randint(1, 5))]
        self._at_once = dice.random() < 0.2 and len(self._verbs) > 1
        self._cut_s = dice.choice((None, None, None, 0.3, 1.5, 4.0))
        self._fails = fails
        self.flow: Flow = flow("anything")(self._run)

    async def _run(self, call: Call) -> None:
        try:
            for number, verb in enumerate(self._verbs):
                if self._at_once and number == 1:
                    continue  # that was done beside the first one
                try:
                    await self._do(call, number, verb)
                except (RequestRefused, TimeoutError, FetchFailed):
                    continue
            if self._fails:
                raise LookupError("nothing there")
            await call.hangup(self.dice.choice((None, "Goodbye and thank you.")))
        finally:
            self.ended = True

    async def _do(self, call: Call, number: int, verb: Verb) -> None:
        if self._at_once and number == 0:
            await asyncio.gather(verb(call), self._verbs[1](call), return_exceptions=True)
        elif self._cut_s is not None and number % 2:
            async with asyncio.timeout(self._cut_s):
                await verb(call)
        else:
            await verb(call)

    def _verb(self) -> Verb:
        families = (self._speaking, self._asking, self._asking, self._working, self._leaving)
        return self.dice.choice(self.dice.choice(families)())

    def _speaking(self) -> list[Verb]:
        stop, after = self.dice.random() < 0.7, self.dice.random() < 0.3
        resume = self.dice.choice((None, False))
        return [
            lambda call: call.say(TEXT, interruptible=stop, resume=resume),
            lambda call: call.respond(f'Say "{TEXT}"', after_playback=after),
            lambda call: call.play(self._wav, text=TEXT, interruptible=stop),
        ]

    def _asking(self) -> list[Verb]:
        often, sure = self.dice.choice((1, 2, 3)), self.dice.choice((False, True, "always"))
        asked: dict[str, Any] = {"attempts": often, "no_input_s": self.dice.choice((1, 3))}
        name = f"q{len(self.attempts)}"
        self.attempts[name] = often
        asked["metadata"] = {"q": name}

        async def private(call: Call) -> None:
            with call.private():
                await call.say("Now your PIN.")
                await call.collect('Ask "PIN?"', secret=True, digits=Digits(3), **asked)

        return [
            lambda call: call.choose('Ask "Hours or order?"', hours="1", order="2", **asked),
            lambda call: call.confirm(f'Ask "{TEXT} Is that right?"', **asked),
            lambda call: call.collect('Ask "Number?"', int, digits=Digits(2, 4), confirm=sure, **asked),
            lambda call: call.collect('Ask "Your name?"', **asked),
            lambda call: call.collect('Ask "PIN?"', secret=True, digits=Digits(2), **asked),
            private,
        ]

    def _working(self) -> list[Verb]:
        @tool(timeout_s=8, working="Still looking that up.", working_after_s=1)
        async def slow(item: str = "tea") -> str:
            """Look something up."""
            await asyncio.sleep(self._delays.pop())
            return item

        async def stock() -> int:
            await asyncio.sleep(self._delays.pop())
            return 3

        until = self.dice.choice((None, "Tuesday", goal("the day is known")))
        talk: dict[str, Any] = {"turns": 3, "seconds": 30, "idle_s": 2, "tools": [slow], "until": until}
        word: dict[str, Any] = {"working": "One moment, I am looking.", "working_after_s": 1}
        return [
            lambda call: call.converse('Greet with "Hello there."', **talk),
            lambda call: call.respond("Look it up with slow.", tools=[slow]),
            lambda call: call.fetch(stock, timeout_s=20, **word),
        ]

    def _leaving(self) -> list[Verb]:
        announce = self.dice.choice((None, "One moment."))
        ours_s, attended = self.dice.choice((0.1, 2.0, 5.0)), self.dice.random() < 0.5

        async def holds(call: Call) -> None:
            await call.hold()
            try:
                await asyncio.sleep(ours_s)
            finally:
                await call.resume()

        return [
            lambda call: call.queue("sales", timeout_s=15),
            lambda call: call.record(announce=announce),
            lambda call: call.stop_recording(),
            lambda call: call.transfer(TARGET, announce=announce, attended=attended, whisper="A caller."),
            holds,
        ]


async def anything_happens(sim: SimCall, dice: random.Random) -> None:
    """Caller, operator and world do whatever they like."""
    while sim.call.answered_at is None:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.01)
    for _ in range(dice.randint(1, 14)):
        pause_s = dice.choice((0.0, 0.01, 0.1, 0.3, 0.7, 1.3, 2.9, 5.1))
        await asyncio.sleep(pause_s + dice.random() * dice.choice((0.0, 0.05, 1.0)))
        if sim.over or sim.leg.ended:
            return
        match dice.choice(("say", "say", "say", "press", "press", "wish", "hold", "lose", "operator")):
            case "say":
                await sim.say(dice.choice(SAID), dice.choice((200, 500, 1500, 3000)))
            case "press":
                keys = "".join(dice.choice("0123456789#*") for _ in range(dice.choice((1, 1, 2, 4))))
                await sim.press(keys, dice.choice((0, 60, 250, 900)))
            case "wish":
                when = dice.choice(("idle", "now"))
                sim.operator(Operator(instructions='Say "The operator speaks."', when=when))
            case "hold":
                await sim.hold(dice.choice((100, 1000, 7000)))
            case "lose" if dice.random() < 0.5:
                away = {"away_ms": dice.choice((0, 4000))}
                sim.provider.settings = sim.provider.settings.model_copy(update=away)
                sim.provider.lose()
            case "operator" if dice.random() < 0.4:
                await operator_holds(sim, dice.choice((0.1, 3.0)))
            case _:
                pass
    if dice.random() < 0.3 and not sim.leg.ended:
        await sim.hang_up()


async def operator_holds(sim: SimCall, seconds: float) -> None:
    """An operator puts the caller on hold, and takes the caller back for sure."""
    try:
        await sim.call.operating.hold("operator")
        await asyncio.sleep(seconds)
        await sim.call.operating.resume("operator")
    except (CallEnded, RequestRefused):
        if sim.call.holding.by_us and not sim.leg.ended:
            await sim.call.holding.resume()


def play_random(seed: int, wav: Path, *, fails: bool = False) -> tuple[Played, list[str]]:
    """Play the call of one seed; return it, and all that was wrong with it."""
    dice = random.Random(seed)
    composed = RandomFlow(dice, wav, fails=fails)
    scenario = Scenario(
        transfer=Transfer(status=dice.choice((486, 486, 200)), after_ms=dice.choice((200, 3000))),
        provider=Provider(
            first_audio_ms=dice.choice((50, 300, 1500, 4000)),
            transcription_ms=dice.choice((50, 200, 1500)),
            refuse_creates=dice.choice((0, 0, 0, 1, 2)),
            words_per_minute=dice.choice((160, 300)),
        ),
    )
    world = random.Random(f"world {seed}")
    played = play_call(
        composed.flow, lambda sim: anything_happens(sim, world), scenario=scenario, limit_s=LIMIT_S
    )
    faults = list(played.faults)
    if not composed.ended:
        faults.append("the flow's finally has not run")
    failures = [one["error"] for one in played.entries("flow.failed")]
    faults += [one for one in failures if one != "LookupError: nothing there"]
    if played.sim.call.holding.in_queue or len(played.entries("queue.entered")) != len(
        played.entries("queue.left")
    ):
        faults.append("a queue was not left")
    faults += asked_too_often(played, composed.attempts)
    return played, faults


def asked_too_often(played: Played, attempts: dict[str, int]) -> list[str]:
    """No question is asked more often than its attempts; what is spoken on is no further one."""
    asked = Counter(one.metadata.get("q") for one in played.sim.record.asked.values())
    resumed = len(played.entries("line.resumed"))
    return [
        f"{name} was asked {asked[name]} times in {most} attempts"
        for name, most in attempts.items()
        if asked[name] > most + resumed
    ]

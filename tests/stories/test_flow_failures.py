"""A flow that raises: the caller hears a sentence, then goes to a person if one is named."""

from __future__ import annotations

import asyncio
import linecache
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.kit.fake_leg import FakeCallee, FakeLeg
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from tests.stories.test_secrets import without_counts
from voiceagent.app.flow_targets import check_fallbacks
from voiceagent.call.config import FALLBACK_SENTENCE, CallConfig
from voiceagent.call.flow_failure import CAUSES, FRAMES_FIRST, FRAMES_LAST, MESSAGE_CHARS, failure_of
from voiceagent.call.leg import LegCapabilities, TransferResult
from voiceagent.errors import CallEnded, ConfigError
from voiceagent.ivr import Call, Flow, flow

DESK = "sip:desk@example.com"
SENTENCE = Reply(FALLBACK_SENTENCE, audio_ms=2000)
TO_DESK = CallConfig(transfer_targets=(DESK,), fallback_target=DESK)


def failing(**options: Any) -> Flow:
    @flow("failing", **options)
    async def failing(call: Call) -> None:
        pin = "4711"
        await call.respond("Greet the caller.")
        raise ValueError("no such order", len(pin))

    return failing


def story_of(one: Flow, config: CallConfig | None = None, **options: Any) -> Story:
    story = Story(one, config=config, **options)
    story.provider.default = SENTENCE
    return story


def entry(story: Story, kind: str) -> Any:
    return next(one for one in story.entries if one["type"] == kind)


def types(story: Story) -> list[str]:
    return [one["type"] for one in story.entries]


def asked(story: Story) -> str:
    """What the newest create asks the model to say."""
    return story.provider.creates()[-1]["response"]["instructions"]


@virtual
async def test_the_caller_hears_the_sentence_and_the_journal_knows_the_line() -> None:
    story = story_of(failing())
    story.start()
    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason, outcome.then) == ("ours", "flow_failed", "")
    assert f'word for word, and nothing else: "{FALLBACK_SENTENCE}"' in asked(story)
    assert len(story.leg.played) == 2 * 2000 * 8, "greeting and sentence were heard whole"
    assert story.kinds() == ["completed", "completed"]
    failed = entry(story, "flow.failed")
    assert failed["type"] == "flow.failed"
    assert failed["error"] == "ValueError: ('no such order', 4)"
    assert (failed["flow"], failed["step"], failed["exception"]) == ("failing", "respond", "ValueError")
    file, _, line = failed["traceback"][-1].split(" ")[0].partition(":")
    assert file == "test_flow_failures.py"
    assert "raise ValueError" in linecache.getline(__file__, int(line))
    assert "4711" not in without_counts([failed])
    assert story.observed.happenings == [
        ("flow.failed", {"error": failed["error"], "at": f"{file}:{line}"}),
    ]
    assert story.leg.log[-1] == "hang_up flow_failed"


async def _refused(call: Call) -> None:
    await call.send_digits("no digits")


async def _assertion(call: Call) -> None:
    assert call.caller == "somebody else"


async def _endless(call: Call) -> None:
    await _endless(call)


async def _group(call: Call) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_assertion(call))
        group.create_task(call.say("This is not said to its end."))


async def _exit(call: Call) -> None:
    sys.exit(3)


async def _cancelled(call: Call) -> None:
    task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
    task.cancel()
    await task


async def _ended(call: Call) -> None:
    raise CallEnded


async def _config(call: Call) -> None:
    raise ConfigError("shop.url", "is not set")


@virtual
@pytest.mark.parametrize(
    ("deed", "exception"),
    [
        (_refused, "RequestRefused"),
        (_assertion, "AssertionError"),
        (_endless, "RecursionError"),
        (_group, "ExceptionGroup"),
        (_exit, "SystemExit"),
        (_cancelled, "CancelledError"),
        (_ended, "CallEnded"),
        (_config, "ConfigError"),
    ],
)
async def test_whatever_is_raised_is_a_failure_like_any_other(
    deed: Callable[[Call], Awaitable[None]], exception: str
) -> None:
    story = story_of(flow("failing")(deed))  # pyright: ignore[reportArgumentType]
    story.start()
    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason) == ("ours", "flow_failed")
    failed = entry(story, "flow.failed")
    assert failed["exception"] == exception
    assert len(failed["traceback"]) <= FRAMES_FIRST + FRAMES_LAST + 1
    assert len(story.leg.played) == 2000 * 8, "the sentence, whole, and nothing else"


@virtual
async def test_then_the_caller_goes_to_the_fallback_target_and_both_are_on_record() -> None:
    story = story_of(failing(), TO_DESK)
    story.start()
    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason, outcome.then) == ("ours", "flow_failed", "transferred")
    assert f"transfer {DESK}" in story.leg.log
    assert story.kinds() == ["completed", "completed"], "the sentence came first"
    assert entry(story, "fallback.transfer")["accepted"] is True
    ended = entry(story, "call.ended")
    assert (ended["outcome"], ended["reason"], ended["then"]) == ("ours", "flow_failed", "transferred")


@virtual
async def test_a_flow_has_a_sentence_and_a_target_of_its_own() -> None:
    mine = "sip:night@example.com"
    story = story_of(
        failing(fallback="Sorry, the shop is in disorder.", fallback_target=mine),
        CallConfig(transfer_targets=(DESK, mine), fallback_target=DESK),
    )
    story.start()
    await story.ends()
    assert "Sorry, the shop is in disorder." in asked(story)
    assert f"transfer {mine}" in story.leg.log


@virtual
@pytest.mark.parametrize("able", [True, False])
async def test_a_target_that_cannot_be_had_ends_politely(able: bool) -> None:
    story = story_of(failing(), TO_DESK)
    story.leg.transfer_result = TransferResult(False, 486, "Busy Here")
    story.leg.capabilities = LegCapabilities(can_transfer=able)
    story.start()
    outcome = await story.ends()
    assert (outcome.reason, outcome.then) == ("flow_failed", "")
    assert (f"transfer {DESK}" in story.leg.log) is able
    assert story.leg.log[-1] == "hang_up flow_failed"


@virtual
async def test_a_caller_who_speaks_is_not_talked_over() -> None:
    broken = asyncio.Event()

    @flow("failing")
    async def waits(call: Call) -> None:
        await broken.wait()
        raise RuntimeError

    story = story_of(waits)
    story.start()
    await eventually(lambda: story.call.talking)
    await asyncio.sleep(1)
    await story.caller_begins()
    broken.set()
    await asyncio.sleep(20)
    assert story.provider.creates() == [], "longer than the session has to begin, and still the caller's turn"
    await story.caller_stops("hello?")
    outcome = await story.ends()
    assert outcome.reason == "flow_failed"
    assert story.kinds() == ["completed"]
    assert "apology" not in types(story)


@virtual
@pytest.mark.parametrize(("gap_s", "creates"), [(0.02, 2), (0.25, 3)])
async def test_a_caller_who_speaks_into_the_sentence_hears_it_whole(gap_s: float, creates: int) -> None:
    story = story_of(failing())
    story.provider.default = Reply(FALLBACK_SENTENCE, audio_ms=2000, gap_s=gap_s)
    story.start()
    await story.creates(2)
    await story.agent_speaks()
    await asyncio.sleep(0.5)
    await story.caller_says("what?")
    outcome = await story.ends()
    assert outcome.reason == "flow_failed"
    assert len(story.provider.creates()) == creates, "again, where the provider had cut it"
    assert story.kinds()[-1] == "completed"
    assert len(story.leg.played) >= 2 * 2000 * 8


@virtual
async def test_a_caller_whom_the_flow_put_on_hold_is_taken_back_first() -> None:
    @flow("failing")
    async def holder(call: Call) -> None:
        await call.hold()
        raise RuntimeError

    story = story_of(holder)
    story.start()
    await story.ends()
    assert [one for one in story.leg.log if one in ("hold", "resume")] == ["hold", "resume"]
    assert story.kinds() == ["completed"]


@virtual
async def test_a_caller_who_holds_us_hears_it_when_back() -> None:
    story = story_of(failing())
    story.start()
    await story.agent_speaks()
    story.leg.listener.leg_held(True)
    await asyncio.sleep(30)
    story.leg.listener.leg_held(False)
    await story.ends()
    assert story.kinds()[-1] == "completed"
    assert "apology" not in types(story)


@virtual
async def test_a_caller_who_never_comes_back_from_hold_is_not_waited_for() -> None:
    story = story_of(failing(), TO_DESK)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    story.leg.listener.leg_held(True)
    outcome = await story.ends(within_s=120)
    assert (outcome.reason, outcome.then) == ("flow_failed", "transferred")


@virtual
@pytest.mark.parametrize("accepted", [True, False])
async def test_an_operators_transfer_under_way_comes_to_its_end_first(accepted: bool) -> None:
    broken = asyncio.Event()

    @flow("failing")
    async def waits(call: Call) -> None:
        await broken.wait()
        raise RuntimeError

    class SlowLeg(FakeLeg):
        async def transfer(self, target: str, *, timeout_s: float, progress: Any = None) -> TransferResult:
            await asyncio.sleep(8)
            return await super().transfer(target, timeout_s=timeout_s, progress=progress)

    leg = SlowLeg()
    leg.transfer_result = TransferResult(accepted, 200 if accepted else 486)
    story = story_of(waits, CallConfig(transfer_targets=(DESK,)), leg=leg)
    story.start()
    await eventually(lambda: story.call.talking)
    await story.call.operating.transfer(DESK, "ann", attended=False)
    broken.set()
    outcome = await story.ends()
    assert (outcome.reason, outcome.then) == ("flow_failed", "transferred" if accepted else "")
    assert story.kinds() == ([] if accepted else ["completed"])


@virtual
async def test_a_failure_in_the_middle_of_an_attended_transfer_takes_the_caller_back() -> None:
    callees: list[FakeCallee] = []

    def dial(target: str, headers: object, for_leg: object) -> FakeCallee:
        callees.append(FakeCallee(target, after_s=20))
        return callees[-1]

    @flow("failing")
    async def impatient(call: Call) -> None:
        async with asyncio.timeout(3):
            await call.transfer(DESK, attended=True)

    story = story_of(impatient, CallConfig(transfer_targets=(DESK,)), dial=dial)
    story.start()
    outcome = await story.ends()
    assert outcome.detail == "TimeoutError"
    assert [one for one in story.leg.log if one in ("hold", "resume")] == ["hold", "resume"]
    assert callees[0].ended
    assert story.kinds() == ["completed"]


@virtual
@pytest.mark.parametrize("how", ["deaf", "lost"])
async def test_a_session_that_cannot_speak_is_replaced_by_the_recorded_apology(how: str) -> None:
    story = story_of(failing(), TO_DESK)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    if how == "deaf":
        story.provider.faults.swallow_creates = 99
    else:
        story.provider_gone()
    before = len(story.leg.played)
    began = asyncio.get_running_loop().time()
    outcome = await story.ends(within_s=30)
    assert (outcome.kind.value, outcome.reason, outcome.then) == ("ours", "flow_failed", "transferred")
    assert entry(story, "apology")["reason"] == "flow_failed"
    assert len(story.leg.played) > before + 8000
    assert asyncio.get_running_loop().time() - began < 20


@virtual
async def test_on_a_line_whose_playout_is_not_ours_no_recorded_apology_is_tried() -> None:
    story = story_of(failing(), TO_DESK)
    story.leg.capabilities = LegCapabilities(owns_playout=False)
    story.provider.faults.swallow_creates = 99
    story.start()
    outcome = await story.ends()
    assert outcome.then == "transferred"
    assert "apology" not in types(story)


@virtual
@pytest.mark.parametrize("who", ["caller", "operator"])
async def test_whoever_hangs_up_meanwhile_is_not_waited_for(who: str) -> None:
    story = story_of(failing(), TO_DESK)
    story.start()
    await story.creates(2)
    await story.agent_speaks()
    began = asyncio.get_running_loop().time()
    if who == "caller":
        story.leg.caller_hangs_up()
    else:
        story.call.end("operator_hung_up")
    outcome = await story.ends()
    assert outcome.reason == "flow_failed"
    assert outcome.then == ("caller_hung_up" if who == "caller" else "operator_hung_up")
    assert asyncio.get_running_loop().time() - began < 1
    assert not any(one.startswith("transfer") for one in story.leg.log)


@virtual
async def test_a_fault_in_finally_changes_nothing_about_a_call_that_has_ended() -> None:
    @flow("failing")
    async def untidy(call: Call) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("on the way out")

    story = story_of(untidy)
    story.start()
    await eventually(lambda: story.call.talking)
    story.leg.caller_hangs_up()
    outcome = await story.ends()
    assert (outcome.kind.value, outcome.reason) == ("success", "caller_hung_up")
    assert entry(story, "flow.failed")["error"] == "RuntimeError: on the way out"
    assert story.provider.creates() == []


@virtual
async def test_what_a_failed_flow_left_running_says_nothing_more() -> None:
    left: list[asyncio.Task[Any]] = []

    @flow("failing")
    async def leaves(call: Call) -> None:
        async def chatter() -> None:
            while True:
                await call.say("Blah.")

        left.append(asyncio.get_running_loop().create_task(chatter()))
        await asyncio.sleep(1)
        raise RuntimeError

    story = story_of(leaves)
    story.start()
    await story.ends()
    assert FALLBACK_SENTENCE in asked(story)
    assert story.kinds()[-1] == "completed"
    assert isinstance(left[0].exception(), CallEnded)


@virtual
async def test_an_operator_may_still_speak_to_the_caller_meanwhile() -> None:
    story = story_of(failing())
    story.start()
    await story.creates(2)
    story.call.trigger("Say that help is near.", {}, request_id="op1")
    await story.ends()
    assert story.kinds() == ["completed", "completed", "completed"]


@virtual
async def test_other_calls_of_the_node_do_not_notice() -> None:
    heard: list[str] = []

    @flow("sound")
    async def sound(call: Call) -> None:
        heard.extend([(await call.respond("Tell a story.")).kind.value for _ in range(5)])

    stories = [story_of(sound) for _ in range(4)] + [story_of(failing()), story_of(flow("failing")(_exit))]
    for one in stories:
        one.start()
    outcomes = [(await one.ends()).reason for one in stories]
    assert outcomes == ["completed"] * 4 + ["flow_failed"] * 2
    assert heard == ["completed"] * 20


def test_a_target_of_a_flow_that_is_not_allowed_is_told_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"flow failing: fallback_target .*call\.transfer_targets"):
        check_fallbacks([failing(fallback_target=DESK)], ())
    check_fallbacks([failing(fallback_target=DESK), failing()], (DESK,))
    with pytest.raises(ConfigError, match="fallback must be a sentence"):
        failing(fallback=" ")


class _Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_what_is_kept_of_an_exception_is_bounded_and_printable() -> None:
    assert failure_of(_Mute()).about == "_Mute: (its message cannot be had)"
    assert failure_of(ValueError("a\r\nb\x1b[31m c")).message == "a b [31m c"
    assert len(failure_of(ValueError("x" * 10_000)).message) == MESSAGE_CHARS
    group = ExceptionGroup("all", [ValueError(str(index)) for index in range(50)])
    assert len(failure_of(group).causes) == CAUSES

    def deeper(depth: int) -> None:
        if depth:
            deeper(depth - 1)
        raise KeyError("deep")

    def closed() -> None:
        try:
            deeper(200)
        except KeyError as error:
            raise RuntimeError("the shop is closed") from error

    failure = failure_of(_raised(closed))
    assert failure.causes[0].startswith("KeyError: 'deep' (test_flow_failures.py:")
    assert failure.place.startswith("test_flow_failures.py:")
    assert len(failure_of(_raised(lambda: deeper(200))).traceback) == FRAMES_FIRST + FRAMES_LAST + 1
    loop = ValueError("round")
    loop.__cause__ = loop
    assert failure_of(loop).causes == ()


def _raised(work: Callable[[], None]) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")

"""What is noted of a link's words, and under which ids they are passed on."""

from __future__ import annotations

import pytest

from voiceagent.realtime import model_events as me
from voiceagent.realtime.caller_audio import CallerAudio
from voiceagent.realtime.history import History
from voiceagent.realtime.link_notes import LinkNotes
from voiceagent.realtime.requests import Progress, ResponseRequest
from voiceagent.realtime.wishes import Wish, Wishes


class Desk:
    """A request ``r`` that was asked for again as ``r~2``, and a second of the caller's audio."""

    def __init__(self, *, transcribed: bool = True) -> None:
        self.wishes, self.audio = Wishes(), CallerAudio("audio/pcmu", 10_000)
        self.notes = LinkNotes(self.wishes, History(), self.audio, transcribed=transcribed)
        self.wishes.add(ResponseRequest(id="r"), 0.0, asked=True)
        self.wishes.link_lost()
        self.wishes.ask_again(self.wish, 1.0)
        self.audio.add(bytes(8000))

    @property
    def wish(self) -> Wish:
        wish = self.wishes.get("r")
        assert wish is not None
        return wish


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (me.RealtimeModelTurnStartedEvent("x", "r~2"), me.RealtimeModelTurnStartedEvent("x", "r")),
        (
            me.RealtimeModelTurnEndedEvent("x", "completed", request_id="r~2"),
            me.RealtimeModelTurnEndedEvent("x", "completed", request_id="r"),
        ),
        (me.RealtimeModelNoticeEvent("why", "r~2"), me.RealtimeModelNoticeEvent("why", "r")),
        (
            me.RealtimeModelResponseProgressEvent("r~2", Progress.STARTED, "x"),
            me.RealtimeModelResponseProgressEvent("r", Progress.STARTED, "x"),
        ),
    ],
    ids=lambda event: type(event).__name__,
)
def test_the_asker_knows_the_first_id(event: me.RealtimeModelEvent, told: me.RealtimeModelEvent) -> None:
    assert Desk().notes.take(event) == told


@pytest.mark.parametrize(
    "event",
    [
        me.RealtimeModelTurnStartedEvent("x", "other"),
        me.RealtimeModelTurnStartedEvent("x"),
        me.RealtimeModelNoticeEvent("why"),
        me.RealtimeModelResponseProgressEvent("other", Progress.SENT),
        me.RealtimeModelRawServerEvent("rate_limits.updated", {}),
        me.RealtimeModelInputCommittedEvent(None),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_need_not_change_is_the_same_object(event: me.RealtimeModelEvent) -> None:
    assert Desk().notes.take(event) is event


def test_only_a_first_sending_counts_as_a_link() -> None:
    desk = Desk()
    for progress, attempt in ((Progress.SENT, 1), (Progress.SENT, 2), (Progress.STARTED, 1)):
        desk.notes.take(me.RealtimeModelResponseProgressEvent("r~2", progress, attempt=attempt))
    assert desk.wish.links == 1


def test_audio_goes_when_it_is_text_or_where_nobody_transcribes_when_it_is_answered() -> None:
    text = me.RealtimeModelInputAudioTranscriptionCompletedEvent("i", "hello")
    answer = me.RealtimeModelTurnStartedEvent("x")
    for transcribed, idle, ends in ((True, answer, text), (False, None, answer)):
        desk = Desk(transcribed=transcribed)
        desk.notes.take(me.RealtimeModelInputCommittedEvent("i"))
        if idle is not None:
            desk.notes.take(idle)
        assert desk.audio.ms == 1000
        desk.notes.take(ends)
        assert desk.audio.ms == 200


@pytest.mark.parametrize(
    "answer",
    [
        me.RealtimeModelSessionUpdatedEvent({}, "u"),
        me.RealtimeModelSessionUpdateRefusedEvent("u", None, "no"),
    ],
    ids=["taken", "refused"],
)
def test_an_answered_change_of_the_session_is_not_asked_for_again(answer: me.RealtimeModelEvent) -> None:
    notes = Desk().notes
    notes.unanswered |= {"t": {}, "u": {}}
    notes.take(answer)
    assert list(notes.unanswered) == ["t"]

"""Items, what was heard, truncation and tools: pure bookkeeping."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.realtime.conversation import Conversation, Truncation
from voiceagent.realtime.requests import Origin, ResponseRequest
from voiceagent.realtime.session_mirror import SessionMirror
from voiceagent.realtime.transcript import Transcript, whole_words


def spoken(
    text: str = "one two three four", audio_ms: int = 4000, *, fmt: str = "audio/pcmu"
) -> Conversation:
    talk = Conversation(SessionMirror(output_format=fmt))
    per_ms = talk.mirror.output_bytes_per_ms
    talk.text_received("r", "i", 0, text, spoken=True)
    assert talk.audio_received("r", "i", 0, audio_ms * per_ms // 2)
    assert not talk.audio_received("r", "i", 0, audio_ms * per_ms // 2)
    return talk


# ── what was heard ──────────────────────────────────────────────────────────────────────────────
def test_audio_is_counted_in_the_format_of_the_session() -> None:
    assert spoken(fmt="audio/pcmu").audio_ms_of("r") == 4000
    assert spoken(fmt="audio/pcm").audio_ms_of("r") == 4000


def test_heard_text_is_whole_words_in_proportion() -> None:
    talk = spoken()
    talk.heard("i", -5, cut=True)
    assert talk.heard_of("r") == (0, "")
    talk.heard("i", 2000, cut=True)
    assert talk.heard_of("r") == (2000, "one two")
    talk.heard("i", 9999, cut=False)
    assert talk.heard_of("r") == (4000, "one two three four")


def test_of_what_was_heard_whole_only_the_words_are_kept() -> None:
    talk = spoken()
    talk.heard("i", 4000, cut=False)
    talk.text_received("r", "i", 0, " five", spoken=True)  # it was not all
    assert talk.heard_of("r") == (4000, "one two three four five")
    talk.audio_received("r", "i", 0, 8000)
    talk.response_done("r", "completed")
    talk.heard("i", 5000, cut=False)
    assert not talk.items["i"].spoken
    talk.heard("i", 4000, cut=True)
    assert talk.heard_of("r") == (5000, "one two three four five")


def test_words_that_come_after_the_end_of_what_was_heard_whole_are_added_to_it() -> None:
    talk = spoken()
    talk.response_done("r", "completed")
    talk.heard("i", 4000, cut=False)
    talk.text_received("r", "i", 0, " five", spoken=True)
    assert talk.heard_of("r") == (4000, "one two three four five")
    talk.text_done("r", "i", 0, "One, two, three, four, five.", spoken=True)
    assert talk.text_of("r") == "One, two, three, four, five."


def test_what_was_heard_cannot_be_unheard() -> None:
    talk = spoken()
    talk.heard("i", 4000, cut=False)
    talk.heard("i", 0, cut=True)
    assert talk.heard_of("r") == (4000, "one two three four")
    assert not talk.items["i"].cut


def test_text_beside_its_audio_gives_better_positions() -> None:
    transcript = Transcript()
    transcript.add("Short. ", 0)
    transcript.add("And then a very long sentence indeed.", 3000)
    # Half of 6 s would be half of the characters; but the first 3 s were only "Short."
    assert transcript.heard(3000, 6000) == "Short."
    assert transcript.heard(6000, 6000) == "Short. And then a very long sentence indeed."


def test_text_far_ahead_of_its_audio_is_spread_evenly() -> None:
    transcript = Transcript()
    transcript.add("one two three four five ", 0)
    transcript.add("six seven eight nine ten", 200)
    assert transcript.heard(5000, 10000) == "one two three four five"


def test_final_text_replaces_the_pieces() -> None:
    talk = spoken("one tow three", 3000)
    talk.text_done("r", "i", 0, "one two three", spoken=True)
    assert talk.text_of("r") == "one two three"
    talk.text_done("r", "i", 0, "", spoken=True)
    assert talk.text_of("r") == "one two three"


def test_several_items_are_summed() -> None:
    talk = spoken("first part", 1000)
    talk.text_received("r", "j", 0, "second part", spoken=True)
    talk.audio_received("r", "j", 0, 16000)
    talk.heard("i", 1000, cut=False)
    assert not talk.all_heard("r")
    talk.response_done("r", "completed")
    assert not talk.all_heard("r")
    talk.heard("j", 1200, cut=True)
    assert talk.all_heard("r")
    assert talk.heard_of("r") == (2200, "first part second")


@given(text=st.text(alphabet="ab \n", max_size=30), chars=st.integers(-3, 40))
def test_whole_words_never_splits_a_word(text: str, chars: int) -> None:
    part = whole_words(text, chars)
    assert text.startswith(part)
    rest = text[len(part) :]
    assert not part or not rest or rest[0].isspace() or part[-1].isspace()
    assert len(part) <= max(0, chars)


@settings(max_examples=100)
@given(
    pieces=st.lists(st.tuples(st.text(alphabet="abc ", max_size=12), st.integers(0, 900)), max_size=8),
    positions=st.lists(st.integers(-10, 9000), min_size=2, max_size=5),
)
def test_more_audio_never_means_less_text(pieces: list[tuple[str, int]], positions: list[int]) -> None:
    transcript = Transcript()
    at = 0
    for piece, step in pieces:
        transcript.add(piece, at)
        at += step
    total = max(1, at)
    heard = [transcript.heard(position, total) for position in sorted(positions)]
    assert [len(text) for text in heard] == sorted(len(text) for text in heard)
    assert all(transcript.text.startswith(text) for text in heard)


# ── truncation ──────────────────────────────────────────────────────────────────────────────────
def test_truncation_is_clamped_and_happens_once() -> None:
    talk = spoken()
    assert talk.truncation("i", 5000) == Truncation("i", 0, 4000)
    assert talk.truncation("i", 1000) is None


def test_truncation_at_zero_but_not_below() -> None:
    talk = spoken()
    assert talk.truncation("i", -1) is None
    assert talk.truncation("i", 0) == Truncation("i", 0, 0)


def test_nothing_to_truncate_when_all_was_heard_or_nothing_is_there() -> None:
    talk = spoken()
    talk.response_done("r", "completed")
    assert talk.truncation("i", 4000) is None
    assert talk.truncation("i", 3999) == Truncation("i", 0, 3999)
    assert talk.truncation("unknown", 10) is None
    talk.item("typed")
    assert talk.truncation("typed", 10) is None


def test_truncation_finds_the_content_part() -> None:
    talk = spoken(audio_ms=1000)
    talk.audio_received("r", "i", 2, 8000)
    assert talk.truncation("i", 1400) == Truncation("i", 2, 400)


# ── items ───────────────────────────────────────────────────────────────────────────────────────
def test_items_keep_the_conversations_order() -> None:
    talk = Conversation()
    talk.item_seen(
        "a", {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    )
    talk.item_seen("c", {"type": "message", "role": "assistant"}, "a")
    talk.item_seen("b", {"type": "message", "role": "user"}, "a")
    talk.item_seen("a", {"type": "message"})
    assert [item.id for item in talk] == ["a", "b", "c"]
    assert talk.items["a"].full_text() == "hi"
    talk.caller_said("b", "what?")
    assert talk.items["b"].full_text() == "what?"
    talk.item_deleted("b")
    talk.item_deleted("never")
    assert [item.id for item in talk] == ["a", "c"]


# ── tools ───────────────────────────────────────────────────────────────────────────────────────
def follow_up(identity: str = "f") -> ResponseRequest:
    return ResponseRequest(id=identity, origin=Origin.TOOL)


def test_a_follow_up_waits_for_all_calls_and_for_the_end() -> None:
    talk = Conversation()
    assert talk.tool_called("r", "c1", "a")
    assert not talk.tool_called("r", "c1", "a")
    assert talk.tool_answered("c1", "o1", follow_up()) == "r"
    assert talk.due_follow_up("r") is None
    assert talk.tool_called("r", "c2", "b")
    talk.response_done("r", "completed")
    assert talk.due_follow_up("r") is None
    assert talk.open_calls() == ["c2"]
    talk.tool_answered("c2", "o2", follow_up("g"))
    due = talk.due_follow_up("r")
    assert due is not None
    assert (due.id, due.needs, due.follow_up_of) == ("f", frozenset({"o1", "o2"}), "r")
    assert talk.due_follow_up("r") is None


def test_no_follow_up_where_none_was_asked_for() -> None:
    talk = Conversation()
    talk.tool_called("r", "c1", "a")
    talk.tool_answered("c1", "o1", None)
    talk.response_done("r", "completed")
    assert talk.due_follow_up("r") is None
    assert talk.tool_answered("unknown", "o2", follow_up()) is None


# ── the mirror ──────────────────────────────────────────────────────────────────────────────────
def test_the_mirror_reads_every_layout() -> None:
    mirror = SessionMirror()
    mirror.take(
        {
            "id": "sess_1",
            "instructions": "Be brief.",
            "expires_at": 1700000000,
            "audio": {
                "input": {"format": {"type": "audio/pcma"}, "turn_detection": {"type": "semantic_vad"}},
                "output": {"format": {"type": "audio/pcm", "rate": 24000}},
            },
        }
    )
    assert (mirror.auto_create, mirror.auto_interrupt, mirror.vad) == (True, True, True)
    assert (mirror.input_format, mirror.output_format) == ("audio/pcma", "audio/pcm")
    assert mirror.expires_at == 1700000000
    mirror.take({"turn_detection": {"type": "server_vad", "create_response": False}})
    assert (mirror.auto_create, mirror.auto_interrupt) == (False, True)
    mirror.take({"instructions": "Longer."})
    assert mirror.instructions == "Longer."
    assert mirror.vad
    mirror.take({"audio": {"input": {"turn_detection": None}}})
    assert (mirror.vad, mirror.auto_create) == (False, False)
    mirror.take({"audio": "nonsense", "expires_at": "soon", "turn_detection": []})
    assert mirror.output_format == "audio/pcm"

"""SIP dialogs of recorded calls, lived again: no difference on unchanged code, each planted change found."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.replay.sip_ladder import RecordedLadder
from tests.sip.ladder import ANSWER, OFFER, OURS, Phone
from tests.sip.trunk_phone import CARRIER, STRANGER, answering, phone_at, trunk
from voiceagent.call.inputs import HIDDEN, Inputs
from voiceagent.call.sip_secrets import shown
from voiceagent.errors import SipError
from voiceagent.records.journal import Journal
from voiceagent.replay.sip_again import SipAgain, sip_again
from voiceagent.replay.sip_recording import SipRecording
from voiceagent.replay.trace import JournalError
from voiceagent.sip.address import Address
from voiceagent.sip.dialogs.dialog import Dialog
from voiceagent.sip.effects import InfoReceived, InviteReceived, SipEffect
from voiceagent.sip.endpoint import SipEndpoint
from voiceagent.sip.endpoint_core import Core
from voiceagent.sip.transaction.wire import Wire
from voiceagent.sip.trunk.trunks import TrunkTable

FRAG = "message/sipfrag;version=2.0"


def offered(**config: Any) -> tuple[RecordedLadder, Phone, str]:
    """A call that rings at our side."""
    ladder, phone = RecordedLadder(**config), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    leg = ladder.event(InviteReceived).leg
    ladder.now += 0.2
    ladder.do("ring", leg)
    ladder.now += 0.3
    return ladder, phone, leg


def talking(**config: Any) -> tuple[RecordedLadder, Phone, str]:
    """A call that we have answered."""
    ladder, phone, leg = offered(**config)
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.now += 0.05
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.advance(2.0)
    return ladder, phone, leg


def called(**config: Any) -> tuple[RecordedLadder, Phone, str]:
    """A call of ours that was answered."""
    ladder, phone = RecordedLadder(**config), Phone(call_id="unused")
    leg = ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 180, reason="Ringing"))
    ladder.advance(1.0)
    ladder.receive(phone.reply(invite, 200, ANSWER))
    ladder.advance(1.0)
    return ladder, phone, leg


def the_caller_hangs_up() -> RecordedLadder:
    ladder, phone, _ = talking()
    ladder.receive(phone.request("BYE"))
    return ladder


def we_hang_up() -> RecordedLadder:
    ladder, phone, leg = talking()
    ladder.do("hang_up", leg, reason="bye")
    ladder.receive(phone.reply(ladder.request(), 200))
    return ladder


def the_caller_holds_and_we_do() -> RecordedLadder:
    ladder, phone, leg = talking()
    ladder.receive(phone.request("INVITE", OFFER + b"a=sendonly\r\n"))
    ladder.do("answer_offer", leg, ANSWER + b"a=recvonly\r\n")
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.advance(1.0)
    ladder.do("offer", leg, ANSWER + b"a=sendonly\r\n")
    ladder.receive(phone.reply(ladder.request(), 491))
    ladder.advance(5.0)  # glare: tried again after a time by chance
    ladder.receive(phone.reply(ladder.request(), 200, OFFER))
    ladder.advance(1.0)
    ladder.receive(phone.request("BYE"))
    return ladder


def we_transfer() -> RecordedLadder:
    ladder, phone, leg = talking()
    ladder.do("refer", leg, "sip:200@127.0.0.1")
    ladder.receive(phone.reply(ladder.request(), 202, reason="Accepted"))
    for status, state in (("100 Trying", "active;expires=60"), ("200 OK", "terminated;reason=noresource")):
        body = f"SIP/2.0 {status}\r\n".encode()
        lines = "Event: refer", f"Subscription-State: {state}"
        ladder.receive(phone.request("NOTIFY", body, *lines, content_type=FRAG))
    ladder.do("hang_up", leg)
    return ladder


def the_caller_gives_up() -> RecordedLadder:
    ladder, phone, _ = offered()
    ladder.receive(phone.request("CANCEL", cseq=1, branch="z9hG4bK-call-1-1"))
    ladder.advance(0.7)  # nobody acknowledges our 487
    return ladder


def we_refuse() -> RecordedLadder:
    ladder, _, leg = offered()
    ladder.do("reject", leg, 486, "Busy Here", headers=[("Retry-After", "5")])
    return ladder


def we_call() -> RecordedLadder:
    ladder, _, leg = called()
    ladder.do("hang_up", leg)
    return ladder


def nobody_is_there() -> RecordedLadder:
    ladder = RecordedLadder()
    ladder.invite()
    ladder.advance(40.0)
    return ladder


def nobody_acknowledges() -> RecordedLadder:
    ladder, _, leg = offered()
    ladder.do("accept", leg, ANSWER)
    ladder.advance(40.0)
    return ladder


def the_session_is_refreshed() -> RecordedLadder:
    ladder, phone = RecordedLadder(session_expires=90), Phone()
    ladder.receive(phone.request("INVITE", OFFER, "Supported: timer", "Session-Expires: 90;refresher=uas"))
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.advance(50.0)
    ladder.receive(phone.reply(ladder.request(), 200, OFFER))
    ladder.advance(10.0)
    return ladder


def the_connection_breaks() -> RecordedLadder:
    ladder, phone = RecordedLadder(listeners=(OURS, OURS._replace(transport="tcp"))), Phone()
    source = Address("127.0.0.1", 40001, "tcp", 1)
    ladder.do("flow_opened", source, listener=1)
    via = "SIP/2.0/TCP 127.0.0.1:5090;branch=z9hG4bK-x"
    ladder.receive(phone.request("INVITE", OFFER, via=via), source)
    ladder.do("flow_closed", source)
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    return ladder


CALLS = (
    the_caller_hangs_up,
    we_hang_up,
    the_caller_holds_and_we_do,
    we_transfer,
    the_caller_gives_up,
    we_refuse,
    we_call,
    nobody_is_there,
    nobody_acknowledges,
    the_session_is_refreshed,
    the_connection_breaks,
)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_unchanged_code_sends_what_it_sent(call: Callable[[], RecordedLadder]) -> None:
    ladder = call()
    verdict = ladder.replayed()
    assert verdict.lines() == []
    assert verdict.compared == len(ladder.sends())


def test_other_random_names_are_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    ladders = [call() for call in CALLS]
    drawn = SipAgain._draw  # pyright: ignore[reportPrivateUsage]

    def one_more(self: SipAgain) -> str:
        drawn(self)
        return drawn(self)

    monkeypatch.setattr(SipAgain, "_draw", one_more)
    kept = [one for one in ladders if not any("SIP/2.0 491" in str(entry) for entry in one.entries)]
    assert len(kept) == len(ladders) - 1  # how long a glare lasts, a name decides
    assert [one.replayed().lines() for one in kept] == [[]] * len(kept)


def test_a_name_that_stands_for_two_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = we_transfer()

    def the_same(self: Core, destination: Address) -> str:
        return f"SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{kept.setdefault(self, self.tokens())};rport"

    kept: dict[Core, str] = {}
    monkeypatch.setattr(Core, "via", the_same)
    [line, *_] = ladder.replayed().lines()
    assert "BYE: Via is" in line


# ── planted changes ─────────────────────────────────────────────────────────────────────────────
def test_another_status_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = the_caller_holds_and_we_do()

    def refuse(self: SipEndpoint, leg: str, sdp: bytes, now: float) -> list[SipEffect]:
        return self.refuse_offer(leg, 486, now)

    monkeypatch.setattr(SipEndpoint, "answer_offer", refuse)
    [line, *_] = ladder.replayed().lines()
    assert "we sent 486 Busy Here (INVITE) where the recording has 200 OK (INVITE)" in line


def test_a_header_that_is_missing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = the_caller_hangs_up()
    made = Core.respond

    def without_contact(self: Core, *args: Any, **given: Any) -> bool:
        if len(args) > 3:
            args = (*args[:3], tuple(line for line in args[3] if line[0] != "Contact"), *args[4:])
        if "headers" in given:
            given["headers"] = tuple(line for line in given["headers"] if line[0] != "Contact")
        return made(self, *args, **given)

    monkeypatch.setattr(Core, "respond", without_contact)
    [first, *_] = ladder.replayed().differences
    assert first.fields == ("Contact",)
    assert "Contact is missing where the recording has '<sip:100@127.0.0.1:5060>'" in first.in_words()


@pytest.mark.parametrize(
    ("call", "what"), [(nobody_acknowledges, "200 OK (INVITE)"), (nobody_is_there, "INVITE")]
)
def test_an_omitted_repetition_is_found(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[], RecordedLadder], what: str
) -> None:
    ladder = call()
    repeat, count = Wire.repeat, 0

    def all_but_the_second(self: Wire, data: bytes, destination: Address, name: str) -> None:
        nonlocal count
        count += 1
        if count != 2:
            repeat(self, data, destination, name)

    monkeypatch.setattr(Wire, "repeat", all_but_the_second)
    verdict = ladder.replayed()
    assert [one.kind for one in verdict.differences if one.kind != "time"] == ["missing"]
    assert any(f"where the recording has {what}" in one.in_words() for one in verdict.differences)


def test_another_time_is_found() -> None:
    recording = the_session_is_refreshed().recording()
    refresh = recording.sent[-2]
    recording.sent[-2] = replace(refresh, at=refresh.at - 1.0)
    [found] = sip_again(recording, (), 0.1).differences
    assert found.kind == "time"
    assert "left 1.000 s later" in found.in_words()


def test_a_fault_of_the_endpoint_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = the_caller_hangs_up()

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Dialog, "as_uas", broken)
    verdict = ladder.replayed()
    assert "the endpoint failed: ZeroDivisionError: planted" in verdict.lines()[0]
    assert not verdict.same


def test_a_fault_of_a_timer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = nobody_is_there()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Wire, "repeat", broken)
    verdict = ladder.replayed()
    assert "the endpoint failed: ZeroDivisionError: planted, at 0.500 s" in verdict.lines()[0]
    assert verdict.differences, "and nothing was repeated"


def test_a_set_up_of_another_version_is_said_to_be_one() -> None:
    recording = we_hang_up().recording()
    recording.setup = {name: value for name, value in (recording.setup or {}).items() if name != "local"}
    with pytest.raises(JournalError, match="another version"):
        sip_again(recording, (), 0.1)


# ── clocks ──────────────────────────────────────────────────────────────────────────────────────
def test_a_timer_that_lost_the_race_then_loses_it_again() -> None:
    ladder, phone, leg = offered()
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.now += 0.52  # the 200 was due again 20 ms ago; the loop took the ACK first
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.advance(1.0)
    assert ladder.replayed().lines() == []


def test_a_loop_that_stood_still_is_as_late_again() -> None:
    ladder, phone, leg = offered()
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    began = ladder.now
    ladder.now += 0.9
    ladder.take(ladder.endpoint.wake(ladder.now))
    ladder.now += 0.05
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    assert ladder.replayed().lines() == [], "the recording says when the timer fired"
    older = without_timers(ladder.recording())
    late = [(began + 0.4, began + 0.9)]
    assert sip_again(older, late, 0.1).lines() == []
    assert [one.kind for one in sip_again(older, (), 0.1).differences] == ["time"]


def test_a_timer_that_was_overdue_when_something_came_is_so_again() -> None:
    ladder, phone, leg = offered()
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.now += 0.9  # the 200 was due again 400 ms ago; the loop took the ACK first
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.advance(1.0)
    assert ladder.replayed().lines() == []
    assert not sip_again(without_timers(ladder.recording()), (), 0.1).same


def test_a_timer_that_is_due_earlier_than_it_was_is_found() -> None:
    recording = nobody_acknowledges().recording()
    assert sip_again(recording, (), 0.1).same
    assert recording.setup is not None
    hasty = {**recording.setup, "timers": {**recording.setup["timers"], "t1": 0.2}}
    recording.setup = hasty
    assert not sip_again(recording, (), 0.1).same


def without_timers(recording: SipRecording) -> SipRecording:
    """Return it as an older one, which does not say when timers fired."""
    recording.dialogs = {
        number: {name: value for name, value in one.items() if name != "timers"}
        for number, one in recording.dialogs.items()
    }
    recording.inputs = [one for one in recording.inputs if one.kind != "in.sip_woke"]
    return recording


# ── trunks ──────────────────────────────────────────────────────────────────────────────────────
def test_a_caller_that_proved_itself_needs_no_password_again() -> None:
    users = trunk("phones", digest_users={"alice": "wonderland"}, methods=("INVITE", "OPTIONS"))
    ladder, phone = RecordedLadder(trunks=TrunkTable([users])), phone_at(STRANGER)
    ladder.receive(phone.request("INVITE", OFFER), STRANGER)
    refusal = ladder.response()
    ladder.receive(phone.request("ACK", cseq=1, to_tag=refusal.to.tag), STRANGER)
    ladder.receive(answering(refusal, phone.request("INVITE", OFFER), "alice", "wonderland"), STRANGER)
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=2), STRANGER)
    ladder.receive(phone.request("INFO", b"5", content_type="application/dtmf"), STRANGER)
    ladder.receive(phone.request("BYE"), STRANGER)

    written = str(ladder.written())
    assert "Authorization: •" in written
    assert "wonderland" not in written
    assert "response=" not in written
    verdict = ladder.replayed()
    assert verdict.lines() == []
    assert verdict.compared == len(ladder.sends()) - 1, "all but the challenge"


def test_a_challenge_to_us_is_answered_again_without_the_password() -> None:
    carrier = trunk("carrier", "192.0.2.0/24", servers=(CARRIER,), username="me", password="pass-word")
    ladder, phone = RecordedLadder(trunks=TrunkTable([carrier])), phone_at(CARRIER)
    leg = ladder.invite("sip:+441@192.0.2.10", destination=(), trunk="carrier")
    challenge = 'Proxy-Authenticate: Digest realm="carrier", nonce="n", algorithm=SHA-256, qop="auth"'
    ladder.receive(phone.reply(ladder.request(), 407, b"", challenge), CARRIER)
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER), CARRIER)
    ladder.do("hang_up", leg)

    written = str(ladder.written())
    assert "Proxy-Authorization: •" in written
    assert "pass-word" not in written
    verdict = ladder.replayed()
    assert verdict.lines() == []
    assert verdict.compared == len(ladder.sends()) == 5


# ── what is not written ─────────────────────────────────────────────────────────────────────────
def test_credentials_keys_and_passwords_are_not_written() -> None:
    text, hidden = shown(
        b'\r\nINVITE sip:bob:hush@h SIP/2.0\r\nAuthorization: Digest username="a",\r\n response="beef"\r\n'
        b'proxy-authorization : Digest response="dead"\r\nAuthentication-Info: rspauth="cafe"\r\nX: y\r\n\r\n'
        b"v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJD|2^20\r\na=ice-pwd:secret\r\n"
    )
    assert not re.search("hush|beef|dead|cafe|QUJD|secret", text)
    assert hidden
    assert text.startswith("INVITE sip:bob:***@h SIP/2.0\r\nAuthorization: •\r\nproxy-authorization : •\r\n")
    assert "X: y\r\n\r\nv=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:••••|2^20" in text


@pytest.mark.parametrize("trusted", [True, False])
def test_what_an_untrusted_trunk_claims_is_not_written(trusted: bool) -> None:
    carrier = trunk("carrier", "192.0.2.0/24", trust_headers=trusted)
    ladder, phone = RecordedLadder(trunks=TrunkTable([carrier])), phone_at(CARRIER)
    claims = "P-Asserted-Identity: <sip:+44207@h>", "x-who:\r\n +44208", "y: +44209", "Subject: +44210"
    ladder.receive(phone.request("INVITE", OFFER, *claims), CARRIER)
    ladder.do("reject", ladder.event(InviteReceived).leg, 486, "Busy Here")
    written = str(ladder.written())
    assert [number in written for number in ("44207", "44208", "44209", "44210")] == [trusted] * 3 + [True]
    assert ladder.replayed().lines() == []


@pytest.mark.parametrize(
    ("kind", "body", "written"),
    [
        ("application/dtmf-relay", b"Signal= 5\r\nDuration=160\r\n", f"Signal= {HIDDEN}\r\nDuration=160\r\n"),
        ("application/dtmf", b"5", HIDDEN),
    ],
)
def test_keys_of_a_secret_are_hidden_and_pressed_as_zeros(kind: str, body: bytes, written: str) -> None:
    ladder, phone, leg = talking()
    ladder.inputs.secret = lambda: True
    ladder.receive(phone.request("INFO", body, content_type=kind))
    ladder.do("send_info", leg, kind, body)
    ladder.inputs.secret = lambda: False
    ladder.receive(phone.request("INFO", body, content_type=kind))

    texts = [entry["message"] for entry in ladder.written() if entry.get("message", "").startswith("INFO")]
    assert [text.partition("\r\n\r\n")[2] for text in texts] == [written, written, body.decode()]
    [order] = [entry for entry in ladder.written() if entry.get("order") == "send_info"]
    assert order["args"]["body"] == written
    assert len(ladder.events(InfoReceived)) == 2
    assert ladder.replayed().lines() == []


def test_a_key_that_comes_again_when_the_secret_is_over_stays_hidden() -> None:
    """Our 200 was lost: the same INFO comes again for half a minute (RFC 3261 §17.1.2)."""
    ladder, phone, _ = talking()
    ladder.inputs.secret = lambda: True
    info = phone.request("INFO", b"Signal=7\r\n", content_type="application/dtmf-relay")
    ladder.receive(info)
    ladder.inputs.secret = lambda: False
    ladder.now += 10.0
    ladder.receive(info)
    texts = [entry["message"] for entry in ladder.written() if entry.get("message", "").startswith("INFO")]
    assert [text.partition("\r\n\r\n")[2] for text in texts] == [f"Signal={HIDDEN}\r\n"] * 2
    assert ladder.replayed().lines() == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n"), ("application/dtmf", b"7")],
)
def test_which_keys_we_press_is_not_written(kind: str, body: bytes) -> None:
    """They may be a PIN that the flow passes on."""
    ladder, _, leg = talking()
    ladder.do("send_info", leg, kind, body)
    [order] = [entry for entry in ladder.written() if entry.get("order") == "send_info"]
    [sent] = [entry for entry in ladder.written() if entry.get("message", "").startswith("INFO")]
    assert "7" not in order["args"]["body"]
    assert "7" not in sent["message"].partition("\r\n\r\n")[2]
    assert ladder.replayed().lines() == []


def test_encrypted_media_is_replayed_without_its_keys() -> None:
    sdp = ANSWER + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\n"
    ladder, phone = RecordedLadder(), Phone()
    ladder.receive(phone.request("INVITE", sdp))
    ladder.do("accept", ladder.event(InviteReceived).leg, sdp)
    assert "c2VjcmV0" not in str(ladder.written())
    assert ladder.replayed().lines() == []


# ── whose a message is ──────────────────────────────────────────────────────────────────────────
def test_a_call_id_of_two_calls_is_not_replayed() -> None:
    ladder, phone, _ = talking()
    other = Inputs(Journal(None, None), "1", wall=lambda: 0.0)
    twin = Phone(call_id=phone.call_id, tag="other-tag")
    twin.branches = 50
    leg = "?"
    for effect in ladder.endpoint.receive(twin.request("INVITE", OFFER), twin.address, ladder.now):
        leg = effect.leg if isinstance(effect, InviteReceived) else leg
    ladder.recorded.follow(leg, other, ladder.now)
    assert ladder.recording().unclear
    assert not ladder.recording().replayable


def test_nothing_is_kept_of_a_call_that_is_over() -> None:
    ladder = we_hang_up()
    assert len(ladder.recorded.book) == 1
    ladder.inputs.end()
    assert len(ladder.recorded.book) == 0


def test_what_no_call_claims_is_held_within_bounds() -> None:
    ladder = RecordedLadder()
    for number in range(200):
        phone = Phone(call_id=f"options-{number}")
        for _ in range(20):
            ladder.receive(phone.request("OPTIONS"))
    assert ladder.recorded.book.held == 64 * 12
    assert ladder.entries == []


def test_a_journal_without_sip_has_nothing_to_compare() -> None:
    assert not RecordedLadder().recording().replayable


def test_a_refused_order_is_refused_again() -> None:
    ladder, _, leg = offered()
    with pytest.raises(SipError, match="not established"):
        ladder.do("offer", leg, ANSWER)
    ladder.do("reject", leg, 603, "Decline")
    assert any(entry.get("error") == "bad_state" for entry in ladder.written())
    assert ladder.replayed().lines() == []

"""A hundred thousand damaged messages into the endpoint with live calls, and damaged session descriptions."""

from __future__ import annotations

import pytest

from tests.kit.corpora import corpora_folder
from voiceagent.bench.fuzz import SDP_SEEDS, Target, fuzz_endpoint, fuzz_sdp, own_seeds
from voiceagent.bench.fuzz_main import corpora_seeds
from voiceagent.bench.mutate import Mutator
from voiceagent.bench.sip_peer import OFFER, PEER, Peer
from voiceagent.errors import ConfigError
from voiceagent.sip.endpoint import SipEndpoint

PARTS = 4
NOTHING = {"transactions": 0, "legs": 0, "dialogs": 0, "timers": 0}


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_messages_harm_nobody(part: int) -> None:
    figures = fuzz_endpoint(100_000 // PARTS, seed=part, seeds=corpora_seeds(corpora_folder()))
    assert figures["examples"] == []
    assert figures["left"] == NOTHING
    assert figures["canary_answers"] > 20
    # It is no wall that they run into: calls are set up and ended, and every layer has refused something.
    assert figures["calls_ended"] > 300
    assert {"100", "200", "400", "420", "481", "482", "488", "491", "500", "505"} <= set(
        figures["sent_by_status"]
    )


@pytest.mark.parametrize("part", range(2))
def test_damaged_session_descriptions_raise_only_the_typed_error(part: int) -> None:
    figures = fuzz_sdp(10_000, seed=part)
    assert figures["examples"] == []
    assert min(figures["outcomes"][name] for name in ("400", "413", "488", "agreed both ways")) > 100


def test_an_exception_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = SipEndpoint.receive

    def careless(self: SipEndpoint, data: bytes, *rest: object) -> object:
        if data.count(b"Via:") > 5:
            raise IndexError("planted")
        return sound(self, data, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(SipEndpoint, "receive", careless)
    figures = fuzz_endpoint(2_000)
    assert figures["exceptions"] > 0
    assert "planted" in figures["examples"][0]


def test_a_lost_canary_would_be_seen() -> None:
    target = Target(own_seeds(), 1)
    canary = Peer("canary", "canary-tag")
    canary.to_tag, canary.number = target.canary.to_tag, 50
    target.take(canary.request("BYE"))
    assert target.exceptions == ["the canary was ended by peer"]


def test_the_same_seed_damages_in_the_same_way() -> None:
    one, other = Mutator(SDP_SEEDS, 5), Mutator(SDP_SEEDS, 5)
    first = [one.next() for _ in range(200)]
    assert first == [other.next() for _ in range(200)]
    assert len(set(first)) > 190
    assert max(map(len, first)) <= 65_535


def test_a_folder_without_the_corpora_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ConfigError, match="--corpora"):
        corpora_seeds(tmp_path_factory.mktemp("empty"))


# What the searches have found, by hand.


def test_a_reinvite_that_rang_for_ever_does_not_outlive_its_call() -> None:
    from tests.sip.ladder import ANSWER, established

    ladder, phone, leg = established()
    ladder.do("offer", leg, OFFER)
    ladder.receive(phone.reply(ladder.request(), 183, ANSWER))
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.settle()
    ladder.nothing_left()


def test_a_reinvite_that_rings_only_after_the_end_is_given_up_as_well() -> None:
    from tests.sip.ladder import established

    ladder, phone, leg = established()
    ladder.do("offer", leg, OFFER)
    reinvite = ladder.request()
    ladder.receive(phone.request("BYE"))
    ladder.receive(phone.reply(reinvite, 100))
    ladder.settle()
    ladder.nothing_left()


def test_the_bye_to_a_fork_that_was_left_counts_on_from_its_prack() -> None:
    from tests.sip.ladder import ANSWER, Ladder, Phone

    ladder, phone = Ladder(reliable_provisionals="supported"), Phone()
    ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 183, b"", "Require: 100rel", "RSeq: 1", tag="slow"))
    assert (ladder.request().method, ladder.request().cseq.number) == ("PRACK", 2)
    ladder.receive(phone.reply(invite, 200, ANSWER, tag="fast"))
    ladder.receive(phone.reply(invite, 200, ANSWER, tag="slow"))
    assert (ladder.request().method, ladder.request().cseq.number) == ("BYE", 3)
    assert ladder.request().to.tag == "slow"


def test_an_invite_whose_answers_would_not_fit_a_datagram_is_refused() -> None:
    from tests.sip.ladder import Ladder
    from voiceagent.sip.effects import InviteReceived

    line = "Record-Route: <sip:" + "r" * 900 + "@127.0.0.1:5090;lr>"
    ladder = Ladder()
    ladder.receive(Peer("long", "t").request("INVITE", OFFER, *[line] * 30), PEER)
    assert ladder.events(InviteReceived)
    ladder.receive(Peer("longer", "t").request("INVITE", OFFER, *[line] * 40), PEER)
    assert ladder.response().status == 513
    assert len(ladder.events(InviteReceived)) == 1


def test_an_empty_record_route_names_no_proxy() -> None:
    from tests.sip.ladder import ANSWER, Ladder, Phone
    from voiceagent.sip.effects import InviteReceived

    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, "Record-Route:"))
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 200 INVITE
    """)

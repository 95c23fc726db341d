"""The four machines by themselves: what the endpoint's ladders cannot show, reliable transports above all."""

from __future__ import annotations

from tests.sip.ladder import OFFER, PHONE, Phone
from voiceagent.sip.effects import SendDatagram
from voiceagent.sip.endpoint_core import ack_for_refusal
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram
from voiceagent.sip.timers import TimerValues
from voiceagent.sip.transaction import (
    ClientTransaction,
    InviteServer,
    NonInviteServer,
    ServerTransaction,
    TransactionLayer,
)
from voiceagent.sip.transaction.layer import server_key
from voiceagent.sip.transaction.server import ServerState
from voiceagent.sip.transaction.wire import Wire


class Bench:
    def __init__(self) -> None:
        self.wire = Wire(TimerValues())
        self.layer = TransactionLayer(self.wire, ack_for_refusal)
        self.phone = Phone()

    def request(self, method: str) -> Request:
        message = parse_datagram(self.phone.request(method, OFFER if method == "INVITE" else b""))
        assert isinstance(message, Request)
        return message

    def server(self, method: str, *, reliable: bool) -> ServerTransaction:
        request = self.request(method)
        phone = PHONE._replace(transport="tcp") if reliable else PHONE
        return self.layer.open_server(server_key(request, method), request, phone, phone)

    def client(self, method: str, *, reliable: bool) -> ClientTransaction:
        phone = PHONE._replace(transport="tcp") if reliable else PHONE
        return self.layer.open_client(self.request(method), phone)

    def reply(self, client: ClientTransaction, status: int) -> Response:
        message = parse_datagram(self.phone.reply(client.request, status))
        assert isinstance(message, Response)
        return message

    def sent(self, seconds: float) -> list[float]:
        """Let time pass; when something was sent."""
        times: list[float] = []
        until = self.wire.now + seconds
        self.wire.take()
        while (due := self.wire.timers.next_at()) is not None and due <= until:
            self.wire.now = due
            self.wire.timers.run_due(due)
            times += [due for effect in self.wire.take() if isinstance(effect, SendDatagram)]
        self.wire.now = until
        return times


def test_a_reliable_invite_is_sent_once_and_times_out_by_b() -> None:
    bench = Bench()
    client = bench.client("INVITE", reliable=True)
    gone: list[float] = []
    client.on_timeout = lambda: gone.append(bench.wire.now)
    client.start()
    assert bench.sent(100) == []
    assert gone == [32.0]
    assert len(bench.layer) == 0


def test_a_reliable_request_is_sent_once_and_times_out_by_f() -> None:
    bench = Bench()
    client = bench.client("BYE", reliable=True)
    gone: list[float] = []
    client.on_timeout = lambda: gone.append(bench.wire.now)
    client.start()
    assert bench.sent(100) == []
    assert gone == [32.0]


def test_timers_d_and_k_are_zero_on_reliable_transports() -> None:
    bench = Bench()
    for method, status in (("INVITE", 486), ("BYE", 200)):
        client = bench.client(method, reliable=True)
        heard: list[int] = []
        client.on_response = lambda response, heard=heard: heard.append(response.status)
        client.start()
        client.response_received(bench.reply(client, status))
        assert heard == [status]
        assert len(bench.layer) == 0
    assert len(bench.wire.timers) == 0


def test_timers_g_i_and_j_are_zero_on_reliable_transports() -> None:
    bench = Bench()
    bye = bench.server("BYE", reliable=True)
    assert bye.respond(200, b"x")
    assert len(bench.layer) == 0
    invite = bench.server("INVITE", reliable=True)
    assert isinstance(invite, InviteServer)
    assert invite.respond(486, b"x")
    assert bench.sent(31) == []
    invite.ack_received(bench.request("ACK"))
    assert (len(bench.layer), len(bench.wire.timers)) == (0, 0)


def test_a_second_final_response_is_refused() -> None:
    bench = Bench()
    for method in ("INVITE", "OPTIONS"):
        server = bench.server(method, reliable=False)
        assert server.respond(180, b"ringing")
        assert server.respond(200, b"yes")
        bench.wire.take()
        assert not server.respond(486, b"no")
        assert not server.respond(180, b"late")
        assert bench.wire.take() == []
        server.repeated()
        assert [effect.data for effect in bench.wire.take() if isinstance(effect, SendDatagram)] == [b"yes"]


def test_nothing_is_sent_after_the_end() -> None:
    bench = Bench()
    server = bench.server("OPTIONS", reliable=False)
    assert isinstance(server, NonInviteServer)
    server.terminate()
    server.terminate()
    assert not server.respond(200, b"x")
    assert bench.wire.take() == []
    client = bench.client("INVITE", reliable=False)
    client.start()
    reply = bench.reply(client, 200)
    client.terminate()
    bench.wire.take()
    heard: list[int] = []
    client.on_response = lambda response: heard.append(response.status)
    client.response_received(reply)
    assert (heard, bench.wire.take(), len(bench.layer), len(bench.wire.timers)) == ([], [], 0, 0)


def test_a_provisional_after_the_2xx_of_another_branch_is_not_told() -> None:
    bench = Bench()
    client = bench.client("INVITE", reliable=False)
    heard: list[int] = []
    client.on_response = lambda response: heard.append(response.status)
    client.start()
    for status in (180, 200, 183, 486, 200):
        client.response_received(bench.reply(client, status))
    assert heard == [180, 200, 200]


def test_the_end_is_told_once() -> None:
    bench = Bench()
    server = bench.server("OPTIONS", reliable=False)
    ends: list[ServerState] = []
    server.on_end = lambda: ends.append(server.state)
    server.respond(200, b"x")
    bench.sent(33)
    server.terminate()
    assert ends == [ServerState.TERMINATED]


def test_header_values_cannot_smuggle_lines_into_a_reply() -> None:
    from voiceagent.sip.transaction.reply import fields_of, reply_bytes, reply_head

    request = Bench().request("OPTIONS")
    head = reply_head(request, PHONE)
    data = reply_bytes(
        head, 486, "Busy\r\nX-Evil: 1", "tag", [("X-A", "1\nX-Evil: 2"), ("X-B\r\nX-Evil", "3")]
    )
    assert all(not line.lower().startswith(b"x-evil") for line in data.split(b"\r\n"))
    fields = fields_of([("X-A", "1\r\nX-Evil: 2")])
    assert "X-Evil" not in fields

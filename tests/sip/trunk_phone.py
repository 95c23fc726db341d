"""Trunk tables for ladders, and a phone that can answer a challenge."""

from __future__ import annotations

import ipaddress
from typing import Any

from tests.sip.ladder import Ladder, Phone
from voiceagent.ids import counted_tokens
from voiceagent.sip.auth.digest_account import Chain, DigestAccount
from voiceagent.sip.effects import Address
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram
from voiceagent.sip.trunk.numbers import NumberRule
from voiceagent.sip.trunk.trunks import Trunk, TrunkTable

CARRIER = Address("192.0.2.10", 5060)
STRANGER = Address("203.0.113.66", 5060)


def trunk(name: str, *networks: str, **rules: Any) -> Trunk:
    """A trunk with networks and number rules as they are written in settings."""
    for way in ("numbers_in", "numbers_out"):
        if way in rules:
            rules[way] = tuple(NumberRule.parse(rule) for rule in rules[way])
    return Trunk(name, tuple(ipaddress.ip_network(one) for one in networks), **rules)


def gated(*trunks: Trunk, **config: Any) -> Ladder:
    """A ladder whose endpoint has these trunks."""
    return Ladder(trunks=TrunkTable(trunks), **config)


def phone_at(address: Address, call_id: str = "call-1") -> Phone:
    return Phone(address, call_id, tag=f"tag-{call_id}")


def answering(
    refusal: Response, again: bytes, username: str, password: str, *, best_first: bool = True
) -> bytes:
    """``again`` with the answer to ``refusal`` put in; ``best_first`` False takes the last challenge."""
    if not best_first:
        worst = refusal.headers.get_all("WWW-Authenticate")[-1]
        refusal = Response(refusal.status, refusal.reason, refusal.headers.copy())
        refusal.headers.set("WWW-Authenticate", worst)
    request = parse_datagram(again)
    assert isinstance(request, Request)
    account = DigestAccount(
        username, password, hosts=frozenset({"127.0.0.1"}), tokens=counted_tokens("cnonce")
    )
    assert account.answer(request, refusal, "127.0.0.1", Chain())
    return request.to_bytes()

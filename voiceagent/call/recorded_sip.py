"""A SIP endpoint that has its messages, and the orders given to it, written into the calls' journals.

With these the endpoint can live the dialogs of a call again (:mod:`voiceagent.replay.sip_again`).
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from voiceagent.call.inputs import Inputs
from voiceagent.call.loop_timers import BEHALF
from voiceagent.call.sip_book import SipBook, place_of, plain_argument
from voiceagent.errors import SipError
from voiceagent.ids import Tokens
from voiceagent.sip.address import Address
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import SipEffect
from voiceagent.sip.endpoint import SipEndpoint

Order = TypeVar("Order", bound=Callable[..., list[SipEffect]])

_NO_DATA = frozenset({"accept_source", "trunks", "dialog_peer", "may_replace"})
"""Settings of an endpoint that a journal does not hold."""


def _order(method: Order) -> Order:
    """Return a command of the endpoint that is written down when it is given."""
    name, signature = method.__name__, inspect.signature(method)

    @wraps(method)
    def given(self: RecordedEndpoint, /, *args: Any, **kwargs: Any) -> list[SipEffect]:
        bound = signature.bind(self, *args, **kwargs)
        told = bound.arguments
        if "headers" in told:
            told["headers"] = tuple(told["headers"])
        self.drawn.clear()
        late = self.late_facts(told["now"])
        refused = {}
        effects: list[SipEffect] = []
        try:
            effects = method(*bound.args, **bound.kwargs)
        except SipError as error:
            refused = {"error": error.code}
            raise
        finally:
            rest = {key: value for key, value in told.items() if key not in ("self", "leg", "now")}
            self.book.ordered(told["leg"], name, told["now"], rest, {**self.drawn_facts(), **late, **refused})
            self.book.left(effects, told["now"])
        return effects

    return cast("Order", given)


class RecordedEndpoint(SipEndpoint):
    """An endpoint whose dialogs are written down for the calls that :meth:`follow` has told of."""

    def __init__(self, config: EndpointConfig, tokens: Tokens) -> None:
        self.drawn: list[str] = []
        """Tokens that were drawn since the last message or order."""

        def draw() -> str:
            token = tokens()
            self.drawn.append(token)
            return token

        super().__init__(config, draw)
        self.book = SipBook()
        self._told: dict[str, Any] | None = None

    def follow(self, leg: str, inputs: Inputs, now: float) -> None:
        """Write the dialog of ``leg`` into a journal. Its Call-ID must not be another call's, too."""
        found = self._core.legs.get(leg)
        if found is not None:
            facts = {"inbound": found.inbound, "timers": True, **self._trunk_facts(found.trunk)}
            self.book.follow(leg, self.call_id(leg), inputs, now, facts, self._setup)

    def receive(self, data: bytes, source: Address, now: float) -> list[SipEffect]:
        self.drawn.clear()
        late = self.late_facts(now)
        effects = super().receive(data, source, now)
        facts: dict[str, Any] = {**self.drawn_facts(), **late}
        live = self._core.flows.live.get(source.flow)
        if live is not None:
            facts["flow"] = {"listener": live.listener, "identities": list(live.identities)}
        self.book.came(data, source, now, effects, facts)
        return effects

    def wake(self, now: float) -> list[SipEffect]:
        late = self.late_facts(now)
        effects = super().wake(now)
        self.book.woke(effects, now, late)
        self.book.left(effects, now)
        return effects

    def flow_closed(self, address: Address, now: float, reason: str = "connection closed") -> list[SipEffect]:
        self.book.lost(address, reason, now, self.late_facts(now))
        effects = super().flow_closed(address, now, reason)
        self.book.left(effects, now)
        return effects

    def transport_failed(self, address: Address, now: float, reason: str = "unreachable") -> list[SipEffect]:
        self.book.lost(place_of(address), reason, now, self.late_facts(now))
        effects = super().transport_failed(address, now, reason)
        self.book.left(effects, now)
        return effects

    def invite(self, target_uri: str, *, now: float, **given: Any) -> tuple[str, list[SipEffect]]:
        given["headers"] = tuple(given.get("headers", ()))
        self.drawn.clear()
        late = self.late_facts(now)
        leg, effects = super().invite(target_uri, now=now, **given)
        owner = BEHALF.get()
        if isinstance(owner, Inputs):
            self.follow(leg, owner, now)
            facts = {**self.drawn_facts(), **late}
            self.book.ordered(leg, "invite", now, {"target_uri": target_uri, **given}, facts)
            self.book.left(effects, now)
        return leg, effects

    ring = _order(SipEndpoint.ring)
    accept = _order(SipEndpoint.accept)
    reject = _order(SipEndpoint.reject)
    cancel = _order(SipEndpoint.cancel)
    hang_up = _order(SipEndpoint.hang_up)
    offer = _order(SipEndpoint.offer)
    update = _order(SipEndpoint.update)
    answer_offer = _order(SipEndpoint.answer_offer)
    refuse_offer = _order(SipEndpoint.refuse_offer)
    refer = _order(SipEndpoint.refer)
    refer_replacing = _order(SipEndpoint.refer_replacing)
    accept_refer = _order(SipEndpoint.accept_refer)
    refuse_refer = _order(SipEndpoint.refuse_refer)
    refer_outcome = _order(SipEndpoint.refer_outcome)
    send_info = _order(SipEndpoint.send_info)
    probe = _order(SipEndpoint.probe)

    def drawn_facts(self) -> dict[str, Any]:
        """Return the tokens drawn for what is written down now: dice are thrown with them, too."""
        return {"drawn": list(self.drawn)} if self.drawn else {}

    def late_facts(self, now: float) -> dict[str, Any]:
        """Return for how many milliseconds a timer has been due that has not fired yet, where one has."""
        due = self.wake_at()
        return {"late_ms": round((now - due) * 1000, 3)} if due is not None and due < now else {}

    def _setup(self) -> dict[str, Any]:
        if self._told is not None:
            return self._told
        config = self.config
        found = {one.name: getattr(config, one.name) for one in dataclasses.fields(config)}
        plain = {name: value for name, value in found.items() if name not in _NO_DATA}
        plain["timers"] = dataclasses.asdict(config.timers)
        self._told = {name: plain_argument(value, False) for name, value in plain.items()}
        return self._told

    def _trunk_facts(self, name: str) -> dict[str, Any]:
        """What its dialogs depend on; never a password."""
        gate = self._core.gate
        trunk = None if gate is None else gate.table.get(name)
        if trunk is None:
            return {"gate": gate is not None}
        kept = ("name", "methods", "trust_headers", "servers", "domain", "from_user", "username", "realm")
        return {"gate": True, "trunk": {one: plain_argument(getattr(trunk, one), False) for one in kept}}

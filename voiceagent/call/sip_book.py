"""Which SIP dialog is written into which call's journal.

``in.sip`` is a message that came, ``sip.sent`` one that left, ``in.sip_order`` what a leg of ours wanted of
the endpoint, ``in.sip_woke`` that timers fired and did something; ``late_ms`` in them says how long a timer
had been due. A message belongs to the call whose Call-ID it carries; what came before there was a call (a
challenge, the INVITE itself) is held until there is one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from voiceagent.call.inputs import Inputs
from voiceagent.call.sip_secrets import shown, shown_body, shown_head, text_of, without_claims
from voiceagent.sip.address import Address
from voiceagent.sip.effects import InviteReceived, SendDatagram, SipEffect

HELD_CALLS = 64
HELD_ENTRIES = 12
HELD_BYTES = 8192
"""Of so many Call-IDs without a call so many entries are held, none of them longer."""
SECRET_KEPT = 256
_CALL_ID = re.compile(rb"\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE)


@dataclasses.dataclass(slots=True)
class _Entry:
    kind: str
    at: float
    fields: dict[str, Any]


@dataclasses.dataclass(slots=True)
class _Held:
    """The last entries of a Call-ID that no call has claimed yet."""

    entries: deque[_Entry] = dataclasses.field(default_factory=lambda: deque[_Entry](maxlen=HELD_ENTRIES))

    def let_in(self) -> None:
        """Its INVITE has passed the gate: what stands before that was talk at the gate."""
        entries = list(self.entries)
        last = max((place for place, one in enumerate(entries) if one.kind == "in.sip"), default=0)
        for one in entries[:last]:
            one.fields["early"] = True


@dataclasses.dataclass(slots=True)
class _Dialog:
    """One Call-ID of a call, ``number`` counted from 1 within it."""

    call_id: str
    inputs: Inputs
    number: int
    leg: str
    believed: bool = True
    """What the other side claims of who it is may be written down."""
    flows: set[int] = dataclasses.field(default_factory=set[int])
    """Stream connections that its messages came by."""
    peers: set[Address] = dataclasses.field(default_factory=set[Address])
    """Where its messages went to."""

    secret: OrderedDict[bytes, None] = dataclasses.field(default_factory=OrderedDict[bytes, None])
    """Digests of messages that came in secret: they may come again long after (RFC 3261 §17.1.2)."""

    def hides(self, data: bytes) -> bool:
        """Return whether the keys that this message tells are a secret of the caller's."""
        digest = hashlib.blake2s(data, digest_size=16).digest()
        if self.inputs.secret():
            self.secret[digest] = None
            if len(self.secret) > SECRET_KEPT:
                self.secret.popitem(last=False)
        return digest in self.secret

    def write(self, kind: str, at: float, fields: Mapping[str, Any]) -> None:
        if kind == "in.sip" and not self.believed:
            fields = {**fields, "message": without_claims(fields["message"])}
        self.inputs.write_beside(kind, at, dialog=self.number, **fields)


class SipBook:
    """Which dialog is written into which journal. Times are those of the endpoint."""

    def __init__(self) -> None:
        self._dialogs: dict[str, _Dialog] = {}
        self._by_leg: dict[str, _Dialog] = {}
        self._counts: dict[Inputs, int] = {}
        self._held: OrderedDict[str, _Held] = OrderedDict()

    def __len__(self) -> int:
        return len(self._dialogs)

    @property
    def held(self) -> int:
        """Entries that no call has claimed yet."""
        return sum(len(one.entries) for one in self._held.values())

    def follow(
        self,
        leg: str,
        call_id: str,
        inputs: Inputs,
        now: float,
        facts: Mapping[str, Any],
        setup: Callable[[], Mapping[str, Any]],
    ) -> None:
        """From now on the dialog of ``leg`` is written into the journal of ``inputs``, with what is held.

        ``facts`` are what is written of the dialog itself, ``setup`` of the endpoint, once in a journal.
        """
        if leg in self._by_leg or not call_id:
            return
        other = self._dialogs.get(call_id)
        if other is not None:
            # A call of ours has come back to us: whose a message is, its Call-ID does not say any more.
            other.write("in.sip_unclear", now, {})
            return
        head: dict[str, Any] = {}
        if inputs not in self._counts:
            self._counts[inputs] = 0
            inputs.at_end.append(lambda: self._forget(inputs))
            head["setup"] = setup()
        self._counts[inputs] += 1
        trunk = facts.get("trunk")
        believed = not facts.get("gate") or bool(trunk and trunk["trust_headers"])
        dialog = _Dialog(call_id, inputs, self._counts[inputs], leg, believed)
        self._dialogs[call_id] = self._by_leg[leg] = dialog
        dialog.write("in.sip_dialog", now, {"call_id": call_id, **facts, **head})
        held = self._held.pop(call_id, None)
        for one in () if held is None else held.entries:
            peer = Address(*one.fields["peer"])
            if one.kind == "in.sip":
                dialog.flows.add(peer.flow)
            else:
                dialog.peers.add(place_of(peer))
            dialog.write(one.kind, one.at, one.fields)

    def _forget(self, inputs: Inputs) -> None:
        self._counts.pop(inputs, None)
        for one in [one for one in self._dialogs.values() if one.inputs is inputs]:
            del self._dialogs[one.call_id]
            self._by_leg.pop(one.leg, None)

    # ── entries ─────────────────────────────────────────────────────────────────────────────────
    def came(
        self,
        data: bytes,
        source: Address,
        now: float,
        effects: Sequence[SipEffect],
        facts: Mapping[str, Any],
    ) -> None:
        """Write a message that came, and what was sent because of it. ``facts`` are written with it."""
        sent = [one for one in effects if isinstance(one, SendDatagram)]
        call_id = call_id_of(data)
        dialog = self._dialogs.get(call_id)
        if dialog is not None:
            dialog.flows.add(source.flow)
            message = _message(data, source, hide_keys=dialog.hides(data))
            dialog.write("in.sip", now, {**message, **facts})
        elif call_id and sent and len(data) <= HELD_BYTES:
            held = self._held.setdefault(call_id, _Held())
            held.entries.append(_Entry("in.sip", now, {**_message(data, source), **facts}))
            while len(self._held) > HELD_CALLS:
                self._held.popitem(last=False)
        self.left(sent, now)
        if call_id in self._held and any(isinstance(one, InviteReceived) for one in effects):
            self._held[call_id].let_in()

    def left(self, effects: Iterable[SipEffect], now: float) -> None:
        """Write messages that leave."""
        for one in effects:
            if not isinstance(one, SendDatagram):
                continue
            call_id = call_id_of(one.data)
            dialog = self._dialogs.get(call_id)
            if dialog is not None:
                dialog.peers.add(place_of(one.destination))
                dialog.write("sip.sent", now, _message(one.data, one.destination, hide_keys=True))
            elif call_id in self._held:
                fields = _message(one.data, one.destination, hide_keys=True)
                self._held[call_id].entries.append(_Entry("sip.sent", now, fields))

    def woke(self, effects: Sequence[SipEffect], now: float, facts: Mapping[str, Any]) -> None:
        """Write that timers have fired, for each call that this does something to."""
        told: set[Inputs] = set()
        for one in effects:
            if isinstance(one, SendDatagram):
                dialog = self._dialogs.get(call_id_of(one.data))
            else:
                dialog = self._by_leg.get(getattr(one, "leg", ""))
            if dialog is not None and dialog.inputs not in told:
                told.add(dialog.inputs)
                dialog.write("in.sip_woke", now, facts)

    def ordered(
        self, leg: str, order: str, now: float, args: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> None:
        """Write an order that was given for a leg."""
        dialog = self._by_leg.get(leg)
        if dialog is None:
            return
        hide = order == "send_info"  # which keys we press is nobody's business: they may be the caller's PIN
        plain = {name: plain_argument(value, hide) for name, value in args.items()}
        other = self._by_leg.get(str(args.get("other", "")))
        if other is not None:
            plain["other"] = other.number
        dialog.write("in.sip_order", now, {"order": order, "args": plain, **facts})

    def lost(self, address: Address, reason: str, now: float, facts: Mapping[str, Any]) -> None:
        """A connection (``flow`` above 0), or the way to an address, is gone."""
        flow, place = address.flow, place_of(address)
        for dialog in self._dialogs.values():
            if flow in dialog.flows if flow > 0 else place in dialog.peers:
                dialog.write("in.sip_lost", now, {"peer": list(address), "reason": reason, **facts})


def call_id_of(data: bytes) -> str:
    """Return the Call-ID of a message, read without a parser; empty where there is none."""
    found = _CALL_ID.search(data)
    return "" if found is None else text_of(found[1]).strip()


def place_of(address: Address) -> Address:
    return address._replace(flow=0, name="")


def _message(data: bytes, peer: Address, *, hide_keys: bool = False) -> dict[str, Any]:
    text, hidden = shown(data, hide_keys=hide_keys)
    return {"peer": list(peer), "message": text, **({"hidden": True} if hidden else {})}


def plain_argument(value: Any, hide: bool) -> Any:
    """Return an argument of an order as JSON holds it."""
    if isinstance(value, bytes):
        return shown_body(text_of(value), keys=hide)
    if isinstance(value, str):
        return shown_head(value)
    if isinstance(value, Address):
        return list(value)
    if isinstance(value, list | tuple):
        return [plain_argument(one, hide) for one in cast("Sequence[Any]", value)]
    return value

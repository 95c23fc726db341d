"""PURE. The endpoint's door: what the gatekeeper's verdict means for one request."""

from __future__ import annotations

from voiceagent.sip.address import Address
from voiceagent.sip.effects import Dropped, TrunkJudged
from voiceagent.sip.endpoint_core import Core
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.transaction.layer import server_key
from voiceagent.sip.trunk.gatekeeper import Gate, Gatekeeper

_INSIDE = Gate("", "inside")


def let_in(core: Core, gate: Gatekeeper, request: Request, source: Address) -> Gate | None:
    """Judge a request that repeats none. None: it was dropped, or refused without a transaction.

    Otherwise its trunk, with a ``status`` where it is to be refused by the transaction. A request within a
    dialog is judged by its dialog (tags and source), a CANCEL by its INVITE; from a source that has proven
    nothing, one that belongs to neither is dropped rather than answered.
    """
    if request.method == "CANCEL":
        if gate.at_home(source) or core.layer.find_server(server_key(request, "INVITE")) is not None:
            return _INSIDE
    elif request.to.tag is not None:
        key = request.call_id, request.to.tag, request.from_.tag or ""
        if key in core.dialogs or gate.at_home(source):
            return _INSIDE
    else:
        verdict = gate.judge(request, source, core.wire.now)
        core.counts[f"gate_{verdict.what}"] += 1
        if verdict.what != "unknown_source":
            core.emit(TrunkJudged(verdict.trunk, verdict.what, source))
        if verdict.status is not None:
            if verdict.stateless:
                core.respond_stateless(request, source, verdict.status, headers=verdict.headers)
                return None
            gate.clean(request.headers, verdict.trunk)
            return verdict
    core.counts["drop_unknown_source"] += 1
    core.emit(Dropped("unknown_source", source))
    return None

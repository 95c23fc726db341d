"""The SIP of a call as a ladder, from its journal: who sent what, when, and by which repetition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from voiceagent.replay.sip_difference import key_of, named
from voiceagent.replay.sip_recording import SipMessage, address_of
from voiceagent.replay.trace import read_lines


def sip_ladder(path: Path) -> Iterator[str]:
    """Yield a line for each message of a journal: time, dialog, direction, what it is, and the other side.

    ``▶`` came to us, ``◀`` left; a message that says what one before it said is marked as its repetition.
    Raises :class:`~voiceagent.replay.trace.JournalError` if the journal cannot be read.
    """
    known: set[tuple[object, ...]] = set()
    for line in read_lines(path):
        entry = line.entry
        if entry.get("type") not in ("in.sip", "sip.sent"):
            continue
        came = entry["type"] == "in.sip"
        message = SipMessage(float(entry["since"]), str(entry["message"]), address_of(entry["peer"]))
        key = (came, entry["dialog"], message.peer[:3], message.text)
        again = "  again" if key in known else ""
        known.add(key)
        host, port, transport = message.peer[:3]
        number = key_of(message)[1].partition(" ")[0]
        what = f"{named(message)} {number}"
        yield (
            f"{message.at:10.3f}  {entry['dialog']}  {'▶' if came else '◀'} {what:<34}"
            f"{transport}:{host}:{port}{again}"
        )

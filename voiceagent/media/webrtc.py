"""WebRTC, which :mod:`.webrtc_peer` does with aiortc: imported when the first browser calls, never before."""

from __future__ import annotations

import asyncio
from typing import Protocol

from voiceagent.errors import MediaError
from voiceagent.media.rtp import RtpPacket
from voiceagent.media.webrtc_sdp import BrowserOffer

HOW_TO_INSTALL = "the browser phone needs aiortc: pip install 'voiceagent[webrtc]'"


class PeerEvents(Protocol):
    """What a peer tells its owner: plain and synchronous, on the event loop's thread."""

    def on_connected(self) -> None:
        """Keys are agreed on and packets may flow; told once."""
        ...

    def on_packet(self, packet: RtpPacket) -> None:
        """An authenticated packet of the browser, as it came."""
        ...

    def on_channel(self) -> None:
        """The data channel is open: :meth:`~voiceagent.media.webrtc_peer.WebrtcPeer.tell` works now."""
        ...

    def on_message(self, text: str) -> None:
        """A text came over the data channel."""
        ...

    def on_gone(self, lost: bool, reason: str) -> None:
        """The browser has left (or, ``lost``, can no longer be reached); told once, not after ``close``."""
        ...


class Peer(Protocol):
    """One browser's connection; see :class:`voiceagent.media.webrtc_peer.WebrtcPeer`."""

    async def answer(self, offer: BrowserOffer) -> str:
        """Agree on a connection and return our SDP."""
        ...

    def send(self, payload: bytes, timestamp: int) -> None:
        """Send the payload of one packet at once."""
        ...

    def tell(self, text: str) -> bool:
        """Send a text over the data channel; False when that cannot be done now."""
        ...

    async def close(self) -> None:
        """End the connection; harmless when it has ended already."""
        ...


class MakePeer(Protocol):
    """Makes a peer that is bound to ``host`` and tells ``told_host``."""

    def __call__(self, events: PeerEvents, *, host: str, told_host: str = "") -> Peer: ...


async def load() -> MakePeer:
    """Return what makes a peer. The import takes a third of a second: it is done in a thread.

    Raises :class:`MediaError` (``webrtc_missing``) when aiortc is not installed.
    """
    try:
        return await asyncio.to_thread(_load)
    except ImportError:
        raise MediaError(HOW_TO_INSTALL, code="webrtc_missing") from None


def _load() -> MakePeer:
    from voiceagent.media.webrtc_peer import WebrtcPeer

    return WebrtcPeer

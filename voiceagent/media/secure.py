"""What stands between a media port's socket and its streams when the media is encrypted.

With SDES the keys are there from the start; with DTLS a handshake on the same socket brings them, and until
then nothing leaves and nothing is let in. One guard lives as long as its call: new keys of a re-INVITE are
taken in place, so that a key that stays keeps its roll-over counter.
"""

from __future__ import annotations

from collections.abc import Callable

from voiceagent.errors import MediaError
from voiceagent.media import rtp
from voiceagent.media.dtls import DtlsAssociation, is_dtls, process_identity
from voiceagent.media.path import Security
from voiceagent.media.source_lock import Address
from voiceagent.media.srtp import SrtpSession
from voiceagent.media.srtp_profile import SrtpKeys


def _unsent(datagram: bytes) -> None:
    """The port is closed."""


class MediaGuard:
    """See the module. ``send`` puts a datagram on the wire as it is."""

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._session: SrtpSession | None = None
        self._association: DtlsAssociation | None = None
        self._peer: Address | None = None
        self.error: MediaError | None = None
        """Why there will never be keys."""
        self.dtls_dropped = 0
        """DTLS datagrams that nothing was waiting for."""
        self._early = 0
        """Packets before there were keys, and what is neither RTP nor DTLS."""

    def close(self) -> None:
        """Nothing is sent any more, and nobody is held."""
        self._send = _unsent

    @property
    def ready(self) -> bool:
        """True when there are keys: media may flow."""
        return self._session is not None

    @property
    def profile(self) -> str:
        """The SRTP profile in force, or an empty text."""
        return "" if self._session is None else self._session.keys.profile.value

    @property
    def refused(self) -> int:
        """Packets that were not let through."""
        return self._early + (0 if self._session is None else self._session.refused)

    @property
    def replayed(self) -> int:
        """Those of them that were copies, or too old to tell."""
        return 0 if self._session is None else self._session.replayed

    def follow(self, security: Security, peer: Address | None, now: float) -> None:
        """Go on with what was agreed on. Raises :class:`MediaError` when a package is missing."""
        if isinstance(security, SrtpKeys):
            self._association = None
            self._take(security)
            return
        same = self._association
        if (
            same is not None
            and same.parameters == security
            and peer in (None, self._peer)  # None: on hold
            and same.error is None
        ):
            return  # the same certificate, role and address: the association goes on (RFC 5763 §6.6)
        self._peer = peer
        self._session = None
        self.error = None
        self._association = DtlsAssociation(process_identity(), security)
        self._spread(self._association.start(now))

    def _take(self, keys: SrtpKeys) -> None:
        if self._session is None:
            self._session = SrtpSession(keys)
        else:
            self._session.rekey(keys)

    def open(self, datagram: bytes, now: float) -> bytes | None:
        """The plain packet in a datagram; None when there is none, or it is not to be believed."""
        session = self._session
        if session is None or len(datagram) < rtp.HEADER or datagram[0] < 0x80:
            if is_dtls(datagram):
                self._handshake(datagram, now)
            else:
                self._early += 1
            return None
        return session.unprotect_rtcp(datagram) if 192 <= datagram[1] <= 223 else session.unprotect(datagram)

    def open_rtcp(self, datagram: bytes) -> bytes | None:
        """The same for the RTCP port."""
        return None if self._session is None else self._session.unprotect_rtcp(datagram)

    def seal(self, packet: bytes | bytearray) -> bytes | None:
        """The packet as it goes on the wire; None without keys."""
        if self._session is None:
            return None
        try:
            return self._session.protect(packet)
        except MediaError as error:
            self.error = error
            return None

    def seal_rtcp(self, packet: bytes) -> bytes | None:
        """The same for RTCP."""
        if self._session is None:
            return None
        try:
            return self._session.protect_rtcp(packet)
        except MediaError as error:
            self.error = error
            return None

    def wakes(self, now: float) -> bool:
        """True when :meth:`wake` has something to do."""
        association = self._association
        if association is None or association.done:
            return False
        at = association.wake_at()
        return at is not None and now >= at

    def wake(self, now: float) -> None:
        """Repeat what of the handshake was not answered."""
        if self._association is not None:
            self._spread(self._association.wake(now))

    def _handshake(self, datagram: bytes, now: float) -> None:
        if self._association is None:
            self.dtls_dropped += 1
            return
        self._spread(self._association.receive(datagram, now))

    def _spread(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self._send(datagram)
        association = self._association
        if association is None:
            return
        if association.error is not None:
            self.error = association.error
        elif association.keys is not None and self._session is None:
            self._take(association.keys)

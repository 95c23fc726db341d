"""DTLS-SRTP (RFC 5763, RFC 5764) of one stream pair: datagrams in, datagrams and keys out.

    association = DtlsAssociation(identity, DtlsParameters("client", fingerprints))
    for datagram in association.start(now): send(datagram)
    for datagram in association.receive(datagram, now): send(datagram)
    when association.wake_at() comes: for datagram in association.wake(now): send(datagram)
    association.keys        # set once the handshake is done and the certificate is the one of the SDP

No socket and no task; OpenSSL works on memory. Its retransmission timer runs on its own clock, which
:meth:`wake_at` translates. A failure is an error of a kind (``dtls_fingerprint``, ``dtls_handshake``,
``dtls_profile``) in :attr:`error`, and the association is then dead. pyOpenSSL is an extra and is imported
when the first identity is made.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from voiceagent.errors import MediaError
from voiceagent.media.fingerprint import DtlsParameters, DtlsRole, Fingerprint
from voiceagent.media.srtp import HOW_TO_INSTALL
from voiceagent.media.srtp_profile import PROFILES, SrtpKeys, SrtpProfile

if TYPE_CHECKING:
    from OpenSSL import SSL

MTU = 1200
"""Bytes of one datagram."""
MAX_DATAGRAMS = 256
"""Of one association; a handshake takes 4 to 10, with heavy loss perhaps 50."""
HANDSHAKE_LIMIT_S = 20.0
_EXPORTER = b"EXTRACTOR-dtls_srtp"
_RECORD_HEADER = 13
_DTLS_1_2 = 0xFEFD
"""The oldest version that we speak, whatever the system's OpenSSL would; pyOpenSSL has no name for it."""
_OPENSSL_NAMES = {
    SrtpProfile.AEAD_AES_256_GCM: b"SRTP_AEAD_AES_256_GCM",
    SrtpProfile.AEAD_AES_128_GCM: b"SRTP_AEAD_AES_128_GCM",
    SrtpProfile.AES_CM_128_HMAC_SHA1_80: b"SRTP_AES128_CM_SHA1_80",
    SrtpProfile.AES_CM_128_HMAC_SHA1_32: b"SRTP_AES128_CM_SHA1_32",
}


class DtlsIdentity:
    """Our certificate: ECDSA on P-256, self-signed, made anew by each process. Its fingerprint is its name.

    Raises :class:`MediaError` (``srtp_missing``) when pyOpenSSL is not installed.
    """

    def __init__(self) -> None:
        try:
            import datetime

            from cryptography import x509
            from cryptography.hazmat.primitives import hashes
            from cryptography.hazmat.primitives.asymmetric import ec
            from OpenSSL import SSL
        except ImportError:
            raise MediaError(HOW_TO_INSTALL, code="srtp_missing") from None
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "voiceagent")])
        # The dates say nothing, the fingerprint does; they are wide for peers with a wrong clock.
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
            .not_valid_after(datetime.datetime(2049, 1, 1, tzinfo=datetime.UTC))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = Fingerprint("sha-256", certificate.fingerprint(hashes.SHA256()))
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        # Both sides must show a certificate; which one is right is for the fingerprint to say.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_any)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_cipher_list(b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!PSK")
        context.set_tlsext_use_srtp(b":".join(_OPENSSL_NAMES[profile] for profile in PROFILES))
        self._context = context

    def connection(self) -> SSL.Connection:
        """A new association on memory."""
        from OpenSSL import SSL

        connection = SSL.Connection(self._context, None)
        connection.set_ciphertext_mtu(MTU)
        return connection


def _accept_any(*_: object) -> bool:
    return True


@functools.cache
def process_identity() -> DtlsIdentity:
    """The identity of this process, made when it is first asked for. Raises as :class:`DtlsIdentity`."""
    return DtlsIdentity()


class DtlsAssociation:
    """One handshake and what comes after it. ``now`` is in seconds on any clock of normal speed."""

    def __init__(self, identity: DtlsIdentity, parameters: DtlsParameters) -> None:
        self.parameters = parameters
        self._role: DtlsRole = parameters.role
        self.keys: SrtpKeys | None = None
        self.error: MediaError | None = None
        self._connection = identity.connection()
        if self._role == "client":
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()
        self._taken = 0
        self._limit = 0.0
        self._wake: float | None = None

    @property
    def done(self) -> bool:
        """True once there are keys, or there will never be any."""
        return self.keys is not None or self.error is not None

    def start(self, now: float) -> list[bytes]:
        """Begin: the client's first flight; the server waits."""
        self._limit = now + HANDSHAKE_LIMIT_S
        return self._go_on(now)

    def receive(self, datagram: bytes, now: float) -> list[bytes]:
        """Take a datagram of the agreed peer; return what must be sent to it."""
        self._taken += 1
        if self.error is not None or self._taken > MAX_DATAGRAMS:
            return []
        self._connection.bio_write(datagram)
        return self._go_on(now) if self.keys is None else self._afterwards()

    def wake_at(self) -> float | None:
        """When :meth:`wake` is to be called, if ever."""
        return None if self.done else self._wake

    def wake(self, now: float) -> list[bytes]:
        """Send the last flight again when its answer is overdue; give up when all of it takes too long."""
        if self.done:
            return []
        if now >= self._limit:
            self._fail("the DTLS handshake did not end in time", "dtls_handshake")
            return []
        from OpenSSL import SSL

        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error:
            self._fail("DTLS: the peer does not answer", "dtls_handshake")
            return []
        return self._out(now)

    def _go_on(self, now: float) -> list[bytes]:
        from OpenSSL import SSL

        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self._fail(f"DTLS: the handshake failed: {_reason(error)}", "dtls_handshake")
        else:
            self._finish()
        return self._out(now)

    def _finish(self) -> None:
        if not self._is_the_peer():
            self._fail("DTLS: the certificate is not the one of the SDP", "dtls_fingerprint")
            return
        name = self._connection.get_selected_srtp_profile()
        profile = next((one for one, openssl in _OPENSSL_NAMES.items() if openssl == name), None)
        if profile is None:
            self._fail("DTLS: no SRTP profile in common", "dtls_profile")
            return
        key, salt = profile.key_bytes, profile.salt_bytes
        material = self._connection.export_keying_material(_EXPORTER, 2 * (key + salt))
        # RFC 5764 §4.2: both keys, then both salts, the client's first.
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        self.keys = (
            SrtpKeys(profile, client, server) if self._role == "client" else SrtpKeys(profile, server, client)
        )

    def _is_the_peer(self) -> bool:
        import hmac

        from cryptography.hazmat.primitives import hashes

        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            return False
        algorithms = {"sha-256": hashes.SHA256(), "sha-384": hashes.SHA384(), "sha-512": hashes.SHA512()}
        return any(
            hmac.compare_digest(certificate.fingerprint(algorithms[one.algorithm]), one.digest)
            for one in self.parameters.fingerprints
        )

    def _afterwards(self) -> list[bytes]:
        """The peer lost our last flight and repeats its own, or says good-bye: OpenSSL knows what to send."""
        from OpenSSL import SSL

        try:
            self._connection.recv(MTU)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            pass
        except SSL.Error:
            return []  # the media stays as it is: who forges alerts must not end a call
        return self._flush()

    def _fail(self, message: str, code: str) -> None:
        self.error = MediaError(message, code=code)

    def _out(self, now: float) -> list[bytes]:
        left = None if self.done else self._connection.DTLSv1_get_timeout()
        self._wake = self._limit if left is None else min(self._limit, now + left)
        return self._flush()

    def _flush(self) -> list[bytes]:
        from OpenSSL import SSL

        data = b""
        while True:
            try:
                data += self._connection.bio_read(16_384)
            except SSL.WantReadError:
                return datagrams_of(data)


def datagrams_of(data: bytes, mtu: int = MTU) -> list[bytes]:
    """Cut what OpenSSL wrote into datagrams: whole records (RFC 6347 §4.1), as many as fit together."""
    found: list[bytes] = []
    start = at = 0
    while at + _RECORD_HEADER <= len(data):
        end = at + _RECORD_HEADER + int.from_bytes(data[at + 11 : at + 13], "big")
        if end - start > mtu and at > start:
            found.append(data[start:at])
            start = at
        at = end
    if len(data) > start:
        found.append(data[start:])
    return found


def is_dtls(datagram: bytes) -> bool:
    """True when a datagram on the media port is DTLS, by its first byte (RFC 7983 §7)."""
    return len(datagram) > _RECORD_HEADER and 20 <= datagram[0] <= 63


def _reason(error: Exception) -> str:
    """The last part of what OpenSSL says, such as ``unknown ca``."""
    try:
        return str(error.args[0][0][-1])
    except (IndexError, TypeError):
        return type(error).__name__

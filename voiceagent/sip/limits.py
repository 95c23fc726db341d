"""PURE. Every limit of SIP messages and connections, in one place (SDP: ``voiceagent.media.sdp.limits``).

A message over a limit is answered (400, 413, 414 or 513) or dropped; it is never processed, and the work
done before finding out is linear in its size.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may make us hold. Sizes in bytes; a value equal to the limit is accepted."""

    datagram: int = 65_535
    """One UDP datagram; over it: 513."""
    stream_message: int = 131_072
    """One message on TCP or TLS, head and body; over it: 513 and close."""
    header_line: int = 8_192
    """One header line after unfolding, without its CRLF; over it: 400 (414 for the request line)."""
    headers: int = 256
    """Header lines of one message; over it: 400."""
    vias: int = 70
    """Via values of one message, counted over all lines; over it: 400."""
    list_values: int = 70
    """Values of one list header (Contact, Route, Require …) over all its lines; over it: 400."""
    params: int = 32
    """Parameters of one header value or URI, and headers of one URI; over it: 400."""
    uri: int = 4_096
    """Characters of one URI; over it: 400."""
    int_digits: int = 10
    """Digits of any integer, looked at before conversion; over it: 400."""
    answer_head: int = 32_768
    """Header lines of an INVITE that its answers and our requests in its dialog repeat; over it: 513."""
    sent_datagram: int = 65_507
    """What one UDP datagram over IPv4 carries; nothing larger is sent."""
    multipart_depth: int = 3
    """multipart within multipart; over it: the SDP is not looked for."""
    multipart_parts: int = 8
    """Parts of one multipart body; over it: 400."""


DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What TCP and TLS connections may cost us. Times in seconds, all absolute: no byte starts them anew."""

    handshake_s: float = 5.0
    """TLS handshake of a connection that we accept."""
    connect_s: float = 5.0
    """Connecting to a peer, TLS handshake included."""
    first_message_s: float = 5.0
    """From accepting a connection to its first whole message."""
    message_s: float = 5.0
    """From the first byte of a message to its last."""
    idle_s: float = 600.0
    """A connection without messages is closed after this long, unless a call needs it; 0 never."""
    ping_s: float = 90.0
    """Silence on a connection that we opened before a keep-alive ping (RFC 5626 §4.4.1); 0 sends none."""
    pong_s: float = 10.0
    """How long a peer that has answered pings before may take now; then the connection has failed."""
    per_address: int = 32
    """Connections from one IP address."""
    connections: int = 1024
    """Connections in all that we accept …"""
    reserve: int = 64
    """… of which so many are kept for sources on the allow-list."""
    write_buffer: int = 1_048_576
    """Bytes waiting for a peer that does not read; over it the connection is closed."""

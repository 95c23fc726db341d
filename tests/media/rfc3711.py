"""An SRTP of our own, slow and plain, straight from the RFCs: the oracle for what libsrtp does.

Key derivation (RFC 3711 §4.3), AES-CM with HMAC-SHA1 (§4.1.1, §4.2.1) and AES-GCM (RFC 7714 §8, §9).
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

RTP_KEY, RTP_AUTH, RTP_SALT, RTCP_KEY, RTCP_AUTH, RTCP_SALT = range(6)


def keystream(key: bytes, iv: int, size: int) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv.to_bytes(16, "big"))).encryptor()
    return cipher.update(bytes(size))


def derive(key: bytes, salt: bytes, label: int, size: int) -> bytes:
    """One session key; a 96-bit salt stands to the left of its 112 bits (RFC 7714 §11)."""
    padded = int.from_bytes(salt.ljust(14, b"\0"), "big")
    return keystream(key, (padded ^ label << 48) << 16, size)


def xor(data: bytes, stream: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def protect_cm(packet: bytes, master: bytes, salt: bytes, roc: int = 0, tag: int = 10) -> bytes:
    """An RTP packet with a 12-byte header."""
    key = derive(master, salt, RTP_KEY, 16)
    session_salt = derive(master, salt, RTP_SALT, 14)
    index = roc << 16 | _number(packet[2:4])
    iv = _number(session_salt) << 16 ^ _number(packet[8:12]) << 64 ^ index << 16
    body = packet[:12] + xor(packet[12:], keystream(key, iv, len(packet) - 12))
    auth = derive(master, salt, RTP_AUTH, 20)
    return body + hmac.new(auth, body + roc.to_bytes(4, "big"), hashlib.sha1).digest()[:tag]


def protect_rtcp_cm(packet: bytes, master: bytes, salt: bytes, index: int) -> bytes:
    """A compound RTCP packet; its tag is always of 80 bits."""
    key = derive(master, salt, RTCP_KEY, 16)
    session_salt = derive(master, salt, RTCP_SALT, 14)
    iv = _number(session_salt) << 16 ^ _number(packet[4:8]) << 64 ^ index << 16
    body = packet[:8] + xor(packet[8:], keystream(key, iv, len(packet) - 8))
    body += (1 << 31 | index).to_bytes(4, "big")
    return body + hmac.new(derive(master, salt, RTCP_AUTH, 20), body, hashlib.sha1).digest()[:10]


def seal_gcm(packet: bytes, key: bytes, salt: bytes, roc: int = 0) -> bytes:
    """RFC 7714 §8 with *session* key and salt."""
    nonce = bytes(2) + packet[8:12] + roc.to_bytes(4, "big") + packet[2:4]
    return packet[:12] + AESGCM(key).encrypt(xor(nonce, salt), packet[12:], packet[:12])


def seal_rtcp_gcm(packet: bytes, key: bytes, salt: bytes, index: int) -> bytes:
    """RFC 7714 §9 with *session* key and salt."""
    nonce = bytes(2) + packet[4:8] + bytes(2) + index.to_bytes(4, "big")
    word = (1 << 31 | index).to_bytes(4, "big")
    return packet[:8] + AESGCM(key).encrypt(xor(nonce, salt), packet[8:], packet[:8] + word) + word


def protect_gcm(packet: bytes, master: bytes, salt: bytes, roc: int = 0) -> bytes:
    key = derive(master, salt, RTP_KEY, len(master))
    return seal_gcm(packet, key, derive(master, salt, RTP_SALT, 12), roc)


def protect_rtcp_gcm(packet: bytes, master: bytes, salt: bytes, index: int) -> bytes:
    key = derive(master, salt, RTCP_KEY, len(master))
    return seal_rtcp_gcm(packet, key, derive(master, salt, RTCP_SALT, 12), index)

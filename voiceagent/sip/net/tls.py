"""TLS for SIP: contexts from settings, and what a peer's certificate proves (RFC 5922)."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from voiceagent.errors import ConfigError

ClientCertificates = Literal["none", "optional", "required"]
_ASKED = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """Files are PEM. All of it may be left out for an endpoint that only calls others."""

    certificate: str | None = None
    """Our certificate, with the chain up to the root that peers know."""
    key: str | None = None
    """Its private key; may stand in ``certificate``."""
    ca: str | None = None
    """Certificates that vouch for peers; default: those of the system."""
    client_certificates: ClientCertificates = "none"
    """What peers that connect to us must show."""
    verify: bool = True
    """Check whom we connect to."""


def server_context(config: TlsConfig) -> ssl.SSLContext:
    """Return the context of a listener. Raises ConfigError naming the setting of the file at fault."""
    if config.certificate is None:
        raise ConfigError("sip.tls.certificate", "a tls listener needs a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _own(context, config)
    if config.client_certificates != "none":
        _trust(context, config)
        context.verify_mode = _ASKED[config.client_certificates]
    return context


def client_context(config: TlsConfig) -> ssl.SSLContext:
    """Return the context for connections we open, showing our certificate where asked. Raises ConfigError.

    The chain is checked here, the name by :func:`proves`: a SIP domain may stand as a URI (RFC 5922 §7.1).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    if config.verify:
        _trust(context, config)
    else:
        context.verify_mode = ssl.CERT_NONE
    if config.certificate is not None:
        _own(context, config)
    return context


def _own(context: ssl.SSLContext, config: TlsConfig) -> None:
    for setting, path in (("sip.tls.certificate", config.certificate), ("sip.tls.key", config.key)):
        if path is not None:
            _readable(setting, path)
    try:
        # An empty password: a key that needs one is an error, not a question on the terminal.
        context.load_cert_chain(config.certificate or "", config.key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise _unusable(config, error) from None


def _unusable(config: TlsConfig, error: Exception) -> ConfigError:
    """Say what a pair of readable files lacks; OpenSSL says no more than "PEM lib" about most of it."""
    certificate, key = config.certificate or "", config.key or config.certificate or ""
    if not _holds(certificate, b"-----BEGIN CERTIFICATE-----"):
        return ConfigError("sip.tls.certificate", f"{certificate} holds no certificate in PEM")
    if not _holds(key, b"PRIVATE KEY-----"):
        return ConfigError("sip.tls.key", f"must name the private key: {key} holds none in PEM")
    setting = "sip.tls.key" if "KEY" in str(error).upper() else "sip.tls.certificate"
    return ConfigError(setting, f"cannot be used: {getattr(error, 'reason', None) or error or 'not PEM'}")


def _holds(path: str, mark: bytes) -> bool:
    try:
        return mark in Path(path).read_bytes()
    except OSError:
        return False


def check_files(config: TlsConfig) -> None:
    """Read every file that ``config`` names, so that a mistake is told now. Raises ConfigError."""
    if config.certificate is not None:
        server_context(config)
    elif config.key is not None:
        raise ConfigError("sip.tls.key", "needs sip.tls.certificate beside it")
    if config.ca is not None:
        _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), config)


def _trust(context: ssl.SSLContext, config: TlsConfig) -> None:
    if config.ca is None:
        context.load_default_certs()
        return
    _readable("sip.tls.ca", config.ca)
    try:
        context.load_verify_locations(cafile=config.ca)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError("sip.tls.ca", f"{config.ca} holds no certificates: {error}") from None


def _readable(setting: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise ConfigError(setting, f"cannot read {path}: {error.strerror}") from None


def identities_of(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the names in a verified certificate (as ``SSLSocket.getpeercert`` gives it), in lower case.

    SIP domains of subjectAltName URIs come first, then DNS names and IP addresses; the common name counts
    only where there is no subjectAltName at all (RFC 5922 §7.1). Empty without a verified certificate.
    """
    if not certificate:
        return ()
    domains: list[str] = []
    hosts: list[str] = []
    for kind, value in cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ())):
        if kind == "URI" and value.lower().startswith("sip:") and "@" not in value:
            domains.append(value[4:].lower())
        elif kind in ("DNS", "IP Address"):
            hosts.append(value.lower())
    if domains or hosts or "subjectAltName" in certificate:
        return tuple(dict.fromkeys((*domains, *hosts)))
    parts = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("subject", ()))
    return tuple(value.lower() for part in parts for name, value in part if name == "commonName")


def proves(identities: tuple[str, ...], name: str) -> bool:
    """Tell whether one of ``identities`` is ``name``, a domain or an IP address.

    RFC 5922 §7.2 forbids wildcards; carriers have them all the same (RFC 9525 §6.3 allows them), so ``*`` is
    taken for the whole leftmost label, and for nothing else.
    """
    name = name.lower().rstrip(".")
    _, _, parent = name.partition(".")
    wildcard = f"*.{parent}" if "." in parent and not name.replace(".", "").isdigit() else None
    return any(_same(one, name) or (wildcard is not None and one == wildcard) for one in identities)


def _same(identity: str, name: str) -> bool:
    if identity == name:
        return True
    if ":" not in name:
        return False
    import ipaddress

    try:  # the ssl module writes IPv6 addresses in full, in capitals
        return ipaddress.ip_address(identity) == ipaddress.ip_address(name)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What our own certificate says."""

    names: tuple[str, ...]
    expires: float
    """Seconds since 1970."""


def inspect_certificate(config: TlsConfig) -> CertificateFacts:
    """Shake hands with ourselves in memory: the certificate is readable, its key fits, it is valid today.

    Raises ConfigError ``sip.tls.certificate`` or ``sip.tls.key``.
    """
    server = server_context(TlsConfig(config.certificate, config.key))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cafile=config.certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server)
    pending = [theirs, ours]
    try:
        for _ in range(8):
            pending = [side for side in pending if not _shaken(side)]
            if not pending:
                break
    except ssl.SSLError as error:
        raise ConfigError(
            "sip.tls.certificate", f"not valid: {error.reason or error}: {_why(error)}"
        ) from None
    facts = theirs.getpeercert() or {}
    return CertificateFacts(identities_of(facts), ssl.cert_time_to_seconds(str(facts["notAfter"])))


def _shaken(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _why(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or str(error)

"""Settings of trunks: ``[[trunks]]``, a table per peer. A mistake is one line naming its field."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from voiceagent.errors import ConfigError
from voiceagent.settings.base import CodecName, Port, Section, plain_word
from voiceagent.sip.trunk import DEFAULT_TRUNK
from voiceagent.sip.trunk.numbers import NumberRule

SECRET_BYTES = 1024
_is_host = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?").fullmatch
_server = re.compile(
    r"(\[[0-9a-fA-F:.]+\]|[^:;\s\[\]]+)(?::([0-9]{1,5}))?(?:;transport=(udp|tcp|tls))?"
).fullmatch

Method = Literal[
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "NOTIFY", "REFER", "PRACK", "MESSAGE"
]
SipTransportName = Literal["udp", "tcp", "tls"]


class SecretSource(Section):
    """A secret that stands elsewhere: in a file that only we can read, or in the environment."""

    file: str | None = None
    env: str | None = None

    @model_validator(mode="after")
    def _one(self) -> SecretSource:
        if (self.file is None) == (self.env is None):
            raise ValueError("needs either file or env")
        return self


class TrunkSettings(Section):
    """One peer: who may call us, by which rules, and our account there."""

    model_config = ConfigDict(populate_by_name=False)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")] = Field(
        description="Its name in metrics, journals and flows: small letters, digits, - and _."
    )
    addresses: tuple[str, ...] = Field(
        default=(),
        description="From where it may call: addresses, CIDR blocks, host names. "
        "Default with `register`: its servers.",
    )
    identities: tuple[str, ...] = Field(
        default=(), description="Names of its TLS certificate, one of which must be proven."
    )
    digest_users: dict[str, SecretStr | SecretSource] = Field(
        default={},
        description='Users who may call over it, and their passwords: text, {file = "…"} or {env = "…"}.',
    )
    algorithms: Annotated[tuple[Literal["SHA-256", "MD5"], ...], Field(min_length=1)] = Field(
        default=("SHA-256",),
        description="Digest algorithms for them. MD5 alone is for phones that read the first challenge only.",
    )
    methods: tuple[Method, ...] = Field(default=(), description="Methods it may use; default: all of ours.")
    numbers_in: tuple[str, ...] = Field(
        default=(), description="Numbers it may call: exact, +4420*, 100-199. Default: all; others get 404."
    )
    trust_headers: bool = Field(
        default=False,
        description="Show flows its P-…, X-…, Remote-Party-ID, Diversion, History-Info and Identity headers?",
    )
    max_calls: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Calls at once, both ways; more get 503. 0: as many as the node takes."
    )
    calls_per_second: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="New calls per second that it may offer; more get 503. 0: any."
    )
    codecs: tuple[CodecName, ...] = Field(
        default=(), description="Codecs of its calls; default: media.codecs."
    )
    srtp: Literal["off", "optional", "required"] | None = Field(
        default=None, description="Encrypted media of its calls; default: media.srtp."
    )
    learn_media: bool | None = Field(
        default=None,
        description="May its media come from elsewhere than its SDP says? Default: as in media.",
    )
    host: str | None = Field(default=None, description="Its server, for calls of ours: an address or a name.")
    port: Port = Field(default=0, description="Port of the server; 0: 5060, with TLS 5061.")
    transport: SipTransportName = Field(default="udp", description="udp, tcp or tls.")
    servers: tuple[str, ...] = Field(
        default=(), description="Several servers instead: HOST[:PORT][;transport=tcp], the preferred first."
    )
    numbers_out: tuple[str, ...] = Field(
        default=(), description="Numbers that go out over it, as numbers_in. Default: all."
    )
    from_user: str = Field(
        default="", description="Who we are in its calls; default: username, else outbound.from_user."
    )
    from_domain: str | None = Field(default=None, description="Domain of our URIs there; default: host.")
    username: str = Field(default="", description="Our user name there, for calls and registration.")
    secret: SecretStr | None = Field(default=None, description="Our password there.")
    secret_file: str | None = Field(
        default=None, description="A file with the password instead, readable by its owner alone."
    )
    secret_env: str | None = Field(default=None, description="An environment variable with it instead.")
    realm: str = Field(
        default="", description="The only realm the password is used in; default: the first it names."
    )
    registers: bool = Field(
        default=False, alias="register", description="Register there, so that it sends us calls?"
    )
    expires_s: Annotated[int, Field(ge=30, le=86_400)] = Field(
        default=600, description="How long a registration is asked for."
    )
    keepalive_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=0.0, description="Ask its servers by OPTIONS so often whether they live; 0: never."
    )

    @field_validator("addresses")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if "/" in one or ":" in one or one.replace(".", "").isdigit():
                ipaddress.ip_network(one, strict=False)
            elif _is_host(one) is None:
                raise ValueError(f"{one!r} is no address, block or host name")
        return value

    @field_validator("numbers_in", "numbers_out")
    @classmethod
    def _numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            NumberRule.parse(one)
        return value

    @field_validator("servers")
    @classmethod
    def _servers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            read_server(one)
        return value

    @field_validator("host", "from_domain")
    @classmethod
    def _host(cls, value: str | None) -> str | None:
        if value is not None and _is_host(value) is None:
            ipaddress.ip_address(value)
        return value

    @field_validator("from_user", "username", "realm")
    @classmethod
    def _plain(cls, value: str) -> str:
        return plain_word(value)

    @field_validator("keepalive_s")
    @classmethod
    def _not_a_flood(cls, value: float) -> float:
        if 0 < value < 1:
            raise ValueError("must be 0, or 1 and more")
        return value

    @property
    def wishes(self) -> tuple[tuple[str, int, SipTransportName], ...]:
        """Its servers as (host, port, transport), the preferred first; port 0 is the usual one."""
        if self.servers:
            return tuple(read_server(one) for one in self.servers)
        return () if self.host is None else ((self.host, self.port, self.transport),)


def read_server(text: str) -> tuple[str, int, SipTransportName]:
    """Read ``HOST[:PORT][;transport=tcp]``; ValueError."""
    found = _server(text)
    if found is None or int(found[2] or 0) > 65535:
        raise ValueError(f"{text!r} must look like HOST:PORT;transport=tcp")
    host = found[1].strip("[]")
    if _is_host(host) is None:
        ipaddress.ip_address(host)
    return host, int(found[2] or 0), cast("SipTransportName", found[3] or "udp")


def read_trunks(value: Any) -> tuple[TrunkSettings, ...]:
    """Read all trunks. Raises ConfigError naming ``trunks.NAME.field``; no secret is ever shown."""
    if not isinstance(value, list | tuple):
        raise ConfigError("trunks", "must be a list of tables: [[trunks]]")
    found: dict[str, TrunkSettings] = {}
    users: dict[str, str] = {}
    for place, raw in enumerate(cast("Sequence[Any]", value)):
        one = raw if isinstance(raw, TrunkSettings) else _read_trunk(raw, place)
        if one.name in found:
            raise ConfigError(f"trunks.{one.name}.name", "there is another trunk of this name")
        for user in one.digest_users:
            if user in users:
                raise ConfigError(f"trunks.{one.name}.digest_users", f"{user!r} is a user of {users[user]!r}")
            users[user] = one.name
        found[one.name] = one
    return tuple(found.values())


def _read_trunk(raw: Any, place: int) -> TrunkSettings:
    if not isinstance(raw, Mapping):
        raise ConfigError(f"trunks.{place}", "must be a table")
    table = cast("Mapping[str, Any]", raw)
    called = table.get("name")
    label = f"trunks.{called if isinstance(called, str) and called else place}"
    try:
        trunk = TrunkSettings.model_validate(dict(table))
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "settings"
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{label}.{field}", "there is no such setting") from None
        if first["type"] == "tuple_type":
            raise ConfigError(f"{label}.{field}", 'must be a list: ["…", "…"]') from None
        message = first["msg"].removeprefix("Value error, ")
        shown = ""
        if "secret" not in field and field != "digest_users":
            given = first.get("input")
            shown = f" (not {given!r})" if isinstance(given, str | int | float) else ""
        raise ConfigError(f"{label}.{field}", message[:1].lower() + message[1:] + shown) from None
    _check(trunk, label)
    return trunk


def _check(trunk: TrunkSettings, label: str) -> None:
    """What the fields of one trunk owe each other."""
    if trunk.name == DEFAULT_TRUNK:
        raise ConfigError(f"{label}.name", "is the name of the trunk that sip.allowed_sources makes")
    given = [one for one in (trunk.secret, trunk.secret_file, trunk.secret_env) if one is not None]
    if len(given) > 1:
        raise ConfigError(f"{label}.secret", "stands twice; give one of secret, secret_file, secret_env")
    if trunk.username and not given:
        raise ConfigError(f"{label}.secret", "is needed with username")
    if given and not trunk.username:
        raise ConfigError(f"{label}.username", "is needed with a secret")
    if trunk.host is not None and trunk.servers:
        raise ConfigError(f"{label}.servers", "cannot stand beside host")
    for field in ("port", "transport") if trunk.host is None else ():
        if field in trunk.model_fields_set:
            where = "stands in each of servers" if trunk.servers else "means nothing without host"
            raise ConfigError(f"{label}.{field}", where)
    if trunk.registers and not (trunk.wishes and trunk.username):
        missing = "username" if trunk.wishes else "host"
        raise ConfigError(f"{label}.{missing}", "is needed to register")
    if trunk.keepalive_s and not trunk.wishes:
        raise ConfigError(f"{label}.host", "is needed for keepalive_s")
    if not (trunk.wishes or trunk.addresses or trunk.identities or trunk.digest_users):
        raise ConfigError(f"{label}.addresses", "or identities, digest_users, host: one of them is needed")


def our_secret(trunk: TrunkSettings) -> str:
    """Return our password at a trunk, empty without one. Raises ConfigError."""
    label = f"trunks.{trunk.name}"
    if trunk.secret is not None:
        return trunk.secret.get_secret_value()
    if trunk.secret_file is not None:
        return _from_file(trunk.secret_file, f"{label}.secret_file")
    if trunk.secret_env is not None:
        return _from_environment(trunk.secret_env, f"{label}.secret_env")
    return ""


def user_secrets(trunk: TrunkSettings) -> dict[str, str]:
    """Return users and passwords with which calls may come over a trunk. Raises ConfigError."""
    label = f"trunks.{trunk.name}.digest_users"
    secrets: dict[str, str] = {}
    for user, told in trunk.digest_users.items():
        if isinstance(told, SecretStr):
            secrets[user] = told.get_secret_value()
        elif told.file is not None:
            secrets[user] = _from_file(told.file, label)
        else:
            secrets[user] = _from_environment(told.env or "", label)
        if not secrets[user]:
            raise ConfigError(label, f"the password of {user!r} is empty")
    return secrets


def _from_environment(name: str, setting: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ConfigError(setting, f"the environment has no {name}")
    return value


def _from_file(name: str, setting: str) -> str:
    """Read a secret. Others must not be able to read the file: then it is none."""
    try:
        with Path(name).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(setting, f"{name} is no file")
            if stat.S_IMODE(mode) & 0o077:
                raise ConfigError(setting, f"{name} can be read by others; chmod 600 it")
            text = file.read(SECRET_BYTES + 1)
        secret = text.decode("utf-8").strip("\r\n")
    except OSError as error:
        raise ConfigError(setting, f"cannot read {name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(setting, f"{name} is not UTF-8") from None
    if not secret or len(text) > SECRET_BYTES or "\n" in secret:
        raise ConfigError(setting, f"{name} must hold one line of at most {SECRET_BYTES} bytes")
    return secret

"""PURE. What a running TOML flow knows by name, and how it gets into words, arguments and addresses.

What callers and others say is data: in words it stands as a quotation
(:func:`voiceagent.ivr.caller_text.quoted`), in an address percent-encoded, in arguments as it is. A secret is
only ever an argument.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import cast
from urllib.parse import quote

from pydantic import BaseModel, SecretStr

from voiceagent.errors import RequestRefused
from voiceagent.ivr.caller_text import CallerText, quoted
from voiceagent.ivr.toml.templates import Template

RESULT_CHARS = 400
"""Of a called function's or endpoint's result in words: more than of a caller's, who may be hostile."""

DIGITS_AT_MOST = 64

Facts = Mapping[str, str]
"""``caller``, ``called``, ``header.X-Name``, ``metadata.key`` …; names of headers in lower case."""


class Values:
    """Names and their values within one call."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._values: dict[str, object] = {}

    def put(self, name: str | None, value: object) -> None:
        """Keep a value; ``name`` None: nobody wants it."""
        if name is not None:
            self._values[name] = value

    def is_secret(self, name: str) -> bool:
        """Return whether a value is kept from everybody but called functions."""
        return isinstance(self._values.get(name), SecretStr)

    def words(self, template: Template) -> str:
        """Return a text to be spoken, or told to the model: values stand in it as quotations.

        Digits of the caller's stand one by one, without quotes.

        Raises :class:`~voiceagent.errors.RequestRefused` for a secret, and for a name that has no value.
        """
        text = ""
        for part in template.parts:
            if isinstance(part, str):
                text += part
                continue
            value = self._open(part.name)
            if isinstance(value, bool | int | float | Decimal):
                text += text_of(value)
                continue
            if isinstance(value, CallerText) and value.raw.isascii() and value.raw.isdecimal():
                text += " ".join(value.raw[:DIGITS_AT_MOST])  # voices read "12345" as one number
                continue
            limit = {} if isinstance(value, CallerText) else {"limit": RESULT_CHARS}
            told = quoted(text_of(value), **limit)
            # Within the author's own quotes, double ones would end them.
            text += f"'{told[1:-1]}'" if text.count('"') % 2 else told
        return text

    def plain(self, template: Template) -> str:
        """Return a text for records: values stand in it as they are, the caller's as quotations."""
        return "".join(
            part if isinstance(part, str) else _recorded(self._open(part.name)) for part in template.parts
        )

    def argument(self, template: Template) -> object:
        """Return an argument: a name alone gives its value, of its own type; secrets are given away here."""
        if template.alone is not None:
            return _bare(self._value(template.alone))
        parts = (
            part if isinstance(part, str) else text_of(_bare(self._value(part.name)))
            for part in template.parts
        )
        return "".join(parts)

    def url(self, template: Template) -> str:
        """Return an address: values stand in it percent-encoded, slashes and dots alone included."""
        return "".join(
            part if isinstance(part, str) else _encoded(text_of(self._open(part.name)))
            for part in template.parts
        )

    def _open(self, name: str) -> object:
        value = self._value(name)
        if isinstance(value, SecretStr):
            raise RequestRefused(name, "is secret: only a called function may have it", code="secret")
        return value

    def _value(self, name: str) -> object:
        if name in self._values:
            return self._values[name]
        kind, dot, rest = name.partition(".")
        if dot:
            return self._facts.get(f"{kind}.{rest.lower() if kind == 'header' else rest}", "")
        if name in self._facts:
            return self._facts[name]
        raise RequestRefused(name, "has no value yet", code="unknown_name")


def text_of(value: object) -> str:
    """Return a value as text: ``true`` for True, nothing for None, JSON for tables and lists."""
    match value:
        case str():
            return str.__str__(value)
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def plain_result(result: object) -> object:
    """Return what a function has returned as JSON values; what JSON does not know as text."""
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json")
    try:
        return json.loads(json.dumps(result, default=str))
    except (TypeError, ValueError, RecursionError):
        return str(result)


def at_path(result: object, path: str) -> object:
    """Return the part of a result at ``status.text`` or ``items.0``. Raises KeyError where there is none."""
    for key in path.split("."):
        if isinstance(result, dict):
            result = cast("dict[str, object]", result)[key]
        elif isinstance(result, list) and key.isdigit() and int(key) < len(cast("list[object]", result)):
            result = cast("list[object]", result)[int(key)]
        else:
            raise KeyError(path)
    return result


def _recorded(value: object) -> str:
    return quoted(value) if isinstance(value, CallerText) else text_of(value)


def _bare(value: object) -> object:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case CallerText():
            return value.raw
        case _:
            return value


def _encoded(text: str) -> str:
    encoded = quote(text, safe="")
    return encoded.replace(".", "%2E") if encoded.strip(".") == "" else encoded

"""Refusals of the Realtime wire: one exception, with the vendor's codes. PURE."""

from __future__ import annotations


class Refusal(Exception):
    """A client event cannot be carried out; becomes one ``error`` event, the session goes on.

    ``param`` is a dotted path (``session.audio.input.format.rate``). Source: vendor's Realtime reference,
    "error" server event; codes as the vendor's services send them.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.kind = kind

    def error(self, event_id: str | None) -> dict[str, str | None]:
        """Return the ``error`` object of the event."""
        return {
            "type": self.kind,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": event_id,
        }


def unknown_parameter(path: str) -> Refusal:
    """A field that the contract does not have."""
    return Refusal("unknown_parameter", f"Unknown parameter: '{path}'.", param=path)


def missing_parameter(path: str) -> Refusal:
    """A mandatory field is absent."""
    return Refusal("missing_required_parameter", f"Missing required parameter: '{path}'.", param=path)


def wrong_type(path: str, expected: str, value: object) -> Refusal:
    """The JSON type is wrong."""
    got = json_type(value)
    message = f"Invalid type for '{path}': expected {expected}, but got {got} instead."
    return Refusal("invalid_type", message, param=path)


def wrong_value(path: str, message: str) -> Refusal:
    """The type is right but the value is not."""
    return Refusal("invalid_value", message, param=path)


def json_type(value: object) -> str:
    """Name a JSON value's type with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"

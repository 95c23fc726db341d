"""Uses a datagram in every way a caller may, and lets only the typed error out."""

from __future__ import annotations

from voiceagent.errors import SipError
from voiceagent.sip.check import check_request, check_response
from voiceagent.sip.syntax.build import response_to
from voiceagent.sip.syntax.message import Message, Request, Response
from voiceagent.sip.syntax.multipart import find_body
from voiceagent.sip.syntax.parser import KeepAlive, Malformed, parse_datagram
from voiceagent.sip.syntax.uri import SipUri

ACCESSORS = (
    "via",
    "vias",
    "from_",
    "to",
    "call_id",
    "cseq",
    "contact",
    "contacts",
    "route",
    "record_route",
    "require",
    "supported",
    "content_type",
    "content_type_params",
    "max_forwards",
    "expires",
    "session_expires",
    "replaces",
    "refer_to",
    "rack",
)
CORE = ("via", "from_", "to", "call_id", "cseq")


def touch(data: bytes) -> str:
    """Parse and use; the outcome in one word. Raises only when the code under test is wrong."""
    message = parse_datagram(data)
    if isinstance(message, KeepAlive):
        return "keep-alive"
    if isinstance(message, Malformed):
        assert message.why
        assert (message.reply_status is None) == (message.partial is None)
        if message.partial is not None:
            assert message.reply_status is not None
            assert message.partial.via
            _sendable(response_to(message.partial, message.reply_status, to_tag="t"))
            _read_all(message.partial)
        return "drop" if message.partial is None else "refuse"
    for name in CORE:
        getattr(message, name)
    _read_all(message)
    again = parse_datagram(message.to_bytes())
    if not isinstance(again, Malformed):
        assert isinstance(again, type(message))
        assert again.call_id == message.call_id
    if isinstance(message, Response):
        check_response(message)
        return "response"
    refusal = check_request(message)
    response = response_to(message, 200 if refusal is None else refusal.status, to_tag="t")
    if refusal is not None:
        assert 400 <= refusal.status <= 699
        for header in refusal.headers:
            response.headers.add(*header)
    _sendable(response)
    return "request" if refusal is None else "check"


def _sendable(response: Response) -> None:
    """What we send is one message, and reads back as what we meant."""
    data = response.to_bytes()
    assert data.count(b"\r\n\r\n") == 1
    head = data.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert len(head) == len(list(response.headers.items())) + 2
    assert not any(b"\n" in line or b"\r" in line for line in head)


def _read_all(message: Message) -> None:
    for name in ACCESSORS:
        try:
            value = getattr(message, name)
        except SipError as error:
            _is_answerable(error)
        else:
            for item in value if isinstance(value, list) else [value]:
                _look(item)
    try:
        find_body(message)
    except SipError as error:
        _is_answerable(error)
    if isinstance(message, Request):
        try:
            str(message.request_uri.replace(port=5060))
        except SipError as error:
            _is_answerable(error)


def _is_answerable(error: SipError) -> None:
    assert error.status == 400
    assert error.code


def _look(value: object) -> None:
    """Print it and follow its URI, if it has one."""
    str(value)
    if hasattr(value, "uri_text"):
        try:
            uri = value.uri  # pyright: ignore[reportAttributeAccessIssue]
        except SipError:
            return
        hash(uri)
        assert SipUri.parse(str(uri)) == uri

"""Every limit of the SDP reader at limit−1, limit and limit+1."""

from __future__ import annotations

import pytest

from voiceagent.media.sdp import SdpError, parse_sdp
from voiceagent.media.sdp.limits import DEFAULT, SdpLimits

AROUND = (-1, 0, 1)
HEAD = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
AUDIO = "m=audio 5004 RTP/AVP 0\r\n"


def outcome(text: str) -> tuple[str, int]:
    try:
        parse_sdp(text.encode())
    except SdpError as error:
        return error.code, error.status
    return "ok", 0


def test_the_decided_values() -> None:
    assert SdpLimits() == SdpLimits(
        size=16_384, lines=1_024, media=8, payload_types=64, attributes=256, int_digits=10
    )


@pytest.mark.parametrize("off", AROUND)
def test_size(off: int) -> None:
    text = HEAD + AUDIO + "a=x:"
    text += "y" * (DEFAULT.size + off - len(text) - 2) + "\r\n"
    assert len(text) == DEFAULT.size + off
    assert outcome(text) == (("sdp_too_large", 413) if off > 0 else ("ok", 0))


@pytest.mark.parametrize("off", AROUND)
def test_lines(off: int) -> None:
    text = HEAD + "b=AS:1\r\n" * (DEFAULT.lines + off - 6) + AUDIO
    assert text.count("\r\n") == DEFAULT.lines + off
    assert outcome(text) == (("sdp_too_many_lines", 400) if off > 0 else ("ok", 0))


@pytest.mark.parametrize("off", AROUND)
def test_media(off: int) -> None:
    text = HEAD + AUDIO * (DEFAULT.media + off)
    assert outcome(text) == (("sdp_too_many_media", 400) if off > 0 else ("ok", 0))


@pytest.mark.parametrize("off", AROUND)
def test_payload_types(off: int) -> None:
    formats = " ".join(str(n) for n in range(DEFAULT.payload_types + off))
    assert outcome(f"{HEAD}m=audio 5004 RTP/AVP {formats}\r\n") == (
        ("sdp_too_many_formats", 400) if off > 0 else ("ok", 0)
    )


@pytest.mark.parametrize("off", AROUND)
@pytest.mark.parametrize("where", ["session", "media", "both"])
def test_attributes(off: int, where: str) -> None:
    count = DEFAULT.attributes + off
    above = {"session": count, "media": 0, "both": count // 2}[where]
    text = HEAD + "a=x\r\n" * above + AUDIO + "a=x\r\n" * (count - above)
    assert outcome(text) == (("sdp_too_many_attributes", 400) if off > 0 else ("ok", 0))


@pytest.mark.parametrize("off", AROUND)
@pytest.mark.parametrize("line", ["m=audio {} RTP/AVP 0\r\n", "m=audio 5004/{} RTP/AVP 0\r\n"])
def test_integer_digits(off: int, line: str) -> None:
    number = "5004".zfill(DEFAULT.int_digits + off)
    assert outcome(HEAD + line.format(number)) == (("sdp_media", 400) if off > 0 else ("ok", 0))


@pytest.mark.parametrize(("port", "good"), [("65534", True), ("65535", True), ("65536", False)])
def test_port(port: str, good: bool) -> None:
    assert (outcome(f"{HEAD}m=audio {port} RTP/AVP 0\r\n")[0] == "ok") is good


@pytest.mark.parametrize(("digits", "good"), [(19, True), (20, True), (21, False)])
def test_session_id_and_version_have_64_bits(digits: int, good: bool) -> None:
    for origin in (f"a {'1' * digits} 1 IN IP4 h", f"a 1 {'1' * digits} IN IP4 h"):
        text = HEAD.replace("a 1 1 IN IP4 192.0.2.1", origin) + AUDIO
        assert (outcome(text)[0] == "ok") is good


@pytest.mark.parametrize(("size", "good"), [(254, True), (255, True), (256, False)])
def test_host_name(size: int, good: bool) -> None:
    text = HEAD.replace("c=IN IP4 192.0.2.1", "c=IN IP4 " + "h" * size) + AUDIO
    assert (outcome(text)[0] == "ok") is good


def test_own_limits_are_obeyed() -> None:
    with pytest.raises(SdpError, match="100 bytes"):
        parse_sdp((HEAD + AUDIO + "a=x\r\n" * 20).encode(), SdpLimits(size=100))

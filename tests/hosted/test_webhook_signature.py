"""Who may offer a call: the published vector, every malformed header, rotation, time, and mutations."""

from __future__ import annotations

import base64
import random

import pytest

from voiceagent.errors import ConfigError
from voiceagent.realtime.webhook_event import CALL_INCOMING, read_event, read_offer
from voiceagent.realtime.webhook_signature import WebhookRefused, WebhookVerifier, webhook_signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""The vector of the Standard Webhooks libraries."""
OTHER = "whsec_" + base64.b64encode(b"another secret of 32 bytes or so").decode()


def refusal(
    webhook_id: str = ID,
    timestamp: str = str(AT),
    signature: str = SIGNATURE,
    body: bytes = BODY,
    now: float = AT,
    secrets: tuple[str, ...] = (SECRET,),
) -> tuple[int, str] | None:
    try:
        WebhookVerifier(secrets).verify(webhook_id, timestamp, signature, body, now)
    except WebhookRefused as error:
        return error.status, error.code
    return None


def test_the_published_vector_is_ours() -> None:
    assert refusal() is None
    assert webhook_signature(SECRET, ID, AT, BODY) == SIGNATURE


def test_the_vendors_library_agrees() -> None:
    from openai.resources.webhooks import Webhooks

    body = b'{"id":"evt_1"}'
    headers = {
        "webhook-id": "wh_1",
        "webhook-timestamp": str(AT),
        "webhook-signature": webhook_signature(SECRET, "wh_1", AT, body),
    }
    verify = Webhooks.verify_signature
    verify(object(), body, headers, secret=SECRET, tolerance=10**10)  # type: ignore[arg-type]


def test_a_secret_without_its_prefix_is_the_same_secret() -> None:
    assert refusal(secrets=(SECRET.removeprefix("whsec_"),)) is None


@pytest.mark.parametrize("secret", ["", "whsec_", "  ", "whsec_!!", "whsec_QUJD", "whsec_é"])
def test_a_useless_secret_is_refused_at_start(secret: str) -> None:
    with pytest.raises(ConfigError) as error:
        WebhookVerifier([SECRET, secret])
    assert error.value.setting == "hosted.webhook_secrets"
    assert secret.strip() in ("", "whsec_") or secret not in str(error.value)


def test_no_secret_at_all_is_refused() -> None:
    with pytest.raises(ConfigError):
        WebhookVerifier([])


def test_both_secrets_count_during_a_rotation() -> None:
    new = webhook_signature(OTHER, ID, AT, BODY)
    assert refusal(secrets=(OTHER, SECRET)) is None
    assert refusal(secrets=(OTHER, SECRET), signature=new) is None
    assert refusal(secrets=(OTHER,)) == (401, "webhook_signature")
    assert refusal(signature=f"{new} {SIGNATURE}") is None
    assert refusal(signature=f"v2,abc {SIGNATURE}") is None
    assert refusal(signature="v2," + SIGNATURE[3:]) == (401, "webhook_signature")


@pytest.mark.parametrize(
    ("away", "taken"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_the_time_of_the_attempt_counts_both_ways(away: int, taken: bool) -> None:
    assert (refusal(now=AT + away) is None) is taken
    assert taken or refusal(now=AT + away) == (401, "webhook_timestamp")


@pytest.mark.parametrize("bad", ["", "a b", "a.b", "é", "a\x00", "x" * 257, "a\n"])
def test_a_malformed_id_is_a_400(bad: str) -> None:
    assert refusal(webhook_id=bad) == (400, "webhook_header")


@pytest.mark.parametrize(
    "bad", ["", "x", "-1", "1.5", "+1", " 1", "１６１４２６５３３０", "1" * 13, "0x10", "²"]
)
def test_a_malformed_timestamp_is_a_400(bad: str) -> None:
    assert refusal(timestamp=bad) == (400, "webhook_header")


@pytest.mark.parametrize(
    "bad",
    ["", " ", "v1", "v1,", ",x", "v1,é", "v1,a!b", "v1,a  v1,b", "v1,\x00", "v1," + "A" * 5000, "v1,a " * 20],
)
def test_a_malformed_signature_is_a_400(bad: str) -> None:
    assert refusal(signature=bad) == (400, "webhook_header")


def test_another_spelling_of_the_same_bytes_is_not_our_signature() -> None:
    other = SIGNATURE[:-2] + "F="
    assert base64.b64decode(other[3:]) == base64.b64decode(SIGNATURE[3:])
    assert refusal(signature=other) == (401, "webhook_signature")


def test_every_single_bit_counts() -> None:
    fields = [ID.encode(), str(AT).encode(), SIGNATURE.encode(), BODY]
    verifier = WebhookVerifier([SECRET])
    flips = 0
    for index, field in enumerate(fields):
        for bit in range(len(field) * 8):
            changed = bytearray(field)
            changed[bit // 8] ^= 1 << (bit % 8)
            parts = [*fields[:index], bytes(changed), *fields[index + 1 :]]
            texts = [part.decode("latin-1") for part in parts[:3]]
            with pytest.raises(WebhookRefused) as error:
                verifier.verify(*texts, parts[3], AT)  # type: ignore[call-arg, arg-type]
            assert error.value.status in (400, 401)
            flips += 1
    assert flips == 8 * sum(map(len, fields))


def test_random_bytes_never_raise_anything_else() -> None:
    rng = random.Random(4)
    verifier = WebhookVerifier([SECRET])
    for _ in range(3000):
        texts = ["".join(chr(rng.randrange(256)) for _ in range(rng.randrange(60))) for _ in range(3)]
        with pytest.raises(WebhookRefused):
            verifier.verify(*texts, rng.randbytes(50), AT)  # type: ignore[call-arg, arg-type]


# ── what a verified body says ────────────────────────────────────────────────────────────────────
OFFER = (
    b'{"object":"event","id":"evt_1","type":"realtime.call.incoming","created_at":1750287018,"data":'
    b'{"call_id":"rtc_1","sip_headers":[{"name":"From","value":"<sip:+441@x>"},{"name":"Via","value":"a"},'
    b'{"name":"Via","value":"b"}]}}'
)


def test_an_offer_keeps_headers_in_order_and_repeats() -> None:
    event = read_event(OFFER)
    assert (event.id, event.type, event.created_at) == ("evt_1", CALL_INCOMING, 1750287018.0)
    offer = read_offer(event)
    assert offer.call_id == "rtc_1"
    assert offer.headers == (("From", "<sip:+441@x>"), ("Via", "a"), ("Via", "b"))
    assert (offer.header("via"), offer.header("to")) == ("a", "")


def test_the_vendors_type_is_the_one_we_read() -> None:
    from openai.types.webhooks import RealtimeCallIncomingWebhookEvent

    parsed = RealtimeCallIncomingWebhookEvent.model_validate_json(OFFER)
    ours = read_offer(read_event(OFFER))
    assert parsed.data.call_id == ours.call_id
    assert [(each.name, each.value) for each in parsed.data.sip_headers] == list(ours.headers)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"[]", b"null", b"{", b"[" * 100_000, b'{"id":1}',
        b'{"id":"","type":"a","created_at":1}', b'{"id":"a","type":"b"}',
        b'{"id":"a","type":"b","created_at":true}',
        b'{"id":"a","type":"b","created_at":NaN}',
        b'{"id":"a","type":"b","created_at":"1"}', b'{"id":"a","type":"b","created_at":-1}',
        b'{"id":"a","type":"b","created_at":1' + b"0" * 400 + b"}",
        b'{"id":"a\\n","type":"b","created_at":1}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_event_is_a_400(body: bytes) -> None:
    with pytest.raises(WebhookRefused) as error:
        read_event(body)
    assert error.value.status == 400


@pytest.mark.parametrize("data", ["null", "[]", "{}", '{"call_id":5}', '{"call_id":""}', '{"call_id":".."}'])
def test_an_offer_without_a_call_is_a_400(data: str) -> None:
    body = f'{{"id":"e","type":"{CALL_INCOMING}","created_at":1,"data":{data}}}'.encode()
    with pytest.raises(WebhookRefused):
        read_offer(read_event(body))


def test_odd_headers_do_not_cost_the_call() -> None:
    body = (
        b'{"id":"e","type":"t","created_at":1,"data":{"call_id":"c","sip_headers":[1,null,{"name":1,"value":"x"},'
        b'{"name":"To"},{"name":"To","value":"sip:1@x"}]}}'
    )
    assert read_offer(read_event(body)).headers == (("To", "sip:1@x"),)

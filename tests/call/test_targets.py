"""Who may be called: one spelling for every number, and no way around the lists (C14)."""

from __future__ import annotations

import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from voiceagent.call.target_ranges import BUILT_IN_DENIED
from voiceagent.call.targets import TargetRefused, TargetRules, allowed_target, parse_target

PBX = "sip:*@pbx.example.com"


@pytest.mark.parametrize(
    ("text", "uri", "number"),
    [
        ("+442079460018", "tel:+442079460018", "+442079460018"),
        ("+44 (20) 7946-0018", "tel:+442079460018", "+442079460018"),
        ("0044 20 7946 0018", "tel:+442079460018", "+442079460018"),
        ("tel:+44-20-7946-0018", "tel:+442079460018", "+442079460018"),
        ("TEL:7946-0018;phone-context=+44-20", "tel:+442079460018", "+442079460018"),
        ("tel:100;phone-context=example.com", "tel:100", "100"),
        ("100", "tel:100", "100"),
        ("*31#100", "tel:*31#100", "*31#100"),
        ("sip:100@PBX.example.com:5060", "sip:100@pbx.example.com", "100"),
        ("100@pbx.example.com.", "sip:100@pbx.example.com", "100"),
        ("sip:%2B44%32%30@pbx.example.com;user=phone", "sip:+4420@pbx.example.com", "+4420"),
        ("sip:0044-20@pbx.example.com", "sip:+4420@pbx.example.com", "+4420"),
        ("sip:20;phone-context=+44@pbx.example.com", "sip:+4420@pbx.example.com", "+4420"),
        ("sip:20@pbx.example.com;phone-context=%2B44", "sip:+4420@pbx.example.com", "+4420"),
        ("sips:desk@[2001:DB8:0::1]:5070", "sips:desk@[2001:db8::1]:5070", ""),
        ("sip:desk@pbx.example.com;transport=TCP", "sip:desk@pbx.example.com;transport=tcp", ""),
        ("sip:pbx.example.com:5070", "sip:pbx.example.com:5070", ""),
    ],
)
def test_one_spelling(text: str, uri: str, number: str) -> None:
    target = parse_target(text)
    assert (target.uri, target.number) == (uri, number)
    assert parse_target(target.uri) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "desk",
        "mailto:desk@example.com",
        "https://example.com/@",
        "javascript:a@b",
        "+",
        "+0123456",
        "++4420",
        "+44+20",
        "+4420794600181234567",
        "000442079460018",
        "+442079460018,,123",
        "+44207946p0018",
        "+44207946\u0660\u0660\u0661\u0668",
        "\uff0b442079460018",
        "+44\u00a02079460018",
        "+442079460018\r\nX: 1",
        "tel:+44;ext=12",
        "tel:+4420;phone-context=+44",
        "tel:100;isub=7",
        "sip:+44x20@pbx.example.com",
        "sip:100%40evil.example@pbx.example.com",
        "sip:%25302@pbx.example.com",
        "sip:100%00@pbx.example.com",
        "sip:100:secret@pbx.example.com",
        "sip:100@pbx.example.com?Replaces=a",
        "sip:100@pbx.example.com;maddr=10.0.0.1",
        "sip:100@pbx.example.com;transport=ws",
        "sip:100@pbx.example.com;x=y",
        "sip:100;postd=pp22@pbx.example.com",
        "sip:desk;phone-context=+44@pbx.example.com",
        "sip:100@pbx.example.com@evil.example",
        "sip:88213123456",
        "sip:100@",
        "sip:100@pbx.exam\u0440le.com",
        "a" * 300,
    ],
)
def test_what_has_no_one_spelling_is_refused(text: str) -> None:
    with pytest.raises(TargetRefused) as refused:
        TargetRules(("*",), built_in=False).check(text)
    assert (refused.value.code, refused.value.field) == ("bad_target", "to")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("+4420*", ["+442079460018", "tel:0044-20 1"[:12], "00442099"], ["+441", "sip:+4420@x.example"]),
        ("0044*", ["+4477", "004477"], ["+4377"]),
        ("100", ["100", "tel:100"], ["1001", "sip:100@pbx.example.com"]),
        ("1*", ["100", "1"], ["200", "+1202"]),
        ("+*", ["+4420", "0044201"], ["100"]),
        ("tel:+4420*", ["+44201"], ["+4421"]),
        (PBX, ["sip:100@pbx.example.com", "sip:desk@PBX.example.com."], ["sips:desk@pbx.example.com", "100"]),
        (
            PBX,
            ["sip:a@pbx.example.com:5060"],
            ["sip:a@pbx.example.com:5070", "sip:a@pbx.example.com.x"],
        ),
        ("sip:desk@pbx.example.com:*", ["sip:desk@pbx.example.com:5070"], ["sip:desk@pbx.example.comx:1"]),
        ("sip:1*@10.0.0.*", ["sip:100@10.0.0.7:5070"], ["sip:100@10.0.1.7", "sip:200@10.0.0.7"]),
        ("sip:desk-*", ["sip:desk-1@any.example"], ["sip:des@any.example"]),
        ("sip:+4420*@gw.example", ["sip:0044-201@gw.example"], ["sip:+4421@gw.example"]),
        ("sip:pbx.example.com", ["sip:pbx.example.com"], ["sip:1@pbx.example.com"]),
        ("sips:*@pbx.example.com", ["sips:a@pbx.example.com:5061"], ["sip:a@pbx.example.com"]),
        ("*", ["100", "+4420", "sip:a@b.example"], []),
    ],
)
def test_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    rules = TargetRules((pattern,))
    for text in yes:
        rules.check(text)
    for text in no:
        with pytest.raises(TargetRefused) as refused:
            rules.check(text)
        assert refused.value.code == "target_not_allowed"


@pytest.mark.parametrize("pattern", ["", "+", "desk", "sip:", "sip:desk@", "sip:a@b@c d", "44x*", "tel:x"])
def test_a_pattern_that_cannot_be_read_is_a_mistake(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"must be|host|URI"):
        TargetRules((pattern,))


def test_nobody_may_be_called_by_default_and_a_denial_wins() -> None:
    with pytest.raises(TargetRefused) as refused:
        TargetRules(()).check("100")
    assert refused.value.code == "target_not_allowed"
    rules = TargetRules(("+44*", PBX), ("+442079*", "sip:*@pbx.example.com:5070"))
    for text in ("+442079460018", "sip:00442079460018@pbx.example.com", "sip:desk@pbx.example.com:5070"):
        with pytest.raises(TargetRefused) as refused:
            rules.check(text)
        assert refused.value.code == "denied_target"
    assert rules.check("+4420").number == "+4420"


def test_emergency_numbers_are_denied_whole_and_can_be_let_through_on_purpose() -> None:
    with pytest.raises(TargetRefused):
        TargetRules(("*",)).check("sip:112@pbx.example.com")
    assert TargetRules(("*",)).check("1120").number == "1120"
    assert TargetRules(("*",), built_in=False).check("112").number == "112"


@pytest.mark.parametrize(
    "text",
    [
        "sip:*31#0088213123456@pbx.example.com",
        "sip:*31%23+88213123456@pbx.example.com",
        "sip:x+88213123456@pbx.example.com",
        "sip:joe.88213123456@pbx.example.com",
        "sip:8821-3123456a@pbx.example.com",
        "sip:900882131234@pbx.example.com",
        "sip:901188213123@pbx.example.com",
        "88213123456",
        "01188213123456",
        "9 00 882 13123456",
        "tel:13123456;phone-context=+882",
        "sip:13123456@pbx.example.com;phone-context=+882",
    ],
)
def test_a_switch_might_dial_it_so_it_is_denied(text: str) -> None:
    with pytest.raises(TargetRefused) as refused:
        TargetRules(("*",)).check(text)
    assert refused.value.code in ("denied_target", "bad_target")


def test_transfers_use_the_same_rules() -> None:
    assert allowed_target("sip:desk@example.com", ("sip:desk@example.com",))
    assert not allowed_target("sip:+88213123456@example.com", ("sip:*",))


# ── spellings by the hundred thousand ───────────────────────────────────────────────────────────
RANGES = [entry.rstrip("*") for entry in BUILT_IN_DENIED if entry.startswith("+")]
SEPARATORS = ["", "-", ".", " ", "(", ")"]
ARABIC = "".join(chr(0x660 + digit) for digit in range(10))
WIDE_DIGITS = "".join(chr(0xFF10 + digit) for digit in range(10))


def spelling(dice: random.Random, number: str) -> str:
    """One way to write ``number`` (``+…``) that some person, header or switch understands."""
    digits = number[1:]
    cut = dice.randrange(1, len(digits))
    context = ""
    head = dice.choice(["+", "00", "+", "011", "", "900", "*31#00", "*67", "0011", " +", "\uff0b"])
    if dice.random() < 0.15:
        context, digits, head = f";phone-context=+{digits[:cut]}", digits[cut:], ""
    if dice.random() < 0.1:
        digits = digits.translate(str.maketrans("0123456789", dice.choice([ARABIC, WIDE_DIGITS])))
    if dice.random() < 0.5:
        digits = "".join(digit + dice.choice(SEPARATORS) for digit in digits)
    user = head + digits
    if dice.random() < 0.25:
        escape = "%{:02X}" if dice.random() < 0.8 else "%25{:02x}"
        user = "".join(
            escape.format(ord(char)) if ord(char) < 128 and dice.random() < 0.5 else char for char in user
        )
    match dice.randrange(6):
        case 0:
            return f"{user}{context}"
        case 1:
            return f"{dice.choice(['tel:', 'TEL:', 'Tel:'])}{user}{context}"
        case 2:
            return f"{user}{context}@pbx.example.com"
        case 3:
            tail = dice.choice(["", ";user=phone", ";transport=tcp", ":5060", ";lr", ";npdi"])
            return f"{dice.choice(['sip:', 'SIP:', 'sips:'])}{user}{context}@PBX.example.com{tail}"
        case 4:
            return f"sip:{user}@pbx.example.com{context or ';phone-context=example.com'}"
        case _:
            return f"sip:{user.replace(' ', '')}{context}"


def escapes(rules: TargetRules, seed: int, count: int) -> list[str]:
    """Spellings of denied numbers that got through."""
    dice = random.Random(seed)
    through: list[str] = []
    for _ in range(count):
        prefix = dice.choice(RANGES)
        length = dice.randint(max(8, len(prefix)), 15)
        number = prefix + "".join(dice.choices("0123456789", k=length - len(prefix) + 1))
        text = spelling(dice, number)
        try:
            rules.check(text)
        except TargetRefused:
            continue
        through.append(f"{text!r} for {number}")
    return through


WIDE = TargetRules(("*", PBX, "sips:*"))
COUNT = 1000


@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate])
@given(st.integers(0, 2**32))
def test_no_spelling_of_a_denied_number_gets_through_the_widest_allow_list(seed: int) -> None:
    assert escapes(WIDE, seed, COUNT) == []


def test_most_of_those_spellings_would_get_through_without_the_list() -> None:
    """The generator writes what can be dialled, and not only what is refused as nonsense."""
    assert len(escapes(TargetRules(("*",), built_in=False), 1, COUNT)) > COUNT / 4


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=60) | st.from_regex(r"(sips?|tel):[ -~]{1,40}(@[ -~]{1,20})?", fullmatch=True))
def test_any_text_is_judged_and_what_is_judged_is_stable(text: str) -> None:
    try:
        target = WIDE.check(text)
    except TargetRefused:
        return
    assert parse_target(target.uri) == target

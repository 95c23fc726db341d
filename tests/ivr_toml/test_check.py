"""Every seeded mistake is found by its code in its line, and a correct flow has none."""

from __future__ import annotations

import pytest

from tests.ivr_toml.kit import checked, line_of, shop
from voiceagent.call.targets import TargetRules
from voiceagent.ivr.check.toml_check import MOST_WORDS

RULES = TargetRules(("sip:desk@example.com",))
LONG = " ".join(["word"] * (MOST_WORDS + 1))

AGAIN = '[steps.again]\ntype = "respond"\nsay = "Again."\n'

MISTAKES = [
    # code, what is replaced, by what, where the finding stands, what its remedy or message says
    ("unknown-target", 'hours"], next = "hours"', 'hours"], next = "huors"', "huors", "did you mean 'hours'"),
    ("unknown-target", 'start = "greet"', 'start = "gret"', "gret", "did you mean 'greet'"),
    ("unknown-target", 'start = "greet"', 'start = "zzz"', "zzz", "write [steps.zzz]"),
    ("unreachable", "[steps.bye]", '[steps.lost]\ntype = "hangup"\n[steps.bye]', "[steps.lost]", "lost"),
    (
        "no-end",
        'say = "We are open from nine to five."\nnext = "bye"',
        'say = "Nine to five."\nnext = "again"\n' + AGAIN + 'next = "hours"',
        "[steps.hours]",
        "again",
    ),
    ("endless-loop", 'that."\notherwise = "desk"', 'that."\notherwise = "menu"', 'otherwise = "menu"',
     "step menu"),
    ("endless-loop", 'announce = "One moment."\notherwise = "bye"',
     'otherwise = "again"\n' + AGAIN + 'next = "desk"',
     'next = "desk"\n\n[steps.bye]', "desk, again"),
    ("missing-otherwise", 'stand that."\notherwise = "desk"', 'stand that."', "[steps.menu]", "otherwise"),
    ("missing-otherwise", 'next = "lookup"\notherwise = "desk"', 'next = "lookup"', "[steps.account]",
     "silence"),
    ("missing-otherwise", 'next = "tell"\notherwise = "desk"', 'next = "tell"', "[steps.lookup]", "time-out"),
    ("duplicate-key", 'key = "2"', 'key = "1"', "options.balance", "means both hours and balance"),
    ("ambiguous-phrases", '"my account"', '"Opening, hours"', "options.balance", "both hours and balance"),
    ("ambiguous-phrases", '"my account"', '"person"', "options.person", "both balance and person"),
    ("ambiguous-digits", 'end = "#"', 'end = "5"', "digits = {", "may be one of them"),
    ("transfer-not-allowed", "sip:desk@", "sip:anybody@", "target = ", "call.transfer_targets"),
    ("bad-value", "sip:desk@example.com", "sip:desk:secret@example.com", "target = ", "passwords"),
    ("transfer-no-fallback", '"One moment."\notherwise = "bye"', '"One moment."', "[steps.desk]",
     "otherwise"),
    ("long-uninterruptible", '"One moment."', f'"{LONG}"', "announce = ", "41 words"),
    ("long-uninterruptible", "the balance is {balance}.", LONG + " {balance}", "guide = \"Tell", "words"),
    ("unknown-name", "{balance}", "{balence}", "guide = \"Tell", "did you mean 'balance'"),
    ("unknown-name", "We are open", "{account}: we are open", "say = \"{account}", "not set on every way"),
    ("unknown-key", 'attempts = 2', 'atempts = 2', "atempts", "did you mean 'attempts'"),
    ("unknown-key", 'end = "#"', 'ende = "#"', "digits = {", "did you mean 'end'"),
    ("unknown-key", 'key = "0"', 'keys = "0"', "options.person", "did you mean 'key'"),
    ("unknown-key", "[flow]", '[flwo]\nx = 1\n[flow]', "[flwo]", "did you mean 'flow'"),
    ("missing-key", 'guide = "Greet the caller in one sentence."\n', "", "[steps.greet]", "`guide` or `say`"),
    ("missing-key", 'prompt = "Ask for the six digit account number."\n', "", "[steps.account]",
     "needs `prompt`"),
    ("missing-key", 'key = "1", phrases = ["opening hours"], next = "hours"', 'key = "1"', "options.hours",
     "needs `options.hours.next`"),
    ("missing-key", 'type = "hangup"\n', "", "[steps.bye]", "needs `type`"),
    ("bad-value", 'type = "respond"\nsay', 'type = "respnod"\nsay', "respnod", "did you mean 'respond'"),
    ("bad-value", "attempts = 2", 'attempts = "2"', "attempts", "valid integer"),
    ("bad-value", "attempts = 2", "attempts = 0", "attempts", "greater than or equal to 1"),
    ("bad-value", 'key = "1"', 'key = "12"', "options.hours", "`options.hours.key`"),
    ("bad-value", "timeout_s = 5", "timeout_s = inf", "timeout_s", "finite"),
    ("bad-value", "interruptible = false", "interruptible = 0", "interruptible = 0", "boolean"),
    ("bad-value", "interruptible = false", 'say = "x"', 'say = "x"', "one of the two"),
    ("bad-value", "{ least = 6,", "{ least = 6, most = 4,", "digits = {", "at least `least`"),
    ("bad-value", 'into = "balance"', 'into = "caller"', 'into = "caller"', "every call has"),
    ("bad-value", "options.person", "options.no_input", "options.no_input", "cannot have an option called"),
    ("missing-key", 'key = "0", ', "", "options.person", "needs `key` or `phrases`"),
    ("bad-value", 'announce = "One moment."', 'whisper = "A caller."', "whisper", "attended = true"),
    ("bad-value", "is {balance}.", "is {balance.", "guide = \"Tell", "without its partner"),
    ("bad-value", 'function = "shop:balance"', 'url = "ftp://example.com/x"', "url", "https://"),
    ("bad-value", 'function = "shop:balance"', 'url = "https://{account}/x"', "url", "host in plain text"),
    ("bad-value", 'function = "shop:balance"', 'url = "https://a@example.com/x"', "url", "without a user"),
    ("bad-value", 'function = "shop:balance"', 'function = "shop.balance"', "function", "pattern"),
    ("bad-toml", 'name = "shop"', 'name = shop', "name = shop", "not TOML"),
    ("bad-toml", "attempts = 2", "attempts = 2\nattempts = 3", "attempts = 3", "overwrite"),
]  # fmt: skip


def test_a_correct_flow_has_no_finding() -> None:
    assert checked(shop(), RULES) == []


@pytest.mark.parametrize(
    ("code", "old", "new", "where", "told"), MISTAKES, ids=[f"{one[0]}-{one[3]}" for one in MISTAKES]
)
def test_a_mistake_is_found_by_its_code_in_its_line(
    code: str, old: str, new: str, where: str, told: str
) -> None:
    text = shop((old, new))
    found = checked(text, RULES)
    assert [(one.code, one.line) for one in found] == [(code, line_of(text, where))]
    assert told in f"{found[0].message} ({found[0].remedy})"
    assert found[0].file.endswith("shop.toml")


def test_all_mistakes_of_reading_are_told_at_once_and_in_order() -> None:
    found = checked(
        shop(("attempts = 2", "atempts = 2"), ("least = 6", "least = 0"), ('key = "0"', "key = 0"))
    )
    assert [one.code for one in found] == ["unknown-key", "bad-value", "bad-value"]
    assert [one.line for one in found] == sorted(one.line for one in found)


def test_whom_nobody_may_be_transferred_to_is_not_asked_without_rules() -> None:
    assert checked(shop(("sip:desk@", "sip:anybody@"))) == []


def test_a_circle_that_the_caller_drives_is_no_endless_loop() -> None:
    assert checked(shop(('nine to five."\nnext = "bye"', 'nine to five."\nnext = "menu"'))) == []


def test_two_hundred_steps_are_checked_to_the_last() -> None:
    steps = "".join(
        f"""
        [steps.menu_{number}]
        type = "choose"
        prompt = "Ask which of the three."
        options.one = {{ key = "1", phrases = ["first"], next = "{target(number * 3 + 1)}" }}
        options.two = {{ key = "2", phrases = ["second"], next = "{target(number * 3 + 2)}" }}
        options.three = {{ key = "3", phrases = ["third"], next = "{target(number * 3 + 3)}" }}
        otherwise = "bye"
        """
        for number in range(199)
    )
    text = f'[flow]\nname = "many"\n{steps}\n[steps.bye]\ntype = "hangup"\n'
    assert checked(text, RULES) == []
    found = checked(text.replace('"menu_198"', '"nowhere"'), RULES)
    assert [(one.code, one.line) for one in found] == [
        ("unknown-target", line_of(text, '"menu_198"')),
        ("unreachable", line_of(text, "[steps.menu_198]")),
    ]


def target(number: int) -> str:
    return f"menu_{number}" if number < 199 else "bye"

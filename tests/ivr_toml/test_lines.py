"""Every key of a TOML text has its line, however it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceagent.ivr.toml.lines import MOST_DEPTH, Path, TooDeep, index_lines

TEXT = '''\
# a comment with [steps.ghost] and key = "value"
[flow]
name = "shop" # trailing = "no key"
"quoted key" = 1
'literal [key]' = 2
"es\\u0063aped" = 3

[steps.greet]
guide = """
[steps.not_a_table]
next = "not a key"
quotes "" inside, and \\""" escaped
four at the end""""
raw = \'\'\'
one = 1
\'\'\'
next = "menu"

[ steps . menu ]
options.hours = { key = "1", phrases = ["a", "b"], next = "hours" }
options."or der".key = "2"
no_input = [
    # a comment, with ] and , and "
    "first",
    "second ] , }",
    [ 1,
      2 ],
]
path = 'C:\\'
date = 2026-11-30T03:48:33Z

[steps.menu.options.person]
key = "0"

[[calls]]
name = "one"
[calls.inner]
x = 1
[[calls]]
name = "two"
[[calls.deep]]
y = 2
'''

LINES = [
    (("flow",), 2),
    (("flow", "name"), 3),
    (("flow", "quoted key"), 4),
    (("flow", "literal [key]"), 5),
    (("flow", "escaped"), 6),
    (("steps", "greet"), 8),
    (("steps", "greet", "guide"), 9),
    (("steps", "greet", "raw"), 14),
    (("steps", "greet", "next"), 17),
    (("steps", "menu"), 19),
    (("steps", "menu", "options"), 20),
    (("steps", "menu", "options", "hours", "next"), 20),
    (("steps", "menu", "options", "hours", "phrases", 1), 20),
    (("steps", "menu", "options", "or der", "key"), 21),
    (("steps", "menu", "no_input"), 22),
    (("steps", "menu", "no_input", 0), 24),
    (("steps", "menu", "no_input", 1), 25),
    (("steps", "menu", "no_input", 2), 26),
    (("steps", "menu", "no_input", 2, 1), 27),
    (("steps", "menu", "path"), 29),
    (("steps", "menu", "options", "person"), 32),
    (("steps", "menu", "options", "person", "key"), 33),
    (("calls", 0), 35),
    (("calls", 0, "inner", "x"), 38),
    (("calls", 1), 39),
    (("calls", 1, "name"), 40),
    (("calls", 1, "deep", 0, "y"), 42),
]


@pytest.mark.parametrize(("path", "line"), LINES, ids=lambda value: str(value))
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_key_has_its_line(path: Path, line: int, ending: str) -> None:
    index = index_lines(TEXT.replace("\n", ending))
    assert path in index.lines
    assert index.line(path) == line


def test_nothing_in_strings_or_comments_is_a_key() -> None:
    index = index_lines(TEXT)
    assert set(index.lines) == set(paths(tomllib.loads(TEXT)))


def test_an_unknown_key_has_the_line_of_the_table_around_it() -> None:
    index = index_lines(TEXT)
    assert index.line(("steps", "greet", "metadata", "x")) == 8
    assert index.line(("nothing",)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "a = 1\n" + ".".join("k" * (MOST_DEPTH + 1)) + " = 1",
        "\nx = " + "[" * 1000,
        "\nx = " + "{a=" * 1000,
        "\n[" + ".".join("k" * 1000) + "]",
    ],
    ids=["dotted", "arrays", "tables", "header"],
)
def test_depth_is_bounded(text: str) -> None:
    with pytest.raises(TooDeep) as error:
        index_lines(text)
    assert error.value.line == 2


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """All keys and indices of a TOML value."""
    if at:
        yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*at, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from paths(inner, (*at, number))


def quoted(text: str) -> str:
    return '"' + "".join(f"\\u{ord(char):04x}" if ord(char) < 65_536 else char for char in text) + '"'


plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=5)
keys = st.from_regex(r"[a-z0-9_-]{1,3}", fullmatch=True) | plain.map(quoted)
comments = st.sampled_from(["", " # = [x] {", '\t# "'])
strings = plain.map(quoted) | st.sampled_from(
    ["'a#b'", '"a\\"b"', '"""a\n"b" [x]\n"""', "'''\n'x' = 1\n'''", '""""q"""""', '"""\\\n  x"""', "''", '""']
)
scalars = strings | st.sampled_from(["1", "-2.5", "true", "1979-05-27", "07:32:00", "inf", "0xff"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ", # ]\n".join(items) + "]")
        | st.dictionaries(keys, inner.filter(lambda text: "\n" not in text), max_size=3).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        )
    ),
    max_leaves=5,
)
pairs = st.tuples(st.lists(keys, min_size=1, max_size=3).map(" . ".join), values, comments).map(
    lambda parts: f"{parts[0]} = {parts[1]}{parts[2]}"
)
headers = st.tuples(
    st.lists(keys, min_size=1, max_size=3).map(".".join),
    st.sampled_from([("[", "]"), ("[[", "]]")]),
    comments,
).map(lambda parts: f"{parts[1][0]}{parts[0]}{parts[1][1]}{parts[2]}")
documents = st.lists(pairs | headers | comments, max_size=8).map("\n".join)


@given(documents)
def test_whatever_tomllib_reads_has_lines_and_nothing_else_has(text: str) -> None:
    index = index_lines(text)  # never fails, TOML or not
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(index.lines) == set(paths(tree))


@given(st.text(alphabet="abc.=[]{}\"'\\#\n, ", max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    try:
        lines = index_lines(text).lines.values()
    except TooDeep:
        return
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)

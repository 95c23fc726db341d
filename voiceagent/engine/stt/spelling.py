"""English spelling to ARPABET for words that no dictionary has: brand names, places, new words. Pure.

A short ordered list of rules, each ``before [letters] after → phones``, in the manner of Elovitz et al.,
"Automatic Translation of English Text to Phonetics by Means of Letter-to-Sound Rules" (NRL 7948, 1976), but a
few dozen instead of 329. Good enough to hear "zyntrova" among five menu words, not to teach English.
"""

from __future__ import annotations

import re

# One line per letter: [condition before]letters[condition after]=phones. "^" start, "$" end, C one consonant,
# V one vowel, "E" one of e i y. The longest match first within a letter, so order matters.
_RULES = """
a: a(C)e$=EY|augh=AO|aw=AO|au=AO|air=EH R|are$=EH R|ar=AA R|ai=EY|ay=EY|able$=AH B AH L
a: all=AO L|age$=IH JH|a(C)E=EY|a$=AH|a=AE
b: bb=B|b=B
c: cch=CH|ch=CH|ck=K|cc(E)=K S|cc=K|c(E)=S|c=K
d: dge=JH|dd=D|d=D
e: eigh=EY|ear=IH R|eer=IH R|ee=IY|ea=IY|ew=UW|eu=Y UW|ei=IY|ey$=IY|ed$=D|er=ER|es$=IH Z
e: e(C)e$=IY|^e$=IY|V e$=|e$=|e=EH
f: ff=F|f=F
g: ^gn=N|ght=T|gh=G|gg=G|g(E)=JH|g=G
h: h=HH
i: igh=AY|ine$=AY N|ing$=IH NG|ion$=Y AH N|ier$=IY ER|ie$=IY|ie=IY|ir=ER|i(C)e$=AY|i$=IY
i: i(V)=IY|i=IH
j: j=JH
k: ^kn=N|kk=K|k=K
l: ll=L|le$=AH L|l=L
m: mm=M|m=M
n: ng$=NG|nk=NG K|nn=N|n=N
o: ough=AO|ould=UH D|ous$=AH S|oor=AO R|our=AO R|ore$=AO R|oo=UW|oa=OW|ou=AW|ow$=OW|ow=AW|oy=OY
o: oi=OY|or=AO R|o(C)e$=OW|o$=OW|o(C)E=OW|o=AA
p: ph=F|pp=P|^ps=S|p=P
q: qu=K W|q=K
r: rr=R|rh=R|r=R
s: sch=S K|sh=SH|ss=S|sion$=ZH AH N|V s$=Z|s=S
t: tion=SH AH N|tch=CH|th=TH|tt=T|tial=SH AH L|t=T
u: ui=UW|ur=ER|ue$=UW|u(C)e$=UW|^u(C)V=Y UW|u(C)V=UW|u=AH
v: vv=V|v=V
w: ^wr=R|^wh=W|w=W
x: ^x=Z|x=K S
y: ^y=Y|y(C)e$=AY|^C y$=AY|y$=IY|y(V)=Y|y=IH
z: zz=Z|z=Z
"""
_CLASSES = {"C": "[bcdfghjklmnpqrstvwxz]", "V": "[aeiouy]", "E": "[eiy]"}

_NAMES = {
    "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH",
    "i": "AY", "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY",
    "q": "K Y UW", "r": "AA R", "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY",
    "w": "D AH B AH L Y UW", "x": "EH K S", "y": "W AY", "z": "Z IY",
}  # fmt: skip


def _compile() -> dict[str, list[tuple[re.Pattern[str], str, int]]]:
    rules: dict[str, list[tuple[re.Pattern[str], str, int]]] = {}
    for line in _RULES.strip().splitlines():
        letter, _, alternatives = line.partition(": ")
        for rule in alternatives.split("|"):
            pattern, _, sound = rule.partition("=")
            before, letters, after, taken = _parts(pattern)
            look = f"(?<={before})" if before and before != "^" else before
            source = f"{look}{letters}(?={after})" if after else f"{look}{letters}"
            rules.setdefault(letter, []).append((re.compile(source), sound, taken))
    return rules


def _parts(pattern: str) -> tuple[str, str, str, int]:
    """Split a rule's pattern into lookbehind, letters, lookahead and the count of letters it uses up."""
    before = ""
    if " " in pattern:
        before, _, pattern = pattern.partition(" ")
        before = "".join(_CLASSES.get(mark, mark) for mark in before)
    elif pattern.startswith("^"):
        before, pattern = "^", pattern[1:]
    head, bracket, tail = pattern.partition("(")
    if bracket:
        after = _CLASSES[tail[0]] + "".join(_CLASSES.get(mark, mark) for mark in tail[2:])
    elif head.endswith("$"):
        head, after = head[:-1], "$"
    else:
        after = ""
    return before, head, after, len(head)


_COMPILED = _compile()


def phones(word: str) -> str:
    """Return a guess at how ``word`` (lower case) is said, as ARPABET phones without stress."""
    letters = re.sub(r"[^a-z]", "", word.lower())
    if not letters:
        return "AH"
    if len(letters) <= 4 and not re.search(r"[aeiouy]", letters):
        return " ".join(_NAMES[letter] for letter in letters)
    found: list[str] = []
    at = 0
    while at < len(letters):
        sound, taken = _match(letters, at)
        found += sound.split()
        at += taken
    return " ".join(_merged(found)) or "AH"


def _match(letters: str, at: int) -> tuple[str, int]:
    for pattern, sound, taken in _COMPILED[letters[at]]:
        # With a start given, "^" still means the word's start, and lookbehind sees what came before.
        if pattern.match(letters, at):
            return sound, taken
    return "", 1


def _merged(sounds: list[str]) -> list[str]:
    """Two equal phones in a row are one."""
    return [sound for index, sound in enumerate(sounds) if index == 0 or sounds[index - 1] != sound]

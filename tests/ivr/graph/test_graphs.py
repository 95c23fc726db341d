"""Pictures of flows: what may follow what, what calls have done, and that the notations are well formed."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.ivr.graph.dot_grammar import read_dot
from voiceagent.ivr.check.walks import Stop, Walk, walk_of
from voiceagent.ivr.graph.dot import dot
from voiceagent.ivr.graph.mermaid import escaped, mermaid
from voiceagent.ivr.graph.model import Node, Picture
from voiceagent.ivr.graph.python_graph import python_pictures
from voiceagent.ivr.graph.toml_graph import toml_picture
from voiceagent.ivr.toml.read import parse_toml_flow

ROOT = Path(__file__).parents[3]
FRONT_DESK = (ROOT / "voiceagent" / "ivr" / "front_desk.py").read_text(encoding="utf-8")
HEAD = "from voiceagent.ivr import Call, Digits, flow\n\n"


def picture(body: str, more: str = "", walks: tuple[Walk, ...] = ()) -> Picture:
    """The picture of a flow with this body, which begins at line 5."""
    text = HEAD + '@flow("f")\nasync def main(call: Call) -> None:\n'
    text += textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n" + textwrap.dedent(more)
    return python_pictures(text, "f.py", walks)[0]


def ways(one: Picture) -> set[tuple[str, str, str]]:
    """The links, with nodes called by verb and text."""

    def name(key: str) -> str:
        node = one.nodes[key]
        return node.text if node.place else key

    return {(name(link.source), name(link.target), link.label) for link in one.links.values()}


def test_what_follows_what_in_a_flow_with_branches() -> None:
    found = picture(
        """
        await call.say("hello")
        match await call.choose("ask", hours="1", person="0"):
            case "hours":
                await call.say("nine")
            case "person" | None:
                await call.transfer("sip:desk@x")
                await call.say("nobody")
        await call.hangup("bye")
        """
    )
    assert ways(found) == {
        ("start", "hello", ""),
        ("hello", "ask", ""),
        ("ask", "nine", "hours"),
        ("ask", "sip:desk@x", "person, no answer"),
        ("sip:desk@x", "nobody", "failed"),
        ("nine", "bye", ""),
        ("nobody", "bye", ""),
    }
    assert [node.kind for node in found.nodes.values()] == [
        "start", "speech", "question", "speech", "leaving", "speech", "end",
    ]  # fmt: skip


def test_loops_lead_back_and_out() -> None:
    found = picture(
        """
        while True:
            topic = await call.choose("ask", hours="1")
            if topic is None:
                break
            if not await call.confirm("sure"):
                continue
            await call.say("nine")
        """
    )
    assert ways(found) == {
        ("start", "ask", ""),
        ("ask", "finish", "no answer"),
        ("ask", "sure", ""),
        ("sure", "ask", "no"),
        ("sure", "nine", "yes"),
        ("nine", "ask", ""),
    }


def test_sub_flows_are_followed_through_even_in_circles() -> None:
    found = picture(
        "await menu(call)",
        """
        async def menu(call):
            await call.say("menu")
            if await call.confirm("again"):
                await menu(call)
            else:
                await goodbye(call)

        async def goodbye(call):
            await call.hangup("bye")
        """,
    )
    assert ways(found) == {
        ("start", "menu", ""),
        ("menu", "again", ""),
        ("again", "menu", "yes"),
        ("again", "bye", "no"),
    }


def test_many_steps_that_call_each_other_twice_are_drawn() -> None:
    step = 'async def s{}(call):\n    await call.say("{}")\n' + 2 * "    await s{}(call)\n"
    steps = [step.format(n, n, n + 1, n + 1) for n in range(60)]
    found = picture(
        "await s0(call)", "\n".join([*steps, 'async def s60(call):\n    await call.say("last")\n'])
    )
    assert len(found.nodes) == 63


def test_evidence_marks_what_was_seen_and_what_never() -> None:
    stops = (Stop("say", "f.py", 5), Stop("confirm", "f.py", 6), Stop("say", "f.py", 7))
    walks = (
        Walk("one", "f", stops, "completed"),
        Walk("two", "f", (*stops[:2], Stop("private", "other.py", 3)), "caller_hung_up"),
        Walk("another flow", "g", stops),
    )
    found = picture(
        """
        await call.say("hello")
        if await call.confirm("ask"):
            await call.say("yes")
        else:
            await call.say("no")
        """,
        walks=walks,
    )
    assert found.calls == 2
    assert {node.text or node.title: node.seen for node in found.nodes.values()} == {
        "f": 2, "hello": 2, "ask": 2, "yes": 1, "no": 0, "private": 1,
        "the flow ends": 1, "caller hung up": 1,
    }  # fmt: skip
    seen = {key: link.seen for key, link in found.links.items()}
    assert sorted(seen.values()) == [0, 0, 1, 1, 1, 1, 2, 2]
    graph = read_dot(dot([found]))
    dashed = [node for node, looks in graph.nodes.items() if "dashed" in looks["style"]]
    assert [found.nodes[node].text for node in dashed] == ["no"]
    assert mermaid([found]).count(":::never") == 1
    assert mermaid([found]).count(" -.->") == 2


def test_journals_are_evidence() -> None:
    walk = walk_of(
        [
            {"type": "call.offered", "flow": "f"},
            {"type": "flow.step", "step": "say", "place": "f.py:5"},
            {"type": "flow.step", "step": "mine"},
            {
                "type": "flow.failed",
                "error": "ValueError: x",
                "traceback": ["f.py:5 in main", "g.py:9 in deep"],
            },
            {"type": "call.ended", "reason": "flow_failed"},
        ],
        "j",
    )
    assert walk == Walk(
        "j", "f", (Stop("say", "f.py", 5), Stop("mine")), "flow_failed", "ValueError: x", Stop("", "g.py", 9)
    )


TOML = """
[flow]
name = "desk"
instructions = "Be brief."
start = "menu"
[steps.menu]
type = "choose"
prompt = "Ask for hours or a person."
options.hours = { key = "1", next = "hours" }
options.person = { key = "0", next = "desk" }
otherwise = "bye"
[steps.hours]
type = "respond"
say = "Nine to five."
next = "nowhere"
[steps.desk]
type = "transfer"
target = "sip:desk@example.com"
otherwise = "bye"
[steps.bye]
type = "hangup"
"""


def test_a_toml_flow_is_drawn_from_its_file() -> None:
    found = toml_picture(parse_toml_flow(TOML, "desk.toml"))
    titles = {key: node.title for key, node in found.nodes.items()}
    assert {(titles[one.source], titles[one.target], one.label) for one in found.links.values()} == {
        ("desk", "menu: choose", ""),
        ("menu: choose", "hours: respond", "hours (1)"),
        ("menu: choose", "desk: transfer", "person (0)"),
        ("menu: choose", "bye: hangup", "otherwise"),
        ("hours: respond", "nowhere", ""),
        ("desk: transfer", "bye: hangup", "otherwise"),
    }
    assert [node.title for node in found.nodes.values() if node.kind == "missing"] == ["nowhere"]
    assert {node.place for node in found.nodes.values()} >= {"desk.toml:6", "desk.toml:12"}


def test_evidence_marks_the_steps_of_a_toml_flow() -> None:
    stops = (Stop("menu", "desk.toml", 6), Stop("hours"), Stop("hangup", "desk.toml", 21))
    walks = [Walk("one", "desk", stops, "completed"), Walk("two", "desk", stops[:1], "caller_hung_up")]
    found = toml_picture(parse_toml_flow(TOML, "desk.toml"), walks)
    assert [node.title for node in found.nodes.values() if not node.seen] == ["desk: transfer", "nowhere"]
    assert found.nodes["end_caller_hung_up"].seen == 1
    assert found.between("n1", "n2")[0].seen == 1
    assert sum(link.seen for link in found.links.values()) == 5


HOSTILE = 'a "quote" \\ back`tick` <b>&amp;</b> #35; | pipe\n]) --> x{{{ ü €'


def hostile() -> list[Picture]:
    one, two = Picture(HOSTILE, "f.py"), Picture("two", "f.py")
    for each in (one, two):
        each.add(Node("start", "start", HOSTILE, HOSTILE, HOSTILE))
        each.add(Node("n1", "question", HOSTILE, HOSTILE))
        each.link("start", "n1", HOSTILE)
    return [one, two]


def test_hostile_texts_stay_texts() -> None:
    graph = read_dot(dot(hostile()))
    assert HOSTILE in graph.nodes["f1_n1"]["label"]
    assert graph.edges[0][2]["label"] == HOSTILE
    assert graph.clusters == ["cluster_f1", "cluster_f2"]
    check_mermaid(mermaid(hostile()))
    assert re.sub(r"#(?:\w+);", "", escaped(HOSTILE)).isprintable()
    assert not set('"<>&`|\\') & set(escaped(HOSTILE))


def check_mermaid(text: str) -> None:
    """Every line is one of the few forms that we write; ids are no words of the language."""
    node = r"(?!end\b|graph\b|subgraph\b|style\b|class\b)[a-z][a-z0-9_]*"
    label = r'"[^"\n]*"'
    shapes = [r"\(\[{}\]\)", r"\({}\)", r"\{{\{{{}\}}\}}", r"\[\[{}\]\]", r"\[/{}/\]", r"\[{}\]"]
    shape = "|".join(one.format(label) for one in shapes)
    forms = [
        r"flowchart TD",
        rf"  subgraph {node}\[{label}\]",
        r"  end",
        rf" +{node}(?:{shape}):::\w+",
        rf" +{node} (?:-->|-\.->)(?:\|{label}\|)? {node}",
        r"  classDef \w+ [\w#:,\- ]+",
        r"  linkStyle [\d,]+ stroke:#\w+",
    ]
    for line in text.splitlines():
        assert any(re.fullmatch(form, line) for form in forms), line


@pytest.mark.parametrize("number", range(3))
def test_our_own_flows_are_well_formed_pictures(number: int) -> None:
    paths = sorted(path for path in (ROOT / "examples").glob("*.py") if "@flow(" in path.read_text("utf-8"))
    text = [FRONT_DESK, *(path.read_text(encoding="utf-8") for path in paths)][number]
    pictures = python_pictures(text, "f.py")
    check_mermaid(mermaid(pictures))
    graph = read_dot(dot(pictures))
    assert len(graph.nodes) == len(pictures[0].nodes) > 3
    assert mermaid(python_pictures(text, "f.py")) == mermaid(pictures)
    reached = {"start"}
    for _ in graph.nodes:
        reached |= {target for source, target, _ in graph.edges if source in reached}
    assert reached == set(graph.nodes)


def test_several_flows_of_a_file_stand_beside_each_other() -> None:
    text = HEAD + "".join(
        f'@flow("{name}")\nasync def {name}(call: Call) -> None:\n    await call.say("{name}")\n\n'
        for name in ("one", "two")
    )
    pictures = python_pictures(text, "f.py")
    check_mermaid(mermaid(pictures))
    assert mermaid(pictures).count("  subgraph ") == 2
    assert read_dot(dot(pictures)).clusters == ["cluster_f1", "cluster_f2"]


def test_graphviz_itself_takes_our_pictures() -> None:
    program = shutil.which("dot")
    if program is None:
        pytest.skip("graphviz (dot) is not installed: our own grammar alone has judged the pictures")
    done = subprocess.run(
        [program, "-Tsvg"], input=dot(hostile()), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "<svg" in done.stdout

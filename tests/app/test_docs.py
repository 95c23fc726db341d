"""The prose keeps pace with the code: settings, commands, routes, verbs and links exist as written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

from voiceagent.call.targets import TargetRules
from voiceagent.cli.main import app
from voiceagent.console.app import create_app
from voiceagent.console.config import ConsoleConfig
from voiceagent.ivr import Call
from voiceagent.settings import RouteSettings, Settings, TrunkSettings, WebhookSettings, load_settings
from voiceagent.settings.queues import QueueSettings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
FLOWS = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")
TELEPHONY = (ROOT / "docs" / "telephony.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, default and description of every setting."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings_of(inner, f"{prefix}{name}.")
            continue
        default = field.default
        if default is None:
            shown = "–"
        elif isinstance(default, tuple):
            shown = "[" + ", ".join(f'"{one}"' for one in default) + "]"
        elif isinstance(default, bool):
            shown = str(default).lower()
        else:
            shown = str(default)
        yield prefix + name, shown, field.description or ""


def test_the_guide_lists_every_setting_with_its_default_and_meaning() -> None:
    told = re.findall(r"^\| `([a-z0-9_.]+)` \| `([^`]*)` \| (.*) \|$", GUIDE, re.MULTILINE)
    assert told == list(settings_of(Settings))


def test_the_page_on_telephony_lists_every_setting_of_a_trunk() -> None:
    told = re.findall(r"^\| `trunks\.NAME\.([a-z0-9_]+)` \| `([^`]*)` \| (.*) \|$", TELEPHONY, re.MULTILINE)
    names = {field.alias or name for name, field in TrunkSettings.model_fields.items()}
    assert {name for name, _, _ in told} == names
    meant = {name: text for name, _, text in told}
    for name, field in TrunkSettings.model_fields.items():
        assert meant[field.alias or name] == field.description


def test_the_page_on_flows_lists_every_setting_of_a_route() -> None:
    told = re.findall(r"^\| `routes\.N\.([a-z_]+)` \| `([^`]*)` \| (.*) \|$", FLOWS, re.MULTILINE)
    nothing = {"[]", "PydanticUndefined"}
    assert told == [
        (name, "–" if default in nothing else default, text)
        for name, default, text in settings_of(RouteSettings)
    ]


def test_the_guide_lists_every_setting_of_a_webhook() -> None:
    told = re.findall(r"^\| `webhooks\.NAME\.([a-z_]+)` \| `([^`]*)` \| (.*) \|$", GUIDE, re.MULTILINE)
    assert [(name, text) for name, _, text in told] == [
        (name, text) for name, _, text in settings_of(WebhookSettings)
    ]


def test_the_page_on_flows_lists_every_setting_of_a_queue() -> None:
    told = re.findall(r"^\| `queues\.([a-z_]+)` \| `([^`]*)` \| (.*) \|$", FLOWS, re.MULTILINE)
    assert told == [
        (name, "–" if default == "PydanticUndefined" else default, text)
        for name, default, text in settings_of(QueueSettings)
    ]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Path and options of every command; a group has none of its own."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    else:
        for name, one in inner.items():
            yield from commands(one, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_prints_json_when_asked(path: tuple[str, ...]) -> None:
    assert "--json" in COMMANDS[path]


def commands_in(text: str) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Path and options of each ``voiceagent …`` line; ``bench a|b`` stands for both."""
    for line in re.findall(r"(?:^|[`/ ])voiceagent ([a-z|]+(?: [^`\n]*)?)", text, re.MULTILINE):
        words = line.split()
        asked = {word.split("=")[0].strip("[]`.,;") for word in words if word.lstrip("[").startswith("--")}
        for first in words[0].split("|"):
            grouped = any(path[0] == first and len(path) > 1 for path in COMMANDS)
            for second in words[1].split("|") if grouped else [""]:
                yield ((first, second) if second else (first,)), asked


@pytest.mark.parametrize(
    "page", [page for page in [*PAGES, *EXAMPLES] if "voiceagent " in page.read_text(encoding="utf-8")],
    ids=lambda page: page.name,
)  # fmt: skip
def test_commands_and_options_in_prose_exist(page: Path) -> None:
    for path, asked in commands_in(page.read_text(encoding="utf-8")):
        assert path in COMMANDS
        assert asked <= COMMANDS[path], " ".join(path)


def test_make_verbs_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:^|`)(?:\S+=… )?make ([a-z]+)(?= *(?:#|`|$))", README, re.MULTILINE)) <= verbs


def test_routes_in_the_readme_exist() -> None:
    class Nobody:
        pass

    app = create_app(Nobody(), ConsoleConfig(token="x" * 32))  # type: ignore[arg-type]
    served = {
        (method.upper(), re.sub(r"\{[a-z_]+\}", "{}", path))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    for row in re.findall(r"^\| (`(?:GET|POST).*?) \|", README, re.MULTILINE):
        methods = re.findall(r"GET|POST|DELETE", row)
        for path in re.findall(r"/[\w{}/]+", row):
            for method in methods:
                assert (method, re.sub(r"\{[a-z_]+\}", "{}", path)) in served, f"{method} {path}"


def test_the_page_on_flows_names_every_verb_of_a_call() -> None:
    told = set(re.findall(r"^\| `([a-z_]+)\(", FLOWS, re.MULTILINE))
    verbs = {name for name in dir(Call) if callable(getattr(Call, name)) and not name.startswith("_")}
    assert told == verbs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_prose_is_python(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        compile(block, page.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_are_short_and_say_how_to_run_them(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 80
    assert f"examples/{example.name}" in text


def test_no_file_holds_more_than_one_idea() -> None:
    sources = [*(ROOT / "voiceagent").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *EXAMPLES]
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {name: lines for name, lines in lengths.items() if lines > 600} == {}


ROUTING = FLOWS.partition("## Routing")[2].partition("\n## ")[0]
RECIPES = re.findall(r"```toml\n(.*?)```", TELEPHONY + README + ROUTING, re.DOTALL)


@pytest.mark.parametrize("recipe", RECIPES, ids=range(len(RECIPES)))
def test_recipes_are_settings(recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "voiceagent.toml"
    file.write_text(recipe, encoding="utf-8")
    settings = load_settings(file)
    TargetRules(settings.outbound.allowed)
    TargetRules(settings.call.transfer_targets)

"""The schema for editors and the manual's tables are what the models say."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from tests.ivr_toml.kit import SHOP, checked, parsed, shop
from tests.ivr_toml.test_check import MISTAKES, RULES
from voiceagent.cli.main import app
from voiceagent.ivr.check.codes import CODES
from voiceagent.ivr.toml.models import STEP_TYPES, Choice, DigitsTable, FlowDocument, FlowTable, Table
from voiceagent.ivr.toml.schema import flow_schema

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Flows in TOML\n")[2].partition("\n## ")[0]


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def shown(field: FieldInfo) -> str:
    """A default as the manual writes it."""
    if field.is_required():
        return "needed"
    default: Any = field.get_default(call_default_factory=True)
    if default is None or default in ({}, [], ""):
        return "–"
    return str(default).lower() if isinstance(default, bool) else str(default)


def told(model: type[BaseModel], prefix: str = "") -> list[tuple[str, str, str]]:
    """The rows that a table of the manual has."""
    return [
        (prefix + key, shown(field), field.description or "")
        for key, field in keys(model).items()
        if key != "type"
    ]


TABLES: dict[str, list[tuple[str, str, str]]] = {
    "[flow]": told(FlowTable),
    **{f'type = "{name}"': told(model) for name, model in STEP_TYPES.items()},
}
TABLES['type = "choose"'] += told(Choice, "options.NAME.")
TABLES['type = "collect"'] += told(DigitsTable, "digits.")


@pytest.mark.parametrize("title", TABLES)
def test_the_manual_lists_every_key_with_its_default_and_meaning(title: str) -> None:
    part = SECTION.partition(f"\n### `{title}`\n")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| `([a-zA-Z_.]+)` \| (.*?) \| (.*) \|$", part, re.MULTILINE)
    assert [(key, default.strip("`"), meaning) for key, default, meaning in rows] == TABLES[title]


def test_flows_in_the_manual_are_sound() -> None:
    blocks = [one for one in re.findall(r"```toml\n(.*?)```", SECTION, re.DOTALL) if "[flow]" in one]
    assert blocks
    for block in blocks:
        assert [one for one in checked(block) if one.code != "missing-function"] == []


def test_the_schema_in_the_manual_is_that_of_the_code() -> None:
    kept = json.loads((ROOT / "docs" / "flow.schema.json").read_text(encoding="utf-8"))
    assert kept == flow_schema()


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_command_prints_the_schema(options: list[str]) -> None:
    result = CliRunner().invoke(app, ["flow", "schema", *options])
    assert result.exit_code == 0
    assert json.loads(result.output) == flow_schema()


def fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that the schema describes."""
    for name, table in [("document", schema), *schema["definitions"].items()]:
        for key, field in table.get("properties", {}).items():
            yield f"{name}.{key}", field


def test_every_key_of_the_schema_is_described_and_tables_are_closed() -> None:
    schema = flow_schema()
    assert [
        name for name, field in fields(schema) if not field.get("description") and "enum" not in field
    ] == []
    tables = [schema, *schema["definitions"].values()]
    assert all(table["additionalProperties"] is False for table in tables)
    assert {
        table["properties"]["type"]["enum"][0] for table in tables if "type" in table["properties"]
    } == set(STEP_TYPES)


def test_a_model_and_the_schema_have_the_same_keys() -> None:
    definitions = flow_schema()["definitions"]
    for model in (FlowTable, Choice, DigitsTable, *STEP_TYPES.values()):
        assert issubclass(model, Table)
        assert set(definitions[model.__name__]["properties"]) == set(keys(model))


# ── a validator of the keywords that the schema uses ────────────────────────────────────────────
PLAIN = {"$schema", "title", "description", "default", "definitions"}
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a value is as a schema of Draft 4 says; a keyword that Draft 4 does not have fails."""
    return all(_holds(key, told, value, schema, root) for key, told in schema.items() if key not in PLAIN)


def _holds(key: str, told: Any, value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    match key:
        case "$ref":
            return fits(value, root["definitions"][told.removeprefix("#/definitions/")], root)
        case "type":
            return isinstance(value, TYPES[told]) and (told == "boolean" or not isinstance(value, bool))
        case "enum":
            return value in told
        case "allOf":
            return all(fits(value, one, root) for one in told)
        case "anyOf":
            return any(fits(value, one, root) for one in told)
        case "oneOf":
            return sum(fits(value, one, root) for one in told) == 1
        case "required":
            return not isinstance(value, dict) or set(told) <= set(value)
        case "properties":
            return not isinstance(value, dict) or all(
                fits(value[name], one, root) for name, one in told.items() if name in value
            )
        case "patternProperties":
            return not isinstance(value, dict) or all(
                fits(inner, one, root)
                for pattern, one in told.items()
                for name, inner in value.items()
                if re.search(pattern, name)
            )
        case "additionalProperties":
            known = schema.get("properties", {})
            patterns = schema.get("patternProperties", {})
            others = [
                inner
                for name, inner in (value.items() if isinstance(value, dict) else ())
                if name not in known and not any(re.search(one, name) for one in patterns)
            ]
            return (
                not others if told is False else told is True or all(fits(one, told, root) for one in others)
            )
        case "items":
            return not isinstance(value, list) or all(fits(one, told, root) for one in value)
        case "pattern":
            return not isinstance(value, str) or re.search(told, value) is not None
        case "minLength" | "minItems" | "minProperties":
            return not hasattr(value, "__len__") or len(value) >= told
        case "maxLength" | "maxItems" | "maxProperties":
            return not hasattr(value, "__len__") or len(value) <= told
        case "exclusiveMinimum":
            return value != schema["minimum"] if told is True else False
        case "minimum":
            return not isinstance(value, int | float) or value >= told
        case "maximum":
            return not isinstance(value, int | float) or value <= told
        case _:
            raise AssertionError(f"{key} is no keyword of Draft 4")


def test_the_schema_takes_a_sound_flow() -> None:
    schema = flow_schema()
    assert schema["$schema"] == "http://json-schema.org/draft-04/schema#"
    assert fits(tomllib.loads(SHOP), schema, schema)


SEEN = ("unknown-key", "missing-key", "bad-value")


@pytest.mark.parametrize(
    ("code", "old", "new"),
    [one[:3] for one in MISTAKES if one[0] in SEEN],
    ids=[f"{one[0]}-{one[3]}" for one in MISTAKES if one[0] in SEEN],
)
def test_the_schema_refuses_what_a_model_refuses(code: str, old: str, new: str) -> None:
    text = shop((old, new))
    try:
        tree = tomllib.loads(text)
        FlowDocument.model_validate(tree)
        sound = True
    except ValidationError:
        sound = False
    schema = flow_schema()
    # A schema cannot say "finite".
    assert fits(tree, schema, schema) == sound or "inf" in new


def test_findings_are_as_bad_as_their_codes_say() -> None:
    from tests.ivr_toml.kit import shop
    from tests.ivr_toml.test_check import MISTAKES

    for code, old, new, _, _ in MISTAKES:
        assert [one.severity for one in checked(shop((old, new)), RULES)] == [CODES[code].severity]


def test_a_flow_says_where_it_stands() -> None:
    assert parsed('[flow]\nname = "a"\n\n[steps.x]\ntype = "hangup"\n').place("x") == "shop.toml:4"

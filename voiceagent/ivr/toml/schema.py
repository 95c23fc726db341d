"""PURE. The JSON Schema of flows in TOML: editors complete, describe and check keys as one types.

In Draft 4, the newest that Taplo (Even Better TOML) knows; every later tool reads it, too.
"""

from __future__ import annotations

from typing import Any, cast

from voiceagent.ivr.toml.models import FlowDocument

DRAFT = "http://json-schema.org/draft-04/schema#"
_NOT_IN_DRAFT_4 = ("discriminator", "propertyNames")
"""Keywords that only say more than others do: without them nothing sound is refused."""


def flow_schema() -> dict[str, Any]:
    """Return the schema, without titles that repeat a key's name."""
    schema = cast("dict[str, Any]", _draft4(FlowDocument.model_json_schema(by_alias=True)))
    return {"$schema": DRAFT, "title": "A flow of voiceagent", **schema}


def _draft4(value: object) -> object:
    if isinstance(value, list):
        return [_draft4(one) for one in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    table = _without_null(cast("dict[str, object]", value))
    kept: dict[str, object] = {}
    for key, one in table.items():
        plain = isinstance(one, str | int | float)  # a keyword, and no key of that name
        if key == "title" and plain:
            continue
        if key == "const" and plain:
            kept["enum"] = [one]
        elif key == "exclusiveMinimum" and plain:
            kept["minimum"] = one
            kept[key] = True
        elif key == "$ref":
            # What stands beside a reference would not count.
            kept["allOf"] = [{key: str(one).replace("#/$defs/", "#/definitions/")}]
        elif key not in _NOT_IN_DRAFT_4:
            kept["definitions" if key == "$defs" else key] = _draft4(one)
    return kept


def _without_null(table: dict[str, object]) -> dict[str, object]:
    """Return a schema without the null that pydantic means by "may be left out": TOML has none."""
    kept = {key: one for key, one in table.items() if key != "default" or one is not None}
    either = kept.get("anyOf")
    if isinstance(either, list):
        rest = [one for one in cast("list[object]", either) if one != {"type": "null"}]
        kept["anyOf"] = rest
        if len(rest) == 1:
            del kept["anyOf"]
            kept = {**cast("dict[str, object]", rest[0]), **kept}
    return kept

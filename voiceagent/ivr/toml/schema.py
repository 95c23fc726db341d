"""PURE. The JSON Schema of flows in TOML: editors complete, describe and check keys as one types."""

from __future__ import annotations

from typing import Any, cast

from voiceagent.ivr.toml.models import FlowDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def flow_schema() -> dict[str, Any]:
    """Return the schema, without titles that repeat a key's name."""
    schema = FlowDocument.model_json_schema(by_alias=True)
    schema = cast("dict[str, Any]", _plain(schema))
    return {"$schema": DIALECT, "title": "A flow of voiceagent", **schema}


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    table = cast("dict[str, object]", value)
    kept = {key: one for key, one in table.items() if key != "title" or not isinstance(one, str)}
    if kept.get("default", 0) is None:
        del kept["default"]  # TOML has no null
    either = kept.get("anyOf")
    if isinstance(either, list):
        rest = [one for one in cast("list[object]", either) if one != {"type": "null"}]
        kept["anyOf"] = rest
        if len(rest) == 1 and isinstance(rest[0], dict):
            del kept["anyOf"]
            kept = {**cast("dict[str, object]", rest[0]), **kept}
    return {key: _plain(one) for key, one in kept.items()}

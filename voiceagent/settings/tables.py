"""Lists of tables in the settings (``[[queues]]``, ``[[routes]]``, ``[[webhooks]]``): one reader for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from voiceagent.errors import ConfigError
from voiceagent.ivr.routing.router import did_you_mean

Model = TypeVar("Model", bound=BaseModel)


def read_tables(
    value: Any,
    section: str,
    model: type[Model],
    *,
    most: int,
    is_name: Callable[[str], object] | None = None,
    shows: Callable[[str, str], bool] = lambda kind, field: True,
) -> tuple[Model, ...]:
    """Read the tables of ``section``. Raises ConfigError naming ``section.NAME.field``.

    Tables are named by their ``name`` where ``is_name`` says that it can be one, else by their place from 1.
    ``shows(kind, field)``: whether a refusal of that kind (pydantic's type of the error) tells the value.
    """
    if not isinstance(value, list | tuple):
        raise ConfigError(section, f"must be a list of tables: [[{section}]]")
    tables = cast("Sequence[Any]", value)
    if len(tables) > most:
        raise ConfigError(section, f"are more than {most}")
    found: list[Model] = []
    for place, one in enumerate(tables, 1):
        if isinstance(one, model):
            found.append(one)
        elif isinstance(one, Mapping):
            table = dict(cast("Mapping[str, Any]", one))
            name = table.get("name")
            label = name if is_name is not None and isinstance(name, str) and is_name(name) else place
            found.append(_read(table, f"{section}.{label}", model, shows))
        else:
            raise ConfigError(f"{section}.{place}", "must be a table")
    return tuple(found)


def two_of_a_name(section: str, names: Sequence[str]) -> None:
    """Raise ConfigError for a name that stands twice."""
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{section}.{name}", "there are two of that name")


def _read(table: dict[str, Any], label: str, model: type[Model], shows: Callable[[str, str], bool]) -> Model:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
        if first["type"] == "extra_forbidden":
            message = f"there is no such setting{did_you_mean(field, model.model_fields)}"
        elif first["type"] == "missing":
            message = "is needed"
        else:
            message = first["msg"].removeprefix("Value error, ")
            message = f"{message[:1].lower()}{message[1:]}"
            if shows(first["type"], field):
                message += f" (not {first.get('input')!r})"
        raise ConfigError(f"{label}.{field}", message) from None

"""Presets: triggers that operators keep at hand. Work for :meth:`Database.run`."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, func, insert, select, update

from voiceagent.errors import RequestRefused
from voiceagent.store.tables import presets

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST = 200


@dataclass(frozen=True, slots=True)
class Preset:
    """A trigger with a name."""

    name: str
    instructions: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    when: str = "idle"
    note_only: bool = False
    id: str = ""
    changed_at: float = 0.0
    changed_by: str = ""


def list_presets(connection: Connection) -> Sequence[Preset]:
    """Return all of them by name."""
    return [_preset(row) for row in connection.execute(select(presets).order_by(presets.c.name))]


def save_preset(connection: Connection, preset: Preset, *, by: str) -> Preset:
    """Make one (without ``id``) or change one. Raises KeyError; RequestRefused naming ``name``."""
    taken = connection.execute(
        select(presets.c.id).where(presets.c.name == preset.name, presets.c.id != preset.id)
    ).first()
    if taken is not None:
        raise RequestRefused("name", f"there is a preset {preset.name!r} already", code="name_taken")
    values = {
        "name": preset.name,
        "instructions": preset.instructions,
        "metadata": json.dumps(dict(preset.metadata)),
        "when": preset.when,
        "note_only": preset.note_only,
        "changed_at": time.time(),
        "changed_by": by,
    }
    if preset.id:
        if not connection.execute(update(presets).where(presets.c.id == preset.id).values(**values)).rowcount:
            raise KeyError(preset.id)
        preset_id = preset.id
    else:
        if connection.execute(select(func.count()).select_from(presets)).scalar_one() >= MOST:
            raise RequestRefused("name", f"there are {MOST} presets; remove one first", code="too_many")
        preset_id = f"pre_{secrets.token_hex(8)}"
        connection.execute(insert(presets).values(id=preset_id, **values))
    return _preset(connection.execute(select(presets).where(presets.c.id == preset_id)).one())


def remove_preset(connection: Connection, preset_id: str) -> None:
    """Remove one. Raises KeyError."""
    if not connection.execute(delete(presets).where(presets.c.id == preset_id)).rowcount:
        raise KeyError(preset_id)


def _preset(row: Row[Any]) -> Preset:
    return Preset(
        name=row.name,
        instructions=row.instructions,
        metadata=json.loads(row.metadata),
        when=row.when,
        note_only=bool(row.note_only),
        id=row.id,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )

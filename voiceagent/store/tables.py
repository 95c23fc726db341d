"""The tables, as SQLAlchemy Core describes them. Migrations (:mod:`.migrations`) make exactly these.

Times are Unix seconds (UTC). Ids are opaque text. JSON stands as text, so that SQLite and PostgreSQL keep the
same.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Rising numbers: SQLite counts only in INTEGER columns.
_Number = BigInteger().with_variant(Integer(), "sqlite")

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
)
"""Who may sign in. ``password_hash`` is Argon2id in PHC form; null: keys only."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("used_at", Float),
)
"""Keys of programs. Only the SHA-256 of a key stands here: it has 192 random bits, nothing to guess."""

audit = Table(
    "audit",
    metadata,
    Column("n", _Number, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("actor", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index(None, "action"),
    Index(None, "target"),
)
"""Who did what, to what, from where; each line holds the hash of the one before it."""

calls = Table(
    "calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("called", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("trunk", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("answered_at", Float),
    Column("ended_at", Float),
    Column("duration_s", Float, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fault", Text, nullable=False),
    Column("barge_ins", Integer, nullable=False),
    Column("first_words_ms", Float),
    Column("journal", Text, nullable=False),
    Column("recording", Text, nullable=False),
    Column("figures", Text, nullable=False),
    Index(None, "started_at"),
    Index(None, "caller"),
    Index(None, "called"),
    Index(None, "outcome"),
)
"""One line for each call, written when it ends. ``outcome`` is the kind of its ending."""

lines = Table(
    "lines",
    metadata,
    Column("call_id", Text, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("speaker", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("full_text", Text, nullable=False),
    Column("cut", Boolean, nullable=False),
)
"""Transcripts: ``text`` was heard, ``full_text`` generated; ``at`` counts from the call's begin."""

responses = Table(
    "responses",
    metadata,
    Column("call_id", Text, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("instructions", Text),
    Column("metadata", Text, nullable=False),
    Column("submitted_at", Float, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("outcome", Text),
)
"""Every request for a response with its one outcome (JSON)."""

recordings = Table(
    "recordings",
    metadata,
    Column("file", Text, primary_key=True),
    Column("call_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("dropped_s", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Column("error", Text, nullable=False),
    Index(None, "call_id"),
    Index(None, "started_at"),
)
"""Every recording that was begun, see :mod:`voiceagent.store.recordings`. It comes before its call's line."""

tags = Table(
    "tags",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    Index(None, "tag"),
)
"""Words that operators put on calls; a live call has no line in ``calls`` yet."""

presets = Table(
    "presets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("instructions", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("when", Text, nullable=False),
    Column("note_only", Boolean, nullable=False),
    Column("changed_at", Float, nullable=False),
    Column("changed_by", Text, nullable=False),
)
"""Triggers that operators keep at hand."""

outbox = Table(
    "outbox",
    metadata,
    Column("n", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("status", Integer),
    Column("error", Text, nullable=False),
    Column("leased_by", Text),
    Column("leased_until", Float),
    UniqueConstraint("id", "endpoint"),
    Index(None, "state", "next_at"),
)
"""Outgoing webhooks, delivered and not. ``state``: waiting, delivered, dead.

``leased_by`` is the node that tries it now; another one may after ``leased_until``.
"""

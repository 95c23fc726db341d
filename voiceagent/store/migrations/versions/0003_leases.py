"""Leases of outgoing webhooks"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("leased_by", sa.Text(), nullable=True))
    op.add_column("outbox", sa.Column("leased_until", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("outbox", "leased_until")
    op.drop_column("outbox", "leased_by")

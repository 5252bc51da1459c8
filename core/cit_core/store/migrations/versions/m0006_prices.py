"""Prices of what is written to a provider's cache, and of calls with long prompts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0006"
down_revision = "0005"


def upgrade(op: Operations) -> None:
    op.add_column("candidates", sa.Column("price_cache_write", sa.Double))
    op.add_column("candidates", sa.Column("price_tiers", sa.JSON, nullable=False, server_default="[]"))

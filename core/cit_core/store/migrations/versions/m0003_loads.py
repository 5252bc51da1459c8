"""Large loads, written in batches between which others write, and counted only when they are complete."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0003"
down_revision = "0002"


def upgrade(op: Operations) -> None:
    op.create_table(
        "loads",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("touched", sa.BigInteger, nullable=False),
    )
    op.add_column("sources", sa.Column("load_key", sa.Integer))
    op.create_table(
        "staged",
        sa.Column("load_key", sa.Integer, sa.ForeignKey("loads.key"), primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("first", sa.Integer, primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("before", sa.JSON),
    )

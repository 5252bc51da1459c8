"""Spend of budgets that processes share, and the log of decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0005"
down_revision = "0004"


def upgrade(op: Operations) -> None:
    op.create_table(
        "spend",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("bucket", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("queries", sa.Double, nullable=False),
        sa.Column("amount", sa.Double, nullable=False),
    )
    op.create_table(
        "decision_log",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("when", sa.BigInteger, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )

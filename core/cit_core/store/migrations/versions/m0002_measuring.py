"""Columns for measuring: answers, graders, assigned tasks, encoders of vectors, held sources, settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"


def upgrade(op: Operations) -> None:
    op.add_column("items", sa.Column("grader", sa.Text))
    op.add_column("items", sa.Column("assigned", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("items", sa.Column("encoder", sa.Text))
    op.add_column("sources", sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("outcomes", sa.Column("answer", sa.Text))
    op.create_table(
        "settings",
        sa.Column("version", sa.Integer, sa.ForeignKey("versions.number"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
    )

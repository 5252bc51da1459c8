"""Candidates, tasks, items, sources, outcomes, versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None


def upgrade(op: Operations) -> None:
    op.create_table(
        "candidates",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("context_window", sa.BigInteger),
        sa.Column("price_in", sa.Double),
        sa.Column("price_out", sa.Double),
        sa.Column("modalities", sa.JSON, nullable=False),
        sa.Column("tools", sa.Boolean),
        sa.Column("structured_output", sa.Boolean),
        sa.Column("released", sa.Date),
        sa.Column("params_b", sa.Double),
        sa.Column("license", sa.Text),
        sa.Column("notes", sa.Text, nullable=False),
    )
    op.create_table(
        "tasks",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("keywords", sa.JSON, nullable=False),
    )
    op.create_table(
        "items",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("task_key", sa.Integer, sa.ForeignKey("tasks.key"), nullable=False),
        sa.Column("instruction", sa.Text),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("vector", sa.LargeBinary),
    )
    op.create_index("ix_items_task_key", "items", ["task_key"])
    op.create_table(
        "sources",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "outcomes",
        sa.Column("candidate_key", sa.Integer, sa.ForeignKey("candidates.key"), primary_key=True),
        sa.Column("item_key", sa.Integer, sa.ForeignKey("items.key"), primary_key=True),
        sa.Column("source_key", sa.Integer, sa.ForeignKey("sources.key"), primary_key=True),
        sa.Column("correct", sa.Double, nullable=False),
        sa.Column("when", sa.BigInteger, nullable=False),
        sa.Column("cost_usd", sa.Double),
        sa.Column("latency_s", sa.Double),
        sa.Column("prompt_tokens", sa.BigInteger),
        sa.Column("completion_tokens", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_outcomes_item_key", "outcomes", ["item_key"])
    op.create_table(
        "versions",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("when", sa.BigInteger, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
    )

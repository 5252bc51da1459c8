"""Facts of candidates that came later: other names, longest answer, cached price, reasoning, end of service, source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0004"
down_revision = "0003"


def upgrade(op: Operations) -> None:
    op.add_column("candidates", sa.Column("aliases", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("candidates", sa.Column("max_output", sa.BigInteger))
    op.add_column("candidates", sa.Column("price_cached", sa.Double))
    op.add_column("candidates", sa.Column("reasoning", sa.Boolean))
    op.add_column("candidates", sa.Column("effort", sa.Text))
    op.add_column("candidates", sa.Column("deprecated", sa.Date))
    op.add_column("candidates", sa.Column("successor", sa.Text))
    op.add_column("candidates", sa.Column("source", sa.Text))

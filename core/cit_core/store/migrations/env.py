"""What Alembic runs: the steps, on the connection and in the transaction that `upgrade` has opened."""

from alembic import context

from cit_core.store.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()

"""What Alembic runs for a migration; ``robench.storage.schema`` hands over the connection.

The connection is already in a transaction (BEGIN IMMEDIATE on SQLite), so a migration that is killed leaves the old
schema whole. Alembic on its own would let SQLite commit after every statement.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()

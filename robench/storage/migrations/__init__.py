"""Alembic scripts. They ship in the wheel and are run by ``robench.storage.schema``, never imported."""

"""The result store: records in, records out. The only importer of SQLAlchemy."""

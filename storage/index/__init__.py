"""The index: rows by UID, on SQLite or PostgreSQL."""

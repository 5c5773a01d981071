"""The SQLite file: opened, locked, written in groups, and its journal."""

"""Backups before delete: sources, and how one is exported, verified, deleted and restored."""

"""Numbered steps from one format to the next, run by Alembic. Never edited after a release."""

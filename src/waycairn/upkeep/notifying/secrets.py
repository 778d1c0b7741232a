"""Secrets of channels: they stand in environment variables, and are read when they are needed."""

from __future__ import annotations

import os

from waycairn.upkeep.notifying.notification import Undeliverable


def secret_of(variable: str) -> str:
    """Raises Undeliverable naming the variable, never what is in it."""
    secret = os.environ.get(variable)
    if not secret:
        raise Undeliverable(f"the environment variable {variable}, which holds its secret, is not set", is_final=True)
    return secret

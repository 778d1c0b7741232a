"""Settings of encryption. Never a secret itself: settings are shown and written to files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionSettings:
    """Which key opens encrypted stores, and whether new ones are encrypted."""

    encrypt: bool = False
    """New stores are created encrypted, and plain ones are refused."""
    key_file: str | None = None
    """The key file that is used where neither an argument nor the environment names a key."""

    def __post_init__(self) -> None:
        if self.key_file is not None and not self.key_file.strip():
            raise ValueError("encryption.key_file is empty; leave it out, or name a file")

"""The tables of those who use a server: in the clear also in an encrypted store, as nobody could sign in otherwise. No secret
is in them: a password is there as Argon2 made it, tokens and logins as their hashes.
"""

from __future__ import annotations

from waycairn.catalog.schema import Json, metadata
from waycairn.catalog.sql import Column, Double, ForeignKey, LargeBinary, String, Table, Text

accounts = Table(
    "accounts",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("password", Text),  # Argon2id in PHC form; NULL: it signs in by tokens only
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("disabled", Double),  # since when it may do nothing
    Column("seen", Double),  # when it signed in last
)

# For programs.
tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),  # SHA-256 of a secret of 256 random bits
    Column("scopes", Json, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("used", Double),  # to the minute
)

# Browsers that are signed in.
logins = Table(
    "logins",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("account", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created", Double, nullable=False),
    Column("seen", Double, nullable=False),  # to the minute
    Column("expires", Double, nullable=False),
)

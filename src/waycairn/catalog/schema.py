"""What all tables have in common."""

from __future__ import annotations

from waycairn.catalog.sql import BigInteger, Integer, Jsonb, MetaData, Text

FORMAT = 5
"""The version of everything below. It grows with each migration and is never given out twice."""


def revision(number: int) -> str:
    """The name of the migration that leads to a format."""
    return f"{number:04d}"


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Number = BigInteger().with_variant(Integer(), "sqlite")
"""On SQLite only INTEGER makes a primary key the row number itself."""


Json = Text().with_variant(Jsonb(), "postgresql")

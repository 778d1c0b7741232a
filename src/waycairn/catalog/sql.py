"""The words in which the catalog's statements are written: SQLAlchemy's, said when somebody asks for it (see `phrases`).

Type checkers see SQLAlchemy itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import (
        BigInteger,
        Boolean,
        Column,
        ColumnElement,
        Double,
        ForeignKey,
        Index,
        Integer,
        LargeBinary,
        MetaData,
        PrimaryKeyConstraint,
        SmallInteger,
        String,
        Table,
        Text,
        and_,
        bindparam,
        case,
        cast,
        column,
        delete,
        exists,
        func,
        insert,
        literal,
        literal_column,
        null,
        or_,
        select,
        table,
        text,
        tuple_,
        union,
        update,
    )
    from sqlalchemy.engine.interfaces import Dialect
    from sqlalchemy.sql.elements import ClauseElement

    from waycairn.catalog.jsonb import Jsonb
else:
    from waycairn.catalog.phrases import Column, MetaData, Table, word

    Jsonb = word("Jsonb", "waycairn.catalog.jsonb")

    def __getattr__(name: str) -> word:
        if name.startswith("__"):
            raise AttributeError(name)
        return word(name)


__all__ = [
    "BigInteger",
    "Boolean",
    "ClauseElement",
    "Column",
    "ColumnElement",
    "Dialect",
    "Double",
    "ForeignKey",
    "Index",
    "Integer",
    "Jsonb",
    "LargeBinary",
    "MetaData",
    "PrimaryKeyConstraint",
    "SmallInteger",
    "String",
    "Table",
    "Text",
    "and_",
    "bindparam",
    "case",
    "cast",
    "column",
    "delete",
    "exists",
    "func",
    "insert",
    "literal",
    "literal_column",
    "null",
    "or_",
    "select",
    "table",
    "text",
    "tuple_",
    "union",
    "update",
]

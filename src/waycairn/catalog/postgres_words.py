"""What psycopg says, in fewer words."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict


def is_lost(connection: psycopg.Connection[Any], error: psycopg.Error) -> bool:
    """The server did not answer: an answer carries an SQLSTATE and leaves the connection open."""
    return connection.closed or is_silence(error)


def is_silence(error: psycopg.Error) -> bool:
    return error.sqlstate is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def without_password(url: str) -> str:
    given = conninfo_to_dict(url)
    host = given.get("host") or "localhost"
    port = f":{given['port']}" if given.get("port") else ""
    user = f"{given['user']}@" if given.get("user") else ""
    return f"postgresql://{user}{host}{port}/{given.get('dbname', '')}"

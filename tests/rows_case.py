"""Conversations with turns and attachments, in a real database of either kind."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from backup_folder import FolderContents, back_up
from waycairn.backups.rows import rows
from waycairn.backups.source import Wish

TABLES = (
    """CREATE TABLE conversations (id INTEGER PRIMARY KEY, title TEXT, created TEXT NOT NULL)""",
    """CREATE TABLE turns (id INTEGER PRIMARY KEY, content TEXT,
        conversation_id INTEGER NOT NULL REFERENCES conversations (id))""",
    """CREATE TABLE attachments (turn_id INTEGER NOT NULL REFERENCES turns (id), number INTEGER NOT NULL, data TEXT,
        PRIMARY KEY (turn_id, number))""",
)
CHILDREN = {"turns": ("conversation_id", {"attachments": "turn_id"})}
OLD = sa.text("created < :day").bindparams(day="2025")


def driver(address: str) -> str:
    return address.replace("postgresql://", "postgresql+psycopg://")


class Scene:
    """Ten conversations, of which five are old; three turns each, with an attachment each."""

    def __init__(self, address: str, folder: Path) -> None:
        self.engine = sa.create_engine(driver(address), poolclass=sa.NullPool)
        self.folder = folder
        self._backups = 0

    def fill(self, conversations: int = 10) -> Scene:
        self.run(*TABLES)
        with self.engine.begin() as connection:
            for number in range(conversations):
                day = f"{2020 + number}-01-01"
                connection.exec_driver_sql(f"INSERT INTO conversations VALUES ({number}, 'title {number}', '{day}')")
                for turn in range(number * 3, number * 3 + 3):
                    connection.exec_driver_sql(f"INSERT INTO turns VALUES ({turn}, 'said {turn}', {number})")
                    connection.exec_driver_sql(f"INSERT INTO attachments VALUES ({turn}, 1, 'file {turn}')")
        return self

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def all(self, statement: str) -> list[tuple]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def everything(self) -> dict[str, list[tuple]]:
        return {
            "conversations": self.all("SELECT * FROM conversations ORDER BY id"),
            "turns": self.all("SELECT * FROM turns ORDER BY id"),
            "attachments": self.all("SELECT * FROM attachments ORDER BY turn_id, number"),
        }

    def old(self, **given):
        return rows(self.engine, "conversations", **{"where": OLD, "children": CHILDREN, **given})

    def backup(self, source) -> FolderContents:
        self._backups += 1
        return back_up(source, self.folder / f"backup-{self._backups}")

    def restore(self, backup: FolderContents, **wish):
        return rows(self.engine, "conversations").restore(backup, Wish(**wish))

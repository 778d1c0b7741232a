"""The example of an extracted backup on the format page is what is written, and what is read: a format that is released."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import waycairn as wc

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "format.md").read_text("utf-8")


def shown(name):
    return re.search(rf"^<!-- backup: {name} -->\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL).group(1)


def everything(path):
    """All rows, with the bytes of what is no text."""
    with closing(sqlite3.connect(path)) as database:
        database.text_factory = bytes
        conversations = database.execute("SELECT *, typeof(weight), typeof(seal) FROM conversations").fetchall()
        return conversations, database.execute("SELECT *, typeof(text) FROM turns").fetchall()


def test_extracted_rows(tmp_path):
    """Members, sums and facts of the database on the page, to the byte; and they come back."""
    path = tmp_path / "chat.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(shown("sql"))
    before = everything(path)
    rows = wc.rows(f"sqlite:///{path}", "conversations", children={"turns": "conversation_id"})
    with wc.open(tmp_path / "store") as store:
        with store.safeguard(rows) as backup:
            backup.delete()
        folder = backup.extract_to(tmp_path / "extracted")
        store.restore(backup.id)
    for name in ("data/conversations.jsonl", "data/turns.jsonl", "SHA256SUMS"):
        assert (folder / name).read_text("utf-8") == shown(name)
    about = json.loads((folder / "backup.json").read_text("utf-8"))
    assert about["members"][1] == json.loads(shown("member"))
    assert (about["version"], about["backup"]["id"]) == (1, backup.id)
    assert everything(path) == before


def test_states():
    """The table has every state, each once."""
    from waycairn.model.backups import BackupState

    table = PAGE.partition("| state | it means |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [state.value for state in BackupState]

"""Rows with their children: exported, deleted, put back; on SQLite and on PostgreSQL."""

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backup_folder import FolderTarget, exported
from rows_case import CHILDREN, OLD, TABLES, Scene
from waycairn.backups.rows import rows
from waycairn.backups.source import Source, Wish
from waycairn.errors import BackupRefused, SchemaChanged, SourceChanged, WouldOverwrite


@pytest.fixture(params=["sqlite", "postgres"])
def scene(request, tmp_path):
    if request.param == "sqlite":
        return Scene(f"sqlite:///{tmp_path}/data.db", tmp_path).fill()
    return Scene(request.getfixturevalue("postgres_database"), tmp_path).fill()


def test_a_backup_is_readable(scene):
    """One object a line, in the order of the key, and facts that say what the table was."""
    assert isinstance(scene.old(), Source)
    backup = scene.backup(scene.old())
    assert list(backup.members) == ["conversations.jsonl", "turns.jsonl", "attachments.jsonl"]
    assert [member.records for member in backup.members.values()] == [5, 15, 15]
    assert backup.text("conversations.jsonl").splitlines()[0] == '{"id":0,"title":"title 0","created":"2020-01-01"}'
    facts = backup.members["turns.jsonl"].facts
    assert [column["name"] for column in facts["columns"]] == ["id", "content", "conversation_id"]
    assert facts["key"] == ["id"]
    assert facts["hangs_on"][0]["columns"] == ["conversation_id"]
    assert backup.target.told[-1] == (35, sum(member.size for member in backup.members.values()))


def test_deleted_rows_come_back_identical(scene):
    before, source = scene.everything(), scene.old()
    assert source.count().details == {"conversations": 5, "turns": 15, "attachments": 15}
    backup = scene.backup(source)
    source.delete(backup)
    assert [len(rows) for rows in scene.everything().values()] == [5, 15, 15]
    assert scene.everything()["conversations"] == before["conversations"][5:]
    told = []
    restored = scene.restore(backup, progress=lambda *numbers: told.append(numbers))
    assert scene.everything() == before
    assert told[-1] == (35, sum(member.size for member in backup.members.values()))
    assert (restored.records, restored.skipped, restored.overwritten) == (35, 0, 0)
    assert scene.restore(backup).skipped == 35


def test_deleting_again_finds_all_gone(scene):
    """As after a COMMIT whose reply was lost, also when new rows came meanwhile."""
    source = scene.old()
    backup = scene.backup(source)
    source.delete(backup)
    source.delete(backup)
    scene.run("INSERT INTO conversations VALUES (77, 'new, and of an old day', '2001')")
    source.delete(backup)
    assert scene.all("SELECT id FROM conversations WHERE created < '2025'") == [(77,)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("INSERT INTO turns VALUES (900, 'late', 2)", "rows of turns .*: 1 appeared \\(900\\)"),
        ("INSERT INTO conversations VALUES (-1, 'late', '2001')", "rows of conversations .*: 1 appeared \\(-1\\)"),
        ("DELETE FROM attachments WHERE turn_id IN (3, 4)", "rows of attachments .*: 2 vanished \\(3,1, 4,1\\)"),
        ("UPDATE turns SET content = 'other' WHERE id = 5", "rows of turns .*: 1 changed \\(5\\)"),
        ("UPDATE conversations SET created = '2030' WHERE id = 4", "rows of conversations .*: 1 vanished \\(4\\)"),
        ("UPDATE conversations SET created = '2001' WHERE id = 9", "rows of conversations .*: 1 appeared \\(9\\)"),
    ],
)
def test_what_changed_since_the_export_stops_the_delete(scene, change, told):
    source = scene.old()
    backup = scene.backup(source)
    scene.run(change)
    before = scene.everything()
    with pytest.raises(SourceChanged, match=told):
        source.delete(backup)
    assert scene.everything() == before


def test_other_columns_stop_the_delete(scene):
    source = scene.old()
    backup = scene.backup(source)
    scene.run("ALTER TABLE turns ADD COLUMN mood TEXT")
    with pytest.raises(SourceChanged, match="it has other columns now"):
        source.delete(backup)
    assert scene.all("SELECT count(*) FROM conversations") == [(10,)]


def test_some_that_are_gone_stop_the_delete(scene):
    source = scene.old()
    backup = scene.backup(source)
    scene.run("DELETE FROM attachments", "DELETE FROM turns", "DELETE FROM conversations WHERE id < 4")
    with pytest.raises(SourceChanged, match="4 vanished"):
        source.delete(backup)
    assert scene.all("SELECT count(*) FROM conversations") == [(6,)]


def test_a_condition_may_depend_on_the_children(scene):
    """They are deleted first, and the same rows are meant."""
    conversations = sa.table("conversations", sa.column("id"))
    turns = sa.table("turns", sa.column("conversation_id"), sa.column("content"))
    said = sa.exists().where(turns.c.conversation_id == conversations.c.id, turns.c.content == "said 4")
    source = scene.old(where=said)
    backup = scene.backup(source)
    assert [line["id"] for line in backup.lines("conversations.jsonl")] == [1]
    source.delete(backup)
    assert scene.all("SELECT count(*) FROM turns") == [(27,)]
    scene.restore(backup)
    assert scene.all("SELECT count(*) FROM turns") == [(30,)]


def test_tables_and_classes_are_taken_as_well_as_names(scene):
    class Base(DeclarativeBase):
        pass

    class Conversation(Base):
        __tablename__ = "conversations"
        id: Mapped[int] = mapped_column(primary_key=True)
        created: Mapped[str]

    class Turn(Base):
        __tablename__ = "turns"
        id: Mapped[int] = mapped_column(primary_key=True)

    children = {Turn: ("conversation_id", {"attachments": "turn_id"})}
    for table in (Conversation, Conversation.__table__, "conversations"):
        source = rows(scene.engine, table, Conversation.created < "2025", children)
        assert source.count().details == {"conversations": 5, "turns": 15, "attachments": 15}
        assert source.label == "conversations (+ turns)"
        assert scene.backup(source).lines("conversations.jsonl")[0]["title"] == "title 0"


def test_children_are_found_by_the_foreign_keys(scene):
    source = scene.old(children="auto")
    backup, said = scene.backup(source), scene.backup(scene.old())
    assert [one.sha256 for one in backup.members.values()] == [one.sha256 for one in said.members.values()]


def test_a_table_that_hangs_on_two_others(scene):
    """It comes once, after both, with the rows of either."""
    scene.run(
        """CREATE TABLE marks (id INTEGER PRIMARY KEY, conversation_id INTEGER REFERENCES conversations (id),
            turn_id INTEGER REFERENCES turns (id))""",
        "INSERT INTO marks VALUES (1, 1, NULL), (2, NULL, 4), (3, 9, NULL), (4, 9, 4), (5, NULL, NULL)",
    )
    before = scene.all("SELECT * FROM marks ORDER BY id")
    source = scene.old(children="auto")
    backup = scene.backup(source)
    assert [line["id"] for line in backup.lines("marks.jsonl")] == [1, 2, 4]
    source.delete(backup)
    assert scene.all("SELECT id FROM marks ORDER BY id") == [(3,), (5,)]
    scene.restore(backup)
    assert scene.all("SELECT * FROM marks ORDER BY id") == before


def test_a_key_of_several_columns(scene):
    scene.run(
        "CREATE TABLE parents (a INTEGER, b TEXT, PRIMARY KEY (a, b))",
        "CREATE TABLE kids (id INTEGER PRIMARY KEY, pb TEXT, pa INTEGER)",
        "INSERT INTO parents VALUES (1, 'x'), (1, 'y'), (2, 'x')",
        "INSERT INTO kids VALUES (1, 'x', 1), (2, 'y', 1), (3, 'x', 2), (4, 'z', 1), (5, NULL, 1)",
    )
    source = rows(scene.engine, "parents", sa.text("a = 1"), {"kids": ("pa", "pb")})
    backup = scene.backup(source)
    assert [line["id"] for line in backup.lines("kids.jsonl")] == [1, 2]
    source.delete(backup)
    assert scene.all("SELECT id FROM kids ORDER BY id") == [(3,), (4,), (5,)]
    assert scene.restore(backup, only=["parents:1,y"]).details == {"parents": 1, "kids": 1}
    scene.restore(backup)
    assert scene.all("SELECT count(*) FROM kids") == [(5,)]


# -- restore ---------------------------------------------------------------------------------------------------------


def test_what_is_there_and_differs_is_not_overwritten(scene):
    source = scene.old()
    backup = scene.backup(source)
    source.delete(backup)
    original = scene.backup(scene.old(where=None))
    scene.run("INSERT INTO conversations VALUES (3, 'somebody else', '2024')")
    before = scene.everything()
    with pytest.raises(WouldOverwrite, match="conversations are there and differ from the backup \\(3\\)"):
        scene.restore(backup)
    assert scene.everything() == before
    assert scene.restore(backup, is_missing_only=True).skipped == 1
    assert scene.all("SELECT title FROM conversations WHERE id = 3") == [("somebody else",)]
    restored = scene.restore(backup, overwrite=True)
    assert (restored.overwritten, restored.skipped) == (1, 34)
    assert scene.all("SELECT title FROM conversations WHERE id = 3") == [("title 3",)]
    assert original.members["turns.jsonl"].records == 15


def test_some_rows_come_back_with_what_hangs_on_them(scene):
    source = scene.old()
    backup = scene.backup(source)
    source.delete(backup)
    assert scene.restore(backup, only=["conversations:3"]).details == {"conversations": 1, "turns": 3, "attachments": 3}
    assert scene.all("SELECT id FROM turns WHERE conversation_id < 5 ORDER BY id") == [(9,), (10,), (11,)]
    assert scene.restore(backup, only=["conv*"]).details == {"conversations": 4}
    assert scene.restore(backup, only=["turns.jsonl"]).details == {"turns": 12}
    with pytest.raises(ValueError, match="no table of this backup; it has conversations, turns, attachments"):
        scene.restore(backup, only=["letters"])
    with pytest.raises(ValueError, match="no row conversations:99"):
        scene.restore(backup, only=["conversations:99"])


def test_rows_without_those_they_refer_to_are_refused(scene):
    source = scene.old()
    backup = scene.backup(source)
    source.delete(backup)
    before = scene.everything()
    with pytest.raises(SchemaChanged, match="Nothing was changed"):
        scene.restore(backup, only=["turns"])
    assert scene.everything() == before


def test_a_schema_that_changed(scene):
    source = scene.old()
    backup = scene.backup(source)
    source.delete(backup)
    before = scene.everything()
    for change, back, told in (
        ("ALTER TABLE turns RENAME TO other", "ALTER TABLE other RENAME TO turns", "no table turns to restore to"),
        (
            "ALTER TABLE turns RENAME COLUMN content TO words",
            "ALTER TABLE turns RENAME COLUMN words TO content",
            "has no column 'content' any more",
        ),
    ):
        scene.run(change)
        with pytest.raises(SchemaChanged, match=told):
            scene.restore(backup)
        scene.run(back)
    assert scene.everything() == before
    scene.run("ALTER TABLE turns ADD COLUMN mood TEXT")
    scene.restore(backup)
    assert scene.all("SELECT count(*) FROM turns WHERE mood IS NULL") == [(30,)]


def test_columns_that_want_a_value_and_other_types(scene):
    backup = scene.backup(scene.old())
    scene.run("DROP TABLE attachments", "DROP TABLE turns", "DROP TABLE conversations")
    for columns, told in (
        ("id INTEGER PRIMARY KEY, title TEXT, created TEXT NOT NULL, owner TEXT NOT NULL", "wants a value for 'owner'"),
        ("id INTEGER PRIMARY KEY, title INTEGER, created TEXT NOT NULL", "has 'title' as"),
        ("id INTEGER, title TEXT, created TEXT NOT NULL, PRIMARY KEY (id, created)", "another primary key"),
        ("id INTEGER, title TEXT, created TEXT NOT NULL", "no primary key"),
    ):
        scene.run(f"CREATE TABLE conversations ({columns})")
        with pytest.raises(SchemaChanged, match=told):
            scene.restore(backup, only=["conversations"])
        scene.run("DROP TABLE conversations")


def test_to_another_database(scene, tmp_path, request):
    backup = scene.backup(scene.old())
    if scene.engine.dialect.name == "sqlite":
        other = Scene(f"sqlite:///{tmp_path}/other.db", tmp_path)
    else:
        other = Scene(request.getfixturevalue("postgres_schema"), tmp_path)
    other.run(*TABLES)
    for to in (other.engine, other.engine.url.render_as_string(hide_password=False)):
        rows(scene.engine, "conversations").restore(backup, Wish(to=to))
    assert other.everything() == {name: found[: len(found) // 2] for name, found in scene.everything().items()}


# -- others ----------------------------------------------------------------------------------------------------------


def test_rows_that_others_refer_to_are_not_deleted(scene):
    """The database would delete or change what is in no backup."""
    scene.run(
        "CREATE TABLE likes (id INTEGER PRIMARY KEY, turn_id INTEGER REFERENCES turns (id) ON DELETE CASCADE)",
        "INSERT INTO likes VALUES (1, 29), (2, NULL)",
    )
    source = scene.old()
    backup = scene.backup(source)
    scene.run("INSERT INTO likes VALUES (3, 7)")
    before = scene.everything()
    with pytest.raises(BackupRefused, match=r"rows of likes\(turn_id\) that are not in the backup"):
        source.delete(backup)
    assert scene.everything() == before
    scene.run("DELETE FROM likes WHERE id = 3")
    source.delete(backup)
    assert scene.all("SELECT count(*) FROM likes") == [(2,)]


def test_a_table_that_refers_to_itself(scene):
    """Each row comes back, in whichever order; one that is not deleted and refers to one that is stops the delete."""
    scene.run(
        "CREATE TABLE nodes (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES nodes (id), words TEXT)",
        "INSERT INTO nodes VALUES (1, NULL, ''), (7, 1, '')",
        "INSERT INTO nodes VALUES (5, 7, ''), (3, 5, '')",
        "UPDATE nodes SET words = '{}'".format("long, so that they come one by one " * 10_000),
    )
    before = scene.all("SELECT * FROM nodes ORDER BY id")
    some = rows(scene.engine, "nodes", sa.text("id > 4"))
    with pytest.raises(BackupRefused, match="nodes"):
        some.delete(scene.backup(some))
    source = rows(scene.engine, "nodes")
    backup = scene.backup(source)
    source.delete(backup)
    assert scene.all("SELECT * FROM nodes") == []
    scene.restore(backup)
    assert scene.all("SELECT * FROM nodes ORDER BY id") == before


def test_writers_during_the_export_are_not_seen(scene, tmp_path):
    """The snapshot is of one moment: a conversation is there with all of its turns or not at all."""
    if scene.engine.dialect.name == "sqlite":
        scene.run("PRAGMA journal_mode = WAL")
    wrote = threading.Event()

    class Slow(FolderTarget):
        def progress(self, records, size):
            """Between the tables and between the batches of one."""
            if not wrote.is_set():
                scene.run(
                    "INSERT INTO conversations VALUES (50, 'late', '2001')",
                    "INSERT INTO turns VALUES (500, 'late', 50), (501, 'late', 0)",
                    "UPDATE attachments SET data = 'changed'",
                )
                wrote.set()

    source = scene.old()
    backup = exported(source, Slow(tmp_path / "slow"))
    assert wrote.is_set()
    assert [member.records for member in backup.members.values()] == [5, 15, 15]
    assert "changed" not in backup.text("attachments.jsonl")
    with pytest.raises(SourceChanged):
        source.delete(backup)
    assert scene.all("SELECT count(*) FROM conversations") == [(11,)]


def test_triggers_that_change_what_is_put_back_are_seen(scene):
    source = rows(scene.engine, "attachments")
    backup = scene.backup(source)
    source.delete(backup)
    if scene.engine.dialect.name == "sqlite":
        scene.run("""CREATE TRIGGER meddle AFTER INSERT ON attachments BEGIN
            UPDATE attachments SET data = 'meddled' WHERE turn_id = 7; END""")
    else:
        scene.run(
            """CREATE FUNCTION meddle() RETURNS trigger AS $$
                BEGIN NEW.data := 'meddled'; RETURN NEW; END $$ LANGUAGE plpgsql""",
            "CREATE TRIGGER meddle BEFORE INSERT ON attachments FOR EACH ROW EXECUTE FUNCTION meddle()",
        )
    with pytest.raises(SchemaChanged, match="a trigger"):
        scene.restore(backup)
    assert scene.all("SELECT * FROM attachments") == []


def test_triggers_that_keep_rows_stop_the_delete(scene):
    if scene.engine.dialect.name == "sqlite":
        scene.run("CREATE TRIGGER keep BEFORE DELETE ON turns WHEN OLD.id = 7 BEGIN SELECT RAISE(IGNORE); END")
    else:
        scene.run(
            """CREATE FUNCTION keep() RETURNS trigger AS $$
                BEGIN IF OLD.id = 7 THEN RETURN NULL; END IF; RETURN OLD; END $$ LANGUAGE plpgsql""",
            "CREATE TRIGGER keep BEFORE DELETE ON turns FOR EACH ROW EXECUTE FUNCTION keep()",
        )
    source, before = scene.old(), scene.everything()
    with pytest.raises(SourceChanged, match="14 rows of turns would be deleted, and 15 are to be"):
        source.delete(scene.backup(source))
    assert scene.everything() == before


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "given", "told"),
    [
        ("letters", {}, "there is no table letters"),
        ("plain", {}, "plain has no primary key"),
        ("shown", {}, "shown is a view"),
        ("conversations", {"children": {"turns": "talk"}}, "turns has no column 'talk'"),
        ("conversations", {"children": {"letters": "turn_id"}}, "there is no table letters"),
        ("conversations", {"children": {"turns": ("id", "conversation_id")}}, "other numbers of columns"),
        ("conversations", {"children": {"turns": ("conversation_id", {"turns": "id"})}}, "go round in a circle"),
        (
            "conversations",
            {"children": {"turns": ("conversation_id", {"conversations": "id"})}},
            "go round in a circle",
        ),
        ("nodes", {"children": "auto"}, "go round in a circle"),
        ("conversations", {"where": sa.text("day < 1")}, "where= cannot be used on conversations"),
        ("conversations", {"where": sa.text("turns.id = 1")}, "where= cannot be used on conversations"),
        (
            "conversations",
            {"where": sa.table("turns", sa.column("id")).c.id == 1},
            "where= refers to turns too",
        ),
    ],
)
def test_what_cannot_be_backed_up(scene, table, given, told):
    scene.run(
        "CREATE TABLE plain (id INTEGER)",
        "CREATE VIEW shown AS SELECT * FROM turns",
        "CREATE TABLE nodes (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES nodes (id))",
    )
    with pytest.raises(ValueError, match=told):
        scene.backup(rows(scene.engine, table, **given))
    with pytest.raises(ValueError, match=told):
        rows(scene.engine, table, **given).count()


@pytest.mark.parametrize(
    "given",
    [
        {"children": {"turns": 3}},
        {"children": ["turns"]},
        {"children": {"turns": ({"attachments": "turn_id"},)}},
        {"where": 17},
        {"where": "created < '2025'"},
        {"table": 17},
        {"engine": 17},
    ],
)
def test_what_cannot_be_understood(scene, given):
    with pytest.raises(TypeError):
        rows(**{"engine": scene.engine, "table": "conversations", **given}).count()


def test_odd_names(scene):
    """Of tables and columns; what SQL, the driver and file names make of them is not theirs."""
    name, column = 'or"der/../%s:x', "a:b%(c)s"
    quoted = name.replace('"', '""').replace("%", "%%" if scene.engine.dialect.name != "sqlite" else "%")
    escaped = column.replace("%", "%%") if scene.engine.dialect.name != "sqlite" else column
    scene.run(f'CREATE TABLE "{quoted}" (id INTEGER PRIMARY KEY, "{escaped}" TEXT, "select" TEXT)')
    scene.run(f"INSERT INTO \"{quoted}\" VALUES (1, 'x', 'y'), (2, NULL, 'z')")
    source = rows(scene.engine, sa.Table(name, sa.MetaData()), sa.column(column).is_not(None))
    backup = scene.backup(source)
    (member,) = backup.members
    assert "/" not in member
    assert backup.lines(member) == [{"id": 1, column: "x", "select": "y"}]
    source.delete(backup)
    assert scene.all(f'SELECT id FROM "{quoted}"') == [(2,)]
    scene.restore(backup)
    scene.run(f'UPDATE "{quoted}" SET "{escaped}" = \'other\' WHERE id = 1')
    scene.restore(backup, overwrite=True)
    assert scene.all(f'SELECT * FROM "{quoted}" ORDER BY id') == [(1, "x", "y"), (2, None, "z")]


def test_descriptions_have_no_password(scene):
    address = "postgresql+psycopg://someone:secret@host/db?sslpassword=secret&password=secret"
    described = rows(address, "conversations", OLD, CHILDREN).describe()
    assert "secret" not in str(described)
    assert described["url"] == "postgresql+psycopg://someone@host/db"
    assert described["parameters"] == {"day": "2025"}
    assert described["children"] == {"turns": ["conversation_id", {"attachments": ["turn_id"]}]}

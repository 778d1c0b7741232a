"""Settings that are wrong: the place, what is wrong, what is allowed, what was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from waycairn.errors import SettingsInvalid
from waycairn.model.setting_marks import SECRET
from waycairn.model.units import Duration, Size
from waycairn.settings import describing, gathering, load, sections, validating


def refused(place: Path, text: str = "", name: str = "waycairn.yaml", **variables: str) -> str:
    """What is said of it, without the directory."""
    if text:
        (place / name).write_text(text)
    with pytest.raises(SettingsInvalid) as error:
        load(environment=variables, start=place)
    assert str(error.value).endswith("Nothing was started.")
    return str(error.value).replace(f"{place}/", "")


YAML = [
    ("saving:\n  pace: 30s\n  keep: 2\n  grace: soon\n", "waycairn.yaml:4:10: saving.grace: it is a length of time"),
    ("saving: {overhead: 200%}\n", "waycairn.yaml:1:20: saving.overhead: it is a part of the run time above 0"),
    ("saving:\n  pcae: 3\n", "waycairn.yaml:2:9: saving.pcae: there is no such setting. Did you mean pace?"),
    ("svaing:\n  pace: 3\n", "waycairn.yaml:2:3: svaing: there is no such section. Did you mean saving?"),
    ("batches:\n  workers: many\n", "waycairn.yaml:2:12: batches.workers: it is a whole number or null, not 'many'"),
    ("batches:\n  workers: true\n", "waycairn.yaml:2:12: batches.workers: it is a whole number or null, not true"),
    ("batches:\n  workers: [1]\n", "batches.workers: it is a whole number or null, not [1]"),
    ("batches:\n  workers: 0\n", "waycairn.yaml:2:12: batches.workers: it is a number from 1 up, not 0"),
    ("batches:\n  progress: loud\n", "batches.progress: it is one of auto, bar, log, off, not 'loud'"),
    ("batches:\n  retry_failed: perhaps\n", "batches.retry_failed: it is true or false or null, not 'perhaps'"),
    ("store:\n  durability: null\n", "store.durability: it is one of power, process, not null"),
    ("follow:\n  line_limit: big\n", 'follow.line_limit: it is a size such as "500MB"'),
    ("saving: 3\n", "waycairn.yaml:1:9: saving: it is a table of pace, overhead, keep, grace, not 3"),
    ("- 1\n", "waycairn.yaml:1:1: it is a table of sections, not [1]"),
    ("preset: phase\n", "waycairn.yaml:1:9: preset: there is no such preset as 'phase'. Did you mean phases?"),
    ("saving:\n  keep: 1\n  keep: 2\n", "waycairn.yaml:3:9: saving.keep: it stands there twice"),
    ("saving: &a {pace: *a}\n", "waycairn.yaml:1:9: saving.pace: it contains itself"),
    ("a: 1\n---\nb: 2\n", "waycairn.yaml:2:1: it is no YAML"),
    ("? [a]\n: 1\n", "waycairn.yaml:1:3: it is no YAML"),
    ("saving: {1: 2}\n", "saving.1: there is no such setting"),
    ("saving: [\n", "waycairn.yaml:2:1: it is no YAML"),
    ("saving:\n\tkeep: 1\n", "waycairn.yaml:2:1: it is no YAML"),
]


@pytest.mark.parametrize(("text", "said"), YAML)
def test_yaml(tmp_path, text, said):
    """Line and column are those of the value."""
    assert said in refused(tmp_path, text)


TOML = [
    (
        "[tool.waycairn.saving]\nkeep = 2\n\ngrace = 'soon'\n",
        "pyproject.toml:4:9: saving.grace: it is a length of time",
    ),
    (
        "[tool.waycairn]\nsaving = {pace = 3, keep = 'x'}\n",
        "pyproject.toml:2:28: saving.keep: keep 'x' is not understood",
    ),
    ("[tool]\nwaycairn.saving.keep = [1]\n", "pyproject.toml:2:24: saving.keep: it is a whole number or a text"),
    ('["tool"."waycairn".batches]\n"workers" = """\nmany\n"""\n', "pyproject.toml:2:13: batches.workers:"),
    (
        "x = '''\n[tool.waycairn]\n'''\n[tool.waycairn]\nsvaing.keep = 1\n",
        "pyproject.toml:5:1: svaing: there is no such",
    ),
    (
        "[tool.waycairn.saving]\npcae = 1\n",
        "pyproject.toml:2:8: saving.pcae: there is no such setting. Did you mean pace?",
    ),
    ("[tool]\nwaycairn = 3\n", "pyproject.toml:2:12: it is a table of sections, not 3"),
    ("[tool.waycairn]\nkeep = = 1\n", "pyproject.toml:2:8: it is no TOML"),
]


@pytest.mark.parametrize(("text", "said"), TOML)
def test_toml(tmp_path, text, said):
    """Python's parser tells no places; they are found all the same, however it was written."""
    assert said in refused(tmp_path, text, "pyproject.toml")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WAYCAIRN_SAVING__GRACE": "soon"}, "WAYCAIRN_SAVING__GRACE: saving.grace: it is a length of time"),
        ({"WAYCAIRN_GRACE": "-1"}, "WAYCAIRN_GRACE: saving.grace: it is a length of time"),
        ({"WAYCAIRN_SAVING__PCAE": "3"}, "WAYCAIRN_SAVING__PCAE: there is no such setting. Did you mean pace?"),
        ({"WAYCAIRN_SAVNG__PACE": "3"}, "WAYCAIRN_SAVNG__PACE: there is no such section. Did you mean saving?"),
        ({"WAYCAIRN_SAVING__PACE__X": "3"}, "WAYCAIRN_SAVING__PACE__X: there is no such setting."),
        ({"WAYCAIRN_GRACEE": "3"}, "WAYCAIRN_GRACEE: there is no such variable. Did you mean WAYCAIRN_GRACE?"),
        ({"WAYCAIRN_RETRY_FAILED": "maybe"}, "WAYCAIRN_RETRY_FAILED: it is 0 or 1, not 'maybe'"),
        ({"WAYCAIRN_PRESET": "phase"}, "WAYCAIRN_PRESET: preset: there is no such preset as 'phase'"),
        ({"WAYCAIRN_BATCHES__WORKERS": "1.5"}, "WAYCAIRN_BATCHES__WORKERS: batches.workers: it is a whole number"),
        ({"WAYCAIRN_BATCHES__WORKERS": "true"}, "batches.workers: it is a whole number or null, not"),
    ],
)
def test_variables(tmp_path, variables, said):
    """The name of the variable is the place."""
    assert said in refused(tmp_path, **variables)


def test_arguments(tmp_path):
    """A section that does not exist, and a value that cannot be meant."""
    for given, said in (
        ({"svaing": {}}, "argument svaing=: svaing: there is no such section. Did you mean saving?"),
        ({"saving": {"keep": 0}}, "argument saving=: saving.keep: keep 0 is not understood"),
        ({"saving": 3}, "argument saving=: saving: it is a table of"),
        ({"preset": "x"}, "argument preset=: preset: there is no such preset"),
    ):
        with pytest.raises(SettingsInvalid, match=re.escape(said)):
            load(given, environment={}, start=tmp_path)


def test_all_of_it_is_told_at_once(tmp_path):
    """Each with its place, and as facts for programs."""
    (tmp_path / "waycairn.yaml").write_text("saving:\n  pcae: 3\n  keep: 1\nbatches:\n  wrokers: 3\n")
    with pytest.raises(SettingsInvalid, match="3 settings are wrong") as error:
        load(environment={"WAYCAIRN_FOLLOW__BTCH": "1"}, start=tmp_path)
    paths = [(problem.path, problem.origin.line) for problem in error.value.problems]
    assert paths == [((), None), (("saving", "pcae"), 2), (("batches", "wrokers"), 5)]
    told = refused(tmp_path, "saving:\n  grace: x\nbatches:\n  workers: y\nsessions:\n  mirror: z\n")
    assert "3 settings are wrong. (1) waycairn.yaml:2:10: saving.grace" in told


def test_the_value_at_fault_is_the_one_that_holds(tmp_path):
    """A wrong value that a stronger source overrules is still named where it stands once it comes to hold."""
    (tmp_path / "waycairn.yaml").write_text("batches:\n  workers: x\n")
    assert load(environment={"WAYCAIRN_BATCHES__WORKERS": "3"}, start=tmp_path).settings.batches.workers == 3
    assert "waycairn.yaml:2:12" in refused(tmp_path)


def test_yaml_is_read_as_people_mean_it(tmp_path):
    """Version 1.2: off, no and on are words, 010 is ten, a time is a text."""
    (tmp_path / "waycairn.yaml").write_text("batches:\n  progress: off\n  workers: 010\n  retry_failed: ~\nstreams:\n")
    found = load(environment={}, start=tmp_path).settings.batches
    assert (found.progress, found.workers, found.retry_failed) == ("off", 10, None)


# -- a section of another shape ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One way to tell somebody."""

    kind: str
    password: str = field(default="", metadata=SECRET)
    to: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.kind not in {"mail", "hook"}:
            raise ValueError(f"kind is one of mail, hook, not {self.kind!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Everything that others need."""

    channels: Sequence[Channel] = ()
    """Whom."""
    by_name: Mapping[str, Channel] = field(default_factory=dict)
    """By pattern of names."""
    rules: Sequence[Mapping[str, object]] = ()
    """Free."""
    most: Size | None = None
    """Bytes."""
    age: Duration = 86400.0
    """Seconds."""
    on: bool = True
    """A name that YAML 1.1 takes for true."""

    def __post_init__(self) -> None:
        for at, rule in enumerate(self.rules):
            if "keep" in rule and not isinstance(rule["keep"], int):
                raise ValueError(f"shapes.rules[{at}].keep: {rule['keep']!r} is no number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    shapes: Shapes = field(default_factory=Shapes)


@pytest.fixture
def others(monkeypatch):
    """Settings with that section alone."""
    caches = (sections.sections, sections.settings, validating._model)
    for module in (sections, validating):
        monkeypatch.setattr(module, "Settings", Other)
    for cache in caches:
        cache.cache_clear()
    yield
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()


def test_lists_tables_and_records(tmp_path, others):
    """A list of records, a table of records by pattern, a list of tables, units that may be null."""
    (tmp_path / "waycairn.yaml").write_text(
        "shapes:\n"
        "  channels:\n    - {kind: mail, to: [a, b], password: hush}\n    - kind: hook\n"
        "  by_name:\n    nightly-*: {kind: hook}\n"
        "  rules:\n    - {run: x, keep: 3}\n"
        "  most: 2GB\n  age: 7d\n  on: false\n"
    )
    loaded = load(environment={}, start=tmp_path)
    assert loaded.settings.shapes == Shapes(
        channels=(Channel(kind="mail", to=("a", "b"), password="hush"), Channel(kind="hook")),
        by_name={"nightly-*": Channel(kind="hook")},
        rules=({"run": "x", "keep": 3},),
        most=2_000_000_000,
        age=604800.0,
        on=False,
    )
    told = {row.setting.name: row for row in describing.rows(loaded)}
    assert "hush" not in repr(told)
    assert told["channels"].text == '[{"kind": "mail", "password": "***", "to": ["a", "b"]}, {"kind": "hook"}]'
    assert (told["age"].text, told["most"].text) == ("1w", "2GB")
    assert str(told["channels"].origin) == f"{tmp_path}/waycairn.yaml:3:5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "shapes:\n  channels:\n    - kind: mail\n    - kind: pigeon\n",
            "yaml:4:13: shapes.channels[1].kind: it is one of",
        ),
        ("shapes:\n  channels:\n    - {to: [a]}\n", "waycairn.yaml:3:7: shapes.channels[0].kind: it is missing"),
        ("shapes:\n  channels:\n    - {knd: mail}\n", "waycairn.yaml:3:13: shapes.channels[0].knd: there is no such"),
        ("shapes:\n  channels:\n    - {kind: mail, to: [a, 3]}\n", "shapes.channels[0].to[1]: it is a text, not 3"),
        ("shapes:\n  by_name:\n    a: {kind: 3}\n", "waycairn.yaml:3:15: shapes.by_name.a.kind: it is a text, not 3"),
        ("shapes:\n  rules:\n    - keep: 1\n    - keep: x\n", "yaml:4:13: shapes.rules[1].keep: 'x' is no number"),
        ("shapes:\n  rules: 3\n", "shapes.rules: it is a list (each is a table"),
        ("shapes:\n  on: 3\n", "waycairn.yaml:2:7: shapes.on: it is true or false, not 3"),
    ],
)
def test_places_inside(tmp_path, others, text, said):
    """Down to the element of a list that is meant."""
    assert said in refused(tmp_path, text)


def test_structured_variables(tmp_path, others):
    """As YAML in one line; below a table each name is one of its own."""
    variables = {
        "WAYCAIRN_SHAPES__CHANNELS": "[{kind: mail, to: [x]}]",
        "WAYCAIRN_SHAPES__BY_NAME__web__KIND": "hook",
        "WAYCAIRN_SHAPES__ON": "false",
        "WAYCAIRN_SHAPES__MOST": "64MiB",
    }
    shapes = load(environment=variables, start=tmp_path).settings.shapes
    assert shapes.channels == (Channel(kind="mail", to=("x",)),)
    assert (shapes.by_name, shapes.on, shapes.most) == ({"web": Channel(kind="hook")}, False, 64 << 20)
    assert gathering.STREAMS == "streams"

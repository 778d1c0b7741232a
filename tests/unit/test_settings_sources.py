"""Settings: which source comes first, and where each value is from."""

import dataclasses
import itertools
import subprocess
import sys

import pytest

from waycairn.errors import SettingsInvalid
from waycairn.model.batch_settings import BatchSettings
from waycairn.model.settings import Settings
from waycairn.settings import load

SOURCES = ("argument", "environment", "file", "preset")
"""The strongest first. All of them say `saving.keep`, each another number."""


def loaded(place, *said, form="yaml"):
    """With those of the sources that are named."""
    arguments = {"saving": {"keep": 61}} if "argument" in said else {}
    environment = {"WAYCAIRN_SAVING__KEEP": "62"} if "environment" in said else {}
    if "preset" in said:
        environment["WAYCAIRN_PRESET"] = "sessions"  # 50
    if "file" in said:
        name, text = {
            "yaml": ("waycairn.yaml", "saving:\n  keep: 63\n"),
            "toml": ("pyproject.toml", "[tool.waycairn]\nsaving.keep = 63\n"),
        }[form]
        (place / name).write_text(text)
    return load(arguments, environment=environment, start=place)


@pytest.mark.parametrize("form", ["yaml", "toml"])
@pytest.mark.parametrize("said", [one for n in range(5) for one in itertools.combinations(SOURCES, n)])
def test_the_strongest_source_counts(tmp_path, said, form):
    """In every combination of sources; and the value knows where it is from."""
    found = loaded(tmp_path, *said, form=form)
    expected = {"argument": 61, "environment": 62, "file": 63, "preset": 50}[said[0]] if said else 2
    assert found.settings.saving.keep == expected
    assert found.origin(("saving", "keep")).source == (said[0] if said else "default")


def test_sources_are_merged_setting_by_setting(tmp_path):
    """A source that says one setting of a section leaves the others to those below it."""
    (tmp_path / "waycairn.yaml").write_text("preset: phases\nsaving: {overhead: 5%}\nbatches: {workers: 3}\n")
    variables = {"WAYCAIRN_SAVING__GRACE": "1m", "WAYCAIRN_BATCHES__ATTEMPTS": "4"}
    settings = load({"saving": {"pace": 7}}, environment=variables, start=tmp_path).settings
    saving = settings.saving
    assert (saving.pace, saving.grace, saving.overhead, saving.keep) == (7, 60.0, 0.05, 10)
    assert settings.batches == BatchSettings(workers=3, attempts=4)


def test_a_dataclass_says_all_of_its_section(tmp_path):
    """And a mapping what it names."""
    (tmp_path / "waycairn.yaml").write_text("batches: {workers: 3}\n")
    whole = load({"batches": BatchSettings(attempts=2)}, environment={}, start=tmp_path).settings
    assert whole.batches == BatchSettings(attempts=2)


def test_the_nearest_file_alone_counts(tmp_path):
    """Upwards from where the job is; a pyproject.toml that does not speak of waycairn is none."""
    below = tmp_path / "project" / "src" / "deep"
    below.mkdir(parents=True)
    (tmp_path / "waycairn.yaml").write_text("saving: {keep: 9}\nbatches: {workers: 9}\n")
    (tmp_path / "project" / "pyproject.toml").write_text("[tool.waycairn.saving]\nkeep = 7\n")
    (below / "pyproject.toml").write_text("[project]\nname = 'waycairn-user'\n")
    found = load(environment={}, start=below)
    assert (found.settings.saving.keep, found.settings.batches.workers) == (7, None)
    assert found.file == str(tmp_path / "project" / "pyproject.toml")


@pytest.mark.parametrize("text", ["\ufeffsaving:\r\n  keep: 7\r\n", "saving: &a\n  keep: 7\ntraining: {}\n"])
def test_files_of_other_editors(tmp_path, text):
    """With a mark of the byte order, with line ends of Windows, with anchors."""
    (tmp_path / "waycairn.yaml").write_text(text, encoding="utf-8", newline="")
    assert load(environment={}, start=tmp_path).settings.saving.keep == 7
    (tmp_path / "waycairn.yaml").write_bytes(b"saving:\n  pace: \xff\n")
    with pytest.raises(SettingsInvalid, match=r"waycairn.yaml:1:1: it is no UTF-8"):
        load(environment={}, start=tmp_path)


def test_two_files_in_one_directory_are_refused(tmp_path):
    """Which of them was meant cannot be told."""
    (tmp_path / "waycairn.yaml").write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.waycairn]\n")
    with pytest.raises(SettingsInvalid, match="Keep one of them"):
        load(environment={}, start=tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n# tool.waycairn\n")
    assert load(environment={}, start=tmp_path).settings == Settings()


def test_a_file_can_be_named(tmp_path):
    """By WAYCAIRN_SETTINGS, or by the code, in place of the nearest."""
    (tmp_path / "waycairn.yaml").write_text("saving: {keep: 9}\n")
    other = tmp_path / "other.yaml"
    other.write_text("saving: {keep: 5}\n")
    assert load(environment={"WAYCAIRN_SETTINGS": str(other)}, start=tmp_path).settings.saving.keep == 5
    assert load(environment={}, file=other).settings.saving.keep == 5
    with pytest.raises(SettingsInvalid, match="WAYCAIRN_SETTINGS: there is no file 'gone'"):
        load(environment={"WAYCAIRN_SETTINGS": "gone"}, start=tmp_path)


def test_a_file_that_changed_is_read_again(tmp_path):
    """By the next store that is opened."""
    file = tmp_path / "waycairn.yaml"
    file.write_text("saving: {keep: 9}\n")
    assert load(environment={}, start=tmp_path).settings.saving.keep == 9
    file.write_text("saving: {keep: 10}\n")
    assert load(environment={}, start=tmp_path).settings.saving.keep == 10


@pytest.mark.parametrize("name", ["waycairn.yaml", "pyproject.toml"])
def test_paths_are_relative_to_the_file(tmp_path, name):
    """Wherever the job starts; addresses of other things stay as they are."""
    text = {
        "waycairn.yaml": "store: {url: here/store}\n",
        "pyproject.toml": "[tool.waycairn]\nstore.url = 'here/store'\n",
    }
    (tmp_path / name).write_text(text[name])
    (tmp_path / "deep").mkdir()
    assert load(environment={}, start=tmp_path / "deep").settings.store.url == str(tmp_path / "here" / "store")
    (tmp_path / name).write_text(text[name].replace("here/store", "postgresql://host/x"))
    assert load(environment={}, start=tmp_path).settings.store.url == "postgresql://host/x"


@pytest.mark.parametrize(
    ("variables", "path", "value"),
    [
        ({"WAYCAIRN_STORE": "/a"}, "store.url", "/a"),
        ({"WAYCAIRN_STORE": "/a", "WAYCAIRN_STORE__URL": "/b"}, "store.url", "/b"),
        ({"WAYCAIRN_GRACE": "7"}, "saving.grace", 7.0),
        ({"WAYCAIRN_GRACE": "7.5"}, "saving.grace", 7.5),
        ({"WAYCAIRN_RETRY_FAILED": "0"}, "batches.retry_failed", False),
        ({"WAYCAIRN_RETRY_FAILED": "1"}, "batches.retry_failed", True),
        ({"WAYCAIRN_PROGRESS": "off"}, "batches.progress", "off"),
        ({"WAYCAIRN_PROMOTE_OVER": "30%"}, "sessions.promote_over", 0.3),
        ({"WAYCAIRN_PROMOTE_OVER": "0.25"}, "sessions.promote_over", 0.25),
        ({"WAYCAIRN_MIRROR": "0"}, "sessions.mirror", 0),
        ({"WAYCAIRN_LOG": "json"}, "logging.lines", "json"),
        ({"WAYCAIRN_SAVING__PACE": "0"}, "saving.pace", 0),
        ({"WAYCAIRN_SAVING__PACE": "5%, 300s"}, "saving.pace", "5%, 300s"),
        ({"WAYCAIRN_SAVING__PACE": "  "}, "saving.pace", "auto"),
        ({"WAYCAIRN_BATCHES__WORKERS": "null"}, "batches.workers", None),
        ({"WAYCAIRN_FOLLOW__LINE_LIMIT": "2MiB"}, "follow.line_limit", 2 << 20),
        ({"WAYCAIRN_FOLLOW__MAX_DEAD_RATIO": "20%"}, "follow.max_dead_ratio", 0.2),
    ],
)
def test_variables(tmp_path, variables, path, value):
    """Long names, short ones as they always were, and texts as what the setting can hold."""
    section, name = path.split(".")
    found = load(environment=variables, start=tmp_path)
    assert getattr(getattr(found.settings, section), name) == value


def test_other_variables_may_be_somebody_elses(tmp_path):
    """Jobs have some of their own; only a slip of the pen is told."""
    variables = {
        "WAYCAIRN_JOB_NAME": "x",
        "WAYCAIRN_CRASH": "a@1:KILL",
        "WAYCAIRN_HISTORY": "f",
        "WAYCAIRN_LOG_DIR": "y",
    }
    assert load(environment=variables, start=tmp_path).settings == Settings()


# -- what it costs --------------------------------------------------------------------------------------------------

COST = """
import sys, waycairn as wc
with wc.run("job", progress="off") as run:
    for _ in run.each(range(3)):
        pass
print([name for name in ("pydantic", "pydantic_settings", "yaml", "tomllib") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("variables", "file", "loads"),
    [
        ({"WAYCAIRN_STORE": "elsewhere", "WAYCAIRN_JOB_NAME": "x"}, "[project]\nname = 'x'\n", []),
        ({}, "[tool.waycairn.streams.a]\npaths = 'x'\n", ["tomllib"]),
        ({"WAYCAIRN_SAVING__KEEP": "3"}, "", ["pydantic", "pydantic_settings"]),
    ],
)
def test_what_is_not_said_costs_nothing(tmp_path, variables, file, loads):
    """pydantic-settings takes 0.2 s: a job that sets nothing does not load it."""
    if file:
        (tmp_path / "pyproject.toml").write_text(file)
    ran = subprocess.run(
        [sys.executable, "-c", COST],
        cwd=tmp_path,
        env={"PATH": "", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.strip().endswith(str(loads)), ran.stdout


def test_settings_have_defaults_and_are_frozen():
    """One field a section, and each can be made with nothing."""
    for field in dataclasses.fields(Settings):
        section = getattr(Settings(), field.name)
        assert dataclasses.is_dataclass(section)
        assert type(section)() == section
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(section, dataclasses.fields(section)[0].name, 1)

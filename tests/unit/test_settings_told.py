"""Settings told: units, secrets, presets, the commented file, log lines."""

import dataclasses
import json
import logging
import re

import pytest

from waycairn.errors import SettingsInvalid
from waycairn.model.logging_settings import LoggingSettings
from waycairn.model.pace import Pacer
from waycairn.model.policy import Pace
from waycairn.model.saving_settings import SavingSettings
from waycairn.model.settings import Settings
from waycairn.model.units import seconds, seconds_text, share, share_text, size, size_text
from waycairn.settings import load, logs
from waycairn.settings.describing import commented_file, rows, text_of
from waycairn.settings.presets import PRESETS
from waycairn.settings.secrets import masked
from waycairn.settings.sections import settings


@pytest.mark.parametrize(
    ("parse", "write", "text", "value"),
    [
        (seconds, seconds_text, "200ms", 0.2),
        (seconds, seconds_text, "24h", 86400.0),
        (seconds, seconds_text, "90s", 90.0),
        (seconds, seconds_text, "2w", 1209600.0),
        (seconds, seconds_text, "1.5 h", 5400.0),
        (size, size_text, "10GB", 10**10),
        (size, size_text, "64MiB", 64 << 20),
        (size, size_text, "1.5 kb", 1500),
        (size, size_text, "7B", 7),
        (share, share_text, "1%", 0.01),
        (share, share_text, "12.5 %", 0.125),
    ],
)
def test_units(parse, write, text, value):
    """Read as written; what is written is read as the same."""
    assert parse("it", text) == pytest.approx(value)
    assert parse("it", value) == value
    assert parse("it", write(value)) == pytest.approx(value)


@pytest.mark.parametrize("parse", [seconds, size, share])
@pytest.mark.parametrize("wrong", ["", "soon", "-1", -1, True, "1 parsec", float("nan"), float("inf"), None, [1]])
def test_no_units(parse, wrong):
    """Named, with what is allowed."""
    with pytest.raises(ValueError, match=r"^it is a .* such as"):
        parse("it", wrong)


def test_a_pace_of_several_parts():
    """Whichever comes first; where the number of items is not known, the interval counts alone."""
    pace = Pace.of("5%, 300s")
    assert pace == Pace(percent=5, seconds=300)
    pacer = Pacer(pace, 0.0)
    assert not pacer.is_due(299.0, 1)
    assert pacer.is_due(300.0, 1)
    pacer = Pacer(pace, 0.0)
    pacer.expect(100)
    assert not pacer.is_due(1.0, 4)
    assert pacer.is_due(1.0, 1)
    for wrong in ("5%, 10%", "5%, auto", "5%,", "0%"):
        with pytest.raises(ValueError, match=r"pace|percent"):
            Pace.of(wrong)


def test_overhead_is_of_the_automatic_pace():
    """And of no other; what the code says as a Pace stands."""
    saving = SavingSettings(overhead=0.05)
    assert saving.pace_of(None) == Pace(share=0.05)
    assert saving.pace_of("auto") == Pace(share=0.05)
    assert saving.pace_of("5m") == Pace(seconds=300)
    assert saving.pace_of(Pace()) == Pace()


# -- presets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_meant(tmp_path, name):
    """Each is valid, changes something, and every value of it says where it is from."""
    loaded = load(environment={"WAYCAIRN_PRESET": name}, start=tmp_path)
    assert loaded.settings != Settings()
    named = {(section, field) for section, fields in PRESETS[name].values.items() for field in fields}
    assert {row.setting.path for row in rows(loaded) if row.is_changed} == named
    assert all(str(row.origin) == f"preset {name}" for row in rows(loaded) if row.is_changed)


def test_presets_hold_what_they_promise():
    """Phases: at most every 300 s, ten a phase. Sessions: fifty. Processes: every 5 % and every 300 s."""
    found = {name: load({"preset": name}, environment={}, start="/").settings for name in PRESETS}
    assert (Pace.of(found["phases"].saving.pace), found["phases"].saving.keep) == (Pace(seconds=300), 10)
    assert (found["sessions"].saving.keep, found["sessions"].training.keep) == (50, 50)
    assert Pace.of(found["processes"].saving.pace) == Pace(percent=5, seconds=300)


# -- the commented file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_the_commented_file_says_what_holds_anyway(tmp_path, preset):
    """As it is it changes nothing but the preset; with every # taken off it says the same once more."""
    file = tmp_path / "waycairn.yaml"
    file.write_text(commented_file(preset))
    expected = load({"preset": preset}, environment={}, start="/").settings
    assert load(environment={}, start=tmp_path).settings == expected
    text = re.sub(r"^  #(\w+: )", r"  \1", file.read_text(), flags=re.MULTILINE)
    file.write_text(text)
    loaded = load(environment={}, start=tmp_path)
    assert loaded.settings == expected
    assert all(row.origin.source == "file" for row in rows(loaded))
    assert len(re.findall(r"^  \w+: ", text, re.MULTILINE)) == len(settings())


def test_every_setting_has_a_sentence():
    """Below its field, with an end."""
    assert [setting.key for setting in settings() if not setting.sentence.endswith((".", ".)"))] == []


@pytest.mark.parametrize(
    "value", ["a: b", "off", "true", "12", "#x", "", " a", "null", "{a}", "x'y", 'x"y', "1e3", "ü"]
)
def test_texts_are_quoted_where_they_have_to_be(tmp_path, value):
    """So that they come back as they were."""
    file = tmp_path / "waycairn.yaml"
    file.write_text(f"store:\n  url: {text_of(value)}\n")
    found = load(environment={}, start=tmp_path)
    assert str(found.settings.store.url).removeprefix(f"{tmp_path}/") == value


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_are_masked():
    """By their mark, by their name, and in addresses; at any depth."""
    assert masked("hush", is_secret=True) == "***"
    assert masked(None, is_secret=True) is None
    assert masked({"password_env": "MAIL", "token_file": "t"}) == {"password_env": "MAIL", "token_file": "t"}
    value = {"a": [{"api_key": "hush", "password": "hush", "user": "me"}], "url": "postgresql://me:hush@host/db"}
    assert masked(value) == {
        "a": [{"api_key": "***", "password": "***", "user": "me"}],
        "url": "postgresql://me:***@host/db",
    }


# -- log lines ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def loggers():
    """As they were, afterwards."""
    logger = logging.getLogger("waycairn")
    before = (logger.level, logger.propagate, list(logger.handlers))
    yield logger
    for _, handler in logs._written:
        logger.removeHandler(handler)
        handler.close()
    logs._written.clear()
    logger.setLevel(before[0])
    logger.propagate, logger.handlers[:] = before[1], before[2]


def test_json_lines(tmp_path, loggers):
    """One object a line, with the facts of the call; no secret in it; once, however often a store is opened."""
    file = tmp_path / "log"
    settings = LoggingSettings(lines="json", level="info", file=str(file))
    for _ in range(3):
        logs.set_up_logging(settings)
    log = logging.getLogger("waycairn.part")
    log.info("went to %s", "postgresql://me:hush@host/db", extra={"run": "job", "token": "hush"})
    log.debug("not this")
    log.error("odd\nlines", exc_info=OSError("no postgresql://me:hush@host/db"))
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    assert (first["level"], first["logger"], first["run"]) == ("info", "waycairn.part", "job")
    assert first["message"] == "went to postgresql://me:***@host/db"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert (second["level"], second["message"]) == ("error", "odd\nlines")
    assert "OSError" in second["error"]
    assert "hush" not in file.read_text()
    with pytest.raises(SettingsInvalid, match=r"logging.file: .* cannot be written \(No such file or directory\)"):
        logs.set_up_logging(LoggingSettings(lines="json", file=str(tmp_path / "gone" / "log")))


def test_text_lines_on_stderr(capsys, loggers):
    """And what was set up before goes; a store that says nothing changes nothing."""
    logs.set_up_logging(LoggingSettings(lines="json"))
    logs.set_up_logging(LoggingSettings(lines="text", level="warning"))
    logs.set_up_logging(LoggingSettings())
    logging.getLogger("waycairn").info("quiet")
    logging.getLogger("waycairn").warning("loud")
    said = capsys.readouterr().err
    assert re.fullmatch(r"\S+Z warning waycairn: loud\n", said), said


def test_every_field_of_the_carrier_is_a_section():
    """What a new section takes is one line."""
    assert {field.name for field in dataclasses.fields(Settings)} == {setting.section for setting in settings()}

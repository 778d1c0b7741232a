"""Nothing that a user can name is missing from the documentation, and the links of the documentation lead somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest
from typer.main import get_command

import waycairn as wc
from waycairn import errors
from waycairn.catalog.protection import protection_of
from waycairn.catalog.tables import metadata
from waycairn.cli.app import app
from waycairn.settings.sections import settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def _page(name):
    return (DOCS / "reference" / name).read_text("utf-8")


def test_every_setting_is_documented():
    """A WAYCAIRN_ variable that the code reads stands on the settings page."""
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    read = set(re.findall(r"\bWAYCAIRN_[A-Z_]+\b", code))
    assert "WAYCAIRN_STORE" in read
    assert read <= set(re.findall(r"\bWAYCAIRN_[A-Z_]+\b", _page("settings.md")))


def test_the_tables_of_settings_are_those_of_the_code():
    """Every setting with its name in the environment, default and meaning, and no other: python docs/settings_tables.py."""
    spec = importlib.util.spec_from_file_location("settings_tables", DOCS / "settings_tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    page = _page("settings.md")
    assert tables.with_tables(page) == page
    named = re.findall(r"^\| `(\w+)\.(\w+)` \| `WAYCAIRN_(\w+)__(\w+)`", page, re.MULTILINE)
    assert [(section, name) for section, name, *_ in named] == [one.path for one in settings()]
    assert all((section.upper(), name.upper()) == (*variable,) for section, name, *variable in named)


def test_every_error_stands_in_the_tree():
    """The tree on top of the module, which the errors page shows, names every exception."""
    assert set(errors.__all__) <= set(re.findall(r"\w+", errors.__doc__))


def test_every_column_is_in_the_table_of_what_is_encrypted():
    """Each once, with what the tables say of it: a column that is added has to be thought about."""
    documented = {
        (table, column): protection
        for table, columns, protection in re.findall(
            r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", _page("encryption.md"), re.MULTILINE
        )
        for column in re.findall(r"\w+", columns)
    }
    assert documented == {
        (table.name, column.name): protection_of(column).value
        for table in metadata.tables.values()
        for column in table.c
    }


def test_every_public_name_is_in_the_reference():
    """The root exposes at most 20 names, and each stands on the page of the interface or of the errors."""
    names = [name for name in wc.__all__ if name != "__version__"]
    assert len(names) <= 20
    api = _page("api.md")
    missing = [name for name in names if f"waycairn.{name}" not in api and not hasattr(errors, name)]
    assert missing == []


def _commands(group, before=""):
    """By name; those of a group with the name of that in front."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield before + name, command


COMMANDS = dict(_commands(get_command(app)))


def test_every_command_is_documented():
    """The page has the commands of the program, all of them and no others."""
    assert {"runs", "stream list"} <= set(COMMANDS)
    assert set(re.findall(r"^## waycairn ([a-z -]+)", _page("cli.md"), re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(command):
    """An option stands in the section of its command, or on top of the page where it holds for all."""
    top, _, rest = _page("cli.md").partition("\n## ")
    section = f"\n{rest}".partition(f"waycairn {command}\n")[2].partition("\n## ")[0]
    options = {option for parameter in COMMANDS[command].params for option in parameter.opts if option[:2] == "--"}
    assert "--json" in options
    assert options <= set(re.findall(r"--[a-z-]+", top + section))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_is_made_of_sentences(command):
    """The list of commands shows the first one; line breaks of the code are in none."""
    said = COMMANDS[command]
    assert said.short_help.endswith((".", "?"))
    assert said.help.startswith(said.short_help)
    assert all("\n" not in paragraph for paragraph in said.help.split("\n\n"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every relative link names a file that is there."""
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_make_target_of_the_readme_exists():
    """The commands that the README names can be made, and the Makefile keeps to ten targets."""
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE).group(1).split()
    assert len(targets) <= 10
    assert set(re.findall(r"make ([a-z]+)", (ROOT / "README.md").read_text("utf-8"))) <= set(targets)


def test_requirement_files_name_no_host():
    """Pinned by hash, so they may come from anywhere: no address, no index, no path, and never torch."""
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text("utf-8")
        assert "--hash=sha256:" in text
        assert not re.search(r"://|--index|--find-links|--extra|^#|^torch==|nvidia| @ ", text, re.MULTILINE)

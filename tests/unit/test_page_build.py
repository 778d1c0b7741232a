"""The page is built again when something changed that it is made of, and not otherwise."""

import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "dashboard" / "hatch_build.py")
hatch_build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hatch_build)

SOURCES = ["openapi.json", "package-lock.json", "src/api/model.ts", "src/main.tsx", "public/cairn.svg"]


@pytest.fixture
def root(tmp_path):
    """One that was built a minute after all of it was written."""
    for name in [*(f"dashboard/{source}" for source in SOURCES), hatch_build.STATIC / "index.html", hatch_build.STAMP]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for path in tmp_path.rglob("*"):
        os.utime(path, (1000, 1000))
    os.utime(tmp_path / hatch_build.STAMP, (1060, 1060))
    assert hatch_build.is_current(tmp_path)
    return tmp_path


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_changed_is_seen(root, source):
    (root / "dashboard" / source).write_text("y")
    assert not hatch_build.is_current(root)


@pytest.mark.parametrize("source", ["src/api/model.ts", "public/cairn.svg"])
def test_a_source_that_is_gone_is_seen(root, source):
    (root / "dashboard" / source).unlink()
    assert not hatch_build.is_current(root)


@pytest.mark.parametrize("name", [hatch_build.STATIC / "index.html", hatch_build.STAMP])
def test_what_was_built_must_be_there(root, name):
    """A build that was interrupted has left no stamp."""
    (root / name).unlink()
    assert not hatch_build.is_current(root)


def test_what_the_build_makes_is_no_source(root):
    """Its types, made of the document of the API, and what was installed for it."""
    generated = root / hatch_build.GENERATED
    generated.write_text("x")
    os.utime(generated.parent, (1000, 1000))
    (root / "dashboard" / "node_modules" / "left-pad.js").write_text("x")
    assert hatch_build.is_current(root)


def test_what_is_current_is_not_built_again(root, monkeypatch):
    """And what is not, is."""
    built = []
    monkeypatch.setattr(hatch_build, "_build", lambda where, *, tested: built.append((where, tested)))
    hatch_build.build(root)
    assert built == []
    (root / "dashboard" / "openapi.json").write_text("y")
    hatch_build.build(root, tested=True)
    assert built == [(root, True)]

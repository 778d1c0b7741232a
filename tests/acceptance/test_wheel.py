"""What is released: a wheel that was made of the source archive, installed where there is no Node and no checkout, serves its page."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
STATIC = "waycairn/server/static/"
POLICY = {
    "default-src": "'none'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    **{f"{kind}-src": "'self'" for kind in ("script", "style", "img", "connect", "font", "manifest", "worker")},
}
NAMED = re.compile(r"[\w.-]+-[\w-]{8}\.(?:js|css)\b")
"""Assets, by the names that the build gives them: with the hash of what they hold."""

JOB = """
import sys
import waycairn as wc
with wc.open(sys.argv[1]) as store:
    store.save("value", 1)
print(wc.__file__)
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The source archive, and the wheel made of what is in it and of nothing else."""
    folder = tmp_path_factory.mktemp("released")
    _build(ROOT, "sdist", folder, os.environ["PATH"])  # builds the page, unless `make dashboard` did
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    _build(folder / archive.name.removesuffix(".tar.gz"), "wheel", folder, "/nonexistent")
    (wheel,) = folder.glob("*.whl")
    return archive, wheel


def _build(source, kind, into, path):
    argv = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into)]
    done = subprocess.run(
        argv, cwd=source, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def python(released, tmp_path_factory):
    """A Python with that wheel in it. What it needs comes from where the tests run; waycairn does not: such a line of a .pth file
    adds a folder, and reads no .pth file in it."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--disable-pip-version-check", "--no-compile", str(released[1])], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "needed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


@contextmanager
def serving(python, place):
    """As somebody starts it who has just installed it; the line that it prints, and a client."""
    argv = [python.with_name("waycairn"), "serve", "--store", place / "store", "--port", "0", "--json"]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WAYCAIRN_") and name not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    }
    environment["PATH"] = str(python.parent)
    with subprocess.Popen(argv, cwd=place, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = json.loads(process.stdout.readline())
            with httpx.Client(base_url=told["url"], trust_env=False) as http:
                yield told, http
        finally:
            process.terminate()
            assert process.wait(20) == 0


class Tags(HTMLParser):
    """What a document asks for, and what of it a policy without 'unsafe-inline' would not let be."""

    def __init__(self, document):
        super().__init__()
        self.asks, self.inline = [], []
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.asks += [given[name] for name in ("src", "href") if name in given]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]


def test_the_archives_hold_what_is_needed_and_nothing_else(released):
    """The page as it was built; none of its source, none of what it was built with, none of the tests."""
    archive, wheel = released
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    assert {name.split("/")[0] for name in names} == {"waycairn", "waycairn-0.1.0.dist-info"}
    assert f"{STATIC}index.html" in names
    assert {Path(name).suffix for name in names if name.startswith(STATIC)} == {".html", ".js", ".css", ".svg"}
    of_python = {Path(name).suffix for name in names if not name.startswith((STATIC, "waycairn-"))}
    assert of_python <= {".py", ".typed", ".json", ".md", ".txt"}, of_python
    with tarfile.open(archive) as tar:
        inside = [name.partition("/")[2] for name in tar.getnames()]
    assert {name for name in inside if name.startswith("dashboard")} == {"dashboard/hatch_build.py"}
    assert not [name for name in names + inside if "node_modules" in name or name.startswith("tests/")]


def test_what_is_installed_serves_its_page(python, tmp_path):
    """Each file that the page names is there and of a type that browsers take, each that is there is named; the policy allows what
    the page needs, and nothing else; and the first admin can be made."""
    done = subprocess.run([python, "-I", "-c", JOB, tmp_path / "store"], capture_output=True, text=True, check=True)
    package = Path(done.stdout.strip()).parent
    assert python.parents[1] in package.parents
    with serving(python, tmp_path) as (told, http):
        page = http.get("/")
        _fits(page)
        tags = Tags(page.text)
        assert tags.inline == []
        mentioned = {address for address in tags.asks if address.startswith("/")}
        assert mentioned == set(tags.asks), "nothing of anybody else"
        texts = {"/": page.text}
        for address in _assets(http, mentioned, texts):
            _fits(http.get(address))
        there = {
            f"/{path.relative_to(package / 'server' / 'static')}"
            for path in (package / "server" / "static").rglob("*")
            if path.is_file()
        }
        assert set(texts) - {"/"} == there - {"/index.html"}
        secret = told["setup"].partition("#")[2]
        wanted = {"secret": secret, "name": "ada", "password": "four words you know"}
        assert http.post("/api/v1/setup", json=wanted).status_code == 201
        assert http.get("/api/v1/session").json()["account"] == {"name": "ada", "role": "admin"}


def _assets(http, addresses, texts):
    """All that can be reached, each once."""
    left = sorted(addresses)
    while left:
        address = left.pop()
        if address in texts:
            continue
        answer = http.get(address)
        assert answer.status_code == 200, address
        texts[address] = answer.text
        assert "text/html" not in answer.headers["content-type"], f"{address} is none, and was answered with the page"
        left += [f"/assets/{name}" for name in NAMED.findall(answer.text)]
        yield address


def _fits(answer):
    said = dict(one.strip().split(" ", 1) for one in answer.headers["content-security-policy"].split(";"))
    assert said == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"

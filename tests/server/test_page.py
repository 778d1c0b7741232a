"""The page is served from what lay there at the start; what it is built against is what the API says."""

import gzip
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from serving import a_scene, until
from waycairn.server import app as app_module
from waycairn.server.app import create_app
from waycairn.server.openapi import document_text
from waycairn.server.page import Page, serve_page
from waycairn.server.problems import handle_problems

ROOT = Path(__file__).parents[2]


def page_of(folder: Path) -> TestClient:
    app = FastAPI()
    handle_problems(app)

    @app.get("/api/v1/known")
    def known():
        return {}

    serve_page(app, Page(folder))
    return TestClient(app)


def built(folder: Path) -> Path:
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>the page</title>")
    (folder / "assets" / "main-abc.js").write_text("export {};" * 500)
    (folder.parent / "secret.txt").write_text("nobody's business")
    return folder


def test_every_view_is_the_document_and_files_are_themselves(tmp_path):
    """Addresses of views exist in the browser only."""
    client = page_of(built(tmp_path / "static"))
    for address in ("/", "/runs", "/runs/abc?status=failed", "/anything/else"):
        assert "the page" in client.get(address).text
    script = client.get("/assets/main-abc.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    assert client.get("/").headers["cache-control"] == "no-cache"


def test_what_is_known_is_not_sent_again_and_what_is_sent_is_small(tmp_path):
    """An etag, and gzip."""
    client = page_of(built(tmp_path / "static"))
    script = client.get("/assets/main-abc.js")
    assert script.headers["content-encoding"] == "gzip"
    assert int(script.headers["content-length"]) < len(script.text)
    assert client.get("/assets/main-abc.js", headers={"If-None-Match": script.headers["etag"]}).status_code == 304
    plain = client.get("/assets/main-abc.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(gzip.compress(plain.content)) == script.content


def test_a_server_is_warm_before_somebody_comes(tmp_path, monkeypatch):
    """What a browser fetches first is compressed, and what the page shows first was read once."""
    built(tmp_path / "static")
    (tmp_path / "static" / "index.html").write_text('<script src="/assets/main-abc.js"></script>')
    (tmp_path / "static" / "assets" / "other-abc.js").write_text("export {};" * 500)
    page = Page(tmp_path / "static")
    monkeypatch.setattr(app_module, "Page", lambda: page)
    with a_scene(tmp_path) as scene:
        read = spied(monkeypatch, type(scene.store.core.catalog), "page_of_runs")
        with TestClient(create_app(scene.store)):
            until(lambda: read)
    assert page.index.is_compressed
    assert page.files["/assets/main-abc.js"].is_compressed
    assert not page.files["/assets/other-abc.js"].is_compressed


def spied(monkeypatch, owner, name):
    """What it was called with, so far."""
    calls, real = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *words, **named: (calls.append(words), real(*words, **named))[1])
    return calls


def test_no_address_leads_out_of_the_folder(tmp_path):
    """Whatever is asked for, what is answered lay in the folder when the server started."""
    folder = built(tmp_path / "static")
    client = page_of(folder)
    (folder / "later.txt").write_text("put there later")
    for address in (
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "//secret.txt",
        f"/{tmp_path}/secret.txt",
        "/later.txt",
    ):
        answer = client.get(address)
        assert "the page" in answer.text
        assert "business" not in answer.text
    assert client.get("/assets/of-another-version.js").status_code == 404


def test_what_the_api_does_not_know_is_a_problem_and_no_page(tmp_path):
    """A program that has mistyped an address is not sent a page to parse."""
    client = page_of(built(tmp_path / "static"))
    missing = client.get("/api/v1/nothing")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    assert client.post("/api/v1/known").status_code == 405
    assert client.post("/runs").status_code == 404


def test_a_checkout_whose_page_nobody_built_says_how(tmp_path):
    """The API works without it."""
    answer = page_of(tmp_path / "nothing here").get("/")
    assert answer.status_code == 200
    assert "make dashboard" in answer.text


def test_the_page_is_built_against_what_the_api_says():
    """After a change of the API: python -m waycairn.server.openapi"""
    assert (ROOT / "dashboard" / "openapi.json").read_text() == document_text()


def test_the_lock_file_names_no_address():
    """Packages come from whatever registry npm is told to use."""
    assert "://" not in (ROOT / "dashboard" / "package-lock.json").read_text()


def test_the_document_of_the_page_has_nothing_inline():
    """The policy forbids it: a browser would not run it."""
    document = (ROOT / "dashboard" / "index.html").read_text()
    assert "style=" not in document
    assert "<style" not in document
    assert all("src=" in tag for tag in document.split("<script")[1:])

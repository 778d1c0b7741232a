"""What holds for every request and every answer: names, sizes, headers, and that no path reaches the disk."""

import asyncio
from urllib.parse import unquote

import httpx
import pytest

from serving import BASE, a_scene
from waycairn.server.page import Page, serve_page
from waycairn.server.protecting import BODY_LIMIT
from waycairn.server.serving import Options


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8642", 200),
        ("127.9.9.9", 200),
        ("localhost:1", 200),
        ("LOCALHOST.", 200),
        ("waycairn.localhost", 200),
        ("[::1]:8642", 200),
        ("192.168.7.7:8642", 200),
        ("jobs.example", 200),
        ("JOBS.example:443", 200),
        ("", 421),
        ("evil.example", 421),
        ("evil.example:8642", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("notjobs.example", 421),
        ("jobs.example.evil.example", 421),
    ],
)
def test_it_answers_to_its_names(named, host, code):
    """A site that gives its own name our address is no page of ours."""
    answer = named.http.get("/healthz", headers={"Host": host})
    assert answer.status_code == code
    if code == 421:
        assert answer.headers["content-type"] == "application/problem+json"
        assert "--allow-host" in answer.json()["detail"]


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    with a_scene(tmp_path_factory.mktemp("named"), Options(hosts=("jobs.example",))) as found:
        yield found


ANSWERS = [
    ("GET", "/", 200),
    ("GET", "/healthz", 200),
    ("GET", "/runs/abc", 200),
    ("GET", "/assets/none.js", 404),
    ("GET", "/api/v1/session", 401),
    ("GET", "/api/v1/nothing", 404),
    ("DELETE", "/api/v1/roles", 405),
    ("GET", "/api/v1/openapi.json", 200),
    ("POST", "/api/v1/session", 422),
    ("POST", "/api/v1/setup", 403),
]


@pytest.mark.parametrize(("method", "path", "code"), ANSWERS)
def test_every_answer_has_the_headers(named, method, path, code):
    """Errors, too: what a browser may do with it, and that it keeps nothing of the API."""
    body = {"secret": "x", "name": "eve", "password": "long enough for it"} if "setup" in path else None
    answer = named.http.request(method, path, json=body)
    assert answer.status_code == code, answer.text
    _check_headers(answer)
    if path.startswith("/api"):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors 'none'")


def _check_headers(answer):
    headers = answer.headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


def test_an_error_that_nobody_foresaw_has_the_headers(named, monkeypatch):
    """And tells nothing of what went wrong."""

    def fail(*_, **__):
        raise RuntimeError("the secret is swordfish")

    monkeypatch.setattr(named.app.state.serving.jobs, "list", fail)
    answer = asyncio.run(_ask(named.app, "/api/v1/jobs", named.vera.headers))
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "swordfish" not in answer.text
    _check_headers(answer)


async def _ask(app, path, headers):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
        return await http.get(path, headers=headers)


def test_too_much_is_refused(named):
    """By the length that is said, and, where none is said, once it has come."""
    large = b'{"name": "' + b"x" * BODY_LIMIT + b'"}'

    def pieces():
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    for content in (large, pieces()):
        answer = named.http.post("/api/v1/session", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        _check_headers(answer)


def test_a_length_that_lies_helps_nobody(named):
    """What is no number counts as it comes."""
    headers = {"Content-Type": "application/json", "Content-Length": "-5"}
    answer = named.http.post("/api/v1/session", content=b"{}", headers=headers)
    assert answer.status_code == 422


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page as it is when it was built, with a secret beside it."""
    place = tmp_path_factory.mktemp("site")
    static = place / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<title>the page</title>")
    (static / "assets/app-1a2b.js").write_text("let a;")
    (place / "secret.txt").write_text("swordfish")
    with a_scene(place) as found:
        serve_page(found.app, Page(static))
        yield found


def test_the_page_has_a_policy_and_the_other_headers(site):
    """Its own sources and nothing inline."""
    for address in ("/", "/runs/abc", "/assets/app-1a2b.js"):
        answer = site.http.get(address)
        assert answer.status_code == 200
        _check_headers(answer)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "form-action 'self'" in policy


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/..%5c..%5csecret.txt",
        "//secret.txt",
        "/%00/../secret.txt",
        "/assets//etc/passwd",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/assets/app-1a2b.js/../../../secret.txt",
    ],
)
def test_no_path_leads_out(site, path):
    """A table of the files that were there at the start is all that a request can name. Sent as it stands: clients that mean
    well put such addresses right."""
    answer = asyncio.run(_ask_raw(site.app, path))
    assert b"swordfish" not in answer
    assert b"root:" not in answer
    assert answer  # the page, or a problem


async def _ask_raw(app, path):
    """As a server hands it on: decoded, and not made shorter."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    body = b""

    async def send(message):
        nonlocal body
        body += message.get("body", b"")

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    await app(scope, receive, send)
    return body

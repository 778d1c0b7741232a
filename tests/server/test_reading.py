"""What a request may hold at all: text that is text, numbers that a database has. Told as what is wrong with it, and nothing done."""

import base64
import json

import pytest

from waycairn.server.paging import position_of
from waycairn.server.problems import Problem

JSON = {"Content-Type": "application/json"}
HALF, NUL = '"\\ud800"', '"a\\u0000b"'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"name": "\xff"}', "not UTF-8"),
        (b'{"name":', "Expecting value"),
        (b'{"expires_in": ' + b"9" * 5000 + b"}", "too long"),
        (b"[" * 200_000, "nested too deep"),
        (f'{{"name": {HALF}}}'.encode(), "half a character"),
        (f'{{"name": {NUL}}}'.encode(), "NUL"),
        (f'{{{HALF}: "x"}}'.encode(), "half a character"),
        (f'{{"scopes": [{{"x": [{NUL}]}}]}}'.encode(), "NUL"),
    ],
)
def test_a_body_that_nothing_could_hold(scene, body, said):
    """Whatever the field, and before anybody has looked at it."""
    answer = scene.ada.post("/tokens", content=body, headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert said in answer.json()["detail"]
    assert len(scene.ada.get("/tokens").json()["tokens"]) == 1, "the one that asks"


def test_a_pair_of_halves_is_a_character(scene):
    """As JSON writes what lies beyond the first 65,536."""
    answer = scene.ada.post("/tokens", content=b'{"name": "\\ud83d\\ude00"}', headers=JSON)
    assert answer.json()["token"]["name"] == "\N{GRINNING FACE}"


def test_nul_in_an_address_names_nothing(scene):
    """PostgreSQL refuses such a question."""
    for path in ("/runs/a%00b", "/accounts/a%00b", "/backups/a%00b/members/c%00d"):
        assert scene.ada.ask("DELETE" if "accounts" in path else "GET", path).status_code == 404, path
    for path in ("/runs?name=a%00b", "/audit?actor=%00", "/backups?text=%00"):
        answer = scene.ada.get(path)
        assert (answer.status_code, answer.json()["title"]) == (422, "invalid request"), path
    assert scene.anybody.get("/runs?name=%00").status_code == 401


@pytest.mark.parametrize(
    "position",
    ['["\\ud800", 1]', '["a\\u0000", 1]', '["a", NaN]', '["a", Infinity]', '["a", 1e300]', "[1, 1]", "[" * 500],
)
def test_cursors_of_ones_own_make(position):
    """Whoever writes one is told as soon as it is read."""
    cursor = base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")
    with pytest.raises(Problem) as refused:
        position_of(cursor, str, (int, float))
    assert refused.value.status == 422
    good = base64.urlsafe_b64encode(json.dumps(["a", 1.5]).encode()).decode().rstrip("=")
    assert position_of(good, str, (int, float)) == ["a", 1.5]

"""The OpenAPI document against the server: whatever is asked, in the form that it says or in none, the answer is one that it says.

Each operation is asked as an admin, over a store that has something of all there is. Most of the requests name what is there.
"""

import json
import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from everything import everything
from serving import BASE, Scene, add_people
from waycairn.server.app import create_app
from waycairn.work.store import open_store

LEFT_OUT = {
    "GET /api/v1/events": "its answer has no end; test_runs_live.py listens to it",
    "HEAD /api/v1/backups/{backup}/archive": "no answer has a body; test_backup_downloads.py compares it with GET",
    "HEAD /api/v1/backups/{backup}/members/{name}": "the same",
}
SEED = int(os.environ.get("SEED", "20261130"))
EXAMPLES = int(os.environ.get("EXAMPLES", "400"))
"""Of each operation, in the long test."""


def operations():
    """All of the document, which test_openapi.py compares with the server. Acts come behind what only reads: what they do away
    with was there before."""
    document = json.loads((Path(__file__).parents[2] / "dashboard" / "openapi.json").read_text())
    found = [(method, path) for path, methods in document["paths"].items() for method in methods]
    found.sort(key=lambda one: (one[0] != "get", one[0] == "delete"))
    return [label for method, path in found if (label := f"{method.upper()} {path}") not in LEFT_OUT]


class Asker:
    def __init__(self, scene, place):
        import schemathesis.openapi
        from schemathesis.checks import not_a_server_error
        from schemathesis.specs.openapi import checks

        self.scene, self.real = scene, everything(scene, place)
        schema = schemathesis.openapi.from_dict(scene.app.openapi())
        found = [result.ok() for result in schema.get_all_operations()]
        self.operations = {operation.label: operation for operation in found}
        self.checks = [
            not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_headers_conformance,
            checks.response_schema_conformance,
        ]

    def cases(self, label):
        """Such as the document allows, and such as it does not."""
        from schemathesis import GenerationMode

        operation = self.operations[label]
        right, wrong = (
            operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        )

        @st.composite
        def cases(draw):
            case = draw(st.one_of(right, right, right, wrong))
            if draw(st.integers(0, 3)):
                self.point(case, draw)
            return case

        return cases()

    def ask(self, case):
        """Raises what does not hold of the answer."""
        sent = case.as_transport_kwargs(base_url=BASE)
        sent["headers"] = {**sent["headers"], **self.scene.ada.headers}
        sent["content"] = sent.pop("data", None)
        sent.pop("cookies", None)
        answer = self.scene.http.request(**{name: value for name, value in sent.items() if value is not None})
        self.scene.http.cookies.clear()
        case.validate_response(answer, checks=self.checks)
        return answer.status_code

    def point(self, case, draw):
        """Let it name what is there: in its path, its query, its body."""
        for name in case.path_parameters or {}:
            known = "account" if case.path.startswith("/api/v1/accounts") else name
            case.path_parameters[name] = draw(st.sampled_from(self.real[known]))
        for name in sorted({"to", "account", "name", "text"} & set(case.query or {})):
            case.query[name] = draw(st.sampled_from(self.real[name]))
        if isinstance(case.body, dict):
            self._point_body(case.body, draw)

    def _point_body(self, body, draw):
        for name, real in (("runs", "run"), ("again", "backup"), ("confirm", "label"), ("source", None)):
            if isinstance(body.get(name), dict):
                self._point_body(body[name], draw)
            elif isinstance(body.get(name), list):
                body[name] = draw(st.lists(st.sampled_from(self.real[real]), max_size=3))
            elif isinstance(body.get(name), str):
                body[name] = draw(st.sampled_from(self.real[real]))


@contextmanager
def served_from(address):
    """A scene whose client is answered with 500 as others are, instead of being told the error."""
    with open_store(address) as store:
        add_people(store)
        with TestClient(create_app(store), base_url=BASE, raise_server_exceptions=False) as http:
            yield Scene(store, http)


@pytest.fixture(scope="module")
def asker(tmp_path_factory):
    """Over a store of its own, which all operations share."""
    place = tmp_path_factory.mktemp("schema")
    with served_from(place / "store") as scene:
        yield Asker(scene, place)


@pytest.fixture(scope="module")
def asker_of_postgres(postgres_server, tmp_path_factory):
    with postgres_server.schema() as address, served_from(address) as scene:
        yield Asker(scene, tmp_path_factory.mktemp("schema"))


def asked(asker, label, examples, phases=(Phase.generate,)):
    @seed(SEED)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    @given(asker.cases(label))
    def ask(case):
        statuses.add(asker.ask(case))

    statuses = set()
    ask()
    return statuses


@pytest.mark.parametrize("label", operations())
def test_answers_are_as_the_document_says(asker, label):
    """A few of each operation, always the same."""
    statuses = asked(asker, label, 7)
    if label.startswith("GET"):
        assert statuses & {200, 206}, statuses


@pytest.mark.torture
@pytest.mark.parametrize("label", operations())
def test_many_answers_are_as_the_document_says(asker, label):
    """EXAMPLES of each operation, from SEED on; what fails is made small."""
    asked(asker, label, EXAMPLES, (Phase.generate, Phase.shrink))


@pytest.mark.torture
@pytest.mark.parametrize("label", operations())
def test_many_answers_over_postgres(asker_of_postgres, label):
    asked(asker_of_postgres, label, EXAMPLES, (Phase.generate, Phase.shrink))

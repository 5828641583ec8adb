"""Every operation called as our own document says it may be: no failure of the service, and every
answer is one the document describes.

Half of the calls are about things that are there, the others about whatever comes to mind. The
environment variable ``TOOLBOX_FAULTS_EXAMPLES`` tells how many calls of each operation are made.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import content_type_conformance
from schemathesis.specs.openapi.checks import response_headers_conformance
from schemathesis.specs.openapi.checks import response_schema_conformance

from toolbox.application.openapi import document
from toolbox.serving.bootstrap import load
from toolbox.testing import DEADLINE
from toolbox.testing import Service

EXAMPLES = int(os.environ.get("TOOLBOX_FAULTS_EXAMPLES", "10"))

CHECKS = [content_type_conformance, response_headers_conformance, response_schema_conformance]

LEFT_OUT = {
    "POST /init": "sets the token: the next call would be refused",
    "GET /x/ports/events": "an answer without an end",
    "POST /computeruse/start": "starts a desktop, which other tests do",
}
BOUNDED = {"timeout": 1, "seconds": 1, "delay": 1, "limit": 1}
"""What makes an answer wait or be large, and the most that is asked for."""

THERE = {
    "session_id": "there",
    "job_id": "there",
    "sandbox_id": "there",
    "sessionId": "there",
    "cwd": ".",
    "path": "there",
}


def operations() -> Iterator[str]:
    _, _, registry = load(os.devnull)
    for path, item in document([each.group for each in registry.served], {})["paths"].items():
        for method, operation in item.items():
            plain = "101" not in operation["responses"] or "200" in operation["responses"]
            if plain and method != "trace":
                yield f"{method.upper()} {path}"


@pytest.fixture(scope="module")
def schema(confined: Service) -> Any:
    return schemathesis.openapi.from_dict(confined.http.get("/openapi.json").json())


@pytest.fixture(scope="module")
def session(confined: Service) -> Iterator[requests.Session]:
    with requests.Session() as kept:
        kept.headers["Authorization"] = f"Bearer {confined.token}"
        yield kept


@pytest.fixture
def there(confined: Service) -> None:
    """A repository, a session, a terminal and a job, whatever was done to them before."""
    http = confined.http
    http.post("/process/session", json={"sessionId": "there"})
    http.post("/process/pty", json={"id": "there"})
    http.post("/x/jobs", json={"id": "there", "command": "echo there"})
    http.post("/git/init", json={"path": "there"})
    http.post("/files/upload-v2", params={"path": "there/file"}, content=b"there\n")


@pytest.mark.parametrize("name", [each for each in operations() if each not in LEFT_OUT])
def test_every_answer_is_one_the_document_describes(
    confined: Service, schema: Any, session: requests.Session, there: None, name: str
) -> None:
    # AC-91, AC-96
    method, path = name.split(" ", 1)
    operation = schema[path][method]
    documented = set(operation.definition.raw["responses"])

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), of_what_is_there=st.booleans())
    def call(case: Any, of_what_is_there: bool) -> None:
        for part in (case.path_parameters, case.query, case.body):
            if isinstance(part, dict):
                part.update({key: most for key, most in BOUNDED.items() if key in part})
                if of_what_is_there:
                    part.update({key: there for key, there in THERE.items() if key in part})
        response = case.call(base_url=confined.url, session=session, timeout=DEADLINE)
        if response.status_code >= 500:
            assert str(response.status_code) in documented, response.text
        case.validate_response(response, checks=CHECKS)

    call()
    assert "Traceback" not in confined.log()


def test_schemas_keep_their_names_when_a_module_moves() -> None:
    _, _, registry = load(os.devnull)
    described = document([each.group for each in registry.served], {})
    names = set(described["components"]["schemas"])
    assert {"toolbox_process.Message", "toolbox_server.Message"} < names
    assert not [name for name in names if not re.fullmatch(r"(toolbox_\w+\.)?\w+", name)]
    assert set(re.findall(r"#/components/schemas/([\w.]+)", json.dumps(described))) <= names

"""The description of the API: it is valid, it is what the server does, and requests made from it (schemathesis) never
lead to a mistake of ours. The long run is slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from api_server import KEY, SETTINGS, Running, running, small_model
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from glaswerk.serve.api.openapi import ROUTES, document

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
    ignored_auth,
]


@pytest.fixture(scope="module")
def quick() -> Iterator[Running]:
    """A server whose texts are short, so that a request of any length ends soon."""
    with running(small_model(context=96), SETTINGS) as found:
        yield found


def test_it_describes_every_route_of_the_application(quick: Running) -> None:
    with quick.http() as http:
        assert http.get("/openapi.json").json() == document()
    described = {(method.upper(), path) for method, path, *_ in ROUTES}
    known = quick.server.config.app.app.openapi()["paths"]  # as FastAPI itself would describe them
    there = {(method.upper(), path) for path, methods in known.items() for method in methods}
    pages = {("GET", path) for path in ("/", "/docs", "/favicon.ico", "/openapi.json", "/health/live", "/health/ready")}
    assert there == described | pages


def drive(quick: Running, examples: int) -> int:
    """So many requests for each route, made from the description; how many were computed (answered with 200)."""
    schema = schemathesis.openapi.from_dict(document())
    schema.config.update(base_url=quick.url)
    computed = 0

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def one(case: Any) -> None:
        nonlocal computed
        if isinstance(case.body, dict):  # else nearly all would end at the model's name
            case.body = {**case.body, "model": "small"}
        answer = case.call(headers={"authorization": f"Bearer {KEY}"}, timeout=60)
        case.validate_response(answer, checks=CHECKS, headers={"authorization": f"Bearer {KEY}"})
        computed += answer.status_code == 200

    for found in schema.get_all_operations():
        operation = found.ok()
        given(case=operation.as_strategy())(one)()
        if operation.method == "post":  # and what the description forbids
            given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))(one)()
    quick.until_quiet()
    return computed


def test_requests_made_from_it_find_no_mistake(quick: Running) -> None:
    assert drive(quick, 8) > 10


@pytest.mark.slow
def test_many_requests_made_from_it_find_no_mistake(quick: Running) -> None:
    assert drive(quick, 1000) > 1000

"""Requests that schemathesis makes up from the contracts: every root field of GraphQL and every operation of
REST, with sound and odd arguments.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from graphql import is_scalar_type, is_specified_scalar_type
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.graphql import nodes
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.rates import RateRules
from api.rest.activities import ACTIVITIES
from api.rest.contract import OPERATIONS
from api.rest.openapi import document
from api.schema import schema as served
from tests.api.house import House, running_house
from tests.api.rest import created, draft

EXAMPLES = 5
RULES = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OURS = {"INTERNAL", "TOO_SLOW"}  # without an engine, a preview is lawfully UNAVAILABLE


@pytest.fixture(scope="module")
def fuzzed(make_database: Callable[..., str], migrated_template: str) -> Iterator[House]:
    rates = RateRules(capacity=1_000_000_000, restored_per_s=1_000_000_000)
    with running_house(make_database(migrated_template), rates=rates) as running:
        yield running


def any_scalar() -> st.SearchStrategy[Any]:
    """Texts and numbers, of which some are values of one of our scalars."""
    near = ["0", "-1", "12.50", "9223372036854775808", "2026-03-01", "2026-03-01T00:00:00Z", "0" * 24, ""]
    texts = st.sampled_from(near) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    return texts.map(nodes.String) | st.integers().map(nodes.Int)


@pytest.mark.drill
def test_no_root_field_fails_whatever_it_is_given(fuzzed: House) -> None:
    """INT-09"""
    for type_ in served._schema.type_map.values():
        if is_scalar_type(type_) and not is_specified_scalar_type(type_):
            schemathesis.graphql.scalar(type_.name, any_scalar())
    headers = {"authorization": "Bearer operator"}
    schema = schemathesis.graphql.from_url(f"http://{fuzzed.url}/graphql", headers=headers)
    statuses = Counter[int]()

    def judge(case: schemathesis.Case) -> None:
        answer = case.call(headers=headers)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        for error in answer.json().get("errors", ()):
            assert error["extensions"]["code"] not in OURS, error
            assert error["extensions"]["requestId"] == answer.headers["x-request-id"][0]

    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 100
    for operation in operations:
        RULES(given(operation.as_strategy())(judge))()
    assert {200, 400} <= statuses.keys()
    assert statuses.total() >= 3 * len(operations)


@pytest.mark.drill
def test_rest_keeps_to_its_contract_whatever_it_is_given(fuzzed: House) -> None:
    """INT-01, INT-05: statuses, media types and bodies are those of the OpenAPI document."""
    schema = schemathesis.openapi.from_dict(document(OPERATIONS))
    sound, made = draft(fuzzed), created(fuzzed)
    statuses = Counter[int]()

    def judge(case: schemathesis.Case) -> None:
        number = statuses.total()
        if "id" in case.path_parameters and number % 2:
            case.path_parameters["id"] = made["id"]
        if case.method == "POST" and isinstance(case.body, dict) and case.path == ACTIVITIES and number % 3:
            odd = [name for name in case.body if name in sound][number % 5 :: 5]
            case.body = {**sound, **{name: case.body[name] for name in odd}}
        if re.fullmatch("[0-9a-f]{24}", str((case.query or {}).get("minPosition"))):
            case.query["minPosition"] = "0" * 24  # one that is not reached is waited for, and lawfully BEHIND
        headers = {"authorization": "Bearer operator"}
        answer = case.call(base_url=f"http://{fuzzed.url}", headers=headers)
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    for found in schema.get_all_operations():
        settings(RULES, max_examples=4 * EXAMPLES)(given(found.ok().as_strategy())(judge))()
    assert {200, 404, 422} <= statuses.keys(), statuses
    assert statuses.total() >= 60

"""GraphiQL: a browser that comes to look gets the page, whoever brings a query or a token gets an answer."""

import pytest
from starlette.requests import Request

from api.graphiql import MISSING, WAITING, is_visit
from tests.api.house import House

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


def test_a_browser_that_comes_to_look_gets_the_page(house: House) -> None:
    found = house.client.get("/graphql", headers={"accept": BROWSER})
    assert found.status_code == 200
    assert found.headers["content-type"].startswith("text/html")
    assert "GraphiQL" in found.text


def test_the_page_says_what_it_waits_for_and_what_is_missing_without_the_internet(house: House) -> None:
    shown = house.client.get("/graphql", headers={"accept": BROWSER}).text
    assert f">{WAITING}<" in shown
    assert shown.index(MISSING) < shown.index("https://unpkg.com/"), "it listens before anything is loaded"


def test_the_page_needs_no_token_but_its_questions_do(house: House) -> None:
    asked = house.client.post("/graphql", json={"query": "{ __typename }"}, headers={"accept": BROWSER})
    assert asked.status_code == 401


@pytest.mark.parametrize(
    ("method", "headers", "query"),
    [
        ("POST", {"accept": BROWSER}, b""),
        ("GET", {"accept": "application/json"}, b""),
        ("GET", {}, b""),
        ("GET", {"accept": BROWSER, "authorization": "Bearer x"}, b""),
        ("GET", {"accept": BROWSER}, b"query=%7Ba%7D"),
    ],
)
def test_a_client_is_no_visitor(method: str, headers: dict[str, str], query: bytes) -> None:
    scope = {
        "type": "http",
        "method": method,
        "path": "/graphql",
        "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    assert not is_visit(Request(scope))

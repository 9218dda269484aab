"""GraphiQL for a browser that comes to /graphql to look: in development alone.

The page is strawberry's; the browser loads its parts from a public host, each pinned by its hash. A token
goes into the headers pane as {"Authorization": "Bearer …"}.
"""

from starlette.requests import Request
from starlette.responses import HTMLResponse
from strawberry.http.ides import get_graphql_ide_html


def is_visit(request: Request) -> bool:
    """A person's browser, and no client: it asks for a page, and brings neither a query nor a token."""
    headers = request.headers
    return (
        request.method == "GET"
        and "text/html" in headers.get("accept", "")
        and "authorization" not in headers
        and "query" not in request.query_params
    )


def page() -> HTMLResponse:
    return HTMLResponse(get_graphql_ide_html("graphiql"))

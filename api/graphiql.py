"""GraphiQL for a browser that comes to /graphql to look: in development alone.

The page is strawberry's; the browser loads its parts from a public host, each pinned by its hash, and where
it can't reach that, the page says so. A token goes into the headers pane as {"Authorization": "Bearer …"}.
"""

from starlette.requests import Request
from starlette.responses import HTMLResponse
from strawberry.http.ides import get_graphql_ide_html

LOADING = "Loading..."
WAITING = "GraphiQL: loading its parts from unpkg.com … 正在从 unpkg.com 加载 GraphiQL …"
MISSING = (
    "GraphiQL's parts could not be loaded from unpkg.com: this browser needs the internet for them. "
    "Any other GraphQL client can be used with this address, such as curl (README.md). "
    "无法从 unpkg.com 加载 GraphiQL：此浏览器须能访问互联网；"
    "也可用其他 GraphQL 客户端（如 curl，见 README.md）访问本地址。"
)
TELLING = f"""<script>
  addEventListener("error", (event) => {{
    if (!event.target.src) return; // no part of the page, but what follows from its absence
    addEventListener("DOMContentLoaded", () => {{
      document.getElementById("graphiql").textContent = "{MISSING}";
    }});
  }}, true);
</script>
"""


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
    whole = get_graphql_ide_html("graphiql")
    return HTMLResponse(whole.replace(LOADING, WAITING, 1).replace("<head>", f"<head>{TELLING}", 1))

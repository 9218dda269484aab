"""What a GraphQL request over HTTP says: its body or query string, its media types, its document."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from starlette.requests import Request

from api.http_errors import Malformed
from api.persisted_documents import NO_DIGEST, digest_of

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
ACCEPTED_MAX = 20


@dataclass(frozen=True, slots=True)
class Media:
    """The media type of the answer, and the status of one to a malformed document."""

    type: str
    malformed_status: int


@lru_cache(maxsize=256)
def accepted(accept: str) -> Media:
    """A client that names application/json itself is of the old kind: it takes every answer with 200."""
    best: tuple[float, int] = (0.0, 0)
    found = Media(JSON, 400)
    for index, part in enumerate(accept.split(",")[:ACCEPTED_MAX]):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        try:
            quality = next((float(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        except ValueError:
            quality = 0.0
        if name in (JSON, GRAPHQL_JSON, "*/*", "application/*") and (quality, -index) > best:
            best = (quality, -index)
            found = Media(GRAPHQL_JSON if name == GRAPHQL_JSON else JSON, 200 if name == JSON else 400)
    return Media(f"{found.type}; charset=utf-8", found.malformed_status)


async def body_of(request: Request) -> dict[str, Any]:
    """The request's members, `query` among them unless it names a persisted document. Raise Malformed.

    Other pages' forms and scripts can't send application/json here without being asked first, so that what
    changes anything is never sent by them.
    """
    if request.method == "GET":
        return _queried(request)
    if request.method == "POST":
        return await _posted(request)
    raise Malformed(405, "METHOD_NOT_ALLOWED", allow="GET, POST")


def require_json(request: Request) -> None:
    """Raise Malformed for a body of another media type, or in another encoding than UTF-8."""
    content_type, *parameters = request.headers.get("content-type", "").lower().split(";")
    if content_type.strip() != JSON:
        raise Malformed(415, "UNSUPPORTED_MEDIA_TYPE")
    if any("charset" in p and p.split("=")[-1].strip(' "') not in ("utf-8", "utf8") for p in parameters):
        raise Malformed(415, "UNSUPPORTED_MEDIA_TYPE")


async def _posted(request: Request) -> dict[str, Any]:
    require_json(request)
    try:
        return well_formed(orjson.loads(await request.body()))
    except orjson.JSONDecodeError:
        raise Malformed(400, "BAD_REQUEST") from None


def _queried(request: Request) -> dict[str, Any]:
    parameters = request.query_params
    body: dict[str, Any] = {
        name: parameters.get(name) or None for name in ("query", "operationName", "documentId")
    }
    for name in ("variables", "extensions"):
        try:
            body[name] = orjson.loads(parameters[name]) if parameters.get(name) else None
        except orjson.JSONDecodeError:
            raise Malformed(400, "BAD_REQUEST") from None
    return well_formed(body)


def well_formed(body: object) -> dict[str, Any]:
    """A map with a document or the digest of one, and a name and maps where there are any. Batches are not
    taken.
    """
    if not isinstance(body, dict):
        raise Malformed(400, "BAD_REQUEST")
    if not all(isinstance(body.get(name), str | None) for name in ("query", "operationName", "documentId")):
        raise Malformed(400, "BAD_REQUEST")
    if not all(isinstance(body.get(name), dict | None) for name in ("variables", "extensions")):
        raise Malformed(400, "BAD_REQUEST")
    try:
        digest = digest_of(body)
    except ValueError:
        raise Malformed(400, "BAD_REQUEST") from None
    if digest is NO_DIGEST and not (body.get("query") or "").strip():
        raise Malformed(400, "BAD_REQUEST")
    return body

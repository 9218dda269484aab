"""All operations of REST, and the document that tells of them, which is committed as docs/openapi.json."""

import json
from functools import cache
from typing import Any

from pydantic import ConfigDict
from starlette.responses import Response

from api.graphql_app import NOT_KEPT
from api.rest import activities, catalogues
from api.rest.activities import READS
from api.rest.operations import JSON, Asked, Operation
from api.rest.values import Shown

CONTRACT = "/v1/openapi.json"


class Contract(Shown):
    """This document (OpenAPI 3.1)."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]


@cache
def _written() -> bytes:
    from api.rest.openapi import document  # which costs memory where nobody asks for it

    return json.dumps(document(OPERATIONS), ensure_ascii=False).encode()


async def _contract(_: Asked) -> Response:
    return Response(_written(), headers=dict(NOT_KEPT), media_type=JSON)


OPERATIONS = (
    *activities.OPERATIONS,
    *catalogues.OPERATIONS,
    Operation("getContract", "GET", CONTRACT, "This document.", _contract, Contract, READS),
)

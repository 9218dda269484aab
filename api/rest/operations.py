"""What an operation of REST is: one method on one path, what it takes, what it gives, and who answers it."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.commands import READ_OWN_WRITE_S, handled
from api.context import Context
from api.entity_tags import matches
from api.graphql_app import KEPT, NOT_KEPT
from api.planner.positions import Position, encode
from api.rates import FIELDS_A_POINT, MUTATION_POINTS, REQUEST_POINTS
from api.rest.problems import Problem, refusal
from api.services import Services
from application.access import Permission
from application.shared.handler import Request as Command
from application.shared.handler import UseCase
from application.shared.records import Receipt
from domain.shared.refusal import Refused

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of somebody who was let in; `body` and `query` are the models of its operation."""

    request: Request
    services: Services
    context: Context
    id: str = ""
    query: Any = None
    body: Any = None

    async def perform(
        self, operation: str, use_case: UseCase, expected_version: int | None = None
    ) -> Receipt:
        """Do the command, or give the receipt of the one with this key. Raise Problem or Forbidden."""
        # What was left out stays out: a member that is added one day changes no key's input.
        given = {"id": self.id, "body": self.body.model_dump(mode="json", by_alias=True, exclude_unset=True)}
        key = self.context.idempotency_key
        command = Command(self.context.principal, operation, given, key, expected_version)
        try:
            return await handled(self.context, command, use_case)
        except Refused as refused:
            raise refusal(refused.faults, given["body"]) from None

    async def recorded(self, receipt: Receipt, projection: str) -> Mapping[str, Any]:
        """What `asOf` has to say so that the thing is read as the command left it."""
        if not await self.context.progress.reached(receipt.position, (projection,), READ_OWN_WRITE_S):
            # It is recorded: whoever comes again with the same key gets the answer.
            raise Problem(503, "BEHIND", headers={"Retry-After": "1"})
        return {"position": encode(Position(*receipt.position))}

    async def read(self, document: str, variables: Mapping[str, Any]) -> Any:
        """The one root of the document; None where there is nothing that he sees. Raise Problem."""
        found = await self.context.reads.answer(
            {"query": document, "variables": variables}, self.context.viewer
        )
        if found is None:  # the documents are sound, and so are sizes: it is a cursor that is not
            raise Problem(400, "BAD_CURSOR")
        [root] = orjson.loads(found)["data"].values()
        return root

    async def shown(self, document: str) -> Response:
        """The thing of this id, unless the client has it already. Raise Problem."""
        body = {"query": document, "variables": {"id": self.id}}
        prepared = self.context.reads.prepared(body, self.context.viewer)
        assert prepared is not None, "any id may be asked for"
        context = self.context
        tag = await self.services.tags.tag(body, context.viewer, context.language, JSON, prepared)
        headers = {**KEPT, "ETag": tag} if tag else NOT_KEPT
        if tag and matches(tag, self.request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        [root] = orjson.loads(await context.reads.one(*prepared))["data"].values()
        return answer(root, headers=headers)


def answer(found: Any, status: int = 200, headers: Mapping[str, str] = NOT_KEPT) -> Response:
    """Raise Problem for nothing."""
    if found is None:
        raise Problem(404, "NOT_FOUND")
    return Response(orjson.dumps(found), status, dict(headers), JSON)


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` may have a segment {id}; `needs` are all permissions that it asks for. What has a body changes
    something, and takes an idempotency key.
    """

    id: str
    method: str
    path: str
    summary: str
    answers: Callable[[Asked], Awaitable[Response]]
    gives: type[BaseModel]
    needs: tuple[Permission, ...]
    status: int = 200
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None

    @property
    def lists(self) -> frozenset[str]:
        """The parameters that may be there several times."""
        fields = self.query.model_fields if self.query else {}
        return frozenset(f.alias or n for n, f in fields.items() if get_origin(f.annotation) is list)

    @property
    def is_one(self) -> bool:
        """Whether it shows one thing, which has an entity tag."""
        return self.body is None and "{id}" in self.path

    def id_in(self, path: str) -> str | None:
        """What stands for {id} in the path, "" where there is none; None for another path."""
        before, _, after = self.path.partition("{id}")
        if before == self.path:
            return "" if path == before else None
        id_ = path.removeprefix(before).removesuffix(after)
        return id_ if id_ and "/" not in id_ and path == f"{before}{id_}{after}" else None

    def points(self, query: Any) -> int:
        """What it costs, as a document of GraphQL that gives and does the same."""
        rows = getattr(query, "limit", 1)
        fields = rows * sum(1 for _ in fields_of(self.gives)) // FIELDS_A_POINT
        return REQUEST_POINTS + fields + (MUTATION_POINTS if self.body else 0)


def selection(model: type[BaseModel]) -> str:
    """The members of a model, as GraphQL selects them."""
    parts = []
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        parts.append(f"{field.alias or name} {{ {selection(inner)} }}" if inner else field.alias or name)
    return " ".join(parts)


def fields_of(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        if inner := _model_in(field.annotation):
            yield from fields_of(inner)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)

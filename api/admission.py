"""Before an operation is answered: may this principal run this document, and does his bucket pay for it?"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension

from api.context import Context
from api.http_errors import Malformed, sentence
from api.persisted_documents import PersistedDocuments
from api.planner.reads import Reads
from api.rates import RateLimited, Rates, price
from application.access import Permission, Principal

_SUGGESTION = re.compile(r" Did you mean [^?]*\?")


class Admission:
    """The gate of one process."""

    def __init__(self, reads: Reads, documents: PersistedDocuments, rates: Rates) -> None:
        self.reads, self.documents, self.rates = reads, documents, rates

    def admit(self, source: str, name: str | None, principal: Principal) -> Mapping[str, int]:
        """What `extensions.cost` tells of the operation. Raise Malformed or RateLimited."""
        self.rates.require_some(principal.user)
        document = self.reads.document(source)
        shown = self.rates.charge(principal.user, price(document, name))
        cost = document.cost(name)
        if cost is None and not document.errors:  # it must leave no doubt which operation is meant
            raise Malformed(400, "OPERATION_UNCLEAR")
        if cost is not None and cost.introspection_depth and not self.may_read_schema(principal):
            raise Malformed(403, "INTROSPECTION_FORBIDDEN")
        return shown

    async def require(self, body: dict[str, Any], context: Context) -> Mapping[str, int]:
        """The same for an operation that came by a socket, whose `query` it completes. Raise GraphQLError."""
        more = dict[str, object]()
        try:
            body["query"] = await self.documents.source(body, context.principal)
            return self.admit(body["query"], body.get("operationName"), context.principal)
        except Malformed as refused:
            code = refused.code
        except RateLimited as limited:
            code, more = "RATE_LIMITED", {"retryAfter": limited.retry_after_s, "cost": limited.shown}
        raise GraphQLError(sentence(code, context.language), extensions={"code": code, **more})

    def may_read_schema(self, principal: Principal) -> bool:
        """Who is held to registered documents has no use for the schema."""
        return Permission.SCHEMA_READ in principal.permissions and not self.documents.is_bound(principal)

    def shown(self, errors: Sequence[GraphQLError], principal: Principal) -> list[GraphQLError]:
        """The errors of a document; without suggestions for who may not read the schema."""
        return [*errors] if self.may_read_schema(principal) else [unsuggesting(error) for error in errors]


class Unsuggesting(SchemaExtension):
    """Hides suggestions from those who may not read the schema. Stands after SharedDocuments, whose errors it
    finds.
    """

    async def on_validate(self) -> AsyncIterator[None]:
        execution = self.execution_context
        context: Context = execution.context
        if errors := execution.pre_execution_errors:
            execution.pre_execution_errors = context.admission.shown(errors, context.principal)
        yield


def unsuggesting(error: GraphQLError) -> GraphQLError:
    """A copy, for the document that the error belongs to is shared."""
    return GraphQLError(
        _SUGGESTION.sub("", error.message), error.nodes, error.source, error.positions, error.path,
        error.original_error, error.extensions,
    )  # fmt: skip

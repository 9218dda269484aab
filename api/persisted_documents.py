"""Documents that clients name by their sha256 instead of sending them.

Front ends register theirs at deploy (`cardinal documents register`); they lie in PostgreSQL. Whoever may ask
for anything may also let this process remember a document, as automatic persisted queries do: it is sent once
with its digest, then the digest is enough. Roles that are held to registered documents find those only.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from api.http_errors import Malformed
from api.planner.reads import Kept
from application.access import Principal, Role

REGISTERED = "select coalesce((select source from documents.registered where digest = $1::text), '')"
KEPT_S = 60.0
KEPT_CHARACTERS = 5_000_000
NO_DIGEST = ""
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def digest_of(body: Mapping[str, Any]) -> str:
    """The sha256 in hex by which a request names its document, in `documentId` or as Apollo's clients write
    it; NO_DIGEST where it names none. Raise ValueError where what it names is no sha256.
    """
    named = body.get("documentId")
    if named is None:
        persisted = (body.get("extensions") or {}).get("persistedQuery")
        if persisted is None:
            return NO_DIGEST
        if not isinstance(persisted, dict) or persisted.get("version") != 1:
            raise ValueError("no version 1 of a persisted query")
        named = persisted.get("sha256Hash")
    found = _DIGEST.fullmatch(named.lower()) if isinstance(named, str) else None
    if found is None:
        raise ValueError("no sha256")
    return found[1]


def digest(source: str) -> str:
    """Of a document's UTF-8. Raise UnicodeEncodeError for lone surrogates."""
    return sha256(source.encode()).hexdigest()


class PersistedDocuments:
    """`one` gives the one text of a statement; members of `only` roles alone may run registered documents
    only. What was found registered is believed for 60 s.
    """

    def __init__(
        self,
        one: Callable[[str, Sequence[object]], Awaitable[bytes]],
        only: frozenset[Role] = frozenset(),
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._one, self._only, self._now_s = one, only, now_s
        self._registered: Kept[tuple[str, float]] = Kept(KEPT_CHARACTERS)
        self._remembered: Kept[str] = Kept(KEPT_CHARACTERS)

    def is_bound(self, principal: Principal) -> bool:
        """Whether none of his roles may run what is not registered."""
        return bool(self._only) and principal.roles <= self._only

    async def source(self, body: Mapping[str, Any], principal: Principal) -> str:
        """The document that a well-formed body means. Raise Malformed."""
        wanted, given, bound = digest_of(body), body.get("query") or "", self.is_bound(principal)
        if not given:
            found = await self._found(wanted) or ("" if bound else self._remembered.kept(wanted) or "")
            if not found:
                raise Malformed(400, "PERSISTED_QUERY_NOT_FOUND")
            return found
        if bound or wanted:
            own = digest(given)
            if wanted and own != wanted:
                raise Malformed(400, "DOCUMENT_HASH_MISMATCH")
            if bound and not await self._found(own):
                raise Malformed(403, "DOCUMENT_NOT_REGISTERED")
        return given

    def remember(self, body: Mapping[str, Any]) -> None:
        """Keep a valid document that came with its digest, for as long as there is room."""
        source = body.get("query")
        if source and (named := digest_of(body)):
            self._remembered.get(named, lambda: (source, len(source)))

    async def _found(self, wanted: str) -> str:
        """The registered document, '' where there is none."""
        source, until_s = self._registered.kept(wanted) or ("", 0.0)
        if self._now_s() < until_s:
            return source
        source = (await self._one(REGISTERED, [wanted])).decode()
        self._registered.drop(wanted)
        if source:
            until_s = self._now_s() + KEPT_S
            self._registered.get(wanted, lambda: ((source, until_s), len(source)))
        return source

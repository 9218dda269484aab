"""What a partner's program sends us by HTTP, signed by its RSA key: acknowledgements of points files.

POST /partners/points/acknowledgements/<name of the file> with the acknowledgement as body. Each message is
signed by rsa-pss-sha512 over @method, @target-uri and content-digest, with created (five minutes ago or
later), keyid and a nonce that never came before. Source: RFC 9421, RFC 9530.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog
from anyio import to_thread
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.http_errors import Malformed, error_response
from application.shared.gateways import DuplicateFile, FileNotTaken, GatewayError

PARTNERS_PATH = "/partners/points/acknowledgements"
AGE_MAX = timedelta(minutes=5)
COVERED = ("@method", "@target-uri", "content-digest")
_NONCE = re.compile(r"[!-~]{16,128}")

logger = structlog.get_logger("cardinal.partners")


class PartnerDesk(Protocol):
    """What stands behind: the keys, the nonces of all processes, and the way into the pipeline."""

    def key(self, key_id: str) -> RSAPublicKey | None: ...

    def take(self, key_id: str, nonce: str) -> bool:
        """Whether the nonce comes for the first time."""
        ...

    def receive(self, name: str, acknowledgement: bytes) -> None:
        """Raise ValueError for what is no name or nothing, GatewayError."""
        ...


@dataclass(frozen=True, slots=True)
class _Message:
    """As the verifier reads one."""

    method: str
    url: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class PartnerMessages:
    """The ASGI application behind the path. Without a desk there are no partners: 404."""

    desk: PartnerDesk | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            if self.desk is None:
                raise Malformed(404, "NOT_FOUND")
            if request.method != "POST":
                raise Malformed(405, "METHOD_NOT_ALLOWED", allow="POST")
            message = _Message(request.method, str(request.url), request.headers)
            name = request.url.path.removeprefix(PARTNERS_PATH).strip("/")
            await to_thread.run_sync(_received, self.desk, message, await request.body(), name)
            response = Response(status_code=202, headers={"Cache-Control": "no-store"})
        except Malformed as refused:
            response = error_response(scope, refused.status, refused.code, refused.headers)
        await response(scope, receive, send)


def _received(desk: PartnerDesk, message: _Message, body: bytes, name: str) -> None:
    """Nothing is looked at before the signature, and nothing done before the nonce is used up."""
    key_id, nonce = _signed_by(desk, message, body)
    if not desk.take(key_id, nonce):
        logger.warning("a partner's message came again", key_id=key_id)
        raise Malformed(409, "MESSAGE_REPLAYED")
    try:
        desk.receive(name, body)
    except ValueError:
        raise Malformed(400, "BAD_REQUEST") from None
    except FileNotTaken:
        raise Malformed(409, "FILE_NOT_TAKEN") from None
    except DuplicateFile:
        raise Malformed(409, "ANSWERED_OTHERWISE") from None
    except GatewayError as error:
        logger.error("an acknowledgement was not taken", name=name, why=str(error))
        raise Malformed(503, "UNAVAILABLE") from None
    logger.info("an acknowledgement came", name=name, key_id=key_id)


def _signed_by(desk: PartnerDesk, message: _Message, body: bytes) -> tuple[str, str]:
    """Key id and nonce of the one signature that covers all of it."""
    # Imported here: it takes 15 MB, which a house without partners keeps.
    from http_message_signatures import (
        HTTPMessageSignaturesException,
        HTTPMessageVerifier,
        HTTPSignatureKeyResolver,
        algorithms,
    )

    class Keys(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id: str) -> RSAPublicKey | None:
            return desk.key(key_id)

    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.RSA_PSS_SHA512, key_resolver=Keys())
    try:
        (found,) = verifier.verify(message, max_age=AGE_MAX, require_components=COVERED, body=body)
    except HTTPMessageSignaturesException as error:
        logger.warning("a partner's message was refused", why=str(error))
        raise Malformed(401, "SIGNATURE_REFUSED") from None
    key_id, nonce = found.parameters["keyid"], found.nonce
    if not isinstance(key_id, str) or nonce is None or not _NONCE.fullmatch(nonce):
        raise Malformed(401, "SIGNATURE_REFUSED")
    return key_id, nonce

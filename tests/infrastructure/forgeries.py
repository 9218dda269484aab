"""Tokens as attackers make them, each told by its attack, beside the one that is good. Source: RFC 8725."""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER, AUDIENCE = "https://issuer.example", "cardinal"
PRIVATE = rsa.generate_private_key(65537, 2048)
STRANGER = rsa.generate_private_key(65537, 2048)
KID = "bank-1"
PUBLIC: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key(), as_dict=True)


def claims(**changed: Any) -> dict[str, Any]:
    """Good ones; a changed one that is None is left out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "wang.li",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "roles": ["operator"],
        "org_unit": "SH",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def encoded(part: bytes | Mapping[str, Any]) -> str:
    given = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(given).rstrip(b"=").decode()


def header(**changed: Any) -> dict[str, Any]:
    return {"alg": "RS256", "kid": KID, "typ": "at+jwt", **changed}


def signed(
    head: bytes | Mapping[str, Any], body: bytes | Mapping[str, Any], key: rsa.RSAPrivateKey = PRIVATE
) -> str:
    """By RS256, also what no library would sign."""
    text = f"{encoded(head)}.{encoded(body)}"
    return f"{text}.{encoded(key.sign(text.encode(), padding.PKCS1v15(), SHA256()))}"


def good() -> str:
    return signed(header(), claims())


def by_public_key(secret: bytes) -> str:
    text = f"{encoded(header(alg='HS256'))}.{encoded(claims())}"
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def forgeries(elsewhere: str = "https://attacker.example/keys") -> Iterator[tuple[str, str]]:
    """Attack and token. Whoever fetches keys as a header says asks `elsewhere`."""
    yield from _signatures()
    yield from _keys(elsewhere)
    yield from _claims()
    yield from _forms()


def _signatures() -> Iterator[tuple[str, str]]:
    public = PRIVATE.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield "the public key's PEM as an HMAC secret", by_public_key(pem)
    yield "the same without its last line feed", by_public_key(pem.strip())
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield "the public key's DER as an HMAC secret", by_public_key(der)
    yield "the published key as an HMAC secret", by_public_key(json.dumps(PUBLIC).encode())
    yield "an empty HMAC secret", by_public_key(b"")
    for name in ("none", "None", "NONE", "nOnE", "", None):
        yield f"unsigned, alg {name}", f"{encoded(header(alg=name))}.{encoded(claims())}."
    head, body, signature = good().split(".")
    yield "signature stripped", f"{head}.{body}."
    yield "signature of another token", f"{head}.{encoded(claims(sub='admin'))}.{signature}"
    for name in ("HS256", "PS256", "RS512", "ES256", "EdDSA", "none", 5, ["RS256"], {"RS256": 1}):
        yield f"signed well, alg {name}", signed(header(alg=name), claims())


def _keys(elsewhere: str) -> Iterator[tuple[str, str]]:
    for kid in ("../../dev/null", "/etc/passwd", "' union select 'x' --", "bank-1\0", "", None, 1, [KID]):
        yield f"kid {kid!r}", signed(header(kid=kid), claims(), STRANGER)
    yield "no kid", signed({"alg": "RS256", "typ": "at+jwt"}, claims(), STRANGER)
    own: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)
    for kid in (KID, "mine"):
        brought = {"jwk": {**own, "kid": kid}, "jku": elsewhere, "x5u": elsewhere, "x5c": ["MIIB"]}
        for name, value in brought.items():
            head = header(kid=kid, **{name: value})
            yield f"{name} of the attacker, kid {kid}", signed(head, claims(), STRANGER)
    other = ec.generate_private_key(ec.SECP256K1()).public_key()
    curve = jwt.algorithms.ECAlgorithm.to_jwk(other, as_dict=True)
    yield "an embedded key of another curve", signed(header(alg="ES256", jwk=curve), claims())
    off = {"kty": "EC", "crv": "P-256", "x": encoded(b"\1" * 32), "y": encoded(b"\1" * 32)}
    yield "an embedded point off the curve", signed(header(alg="ECDH-ES", jwk=off, epk=off), claims())
    for critical in (["exp"], ["b64"], [], "exp", ["unknown"], None):
        yield f"crit {critical}", signed(header(crit=critical), claims())
    yield "a detached payload", signed(header(b64=False, crit=["b64"]), b"")


def _claims() -> Iterator[tuple[str, str]]:
    """What is over is none of these: that is told apart, for who had it may have it renewed."""
    later = int(time.time()) + 40 * 24 * 3600
    wrong: dict[str, tuple[Any, ...]] = {
        "exp": (None, later, 10**300, "4102444800", [], float("inf"), float("nan")),
        "nbf": (None, later, "now", [], float("inf")),
        "iat": (None, later, "now", [], float("inf")),
        "aud": (None, "another", ["another"], [], "", "cardinal ", "CARDINAL", {"cardinal": 1}, 1),
        "iss": (None, "https://other.example", ISSUER + "/", ISSUER.upper(), [ISSUER], "", 1),
        "sub": (None, "", 5, ["wang.li"], "system:scheduler", "a" * 256, "li\nadmin"),
    }
    for name, values in wrong.items():
        for value in values:
            yield f"{name} {value!r}"[:60], signed(header(), claims(**{name: value}))
    for sign in ({"at_hash": "x"}, {"c_hash": "x"}, {"typ": "ID"}, {"token_use": "id"}, {"events": {}}):
        yield f"an id or logout token by {sign}", signed(header(), claims(**sign))


def _forms() -> Iterator[tuple[str, str]]:
    for typ in ("JWT", "", None, "id+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", ["at+jwt"], 1):
        yield f"typ {typ!r}", signed(header(typ=typ), claims())
    yield "no typ", signed({"alg": "RS256", "kid": KID}, claims())
    head, body = json.dumps(header()), json.dumps(claims())
    yield "a claim twice", signed(header(), with_first(body, '"roles": ["auditor"]'))
    yield "a claim twice below", signed(header(), with_first(body, '"a": {"b": 1, "b": 2}'))
    yield "a header twice", signed(with_first(head, '"kid": "other"'), claims())
    yield "a header twice, escaped", signed(with_first(head, '"\\u0061lg": "none"'), claims())
    yield "oversized", signed(header(), claims(padding="x" * 8_192))
    yield "oversized header", signed(header(padding="x" * 8_192), claims())
    yield "deep", signed(header(), b'{"a":' + b"[" * 4_000)
    yield "no object", signed(header(), b"[1]")
    yield "broken text", signed(header(), b'{"sub": "\xff"}')
    parts = [
        encoded({"alg": "dir", "enc": "A128GCM", "kid": KID}),
        "",
        *(encoded(b"x" * n) for n in (12, 8, 16)),
    ]
    yield "encrypted", ".".join(parts)
    yield "padded", good() + "=="
    yield "four parts", good() + ".x"
    yield "rubbish", "rubbish"


def with_first(document: str, member: str) -> bytes:
    """The JSON object with another member before its own."""
    return document.replace("{", f"{{{member}, ", 1).encode()

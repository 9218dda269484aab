"""Tokens: who is let in, as whom, and everything that is not let in."""

import base64
import json
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from application.access import Principal, Role
from application.authentication import TokenCode, TokenRefused
from infrastructure.token_forms import TOKEN_BYTES_MAX
from infrastructure.token_keys import DevelopmentKey, KeysUnavailable, TrustedKeys
from infrastructure.tokens import LEEWAY_S, SAMPLE_USERS, TokenRules, Verifier, issue
from tests.infrastructure.key_server import KeyServer

ROOT = Path(__file__).parents[2]
UNITS = frozenset({"HO", "SH", "SZ"})
RULES = TokenRules("the-bank", "cardinal", UNITS)


@pytest.fixture
def key(tmp_path: Path) -> DevelopmentKey:
    return DevelopmentKey.of(tmp_path)


@pytest.fixture
def verifier(key: DevelopmentKey) -> Verifier:
    return Verifier(TrustedKeys({key.kid: key.public}), RULES)


@pytest.fixture
def claims() -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": "the-bank",
        "aud": "cardinal",
        "sub": "wang.li",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "roles": ["operator"],
        "org_unit": "SH",
    }


def refused(verifier: Verifier, token: str | None) -> TokenCode:
    with pytest.raises(TokenRefused) as refusal:
        verifier.verify(token)
    return refusal.value.code


def signed(key: DevelopmentKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Also what the library refuses to sign."""
    private: Any = key._private
    text = f"{encoded({'alg': 'EdDSA', 'kid': key.kid, **header})}.{encoded(claims)}"
    return f"{text}.{base64.urlsafe_b64encode(private.sign(text.encode())).rstrip(b'=').decode()}"


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


# --- Who is let in, and as whom ---------------------------------------------


@pytest.mark.parametrize("user", SAMPLE_USERS.values(), ids=lambda user: user.name)
def test_a_sample_users_token_tells_roles_and_units(
    verifier: Verifier, key: DevelopmentKey, user: Any
) -> None:
    principal = verifier.verify(issue(key, RULES, user.name, user.roles, user.org_unit))
    sees = UNITS if user.org_unit == "HO" else frozenset({user.org_unit})
    assert principal == Principal(user.name, frozenset(user.roles), user.org_unit, sees)
    assert principal.on_behalf_of is None


def test_a_principal_knows_when_his_token_runs_out(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    """SEC-03: a socket that was opened with it ends then, as HTTP would refuse it then."""
    principal = verifier.verify(signed(key, {}, claims))
    assert principal.expires_at_s == claims["exp"] + LEEWAY_S


def test_roles_that_nobody_knows_are_ignored(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    claims["roles"] = ["operator", "root", 7, None, {"role": "auditor"}]
    assert verifier.verify(key.sign(claims)).roles == {Role.OPERATOR}


@pytest.mark.parametrize("unit", ["XX", "", None, 5, ["HO"], "ho"])
def test_who_belongs_to_no_known_unit_sees_nothing_and_may_do_nothing(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any], unit: object
) -> None:
    principal = verifier.verify(key.sign({**claims, "org_unit": unit}))
    assert principal == Principal("wang.li", frozenset(), "", frozenset())
    assert not principal.permissions


def test_claims_may_lie_at_a_path_or_under_a_name_with_dots(
    key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    rules = TokenRules("the-bank", "cardinal", UNITS, "realm_access.roles", "https://bank.example/unit")
    verifier = Verifier(TrustedKeys({key.kid: key.public}), rules)
    told = {**claims, "realm_access": {"roles": ["auditor"]}, "https://bank.example/unit": "SZ"}
    principal = verifier.verify(key.sign(told))
    assert (principal.roles, principal.org_unit) == ({Role.AUDITOR}, "SZ")


def test_one_of_several_audiences_is_enough(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    assert verifier.verify(key.sign({**claims, "aud": ["other", "cardinal"]})).user == "wang.li"


def test_clocks_may_differ_by_half_a_minute(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    now = int(time.time())
    assert verifier.verify(key.sign({**claims, "exp": now - 10})).user == "wang.li"
    assert verifier.verify(key.sign({**claims, "iat": now + 10, "nbf": now + 10})).user == "wang.li"


def test_a_missing_nbf_is_let_pass_only_where_that_is_set(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    del claims["nbf"]
    lenient = Verifier(
        TrustedKeys({key.kid: key.public}), TokenRules("the-bank", "cardinal", UNITS, nbf_required=False)
    )
    assert refused(verifier, key.sign(claims)) == TokenCode.TOKEN_UNTRUSTED
    assert lenient.verify(key.sign(claims)).user == "wang.li"


# --- What is not let in -----------------------------------------------------

NOW = 1_000_000_000_000  # stands for "seconds from now" in the table below


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"exp": NOW - 40}, TokenCode.TOKEN_EXPIRED),
        ({"exp": NOW + 25 * 3600}, TokenCode.TOKEN_UNTRUSTED),
        ({"nbf": NOW + 40}, TokenCode.TOKEN_UNTRUSTED),
        ({"iat": NOW + 40}, TokenCode.TOKEN_UNTRUSTED),
        ({"aud": "another"}, TokenCode.TOKEN_UNTRUSTED),
        ({"aud": ["another", "third"]}, TokenCode.TOKEN_UNTRUSTED),
        ({"aud": {"cardinal": 1}}, TokenCode.TOKEN_UNTRUSTED),
        ({"iss": "another-bank"}, TokenCode.TOKEN_UNTRUSTED),
        ({"iss": ["the-bank"]}, TokenCode.TOKEN_UNTRUSTED),
        ({"exp": "4102444800"}, TokenCode.TOKEN_UNTRUSTED),
        ({"exp": True}, TokenCode.TOKEN_EXPIRED),
        ({"exp": [4102444800]}, TokenCode.TOKEN_UNTRUSTED),
        ({"exp": float("inf")}, TokenCode.TOKEN_UNTRUSTED),
        ({"iat": "yesterday"}, TokenCode.TOKEN_UNTRUSTED),
        ({"sub": ""}, TokenCode.TOKEN_UNTRUSTED),
        ({"sub": 5}, TokenCode.TOKEN_UNTRUSTED),
        ({"sub": "a" * 256}, TokenCode.TOKEN_UNTRUSTED),
        ({"sub": "li\nactor=admin"}, TokenCode.TOKEN_UNTRUSTED),
        ({"sub": "system:scheduler"}, TokenCode.TOKEN_UNTRUSTED),
        *(({name: None}, TokenCode.TOKEN_UNTRUSTED) for name in ("sub", "exp", "iat", "nbf", "aud", "iss")),
    ],
)
def test_claims_that_are_wrong_or_missing_are_refused(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any], changed: dict[str, Any], code: TokenCode
) -> None:
    now = int(time.time())
    for name, value in changed.items():
        is_time = isinstance(value, int) and not isinstance(value, bool) and value > NOW // 2
        claims[name] = now + value - NOW if is_time else value
        if value is None:
            del claims[name]
    assert refused(verifier, signed(key, {}, claims)) == code


def test_no_token_is_missing_and_rubbish_is_malformed(verifier: Verifier) -> None:
    assert refused(verifier, None) == TokenCode.TOKEN_MISSING
    assert refused(verifier, "") == TokenCode.TOKEN_MISSING
    deep = base64.urlsafe_b64encode(b"[" * 3000).rstrip(b"=").decode()
    for rubbish in (
        "x",
        "a.b.c",
        "..",
        "é.é.é",
        f"{deep}.{deep}.x",
        "e30.e30.e30",
        "W10.W10.",
        "bnVsbA.e30.e30",
    ):
        assert refused(verifier, rubbish) in (TokenCode.TOKEN_UNTRUSTED, TokenCode.TOKEN_UNTRUSTED), rubbish


def test_a_token_over_eight_kibibytes_is_malformed(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    token = key.sign({**claims, "padding": "x" * TOKEN_BYTES_MAX})
    assert refused(verifier, token) == TokenCode.TOKEN_UNTRUSTED


def test_a_changed_token_is_untrusted(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    header, _, signature = key.sign(claims).split(".")
    forged = f"{header}.{encoded({**claims, 'roles': ['administrator']})}.{signature}"
    assert refused(verifier, forged) == TokenCode.TOKEN_UNTRUSTED


def test_a_key_that_nobody_knows_is_untrusted(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    stranger = Ed25519PrivateKey.generate()
    assert refused(verifier, jwt.encode(claims, stranger, "EdDSA")) == TokenCode.TOKEN_UNTRUSTED
    for kid in ("unknown", key.kid, "../../etc/passwd", "' or 1=1 --"):
        token = jwt.encode(claims, stranger, "EdDSA", headers={"kid": kid})
        assert refused(verifier, token) == TokenCode.TOKEN_UNTRUSTED


def test_the_algorithm_is_the_keys_own_whatever_the_token_says(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    public: Any = key.public.key
    known = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    by_public_key = jwt.encode(claims, known, "HS256", headers={"kid": key.kid})
    unsigned = f"{encoded({'alg': 'none', 'kid': key.kid})}.{encoded(claims)}."
    header, payload, signature = key.sign(claims).split(".")
    for algorithm in ("HS256", "RS256", "ES256", "none", "", None, 5, ["EdDSA"]):
        relabelled = f"{encoded({'alg': algorithm, 'kid': key.kid})}.{payload}.{signature}"
        assert refused(verifier, relabelled) in (TokenCode.TOKEN_UNTRUSTED, TokenCode.TOKEN_UNTRUSTED), (
            algorithm
        )
    assert refused(verifier, by_public_key) == TokenCode.TOKEN_UNTRUSTED
    assert refused(verifier, unsigned) == TokenCode.TOKEN_UNTRUSTED
    assert header


def test_a_key_that_comes_with_the_token_is_never_used(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    stranger = Ed25519PrivateKey.generate()
    own = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(stranger.public_key()))
    with KeyServer({"keys": [{**own, "kid": "mine"}]}) as published:
        headers = {"jku": published.url, "x5u": published.url, "jwk": own, "x5c": ["MIIB"]}
        for kid in ("mine", key.kid):
            token = jwt.encode(claims, stranger, "EdDSA", headers={**headers, "kid": kid})
            assert refused(verifier, token) == TokenCode.TOKEN_UNTRUSTED
        assert published.asked == 0


@pytest.mark.parametrize("critical", [["exp"], ["b64"], [], "exp", ["unknown"]])
def test_critical_extensions_are_refused(
    verifier: Verifier, key: DevelopmentKey, claims: dict[str, Any], critical: object
) -> None:
    token = signed(key, {"crit": critical, "b64": True}, claims)
    assert refused(verifier, token) == TokenCode.TOKEN_UNTRUSTED


# --- What is remembered -----------------------------------------------------


def test_a_verified_token_is_believed_for_five_seconds_and_no_longer(
    key: DevelopmentKey, claims: dict[str, Any]
) -> None:
    clock, keys = [time.time()], TrustedKeys({key.kid: key.public})
    verifier = Verifier(keys, RULES, now=lambda: clock[0])
    token = key.sign(claims)
    verifier.verify(token)
    keys._own.clear()
    clock[0] += 4.9
    assert verifier.verify(token).user == "wang.li"
    clock[0] += 0.2
    assert refused(verifier, token) == TokenCode.TOKEN_UNTRUSTED


def test_a_remembered_token_expires_on_time(key: DevelopmentKey, claims: dict[str, Any]) -> None:
    clock = [time.time()]
    verifier = Verifier(TrustedKeys({key.kid: key.public}), RULES, now=lambda: clock[0])
    token = key.sign({**claims, "exp": int(clock[0]) - 29})
    verifier.verify(token)
    clock[0] += 2
    verifier._keys._own.clear()  # whoever is still believed is believed from memory
    assert refused(verifier, token) == TokenCode.TOKEN_UNTRUSTED


# --- The development key ----------------------------------------------------


def test_the_development_key_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    first = DevelopmentKey.of(tmp_path / "home")
    path = tmp_path / "home" / "development_key.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert DevelopmentKey.of(tmp_path / "home").kid == first.kid
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_processes_that_come_at_once_get_the_same_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from infrastructure.token_keys import DevelopmentKey\n"
        "print('here', flush=True); sys.stdin.readline(); print(DevelopmentKey.of(Path(sys.argv[1])).kid)"
    )
    for attempt in range(3):
        home = tmp_path / str(attempt)
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, home],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(6)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n"
        kids = {process.communicate("\n", timeout=60)[0] for process in processes}
        assert len(kids) == 1
        assert kids != {""}


def test_a_key_that_others_could_read_or_that_is_damaged_is_refused(tmp_path: Path) -> None:
    DevelopmentKey.of(tmp_path)
    path = tmp_path / "development_key.pem"
    path.chmod(0o640)
    with pytest.raises(KeysUnavailable, match="chmod 600"):
        DevelopmentKey.of(tmp_path)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(KeysUnavailable, match="damaged"):
        DevelopmentKey.of(tmp_path)


def test_a_token_lives_as_long_as_it_was_issued_for(verifier: Verifier, key: DevelopmentKey) -> None:
    token = issue(key, RULES, "operator", [Role.OPERATOR], "HO", timedelta(seconds=-60))
    assert refused(verifier, token) == TokenCode.TOKEN_EXPIRED

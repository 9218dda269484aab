"""Passwords: hashed by argon2id, and judged before they are taken."""

import secrets
import threading
from collections.abc import Iterable
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from application.accounts import PasswordFault

CHARACTERS_MIN = 12
CHARACTERS_MAX = 128
# Beyond this many the estimate takes long, and what comes before is what is guessed.
JUDGED_CHARACTERS = 64
SCORE_MIN = 3
EARLIER_MAX = 5
# Each takes 19 MiB and a core: more at once would be a way to exhaust the machine.
_AT_ONCE = threading.BoundedSemaphore(4)
# OWASP Password Storage Cheat Sheet, argon2id.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def hashed(password: str) -> str:
    with _AT_ONCE:
        return _HASHER.hash(password)


@cache
def _nobodys() -> str:
    return hashed(secrets.token_urlsafe(24))


def matches(password: str, hash_: str | None) -> bool:
    """Whether the hash is the password's; without a hash it takes the same time."""
    judged = _nobodys() if hash_ is None else hash_
    with _AT_ONCE:
        try:
            return _HASHER.verify(judged, password) and hash_ is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(hash_: str) -> bool:
    """Whether it was made with other parameters than those of today."""
    return _HASHER.check_needs_rehash(hash_)


def faults(password: str, names: Iterable[str], earlier: Iterable[str]) -> tuple[PasswordFault, ...]:
    """Why the password is not taken: too short, easily guessed, near the person's names, or had before."""
    if len(password) < CHARACTERS_MIN:
        return (PasswordFault.TOO_SHORT,)
    if len(password) > CHARACTERS_MAX:
        return (PasswordFault.TOO_LONG,)
    from zxcvbn import zxcvbn  # here: its lists of words take 12 MB, and few passwords are judged

    known = [name for name in names if name]
    if any(len(name) > 3 and name.lower() in password.lower() for name in known):
        return (PasswordFault.SAME_AS_NAME,)
    if zxcvbn(password[:JUDGED_CHARACTERS], user_inputs=known)["score"] < SCORE_MIN:
        return (PasswordFault.TOO_WEAK,)
    if any(matches(password, each) for each in earlier):
        return (PasswordFault.USED_BEFORE,)
    return ()


def random_password() -> str:
    """Twenty characters that are told apart at a glance, in groups: about 98 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))

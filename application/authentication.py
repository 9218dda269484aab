"""Why a caller's token was not accepted: a closed list of codes, and no further detail for strangers."""

from enum import StrEnum


class TokenCode(StrEnum):
    """What the caller can do about it differs: get a token, or a new one; whatever is wrong with one that
    nobody issued for us is TOKEN_UNTRUSTED, so that a forger learns nothing.
    """

    TOKEN_MISSING = "TOKEN_MISSING"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_UNTRUSTED = "TOKEN_UNTRUSTED"
    TOKEN_REVOKED = "TOKEN_REVOKED"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    NOT_DELEGATED = "NOT_DELEGATED"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    UNAVAILABLE = "UNAVAILABLE"


class TokenRefused(Exception):
    """A token was not accepted. The text is for our log; the code is all that the caller learns."""

    def __init__(self, code: TokenCode, why: str = "") -> None:
        super().__init__(f"{code}: {why}" if why else str(code))
        self.code = code

"""What the points pipeline asks of the way to the external points system, whatever that system is."""

from pathlib import Path
from typing import Protocol

FILE_BYTES_MAX = 2 * 1024**3
ACKNOWLEDGEMENT_BYTES_MAX = 2 * 1024**3
NAME_CHARS_MAX = 100


class GatewayError(Exception):
    """Base of what a gateway raises: `code` is stable, the text tells an operator what to do."""

    code = "GATEWAY_ERROR"


class DuplicateFile(GatewayError):
    """The name is taken by other content, or this content was handed over under another name."""

    code = "DUPLICATE_FILE"


class GatewayUnavailable(GatewayError):
    """The other side can't be reached now: nothing was handed over; the same call is right again later."""

    code = "GATEWAY_UNAVAILABLE"


class GatewayFull(GatewayError):
    """No room on the way (disk, quota, limit of files): nothing was handed over; try again later."""

    code = "GATEWAY_FULL"


class AcknowledgementInvalid(GatewayError):
    """An acknowledgement came that isn't what its sender said: wrong size or checksum, or too large."""

    code = "ACKNOWLEDGEMENT_INVALID"


class FileNotTaken(GatewayError):
    """An acknowledgement of a file that was not handed over under this name, or waits to be taken."""

    code = "FILE_NOT_TAKEN"


class PointsGateway(Protocol):
    """Hands points files over and fetches acknowledgements. Each call may be repeated at any time.

    A name is 1 to 100 characters of `A-Z a-z 0-9 . _ -`, begins with a letter or digit and holds no `..`;
    anything else is a ValueError. `sha256` is 64 lower-case hex digits, of the file's bytes.
    """

    def deliver(self, file: Path, name: str, sha256: str, sending: int = 1) -> None:
        """Hand the file over whole or not at all; done already with the same name and bytes: do nothing more.

        `sending` counts from 1: a later one hands over anew what the other side has taken and not answered
        soundly; what it answered before is put away.

        A file whose bytes are not those of `sha256`, that is empty or over 2 GiB is a ValueError; nothing
        of it is seen by the other side. Raises DuplicateFile, GatewayUnavailable, GatewayFull.
        """
        ...

    def acknowledgement(self, name: str) -> bytes | None:
        """The bytes of the acknowledgement of the file `name`; None while there is none.

        The answer for a name never changes. Raises AcknowledgementInvalid, GatewayUnavailable.
        """
        ...

    def receive(self, name: str, acknowledgement: bytes) -> None:
        """Take the acknowledgement of `name` that came by another way; repeated with the same bytes: done.

        Nothing in it is a ValueError. Raises FileNotTaken, DuplicateFile where another one came before,
        GatewayUnavailable, GatewayFull.
        """
        ...

    def withdraw(self, name: str) -> bool:
        """Take a file back: True when the other side never gets it, on repeat too; False when it is too late,
        or was in an earlier sending.

        A withdrawn name can't be delivered again (DuplicateFile). Raises GatewayUnavailable.
        """
        ...

"""While everything runs: brings the database back when it is gone, and tells when all of it is ready."""

import json
import ssl
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from api.terminal import say

KEEP_EVERY_S = 2.0
ASK_TIMEOUT_S = 1.0
TELL_AFTER_S = 30.0


class Watch:
    """`keep` mends the database; `announce` is called once, when all is ready."""

    def __init__(self, url: str, keep: Callable[[], object], announce: Callable[[], None]) -> None:
        self._address = urlsplit(url)
        self._keep, self._announce = keep, announce
        self._keep_due_s = time.monotonic() + KEEP_EVERY_S
        self._tell_due_s = time.monotonic() + TELL_AFTER_S
        self._was_ready = False

    def __call__(self, all_started: bool) -> bool:
        """Look once, for a second at most; whether everything has been ready.

        `all_started` says whether all processes are at their work.
        """
        now_s = time.monotonic()
        if now_s >= self._keep_due_s:
            self._keep()
            self._keep_due_s = time.monotonic() + KEEP_EVERY_S
        if not self._was_ready:
            self._look(now_s, all_started)
        return self._was_ready

    def _look(self, now_s: float, all_started: bool) -> None:
        faults = self._faults() if all_started else ["a process has not come to its work"]
        if not faults:
            self._was_ready = True
            self._announce()
        elif now_s >= self._tell_due_s:
            say(f"cardinal: not ready yet: {'; '.join(faults)}")
            self._tell_due_s = now_s + TELL_AFTER_S

    def _connection(self, host: str) -> HTTPConnection:
        if self._address.scheme == "http":
            return HTTPConnection(host, self._address.port, timeout=ASK_TIMEOUT_S)
        # It is our own child that is asked, by an address that its certificate need not name.
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        return HTTPSConnection(host, self._address.port, timeout=ASK_TIMEOUT_S, context=unverified)

    def _faults(self) -> list[str]:
        """What /readyz says is not ready."""
        assert self._address.hostname is not None
        connection = self._connection(self._address.hostname)
        try:
            connection.request("GET", "/readyz")
            parts = json.loads(connection.getresponse().read())["parts"]
        except (OSError, HTTPException, ValueError):
            return ["the API does not answer"]
        finally:
            connection.close()
        return [f"{part['name']}: {part['fault']}" for part in parts if not part["ready"]]

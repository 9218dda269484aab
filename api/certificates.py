"""The API's certificate: TLS 1.2 or newer, and renewed without a restart."""

import ssl
import threading
from pathlib import Path

import structlog

from api.terminal import CommandFailed

LOOK_EVERY_S = 5.0
# Of TLS 1.2 only suites with forward secrecy and authenticated encryption; those of 1.3 all are so.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

logger = structlog.get_logger("cardinal.tls")


class Certificate:
    """Certificate and key in files; handshakes that come after a change are by the new ones."""

    def __init__(self, certificate: Path, key: Path, look_every_s: float = LOOK_EVERY_S) -> None:
        """Raise CommandFailed when the files can't be used."""
        self._files, self._look_every_s = (certificate, key), look_every_s
        self._stopped = threading.Event()
        self._seen = self._state()
        try:
            self.context = self._read()
        except OSError as error:
            raise CommandFailed(
                f"The certificate {certificate} with the key {key} can't be used: {error.strerror or error}.",
                "Set CARDINAL_TLS_CERTIFICATE and CARDINAL_TLS_KEY to PEM files that belong together.",
            ) from error
        threading.Thread(target=self._follow, name="certificate", daemon=True).start()

    def close(self) -> None:
        self._stopped.set()

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_ciphers(CIPHERS)
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(*self._files)
        return context

    def _state(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._files]

    def _follow(self) -> None:
        while not self._stopped.wait(self._look_every_s):
            seen = self._state()
            if seen == self._seen or None in seen:
                continue
            try:
                self._read()  # files that don't belong together (yet) would spoil the context in use
                self.context.load_cert_chain(*self._files)
            except OSError as error:
                logger.warning("the new certificate can't be used; the old one stays", reason=str(error))
            else:
                logger.info("the certificate was renewed")
            self._seen = seen


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

"""A real HTTP server that publishes keys, and misbehaves when told to."""

import json
import ssl
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.certificates import Files


class KeyServer:
    """Serves as long as the block runs; what it answers can be changed, and `asked` counts the requests."""

    def __init__(self, document: Any, tls: Files | None = None) -> None:
        self.document, self.status, self.asked = document, 200, 0
        self.redirect, self.raw, self.drip = "", b"", False
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.asked += 1
                served.answer(self)

            def log_message(self, *_: Any) -> None:
                """Tests say enough."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/keys"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.raw:
            request.wfile.write(self.raw)
            return
        request.send_response(302 if self.redirect else self.status)
        if self.redirect:
            request.send_header("Location", self.redirect)
        request.end_headers()
        body = json.dumps(self.document).encode()
        with suppress(OSError):
            for part in [bytes([byte]) for byte in body] if self.drip else [body]:
                request.wfile.write(part)
                if self.drip:
                    time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

"""The socket that the API listens on, made before anything starts so that a taken port is told at once."""

import errno
import socket

from api.terminal import CommandFailed

BACKLOG = 1_024
ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raise CommandFailed with the cause."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CommandFailed(*_explained(error, host, port)) from error


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """Where a browser on this machine finds it."""
    host, port = listener.getsockname()[:2]
    host = ANY_ADDRESS.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _explained(error: OSError, host: str, port: int) -> tuple[str, str]:
    if error.errno == errno.EADDRINUSE:
        other = f"end it, or choose another port: --port {port % 65_535 + 1}"
        return f"Port {port} on {host} is taken by another program.", f"Find it with `ss -ltnp`, {other}"
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}.", "Choose a port above 1023: --port 8000"
    return (
        f"Can't listen on {host}:{port}: {error.strerror}.",
        "Give an address of this machine: --host 127.0.0.1",
    )

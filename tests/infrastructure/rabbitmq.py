"""A RabbitMQ of the tests' own: installed where it is missing, with its own data and ports, always ended."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import pika
import pika.exceptions

from tests.certificates import Authority

# What the package's wrapper calls; the wrapper changes users, for which a server in a folder has no need.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_S = 120.0
CONFIGURATION = (
    "disk_free_limit.absolute = 1MB\nvm_memory_high_watermark.absolute = 512MB\nlog.file.level = error\n"
    "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.certfile = {files.certificate}\n"
    "ssl_options.keyfile = {files.key}\n"
)


def install() -> None:
    """Debian's package, without its service. Raises CalledProcessError where it can't be had."""
    if SERVER.exists():
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (
        ["update", "-q"],
        ["install", "-q", "-y", "--no-install-recommends", "rabbitmq-server"],
    ):
        subprocess.run(["apt-get", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)


class RabbitMQ:
    """A server in a folder; it may be killed and started again on the same data. `authority` is that of its
    certificate for localhost.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._tls_port, self._distribution, self._mapper = _free_ports(4)
        self.authority = Authority(folder / "authority")
        self._node = f"cardinal{uuid4().hex[:8]}@localhost"
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        given = CONFIGURATION.format(port=self._tls_port, files=self.authority.give("localhost"))
        (folder / "rabbitmq.conf").write_text(given)
        (folder / "plugins").write_text("[].\n")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}/%2F?heartbeat=10&blocked_connection_timeout=30"

    def tls_url(self, host: str = "localhost") -> str:
        return f"amqps://guest:guest@{host}:{self._tls_port}/%2F?heartbeat=10&blocked_connection_timeout=30"

    def start(self) -> None:
        environment = {
            "PATH": f"/usr/lib/rabbitmq/bin:{os.environ['PATH']}",
            "HOME": str(self._folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        if self._epmd is None:  # as a child of ours, else the node starts one that outlives it
            self._epmd = subprocess.Popen(["epmd", "-port", str(self._mapper)], env=environment)
        with (self._folder / "out").open("ab") as out:
            self._server = subprocess.Popen(
                [str(SERVER)],
                env=environment,
                cwd=self._folder,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline_s = time.monotonic() + START_S
        while not self._answers():
            assert self._server.poll() is None, (self._folder / "out").read_text()
            assert time.monotonic() < deadline_s, (self._folder / "out").read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        """kill -9 of all that belongs to the node."""
        if self._server is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    def stop(self) -> None:
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def drop_queues(self) -> None:
        with closing(pika.BlockingConnection(pika.URLParameters(self.url))) as connection:
            for queue in ("default", "default.DQ", "default.XQ"):
                connection.channel().queue_delete(queue)

    def count(self, queue: str) -> int:
        """How many messages of a queue nobody has taken; 0 where there is no such queue."""
        with closing(pika.BlockingConnection(pika.URLParameters(self.url))) as connection:
            try:
                declared = connection.channel().queue_declare(queue, passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                return 0
            return int(declared.method.message_count)

    def _answers(self) -> bool:
        try:
            pika.BlockingConnection(pika.URLParameters(self.url)).close()
        except pika.exceptions.AMQPError:
            return False
        return True


def running(folder: Path) -> Iterator[RabbitMQ]:
    """A server for a fixture; it is ended whatever happens."""
    install()
    assert shutil.which("epmd"), "Erlang's port mapper comes with RabbitMQ's package"
    server = RabbitMQ(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports

"""docker-compose.yml: its shape, and each service's command for real, without Docker.

Our services run as processes of this machine, with the environment that the file gives them. Only the
addresses of other services are those of this machine's own: a real PostgreSQL, and an issuer's keys.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from infrastructure.backup_folder import BackupFolder
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.settings import Settings
from tests.api.cardinal_process import COMMAND, ROOT, bare_environment, cardinal, eventually
from tests.certificates import Authority
from tests.infrastructure.key_server import KeyServer

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "api", "projector", "worker", "scheduler", "deliverer", "archiver")
GIVEN = {
    "POSTGRES_PASSWORD": "of-the-superuser",
    "CARDINAL_OWNER_PASSWORD": "of-the-owner",
    "CARDINAL_PASSWORD": "of-the-running-login",
    "CARDINAL_REPLICA_PASSWORD": "of-backups-and-standbys",
    "CARDINAL_TOKEN_ISSUER": "https://issuer.example",
}


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """As Compose does it: ${NAME:-default}, ${NAME:?what is missing}, and $$ for a dollar."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        found = given.get(match["name"]) or match["default"]
        assert found is not None, f"{match['name']} is missing: {match['missing']}"
        return found

    pattern = r"\$\$|\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?(?P<missing>[^}]*))\}"
    text = re.sub(pattern, value, text)
    assert "${" not in text, text
    return text


def environment_of(service: str, given: Mapping[str, str] = GIVEN) -> dict[str, str]:
    return {name: interpolated(str(value), given) for name, value in SERVICES[service]["environment"].items()}


# --- Its shape ------------------------------------------------------------------


def test_there_is_a_service_for_every_part() -> None:
    """ES-09, NFR-10: the database has its own service, and a hot standby."""
    assert set(SERVICES) == {"gateway", "postgres", "standby", *OURS, "rabbitmq"}
    assert SERVICES["rabbitmq"]["profiles"] == ["rabbitmq"], "RabbitMQ is a choice"
    assert SERVICES["standby"]["profiles"] == ["standby"]


def test_only_the_gateway_publishes_ports_and_the_inner_networks_lead_nowhere() -> None:
    """SEC-09: the gateway is a relay to the API, with no way to the database."""
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["gateway"]
    assert not any("network_mode" in service or service.get("privileged") for service in SERVICES.values())
    published = [interpolated(port, {}) for port in SERVICES["gateway"]["ports"]]
    assert published == ["127.0.0.1:8443:8443", "127.0.0.1:8080:8080"], "not outside unless somebody says so"
    closed = ("postgres", "standby", "rabbitmq", "migrate", "projector", "worker", "scheduler", "archiver")
    inner = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    assert inner == {"inner", "front"}
    assert {name: service["networks"] for name, service in SERVICES.items()} == {
        "gateway": ["outer", "front"],
        "api": ["inner", "front", "egress"],
        "deliverer": ["inner", "egress"],
        **{name: ["inner"] for name in closed},
    }


def test_the_worker_sends_no_webhooks_and_the_deliverer_does() -> None:
    """SEC-09: what queries and files work on has no way out of the house."""
    assert SERVICES["worker"]["command"] == ["worker", "--no-webhooks"]
    assert SERVICES["deliverer"]["command"] == ["deliverer"]


def test_the_api_believes_the_gateways_network_and_no_other() -> None:
    """SEC-01"""
    (front,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    assert environment_of("api")["CARDINAL_TRUSTED_PROXIES"] == interpolated(front["subnet"], {})


def test_our_services_can_do_no_more_than_they_must() -> None:
    for name in (*OURS, "gateway"):
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert service["mem_limit"]
        assert service["pids_limit"]
        assert name == "gateway" or int(service["stop_grace_period"].removesuffix("s")) >= 10
    assert [name for name in OURS if "DATABASE_OWNER_URL" in SERVICES[name]["environment"]] == ["migrate"]


def test_what_queries_may_take_fits_into_the_container() -> None:
    """LOG-18: the kernel ends a query before the container is full, and never the worker."""
    for name in ("api", "worker"):
        settings = Settings.read({key: value for key, value in environment_of(name).items() if value})
        limit = interpolated(str(SERVICES[name]["mem_limit"]), {})
        has_mb = int(limit[:-1]) * {"m": 1, "g": 1024}[limit[-1]]
        assert 256 + settings.engine_queries * (settings.engine_memory_mb * 3 // 2 + 320) <= has_mb


def test_what_a_service_waits_for_exists_and_can_be_waited_for() -> None:
    for name, service in SERVICES.items():
        for other, awaited in service.get("depends_on", {}).items():
            if awaited["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for {other} for ever"
            else:
                assert awaited["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"] == "on-failure"
    for name in ("api", "projector", "worker", "scheduler", "deliverer", "archiver"):
        assert set(SERVICES[name]["depends_on"]) == {"migrate"}


def test_passwords_must_be_given_and_are_not_in_the_file() -> None:
    for missing in (
        "POSTGRES_PASSWORD",
        "CARDINAL_OWNER_PASSWORD",
        "CARDINAL_PASSWORD",
        "CARDINAL_REPLICA_PASSWORD",
    ):
        given = {name: value for name, value in GIVEN.items() if name != missing}
        with pytest.raises(AssertionError, match=f"{missing} is missing"):
            [environment_of(service, given) for service in ("postgres", *OURS)]


def test_every_variable_is_a_setting_and_good_as_it_stands() -> None:
    known = {field.alias for field in Settings.model_fields.values()}
    for name in OURS:
        environment = environment_of(name)
        assert environment.keys() <= known
        Settings.read({variable: value for variable, value in environment.items() if value})


def test_the_image_runs_as_nobody_special_from_pinned_packages() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert int(user.split(":")[0]) > 0
    assert lines.index(f"USER {user}") > max(n for n, line in enumerate(lines) if line.startswith("RUN "))
    assert any("--require-hashes" in line for line in lines)
    copied = [line.split()[1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    assert all((ROOT / name).exists() for name in copied)
    assert {"domain", "application", "infrastructure", "projections", "api"} <= set(copied)
    shown = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in copied} <= set(shown)


# --- Its commands ---------------------------------------------------------------


class Deployment:
    """The services as processes on this machine, by the file's own commands and environments."""

    def __init__(self, home: Path, postgres: EmbeddedPostgres, keys: KeyServer, authority: Path) -> None:
        self.home, self._postgres, self._authority = home, postgres, authority
        self._given = {**GIVEN, "CARDINAL_JWKS_URL": keys.url}
        self.backups = home.with_name("backups")
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def environment(self, service: str) -> dict[str, str]:
        """The file's, with the addresses of this machine in place of other containers' names."""
        found = environment_of(service, self._given)
        socket = self._postgres.url().partition("?")[2]
        for name, value in found.items():
            found[name] = re.sub(r"@postgres:5432/(\w*)\?", rf"@/\1?{socket}&", value)
        port = {"CARDINAL_PORT": "0", "CARDINAL_HOST": "127.0.0.1"} if service == "api" else {}
        trusted = {"SSL_CERT_FILE": str(self._authority)}
        backups = {"CARDINAL_BACKUPS": str(self.backups)} if service == "archiver" else {}
        return {**found, **port, **trusted, **backups, "CARDINAL_HOME": str(self.home)}

    def run(self, service: str) -> "subprocess.CompletedProcess[str]":
        return cardinal(self.home, *SERVICES[service]["command"], **self.environment(service))

    def start(self, service: str, **more: str) -> None:
        environment = bare_environment(self.home, {**self.environment(service), **more})
        with self.log(service).open("wb") as log:
            self.running[service] = subprocess.Popen(
                [*COMMAND, *SERVICES[service]["command"]],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self, service: str) -> Path:
        return self.home.with_name(f"{service}.log")

    def kill(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def own_postgres(home: Path) -> Iterator[EmbeddedPostgres]:
    for folder in (home.parent, *home.parent.parents[:2]):
        folder.chmod(0o755)
    with EmbeddedPostgres(home) as server:
        yield server


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    private = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(private.public_key()))
    authority, document = Authority(tmp_path / "authority"), {"keys": [{**public, "kid": "k"}]}
    with (
        own_postgres(tmp_path / "database") as server,
        KeyServer(document, authority.give("127.0.0.1")) as keys,
    ):
        (tmp_path / "home").mkdir()
        deployment = Deployment(tmp_path / "home", server, keys, authority.file)
        make_roles(server)
        yield deployment
        deployment.kill()


def make_roles(server: EmbeddedPostgres) -> None:
    """Run the script that the postgres service runs on its first start."""
    script = interpolated(COMPOSE["configs"]["roles"]["content"], {})
    host = server.url().partition("host=")[2].partition("&")[0].replace("%2F", "/")
    environment = {
        "PATH": f"{server.binaries}:{os.environ['PATH']}",
        "PGHOST": host,
        "PGPORT": "5432",
        "PGDATA": str(server.data_directory),
        **environment_of("postgres"),
    }
    subprocess.run(["/bin/bash", "-e", "-c", script], env=environment, check=True, capture_output=True)


def test_every_service_of_ours_does_its_work_by_the_files_own_command(deployment: Deployment) -> None:
    migrated = deployment.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert "0001 log" in migrated.stdout
    again = deployment.run("migrate")
    assert (again.returncode, again.stdout) == (0, "The database is up to date.\n"), again.stderr

    with port_of_ours() as port:
        pass
    deployment.start("api", CARDINAL_PORT=port)
    for service in ("projector", "worker", "scheduler", "deliverer", "archiver"):
        deployment.start(service)
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: parts_not_ready(url) == [], "ready")
    only_the_gateway_may_ask(url)
    eventually(lambda: len(BackupFolder(deployment.backups).backups()) == 1, "a backup")

    for service, process in deployment.running.items():
        assert process.poll() is None, f"{service}: {deployment.log(service).read_text()}"
        process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    for service, process in deployment.running.items():
        grace_s = int(SERVICES[service]["stop_grace_period"].removesuffix("s"))
        assert process.wait(max(grace_s - (time.monotonic() - began), 0.1)) == 0, service
        for line in deployment.log(service).read_text().splitlines():
            assert json.loads(line)["process"] == service
    kept = [path.name for path in deployment.home.iterdir()]
    assert kept == ["gateway"], "production keeps no key of its own"


def only_the_gateway_may_ask(url: str) -> None:
    """SEC-01: the API is no proxy's here, so nobody can tell it that he came encrypted."""
    asked = {"json": {"query": "{ __typename }"}, "timeout": 30}
    for headers in ({}, {"X-Forwarded-Proto": "https"}):
        answer = httpx.post(f"{url}/graphql", headers=headers, **asked)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (
            403,
            "HTTPS_REQUIRED",
        )


def test_the_running_login_can_neither_change_the_log_nor_migrate(deployment: Deployment) -> None:
    assert deployment.run("migrate").returncode == 0
    address = deployment.environment("worker")["DATABASE_URL"]
    with psycopg.connect(address, autocommit=True) as connection:
        for forbidden in (
            "update log.events set actor = 'nobody'",
            "delete from log.events",
            "truncate log.events",
            "drop table log.events",
            "create table public.mine (id integer)",
            "set role cardinal_owner",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"set role cardinal_app; {forbidden}".encode())
    without_owner = {**deployment.environment("migrate"), "DATABASE_OWNER_URL": ""}
    with psycopg.connect(deployment._postgres.url(database="cardinal"), autocommit=True) as owner:
        owner.execute("delete from public.migrations where number = 1")
    assert cardinal(deployment.home, "migrate", **without_owner).returncode == 1


@contextmanager
def port_of_ours() -> Iterator[str]:
    from api.listener import listen

    with listen("127.0.0.1", 0) as listener:
        yield str(listener.getsockname()[1])


def parts_not_ready(url: str) -> list[str]:
    try:
        parts = httpx.get(f"{url}/readyz", timeout=30).json()["parts"]
    except httpx.TransportError:
        return ["the API"]
    return [part["name"] for part in parts if not part["ready"]]

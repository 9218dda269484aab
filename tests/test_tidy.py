"""The house rules that no other tool checks: sizes, names, the grid, and what must never lie in a file."""

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("domain", "application", "projections", "infrastructure", "api")
FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 60
UNDOCUMENTED_LINES_MAX = 5

MAY_PRINT = (
    "api/main.py",
    "api/access_commands.py",
    "api/audit_commands.py",
    "api/backup_commands.py",
    "api/document_commands.py",
    "api/projection_commands.py",
    "api/terminal.py",
    "api/warehouse_commands.py",
    "bench/",
)
"""The command line and the measurements: what they print is their answer."""

API_WITHOUT_NAMESAKE = {
    # how it is served
    "access_commands", "audit_commands", "backup_commands", "erasure_commands", "opened", "login",
    "application", "authentication", "bounded_body", "graphiql", "graphql_app", "health", "http_errors",
    "graphql_sockets", "http_protocol", "services",
    "listener", "main", "processes", "request_log", "server", "terminal", "warehouse_commands", "wiring",
    "admission", "counterpart_command", "document_commands", "entity_tags", "graphql_requests",
    "persisted_documents", "rates", "certificates", "partner_messages", "serving", "transport",
    "projection_commands",
    # what every capability's answers are made of
    "commands", "context", "differences", "messages", "refusals", "schema",
    "access_messages", "message_words", "viewer",
    "points_messages", "webhook_messages", "work_order_messages",
    # one kind of catalogue each, with the fields that it defines
    "activity_forms", "departments", "reward_types",
    # what leaves as a file, or as pages of customers
    "exports", "activity_sheet", "listed_customers",
    # the log, as integrators and auditors see it
    "events", "history", "pasts", "replay_files", "replays",
    "public_access", "public_events", "public_figures", "public_mappings",
    "public_points", "public_schedules", "public_segments", "public_stocks", "public_webhooks",
    "public_work_orders", "watch",
    # pushed as it is recorded
    "changes", "event_streams", "feeds", "graphql_errors", "live_log", "socket_protocol",
    "subscription_requests",
    # what leaves for webhooks, and its contract
    "event_document", "public_disclosures", "public_schemas", "webhook_events",
    # what a run has found, a work order as a document
    "result_files", "work_order_forms",
}  # fmt: skip
"""Files of api/ that are no capability. A capability has the same name in every layer."""

NOT_OF_A_MACHINE = re.compile(r"(?<![\w.:}/])/(?:work|root|home|Users|mnt|opt/\w+/site-packages)/\w")
NO_REGISTRY = re.compile(r"https?://[^\s\"'`)>]*(?:simple|pypi|registry)")
# Each word is written so that these lines don't find themselves.
_MARK = "TO[D]O|FIX[M]E|X[X]X"
UNFINISHED = re.compile(
    rf"(?:#|--|//|<!--).*\b(?:{_MARK})\b|(?<![.\w])(?:{_MARK}) ?[:(]|\bNotImplemented[E]rror\b"
)
VAGUE = re.compile(r"(?:^|_)(?:util|utils|helper|helpers|manager|managers|common)(?:_|$)")
VAGUE_IN_CAMEL = re.compile(r"(?:Util|Utils|Helper|Helpers|Manager|Managers)(?=[A-Z]|$)")
REQUIREMENT = re.compile(r"\b([A-Z]{2,4})-(\d{2,3})\b")


def ignored(path: Path, patterns: list[str]) -> bool:
    return any(
        fnmatch(part, pattern.rstrip("/")) for part in path.relative_to(ROOT).parts for pattern in patterns
    )


def own_files() -> list[Path]:
    """Everything that belongs to the project: what .gitignore names does not."""
    patterns = [".git", *(line for line in (ROOT / ".gitignore").read_text().split() if line[:1] != "#")]
    found: list[Path] = []
    folders = [ROOT]
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if ignored(path, patterns):
                continue
            (folders if path.is_dir() else found).append(path)
    return found


TEXTS = {
    str(path.relative_to(ROOT)): content.decode()
    for path in own_files()
    if b"\0" not in (content := path.read_bytes())
}
TREES = {name: ast.parse(text) for name, text in TEXTS.items() if name.endswith(".py")}
PRODUCT = {name: tree for name, tree in TREES.items() if name.startswith((*LAYERS, "bench/"))}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def lines(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_there_is_something_to_look_at() -> None:
    """Else every rule below would hold of nothing."""
    assert {name.split("/")[0] for name in PRODUCT} >= set(LAYERS)
    assert "tests/test_tidy.py" in TREES
    assert "infrastructure/migrations/0001_log.sql" in TEXTS
    assert not any(part in name for name in TEXTS for part in (".venv/", "__pycache__", ".git/"))


def test_files_are_small() -> None:
    sizes = {name: TEXTS[name].count("\n") for name in PRODUCT}
    assert {name: size for name, size in sizes.items() if size > FILE_LINES_MAX} == {}


def test_functions_are_short() -> None:
    long = {
        f"{name}:{node.lineno} {node.name}": lines(node)
        for name, tree in PRODUCT.items()
        for node in functions(tree)
        if lines(node) > FUNCTION_LINES_MAX
    }
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name, tree in TREES.items() if tree.body and not ast.get_docstring(tree)] == []


def speaks_for_itself(node: ast.stmt) -> bool:
    """Records and closed lists are told by their names; decide and evolve are the same in every file."""
    if isinstance(node, ast.ClassDef):
        return all(part.decorator_list for part in node.body if isinstance(part, Function))
    return isinstance(node, Function) and node.name in ("decide", "evolve")


def test_what_others_call_in_domain_and_shared_application_is_explained() -> None:
    silent = [
        f"{name}:{node.lineno} {node.name}"
        for name, tree in TREES.items()
        if name.startswith(("domain/", "application/shared/"))
        for node in tree.body
        if isinstance(node, Function | ast.ClassDef)
        and not node.name.startswith("_")
        and lines(node) > UNDOCUMENTED_LINES_MAX
        and not speaks_for_itself(node)
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_names_say_something() -> None:
    vague = [name for name in TEXTS for part in Path(name).parts if VAGUE.search(part.split(".")[0].lower())]
    vague += [
        f"{name}:{node.lineno} {node.name}"
        for name, tree in PRODUCT.items()
        for node in ast.walk(tree)
        if isinstance(node, Function | ast.ClassDef)
        and (VAGUE.search(node.name) or VAGUE_IN_CAMEL.search(node.name))
    ]
    assert vague == []


def found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number} {line.strip()[:100]}"
        for name, text in TEXTS.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_nothing_is_left_unfinished() -> None:
    assert found(UNFINISHED) == []


def test_no_file_names_a_registry() -> None:
    """Every installation has its own: a mirror that pip is told of serves as well."""
    assert found(NO_REGISTRY) == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert found(NOT_OF_A_MACHINE) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (UNFINISHED, f"# TO{'DO'}: later"),
        (UNFINISHED, f'    """FIX{"ME"}: later."""'),
        (UNFINISHED, f"raise NotImplemented{'Error'}"),
        (NO_REGISTRY, f"--index-url http{'://'}mirror.bank/py{'pi'}/web/simple"),
        (NOT_OF_A_MACHINE, f"path = '/{'home'}/lin/cardinal'"),
        (NOT_OF_A_MACHINE, f"see /{'root'}/x"),
        (VAGUE, "date_utils"),
        (VAGUE_IN_CAMEL, "ConnectionManager"),
    ],
)
def test_these_rules_can_fail(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)


def test_only_the_command_line_prints() -> None:
    printing = [
        f"{name}:{node.lineno}"
        for name, tree in PRODUCT.items()
        if not name.startswith(MAY_PRINT)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_a_capability_has_one_name_in_every_layer() -> None:
    capabilities = {
        Path(name).stem for name in TREES if fnmatch(name, "domain/*.py") and name.count("/") == 1
    }
    in_api = {Path(name).stem for name in TREES if name.startswith("api/") and name.count("/") == 1}
    assert in_api - capabilities - {"__init__"} - API_WITHOUT_NAMESAKE == set()
    assert capabilities & API_WITHOUT_NAMESAKE == set()


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def test_the_domain_needs_nothing_but_the_standard_library() -> None:
    """NFR-04: nor of that anything that reads a clock, draws a number, or reaches out of the process."""
    barred = {"asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "socket", "subprocess",
              "sys", "threading", "time"}  # fmt: skip
    allowed = (sys.stdlib_module_names | {"domain"}) - barred
    strange = [
        f"{name} imports {module}"
        for name, tree in TREES.items()
        if name.startswith("domain/")
        for module in imported(tree)
        if module.split(".")[0] not in allowed
    ]
    assert strange == []


def test_the_domain_is_told_the_time_and_every_id() -> None:
    asking = re.compile(r"\b(?:uuid1|uuid4|uuid7|utcnow)\b|\b(?:datetime|date)\.(?:now|today)\b")
    assert [line for line in found(asking) if line.startswith("domain/")] == []


def test_migrations_are_numbered_without_gaps() -> None:
    names = sorted(Path(name).name for name in TEXTS if name.startswith("infrastructure/migrations/"))
    assert [name[:5] for name in names] == [f"{number:04}_" for number in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name) for name in names)


def cited() -> Iterator[tuple[str, str, str]]:
    """Where a test's docstring names something that looks like a requirement: place, area, id."""
    for name, tree in TREES.items():
        if name.startswith("tests/"):
            for node in functions(tree):
                for match in REQUIREMENT.finditer(ast.get_docstring(node) or ""):
                    yield f"{name}:{node.lineno}", match[1], match[0]


def test_requirements_that_tests_cite_exist() -> None:
    """Where the list of requirements lies beside the project, every id of one of its areas is in it."""
    listing = ROOT.parent / "shared" / "requirements.md"
    known = (
        set(re.findall(r"^\| ([A-Z]{2,4}-\d{2,3}) \|", listing.read_text(), re.M))
        if listing.exists()
        else set()
    )
    areas = {id.split("-")[0] for id in known}
    assert list(cited()), "tests cite requirements"
    assert [f"{where} {id}" for where, area, id in cited() if area in areas and id not in known] == []

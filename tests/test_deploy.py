"""deploy/: what the dashboard shows and the alarms watch is measured, and the runbook knows what to do."""

import json
import re
from pathlib import Path

import yaml

from infrastructure.metrics import Metrics
from infrastructure.readiness import Part
from tests.api.cardinal_process import ROOT

DEPLOY = ROOT / "deploy"
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alarms.yml").read_text())["groups"]
    for rule in group["rules"]
]
PARTS = (
    Part("projection:activities", None, {"lag_s": 0, "parked": 0}),
    Part("horizon", None, {"age_s": 0}),
    Part("seals", None, {"unsealed_s": 0}),
    Part("tasks", None, {"dead": 3, "waiting_s": 0}),
    Part("ledgers", None, {"imbalance": 0}),
    Part("backups", None, {"age_s": 60, "behind_bytes": 4096}),
)


def measured() -> dict[str, set[str]]:
    """Every series that /metrics knows, with its labels."""
    metrics = Metrics({"/graphql"}, lambda: PARTS)
    metrics.observe_request("POST", "/graphql", 200, 0.1)
    metrics.count_append()
    found: dict[str, set[str]] = {"cardinal_tokens_refused_total": {"code"}}
    for line in metrics.render().decode().splitlines():
        if series := re.match(r"([a-z_]+)(?:\{(.*)\})? ", line):
            found.setdefault(series[1], set()).update(re.findall(r'(\w+)="', series[2] or ""))
    return found


def faults(expression: str) -> list[str]:
    """What the expression asks for that is not there."""
    known = measured()
    names = re.findall(r"\b(?:cardinal|process)_\w+", expression)
    labels = {label.strip() for by in re.findall(r"by \((.*?)\)", expression) for label in by.split(",")}
    labels |= set(re.findall(r"[{,](\w+)=", expression))
    missing = [name for name in names if name not in known]
    told = {label for name in names for label in known.get(name, ())}
    return missing + sorted(labels - told) + ([] if names else ["no metric"])


def test_every_alarm_asks_for_metrics_that_there_are_and_has_its_section() -> None:
    """NFR-18: an alarm without a meaning and a step wakes nobody who can help."""
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    sections = dict(re.findall(r"^### (\w+)\n\n(.+?)(?=^#|\Z)", runbook, re.M | re.S))
    assert len(RULES) > 10
    for rule in RULES:
        assert faults(rule["expr"]) == [], rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
    assert sections.keys() == {rule["alert"] for rule in RULES}
    assert all(len(text) > 80 for text in sections.values())


def test_every_panel_of_the_dashboard_asks_for_metrics_that_there_are() -> None:
    board = json.loads(Path(DEPLOY / "grafana" / "cardinal.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 10
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert [fault for expression in shown for fault in faults(expression)] == []
    own = {
        name for name in measured() if name.startswith("cardinal_") and not name.endswith(("_sum", "_count"))
    }
    assert {name for name in own if not any(name in expression for expression in shown)} == set()


def test_what_is_not_measured_is_found() -> None:
    assert faults("max(cardinal_nothing) > 1") == ["cardinal_nothing"]
    assert faults("max by (colour) (cardinal_ready)") == ["colour"]

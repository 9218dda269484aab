"""What the demo shows when the campaign is over: why a customer got his points, and that all is as it was."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.syntax import Syntax
from rich.tree import Tree

from demo.campaign import Campaign
from demo.cases import Expected
from demo.product import DemoFailed, cardinal

WHY = """query ($id: ID!) { pointsEntries(first: 1, filter: {jobId: {eq: $id}}) { nodes {
    customer card points balance valueDate name
    why { lineNumber postingKey job {
        fileName sha256 lines definitionRevision definitionSql
        run { code rowCount contentHash snapshot endedAt }
        definition { code name approval { status decisions { level by at } } }
        workOrder { number name approval { status decisions { level by at } } }
        activity { code name approval { status decisions { level by at } } } } } } } }"""
TIMELINE = """query ($id: ID!) { activity(id: $id) { timeline(first: 100) { nodes {
    recordedAt eventType actor } } } }"""


def why(campaign: Campaign) -> Tree:
    """The chain from one posting back to the plan, as a tree."""
    nodes = campaign.operator.until(
        "a posting of the job",
        lambda: campaign.operator.ask(WHY, id=campaign.made["job"]["id"])["pointsEntries"]["nodes"],
    )
    entry, job = nodes[0], nodes[0]["why"]["job"]
    card = f" with card {entry['card']}" if entry["card"] else ""
    tree = Tree(f"[bold]why {entry['customer']} got {int(entry['points']):,} points{card}[/bold]")
    line = tree.add(f"line {entry['why']['lineNumber']} of {job['fileName']}, {job['lines']:,} lines")
    rows = f"{int(job['run']['rowCount']):,} rows of {job['run']['snapshot']}"
    run = line.add(f"run {job['run']['code']}: {rows}")
    definition = run.add(f"definition {job['definition']['code']}, revision {job['definitionRevision']}")
    definition.add(Syntax(job["definitionSql"], "sql", background_color="default"))
    _approved(definition, job["definition"])
    order = definition.add(f"work order {job['workOrder']['number']}: {job['workOrder']['name']}")
    _approved(order, job["workOrder"])
    activity = order.add(f"activity {job['activity']['code']}: {job['activity']['name']}")
    _approved(activity, job["activity"])
    return tree


def _approved(branch: Tree, subject: Mapping[str, Any]) -> None:
    decisions = subject["approval"]["decisions"]
    if len(decisions) != 2:
        raise DemoFailed(f"{subject} was not approved at two levels")
    branch.add(
        ", then ".join(f"{each['level'].lower()} by {each['by']}" for each in decisions), style="green"
    )


def timeline(campaign: Campaign) -> Tree:
    tree = Tree("[bold]the activity's timeline[/bold]")
    found = campaign.operator.ask(TIMELINE, id=campaign.made["activity"]["id"])
    for entry in found["activity"]["timeline"]["nodes"]:
        tree.add(f"{entry['recordedAt'][:19].replace('T', ' ')}  {entry['eventType']:<37} {entry['actor']}")
    return tree


def export(campaign: Campaign, into: Path) -> str:
    """The list of activities as a workbook; how large it is."""
    content = campaign.operator.download("/exports/activities.xlsx")
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        if "xl/workbook.xml" not in book.namelist():
            raise DemoFailed("the export is no workbook")
    into.write_bytes(content)
    return f"{into.name}, {len(content):,} bytes"


def compare(campaign: Campaign) -> str:
    """What the ledgers say against a count without the product: file, acknowledgement and entries."""
    expected: Expected = campaign.case.independent()
    job, run = campaign.made["job"], campaign.made["run"]
    found = Expected(run["rowCount"], job["points"])
    if found != expected:
        raise DemoFailed(f"{found} were found, {expected} were expected")
    if job["lines"] != job["accepted"] + job["rejected"] or job["posted"] != job["accepted"]:
        raise DemoFailed(f"the lines do not add up: {job}")
    return f"{expected.customers:,} customers, {expected.points:,} points: equal"


def verify(home: Path) -> str:
    return cardinal(home, "audit", "verify").strip()


def rebuild(home: Path) -> str:
    """All projections folded anew and compared. Raise DemoFailed when one differs."""
    lines = cardinal(home, "projections", "rebuild").strip().splitlines()
    differing = [line for line in lines if "equal to the live rows" not in line]
    if differing:
        raise DemoFailed("; ".join(differing))
    return f"{len(lines)} projections, all equal"

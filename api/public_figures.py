"""What integrators see of the figures of activities: how many, never who."""

from api.public_mappings import Data, Mapping, mapping
from api.public_mappings import public_id as _id
from domain import activity_figures as f


def _requested(e: f.ActivityCountRequested) -> Data:
    return {
        "activityId": _id("activity", e.activity),
        "orgUnit": e.org_unit,
        "code": e.code,
        "number": e.number,
        "runId": None if e.run is None else _id("segment_run", e.run.run),
    }


def _succeeded(e: f.ActivityCountSucceeded) -> Data:
    figures = e.figures
    return {
        "activityId": _id("activity", e.activity),
        "number": e.number,
        "activityRevision": e.basis.revision,
        "businessDate": e.basis.business_date.isoformat(),
        "snapshot": figures.snapshot or None,
        "target": figures.target,
        "applicable": figures.applicable,
        "qualified": figures.qualified,
        "excluded": {exclusion.name: count for exclusion, count in figures.excluded.items()},
    }


FIGURES_MAPPINGS: dict[type, Mapping] = {
    f.ActivityCountRequested: mapping("requested", _requested),
    f.ActivityCountStarted: mapping("started", lambda e: {"number": e.number, "attempt": e.attempt}),
    f.ActivityCountSucceeded: mapping("succeeded", _succeeded),
    f.ActivityCountFailed: mapping("failed", lambda e: {"number": e.number, "code": e.code.upper()}),
}
"""What happened, and what integrators are told of it, by event."""

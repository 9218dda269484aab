"""Segment definitions, runs and source grants as integrators see them."""

from api.public_mappings import Data, Mapping, mapping, public_id, reference
from domain import result_retention as rr
from domain import segment_definitions as sd
from domain import segment_runs as sr
from domain import source_grants as sg
from domain.segment_contents import SegmentContent


def _segment(content: SegmentContent) -> Data:
    return {
        "name": content.name,
        "description": content.description,
        "sql": content.sql,
        "source": content.source,
        "primaryIndex": list(content.primary_index),
        "outputs": [{"name": each.name, "isPersonal": each.is_personal} for each in content.outputs],
        "parameters": [{"name": each.name, "type": each.type.name} for each in content.parameters],
        "mapping": [
            {
                "target": each.target,
                "source": each.source,
                "constant": each.constant,
                "format": each.format.name,
                "width": each.width,
                "isZeroPadded": each.is_zero_padded,
                "mask": each.mask.name,
                "translation": dict(each.translation),
                "exemption": each.exemption,
            }
            for each in content.mapping
        ],
    }


def _definition_drafted(drafted: sd.DefinitionDrafted) -> Data:
    return {
        "code": drafted.code,
        "orgUnit": drafted.org_unit,
        "kind": drafted.kind.name,
        "workOrderId": public_id("work_order", drafted.work_order),
        "origin": None if drafted.origin is None else reference("segment_definition", drafted.origin),
        **_segment(drafted.content),
    }


def _run_requested(requested: sr.SegmentRunRequested) -> Data:
    return {
        "code": requested.code,
        "orgUnit": requested.org_unit,
        "definition": reference("segment_definition", requested.definition),
        "contentHash": requested.content_hash,
        "workOrderId": public_id("work_order", requested.work_order),
        "parameters": {each.name: each.text for each in requested.parameters},
        "isTrial": requested.is_trial,
        "rowLimit": requested.row_limit,
        "retention": requested.retention.name,
    }


def _run_succeeded(succeeded: sr.SegmentRunSucceeded) -> Data:
    return {
        "attempt": succeeded.attempt,
        "rows": succeeded.rows,
        "bytes": str(succeeded.bytes),
        "durationMs": succeeded.duration_ms,
        "contentHash": succeeded.content_hash,
        "snapshot": succeeded.snapshot,
        "columns": [
            {"name": each.name, "type": each.type, "isPersonal": each.is_personal}
            for each in succeeded.columns
        ],
    }


SEGMENT_MAPPINGS: dict[type, Mapping] = {
    sd.DefinitionDrafted: mapping("drafted", _definition_drafted),
    sd.DefinitionRevised: mapping("revised", lambda e: {"revision": e.revision, **_segment(e.content)}),
    sd.DefinitionSubmitted: mapping(
        "submitted",
        lambda e: {
            "revision": e.revision,
            "approvalId": public_id("approval", e.approval),
            "contentHash": e.content_hash,
            "grants": [reference("source_grant", grant) for grant in e.grants],
        },
    ),
    sd.DefinitionWithdrawn: mapping(
        "withdrawn",
        lambda e: {"revision": e.revision, "approvalId": public_id("approval", e.approval)},
    ),
    sd.DefinitionApproved: mapping(
        "approved",
        lambda e: {
            "revision": e.revision,
            "approvalId": public_id("approval", e.approval),
            "contentHash": e.content_hash,
        },
    ),
    sd.DefinitionSuperseded: mapping(
        "superseded",
        lambda e: {"revision": e.revision, "byRevision": e.by_revision},
    ),
    sd.DefinitionRejected: mapping(
        "rejected",
        lambda e: {
            "revision": e.revision,
            "approvalId": public_id("approval", e.approval),
            "level": e.level.upper(),
            "reason": e.reason,
        },
    ),
    sd.DefinitionDeleted: mapping("deleted", lambda _: {}),
    sg.SourceGranted: mapping(
        "granted",
        lambda e: {
            "revision": e.revision,
            "orgUnit": e.org_unit,
            "source": e.source,
            "table": e.table,
            "columns": list(e.columns),
        },
    ),
    sg.SourceRevoked: mapping("revoked", lambda e: {"revision": e.revision}),
    sr.SegmentRunRequested: mapping("requested", _run_requested),
    sr.SegmentRunStarted: mapping("started", lambda e: {"attempt": e.attempt}),
    sr.SegmentRunProgressed: mapping("progressed", lambda e: {"attempt": e.attempt, "percent": e.percent}),
    sr.SegmentRunSucceeded: mapping("succeeded", _run_succeeded),
    sr.SegmentRunFailed: mapping(
        "failed",
        lambda e: {"attempt": e.attempt, "code": e.code.upper(), "values": dict(e.values)},
    ),
    sr.SegmentRunTerminated: mapping("terminated", lambda e: {"reason": e.reason}),
    sr.SegmentRunRetried: mapping("retried", lambda e: {"retry": e.retry}),
    sr.SegmentRunHandedOver: mapping(
        "handed_over", lambda e: {"pointsJobId": public_id("points_job", e.points_job)}
    ),
    rr.SegmentRunResultDeleted: mapping("result_deleted", lambda e: {"retention": e.retention.value.upper()}),
    sr.SegmentRunCleanedUp: mapping(
        "cleaned_up", lambda e: {"attempt": e.attempt, "dropped": list(e.dropped)}
    ),
}

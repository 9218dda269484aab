-- Read tables of segment definitions, their runs, and what units may use of the warehouse.

set local role cardinal_app;

create table read.segment_definitions (
    id                uuid        primary key,
    version           integer     not null,
    revision          integer     not null,
    code              text        not null,
    org_unit          text        not null,
    kind              text        not null check (kind in ('general', 'activity', 'evaluation')),
    work_order_id     uuid,
    status            text        not null,
    name              text        not null,
    description       text        not null,
    sql               text        not null,
    source            text        not null,
    primary_index     text[]      not null,
    outputs           jsonb       not null,
    parameters        jsonb       not null,
    mapping           jsonb       not null,
    approval_id       uuid,
    approved_revision integer,               -- what runs perform; null while nothing was approved
    approved_hash     text,
    created_at        timestamptz not null,
    created_by        text        not null,
    submitted_at      timestamptz,
    submitted_by      text,
    approved_at       timestamptz,
    reason            text,
    changed_at        timestamptz not null,
    changed_by        text        not null
) with (fillfactor = 85);
create index on read.segment_definitions (created_at, id);
create index on read.segment_definitions (org_unit, created_at, id);
create index on read.segment_definitions (work_order_id);
create index on read.segment_definitions (code);

create table read.segment_definition_versions (
    like read.segment_definitions,
    epoch_from    integer     not null,
    position_from bigint      not null,
    epoch_to      integer     not null,  -- exclusive; 2147483647 while the row stands so
    position_to   bigint      not null,  -- exclusive; 9223372036854775807 while the row stands so
    recorded_at   timestamptz not null,  -- of the event that made it so
    primary key (id, epoch_from, position_from)
);
create index on read.segment_definition_versions (epoch_to, position_to);

create table read.segment_runs (
    id                  uuid        primary key,
    version             integer     not null,
    code                text        not null,
    org_unit            text        not null,
    status              text        not null
        check (status in ('queued', 'running', 'succeeded', 'failed', 'terminated')),
    definition_id       uuid        not null,
    definition_revision integer     not null,
    definition_hash     text        not null,
    work_order_id       uuid,
    parameters          jsonb       not null,
    is_trial            boolean     not null,
    row_limit           integer,
    retention           text        not null,
    attempt             integer     not null,
    percent             integer     not null,
    row_count           bigint,
    byte_count          bigint,
    duration_ms         bigint,
    columns             jsonb       not null,
    content_hash        text,
    snapshot            text,
    failure             text,
    failure_values      jsonb       not null,
    reason              text,
    dropped             text[]      not null,
    cleaned_up_at       timestamptz,
    requested_at        timestamptz not null,
    requested_by        text        not null,
    started_at          timestamptz,
    ended_at            timestamptz,
    changed_at          timestamptz not null,
    changed_by          text        not null
) with (fillfactor = 70);
create index on read.segment_runs (requested_at, id);
create index on read.segment_runs (definition_id, requested_at, id);
create index on read.segment_runs (work_order_id);
create index on read.segment_runs (status, changed_at) where status in ('queued', 'running');

create table read.source_grants (
    id         uuid        primary key,
    version    integer     not null,
    revision   integer     not null,
    org_unit   text        not null,
    source     text        not null,
    table_name text        not null,
    columns    text[]      not null,
    status     text        not null check (status in ('granted', 'revoked')),
    created_at timestamptz not null,
    created_by text        not null,
    changed_at timestamptz not null,
    changed_by text        not null
);
create index on read.source_grants (org_unit, source, table_name, id);

reset role;

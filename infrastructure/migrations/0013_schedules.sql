-- Business calendars, schedules of runs, extractions of customer groups, origins of definitions.

set local role cardinal_app;

alter table read.segment_definitions
    add column origin_id uuid,
    add column origin_revision integer;
create index on read.segment_definitions (origin_id);
alter table read.segment_definition_versions
    add column origin_id uuid,
    add column origin_revision integer;

create table read.business_calendars (
    id         uuid        primary key,
    version    integer     not null,
    revision   integer     not null,
    code       text        not null,
    name       text        not null,
    days       jsonb       not null,
    created_at timestamptz not null,
    created_by text        not null,
    changed_at timestamptz not null,
    changed_by text        not null
);
create index on read.business_calendars (code);

create table read.run_schedules (
    id                 uuid          primary key,
    version            integer       not null,
    org_unit           text          not null,
    status             text          not null check (status in ('active', 'paused', 'over', 'withdrawn')),
    definition_id      uuid,
    activity_id        uuid,
    customer_group_id  uuid,
    role               text,
    frequency          jsonb         not null,
    timeframe          jsonb,
    parameters         jsonb         not null,
    strategy           text          not null,
    until              timestamptz,
    next_at            timestamptz,
    next_times         timestamptz[] not null,
    last_due_at        timestamptz,
    last_run_id        uuid,
    last_extraction_id uuid,
    left_out           text,
    created_at         timestamptz   not null,
    created_by         text          not null,
    changed_at         timestamptz   not null,
    changed_by         text          not null
) with (fillfactor = 85);
create index on read.run_schedules (created_at, id);
create index on read.run_schedules (definition_id);
create index on read.run_schedules (activity_id);

create table read.group_extractions (
    id                      uuid        primary key,
    version                 integer     not null,
    org_unit                text        not null,
    status                  text        not null
        check (status in ('queued', 'running', 'succeeded', 'failed')),
    schedule_id             uuid        not null,
    activity_id             uuid        not null,
    customer_group_id       uuid        not null,
    customer_group_revision integer     not null,
    role                    text        not null,
    due_at                  timestamptz not null,
    business_date           date        not null,
    data_from               date        not null,
    data_to                 date        not null,
    previous_id             uuid,
    attempt                 integer     not null,
    member_count            bigint,
    joined_count            bigint,
    stayed_count            bigint,
    left_count              bigint,
    content_hash            text,
    snapshot                text,
    failure                 text,
    requested_at            timestamptz not null,
    ended_at                timestamptz,
    changed_at              timestamptz not null,
    changed_by              text        not null
) with (fillfactor = 80);
create index on read.group_extractions (due_at, id);
create index on read.group_extractions (schedule_id, due_at, id);
create index on read.group_extractions (activity_id, due_at, id);
create index on read.group_extractions (customer_group_id, due_at, id);

reset role;

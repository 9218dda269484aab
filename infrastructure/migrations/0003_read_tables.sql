-- Read tables: written by their projections alone, built anew from the log at any time.
-- The columns are those of the rows in projections/; what is more is kept by the projection's own statements.

set local role cardinal_app;

create table read.activity_types (
    id               uuid        primary key,
    version          integer     not null,
    revision         integer     not null,
    code             text        not null,
    name             text        not null,
    description      text        not null,
    sort_order       integer     not null,
    status           text        not null check (status in ('enabled', 'disabled')),
    parent_id        uuid,
    created_at       timestamptz not null,
    created_by       text        not null,
    changed_at       timestamptz not null,
    changed_by       text        not null,
    -- Kept by statements over the whole tree, in the transaction of the batch that changed it.
    path             text        not null default '',            -- names from the root, joined by "/"
    ancestor_ids     uuid[]      not null default '{}',          -- the root first, itself last
    effective_status text        not null default 'enabled',     -- disabled when it or an ancestor is
    depth            integer     not null default 0              -- 0 for a root
);
create index on read.activity_types (parent_id, sort_order, id);
create index on read.activity_types (code);

create table read.activity_type_closure (
    ancestor_id   uuid    not null,
    descendant_id uuid    not null,
    depth         integer not null,  -- 0 for an entry and itself
    primary key (ancestor_id, descendant_id)
);
create index on read.activity_type_closure (descendant_id);

create table read.cost_types (
    id                 uuid        primary key,
    version            integer     not null,
    revision           integer     not null,
    code               text        not null,
    name               text        not null,
    description        text        not null,
    sort_order         integer     not null,
    status             text        not null check (status in ('enabled', 'disabled')),
    accounting_subject text        not null,
    unit               text        not null,
    created_at         timestamptz not null,
    created_by         text        not null,
    changed_at         timestamptz not null,
    changed_by         text        not null
);
create index on read.cost_types (sort_order, id);
create index on read.cost_types (code);

create table read.activity_forms (
    id          uuid        primary key,
    version     integer     not null,
    revision    integer     not null,
    code        text        not null,
    name        text        not null,
    description text        not null,
    sort_order  integer     not null,
    status      text        not null check (status in ('enabled', 'disabled')),
    fields      jsonb       not null,
    created_at  timestamptz not null,
    created_by  text        not null,
    changed_at  timestamptz not null,
    changed_by  text        not null
);
create index on read.activity_forms (sort_order, id);

create table read.activities (
    id                     uuid        primary key,
    version                integer     not null,
    revision               integer     not null,
    code                   text        not null,
    org_unit               text        not null,
    status                 text        not null,
    name                   text        not null,
    description            text        not null,
    activity_type_id       uuid        not null,
    activity_type_revision integer     not null,
    starts_at              timestamptz not null,
    ends_at                timestamptz not null,
    registration_starts_at timestamptz,
    registration_ends_at   timestamptz,
    award_starts_at        timestamptz,
    award_ends_at          timestamptz,
    form_id                uuid,
    form_revision          integer,
    form_values            jsonb       not null,
    channels               text[]      not null,
    budget_minor           bigint      not null,
    cost_total_minor       bigint      not null,
    currency               text        not null,
    cost_lines             jsonb       not null,
    approval_id            uuid,
    created_at             timestamptz not null,
    created_by             text        not null,
    submitted_at           timestamptz,
    submitted_by           text,
    approved_at            timestamptz,
    reason                 text,
    changed_at             timestamptz not null,
    changed_by             text        not null
) with (fillfactor = 85);
create index on read.activities (created_at, id);
create index on read.activities (org_unit, created_at, id);
create index on read.activities (activity_type_id);
create index on read.activities (code);

create table read.activity_versions (
    like read.activities,
    epoch_from    integer     not null,
    position_from bigint      not null,
    epoch_to      integer     not null,  -- exclusive; 2147483647 while the row stands so
    position_to   bigint      not null,  -- exclusive; 9223372036854775807 while the row stands so
    recorded_at   timestamptz not null,  -- of the event that made it so
    primary key (id, epoch_from, position_from)
);
create index on read.activity_versions (epoch_to, position_to);

create table read.approvals (
    id               uuid        primary key,
    version          integer     not null,
    subject_kind     text        not null,
    subject_id       uuid        not null,
    subject_label    text        not null,
    subject_revision integer     not null,
    content_hash     text        not null,
    org_unit         text        not null,
    status           text        not null,
    awaiting         text,
    requested_by     text        not null,
    makers           text[]      not null,
    requested_at     timestamptz not null,
    decide_by        timestamptz not null,
    decided_by       text[]      not null,
    decisions        jsonb       not null,
    reason           text,
    closed_at        timestamptz,
    changed_at       timestamptz not null
) with (fillfactor = 85);
create index on read.approvals (requested_at, id);
create index on read.approvals (subject_id);
create index on read.approvals (awaiting, org_unit, requested_at, id) where awaiting is not null;

create table read.approval_versions (
    like read.approvals,
    epoch_from    integer     not null,
    position_from bigint      not null,
    epoch_to      integer     not null,
    position_to   bigint      not null,
    recorded_at   timestamptz not null,
    primary key (id, epoch_from, position_from)
);
create index on read.approval_versions (epoch_to, position_to);

create table read.timeline (
    id             uuid        primary key,
    epoch          integer     not null,
    position       bigint      not null,
    stream_id      uuid        not null,
    stream_type    text        not null,
    subject_id     text        not null,
    version        integer     not null,
    event_type     text        not null,
    recorded_at    timestamptz not null,
    effective_at   timestamptz not null,
    actor          text        not null,
    on_behalf_of   text,
    org_unit       text,
    command_id     uuid        not null,
    correlation_id uuid        not null,
    causation_id   uuid,
    reason         text,
    revision       integer,
    related_ids    uuid[]      not null,
    changes        jsonb       not null
);
create index on read.timeline (recorded_at, epoch, position);
create index on read.timeline using gin (related_ids);
create index on read.timeline (stream_id, version);
create index on read.timeline (subject_id, epoch, position);
create unique index on read.timeline (epoch, position);

-- The rows as the timeline last saw them, to tell what the next event changes.
create table read.timeline_states (
    stream_id uuid  primary key,
    "row"     jsonb not null
);

reset role;

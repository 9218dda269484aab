-- Whom an activity's plan leaves out, and the figures of activities. Counts are rows that never change.

set local role cardinal_app;

alter table read.activities add column exclusions text[] not null default '{}';
alter table read.activity_versions add column exclusions text[] not null default '{}';

create table read.activity_figures (
    id             uuid        primary key,
    version        integer     not null,
    activity_id    uuid        not null unique,
    org_unit       text        not null,
    code           text        not null,
    status         text        not null check (status in ('queued', 'counting', 'counted', 'failed')),
    number         integer     not null,
    requested_at   timestamptz not null,
    requested_by   text        not null,
    failure        text,
    counted_number integer,
    counted_at     timestamptz,
    target         integer,
    applicable     integer,
    qualified      integer,
    excluded       jsonb       not null,
    plan_revision  integer,
    business_date  date,
    snapshot       text,
    counted_groups jsonb       not null,
    counted_runs   jsonb       not null,
    changed_at     timestamptz not null,
    changed_by     text        not null
) with (fillfactor = 85);

create table read.activity_counts (
    id             uuid        primary key,
    figures_id     uuid        not null,
    version        integer     not null,
    activity_id    uuid        not null,
    org_unit       text        not null,
    number         integer     not null,
    target         integer,
    applicable     integer,
    qualified      integer,
    excluded       jsonb       not null,
    plan_revision  integer     not null,
    business_date  date        not null,
    snapshot       text,
    counted_groups jsonb       not null,
    counted_runs   jsonb       not null,
    target_hash    text,
    qualified_hash text,
    counted_at     timestamptz not null
);
create index on read.activity_counts (figures_id, version);
create index on read.activity_counts (activity_id, number);

reset role;

-- Erasures of persons; what a user is called is told no more once he is erased.

set local role cardinal_app;

alter table read.users alter column name drop not null;
alter table read.users add column erased_at timestamptz;
alter table read.user_versions alter column name drop not null;
alter table read.user_versions add column erased_at timestamptz;

create table read.erasures (
    id              uuid        primary key,
    version         integer     not null,
    revision        integer     not null,
    org_unit        text        not null,
    kind            text        not null check (kind in ('customer', 'user')),
    person          text,                 -- null once he is erased
    status          text        not null,
    reason          text        not null,
    approval_id     uuid        not null,
    requested_by    text        not null,
    requested_at    timestamptz not null,
    decision_reason text,
    decided_by      text,
    decided_at      timestamptz,
    completed_at    timestamptz,
    rows_erased     bigint,
    files_changed   bigint,
    changed_at      timestamptz not null,
    changed_by      text        not null
);
create index on read.erasures (requested_at, id);

create table read.erasure_versions (
    like read.erasures,
    epoch_from      integer not null,
    position_from   bigint  not null,
    epoch_to        integer not null,  -- exclusive; 2147483647 while the row stands so
    position_to     bigint  not null,  -- exclusive; 9223372036854775807 while the row stands so
    recorded_at     timestamptz not null,  -- of the event that made it so
    primary key (id, epoch_from, position_from)
);
create index on read.erasure_versions (epoch_to, position_to);

reset role;

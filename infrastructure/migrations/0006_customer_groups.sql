-- Customer groups: read tables as in 0003.

set local role cardinal_app;

create table read.customer_groups (
    id           uuid        primary key,
    version      integer     not null,
    revision     integer     not null,
    code         text        not null,
    org_unit     text        not null,
    status       text        not null check (status in ('active', 'retired')),
    purpose      text        not null check (purpose in ('target', 'rewarded')),
    name         text        not null,
    description  text        not null,
    membership   text        not null check (membership in ('rule', 'list')),
    rule         jsonb,
    member_count integer,
    content_hash text        not null,
    created_at   timestamptz not null,
    created_by   text        not null,
    changed_at   timestamptz not null,
    changed_by   text        not null
);
create index on read.customer_groups (created_at, id);
create index on read.customer_groups (org_unit, created_at, id);
create index on read.customer_groups (code);

create table read.customer_group_versions (
    like read.customer_groups,
    epoch_from    integer     not null,
    position_from bigint      not null,
    epoch_to      integer     not null,
    position_to   bigint      not null,
    recorded_at   timestamptz not null,
    primary key (id, epoch_from, position_from)
);
create index on read.customer_group_versions (epoch_to, position_to);

reset role;

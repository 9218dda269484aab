-- Departments and reward types, and what activities have of them. Rows of before have none of it.

set local role cardinal_app;

create table read.departments (
    id               uuid        primary key,
    version          integer     not null,
    revision         integer     not null,
    code             text        not null,
    name             text        not null,
    description      text        not null,
    sort_order       integer     not null,
    status           text        not null check (status in ('enabled', 'disabled')),
    parent_id        uuid,
    contact          text        not null,
    role             text        not null,
    created_at       timestamptz not null,
    created_by       text        not null,
    changed_at       timestamptz not null,
    changed_by       text        not null,
    -- Kept by statements over the whole tree, as those of activity types are.
    path             text        not null default '',
    ancestor_ids     uuid[]      not null default '{}',
    effective_status text        not null default 'enabled',
    depth            integer     not null default 0
);
create index on read.departments (parent_id, sort_order, id);
create index on read.departments (code);

create table read.department_closure (
    ancestor_id   uuid    not null,
    descendant_id uuid    not null,
    depth         integer not null,
    primary key (ancestor_id, descendant_id)
);
create index on read.department_closure (descendant_id);

create table read.reward_types (
    id               uuid        primary key,
    version          integer     not null,
    revision         integer     not null,
    code             text        not null,
    name             text        not null,
    description      text        not null,
    sort_order       integer     not null,
    status           text        not null check (status in ('enabled', 'disabled')),
    unit             text        not null,
    minimum          numeric     not null,
    maximum          numeric     not null,
    cap_per_customer numeric,
    cap_per_activity numeric,
    route            text        not null,
    cost_type_id     uuid        not null,
    unit_cost        numeric     not null,
    currency         text        not null,
    fields           jsonb       not null,
    created_at       timestamptz not null,
    created_by       text        not null,
    changed_at       timestamptz not null,
    changed_by       text        not null
);
create index on read.reward_types (sort_order, id);
create index on read.reward_types (code);

alter table read.activities
    add column department_id       uuid,
    add column department_revision integer,
    add column co_department_ids   uuid[] not null default '{}',
    add column responsible         text   not null default '',
    add column goal                text,
    add column rewards             jsonb  not null default '[]',
    add column reward_type_ids     uuid[] not null default '{}',
    add column groups              jsonb  not null default '[]',
    add column customer_group_ids  uuid[] not null default '{}';
create index on read.activities (department_id);
create index on read.activities using gin (reward_type_ids);
create index on read.activities using gin (customer_group_ids);

alter table read.activity_versions
    add column department_id       uuid,
    add column department_revision integer,
    add column co_department_ids   uuid[] not null default '{}',
    add column responsible         text   not null default '',
    add column goal                text,
    add column rewards             jsonb  not null default '[]',
    add column reward_type_ids     uuid[] not null default '{}',
    add column groups              jsonb  not null default '[]',
    add column customer_group_ids  uuid[] not null default '{}';

create table read.downloads (
    id          uuid        primary key,
    version     integer     not null,
    org_unit    text        not null,
    subject     text        not null,
    filter      text        not null,
    rows        integer     not null,
    address     text        not null,
    recorded_at timestamptz not null,
    recorded_by text        not null
);
create index on read.downloads (recorded_at, id);

reset role;

-- Work orders and the requests to cancel them; and numbers that are handed out one after the other.

-- The last number of each series. Not a stream: all who create something would meet on it.
create table log.series (
    name text   primary key,
    last bigint not null check (last > 0)
);
grant select, insert, update on log.series to cardinal_app;

set local role cardinal_app;

create table read.work_orders (
    id                      uuid        primary key,
    version                 integer     not null,
    revision                integer     not null,
    number                  text        not null,
    kind                    text        not null,
    org_unit                text        not null,
    status                  text        not null,
    awaiting                text,
    next_step               text,
    status_since            timestamptz not null,
    closed_at               timestamptz,
    name                    text        not null,
    activity_id             uuid        not null,
    activity_revision       integer     not null,
    customer_group_id       uuid        not null,
    customer_group_revision integer     not null,
    segmentation_rules      text        not null,
    execution_at            timestamptz not null,
    requester               text        not null,
    department_id           uuid        not null,
    department_revision     integer     not null,
    output_fields           text[]      not null,
    priority                text        not null,
    data_from               date,
    data_to                 date,
    remark                  text        not null,
    approval_id             uuid,
    submitted_at            timestamptz,
    submitted_by            text,
    approved_at             timestamptz,
    definition_id           uuid,
    definition_revision     integer,
    scheduled_at            timestamptz,
    scheduled_by            text,
    run_id                  uuid,
    executions              integer     not null,
    started_at              timestamptz,
    ended_at                timestamptz,
    points_job_id           uuid,
    failure_code            text,
    cancellation_id         uuid,
    former_status           text,
    reason                  text,
    created_at              timestamptz not null,
    created_by              text        not null,
    changed_at              timestamptz not null,
    changed_by              text        not null
) with (fillfactor = 85);
create index on read.work_orders (created_at, id);
create index on read.work_orders (org_unit, created_at, id);
create index on read.work_orders (number);
create index on read.work_orders (activity_id);
create index on read.work_orders (customer_group_id);
create index on read.work_orders (execution_at, id) where status = 'scheduled';

create table read.work_order_versions (
    like read.work_orders,
    epoch_from    integer     not null,
    position_from bigint      not null,
    epoch_to      integer     not null,  -- exclusive; 2147483647 while the row stands so
    position_to   bigint      not null,  -- exclusive; 9223372036854775807 while the row stands so
    recorded_at   timestamptz not null,  -- of the event that made it so
    primary key (id, epoch_from, position_from)
);
create index on read.work_order_versions (epoch_to, position_to);

create table read.cancellations (
    id                uuid        primary key,
    version           integer     not null,
    work_order_id     uuid        not null,
    work_order_number text        not null,
    org_unit          text        not null,
    status            text        not null,
    awaiting          text,
    former_status     text        not null,
    reason            text        not null,
    requested_by      text        not null,
    requested_at      timestamptz not null,
    decision_reason   text,
    decided_by        text,
    decided_at        timestamptz,
    closed_at         timestamptz,
    approval_id       uuid        not null,
    changed_at        timestamptz not null,
    changed_by        text        not null
);
create index on read.cancellations (requested_at, id);
create index on read.cancellations (org_unit, requested_at, id);
create index on read.cancellations (work_order_id);

reset role;

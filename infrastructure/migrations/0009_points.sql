-- Budgets, points jobs, points ledgers. Movements and entries are rows that never change.

set local role cardinal_app;

create table read.budgets (
    id                uuid        primary key,
    version           integer     not null,
    activity_id       uuid        not null,
    org_unit          text        not null,
    code              text        not null,
    status            text        not null check (status in ('open', 'closed')),
    currency          text        not null,
    total_minor       bigint      not null,
    free_minor        bigint      not null,
    reserved_minor    bigint      not null,
    consumed_minor    bigint      not null,
    reservations      integer     not null,
    threshold_percent integer     not null,
    created_at        timestamptz not null,
    created_by        text        not null,
    changed_at        timestamptz not null,
    changed_by        text        not null
) with (fillfactor = 85);
create index on read.budgets (activity_id);
create index on read.budgets (org_unit, created_at, id);

create table read.budget_movements (
    id           uuid        primary key,
    budget_id    uuid        not null,
    version      integer     not null,
    org_unit     text        not null,
    kind         text        not null,
    key          text        not null,
    amount_minor bigint      not null,
    currency     text        not null,
    reference_id uuid,
    expires_at   timestamptz,
    created_at   timestamptz not null,
    created_by   text        not null
);
create index on read.budget_movements (budget_id, version);
create index on read.budget_movements (reference_id) where reference_id is not null;

create table read.points_jobs (
    id                  uuid        primary key,
    version             integer     not null,
    org_unit            text        not null,
    status              text        not null,
    name                text        not null,
    programme           text        not null,
    business_date       date        not null,
    sequence            integer     not null,
    file_name           text        not null,
    origin              text        not null,
    business_type       text        not null,
    unit_cost           text        not null,
    currency            text        not null,
    run_id              uuid        not null,
    result_hash         text        not null,
    definition_id       uuid        not null,
    definition_revision integer     not null,
    definition_hash     text        not null,
    work_order_id       uuid,
    activity_id         uuid        not null,
    activity_revision   integer     not null,
    approval_ids        uuid[]      not null,
    attempt             integer     not null,
    lines               integer,
    points              bigint,
    amount_minor        bigint,
    bytes               bigint,
    sha256              text,
    answer_by           timestamptz,
    answer_sha256       text,
    accepted            integer,
    rejected            integer,
    accepted_points     bigint,
    rejected_points     bigint,
    posted              integer,
    posted_points       bigint,
    refused             integer,
    refused_lines       jsonb       not null,
    differing           integer,
    differences         jsonb       not null,
    consumed_minor      bigint,
    failure             text,
    faults              jsonb       not null,
    reason              text,
    created_at          timestamptz not null,
    created_by          text        not null,
    changed_at          timestamptz not null,
    changed_by          text        not null
) with (fillfactor = 85);
create index on read.points_jobs (org_unit, created_at, id);
create index on read.points_jobs (run_id);
create index on read.points_jobs (activity_id);
create index on read.points_jobs (work_order_id) where work_order_id is not null;

create table read.points_entries (
    id            uuid        primary key,
    ledger_id     uuid        not null,
    version       integer     not null,
    org_unit      text        not null,
    programme     text        not null,
    customer      text        not null,
    year          integer     not null,
    points        bigint      not null,  -- signed: what the customer's account got
    debit         text        not null,
    credit        text        not null,
    balance       bigint      not null,  -- the customer's, after the entry
    card_masked   text        not null,
    lot           text        not null,
    value_date    date        not null,
    business_type text        not null,
    name          text        not null,
    origin        text        not null,
    posting_key   text        not null,
    job_id        uuid,
    line_number   integer     not null,
    reverses_id   uuid,
    reason        text        not null,
    created_at    timestamptz not null,
    created_by    text        not null
);
create index on read.points_entries (ledger_id, version);
create index on read.points_entries (customer, programme, created_at, id);
create index on read.points_entries (created_at, id);
create index on read.points_entries (job_id, line_number) where job_id is not null;
create index on read.points_entries (reverses_id) where reverses_id is not null;

-- The accounts against the customers': of each programme and year one, summed with the entries.
create table read.points_contra_accounts (
    id        uuid    primary key,
    programme text    not null,
    year      integer not null,
    account   text    not null,
    balance   bigint  not null  -- what it got less what it gave
);

create table read.points_accounts (
    id         uuid        primary key,
    version    integer     not null,
    org_unit   text        not null,
    programme  text        not null,
    customer   text        not null,
    year       integer     not null,
    status     text        not null check (status in ('open', 'carried', 'closed')),
    opening    bigint      not null,
    earned     bigint      not null,
    used       bigint      not null,
    expired    bigint      not null,
    balance    bigint      not null,
    postings   integer     not null,
    created_at timestamptz not null,
    created_by text        not null,
    changed_at timestamptz not null,
    changed_by text        not null
) with (fillfactor = 85);
create index on read.points_accounts (customer, programme, year);
create index on read.points_accounts (created_at, id);

reset role;

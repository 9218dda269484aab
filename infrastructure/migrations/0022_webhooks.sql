-- Webhooks: endpoints as they are read; beside them what is sent where, and how it went. The log knows of none of
-- these deliveries, and waits for none.

set local role cardinal_app;

create table read.webhook_endpoints (
    id              uuid        primary key,
    version         integer     not null,
    revision        integer     not null,
    code            text        not null,
    org_unit        text        not null,
    status          text        not null check (status in ('draft', 'pending_research', 'pending_technology',
                                    'research_rejected', 'technology_rejected', 'approved')),
    name            text        not null,
    url             text        not null,
    types           text[]      not null,
    discloses       text[]      not null,
    secrets         integer     not null,
    approved_revision integer,
    approved_hash   text,
    approved_at     timestamptz,
    approved_url    text,
    approval_id     uuid,
    disabled_cause  text        check (disabled_cause in ('by_hand', 'gone', 'exhausted')),
    disabled_at     timestamptz,
    disabled_reason text,
    created_at      timestamptz not null,
    created_by      text        not null,
    submitted_at    timestamptz,
    submitted_by    text,
    reason          text,
    changed_at      timestamptz not null,
    changed_by      text        not null
);
create index on read.webhook_endpoints (org_unit, code, id);

reset role;

create schema webhook;

create table webhook.secrets (
    id         uuid        primary key,
    enciphered bytea       not null,
    created_at timestamptz not null default now()
);
comment on table webhook.secrets is 'By AES-256-GCM: twelve bytes of nonce, then the text; the key is a file.';

create table webhook.checkpoint (
    name     text    primary key,
    epoch    integer not null default 0,
    position bigint  not null default 0
);
comment on table webhook.checkpoint is 'How far the events of endpoints themselves were followed.';

-- One row for each endpoint that was ever approved. Everything up to (epoch, position) has been queued.
create table webhook.endpoints (
    id        uuid    primary key,
    org_unit  text    not null,
    is_on     boolean not null,
    epoch     integer not null,
    position  bigint  not null
) with (fillfactor = 50);

create table webhook.deliveries (
    id          uuid        primary key,
    endpoint_id uuid        not null references webhook.endpoints,
    org_unit    text        not null,
    event_id    uuid        not null,
    stream_id   uuid        not null,
    version     integer     not null,
    epoch       integer     not null,
    position    bigint      not null,
    event_type  text        not null,
    status      text        not null default 'pending' check (status in ('pending', 'delivered', 'dropped')),
    attempt_count integer   not null default 0,
    retry_at    timestamptz,
    queued_at   timestamptz not null default now(),
    ended_at    timestamptz,
    unique (endpoint_id, event_id)
) with (fillfactor = 80);
create index on webhook.deliveries (endpoint_id, stream_id, epoch, position) where status = 'pending';
create index on webhook.deliveries (endpoint_id, queued_at, id);
create index on webhook.deliveries (ended_at) where ended_at is not null;

-- One row for each stream of which an endpoint is owed something: whoever holds it sends the oldest. A holder puts
-- `due_at` as far ahead as his lease goes.
create table webhook.lines (
    endpoint_id uuid        not null references webhook.endpoints,
    stream_id   uuid        not null,
    due_at      timestamptz not null default now(),
    failures    integer     not null default 0,
    lease       uuid,
    primary key (endpoint_id, stream_id)
) with (fillfactor = 50);
create index on webhook.lines (due_at);
create index on webhook.lines (endpoint_id) where lease is not null;

create table webhook.attempts (
    id          uuid        primary key,
    delivery_id uuid        not null references webhook.deliveries on delete cascade,
    org_unit    text        not null,
    number      integer     not null,
    started_at  timestamptz not null,
    duration_ms integer     not null,
    outcome     text        not null,
    status_code integer,
    response    text        not null check (octet_length(response) <= 1024),
    unique (delivery_id, number)
);

grant usage on schema webhook to cardinal_app;
grant select, insert, update, delete on all tables in schema webhook to cardinal_app;

-- Access: users, service accounts, delegations and revocations as they are read; beside them what never enters
-- an event: hashes of passwords and secrets, sessions, and who came in from where.

set local role cardinal_app;

create table read.users (
    id             uuid        primary key,
    version        integer     not null,
    revision       integer     not null,
    username       text        not null,
    name           text        not null,
    org_unit       text        not null,
    roles          text[]      not null,
    data_units     text[],
    activity_units text[],
    status         text        not null check (status in ('active', 'locked', 'disabled')),
    is_locked      boolean     not null,
    reason         text,
    password_reset_at timestamptz,
    created_at     timestamptz not null,
    created_by     text        not null,
    changed_at     timestamptz not null,
    changed_by     text        not null
);
create index on read.users (org_unit, username, id);

create table read.service_accounts (
    id                  uuid        primary key,
    version             integer     not null,
    revision            integer     not null,
    code                text        not null,
    name                text        not null,
    org_unit            text        not null,
    scopes              text[]      not null,
    requests_per_minute integer     not null,
    expires_at          timestamptz,
    secrets             integer     not null,
    status              text        not null check (status in ('active', 'disabled')),
    reason              text,
    created_at          timestamptz not null,
    created_by          text        not null,
    changed_at          timestamptz not null,
    changed_by          text        not null
);
create index on read.service_accounts (org_unit, code, id);

create table read.delegations (
    id         uuid        primary key,
    version    integer     not null,
    org_unit   text        not null,
    delegate   text        not null,
    tasks      text[]      not null,
    starts_at  timestamptz not null,
    ends_at    timestamptz not null,
    is_ended   boolean     not null,
    reason     text        not null,
    created_at timestamptz not null,
    created_by text        not null,
    changed_at timestamptz not null,
    changed_by text        not null
);
create index on read.delegations (org_unit, ends_at, id);
create index on read.delegations (delegate, ends_at);

create table read.revocations (
    id         uuid        primary key,
    version    integer     not null,
    org_unit   text        not null,
    kind       text        not null check (kind in ('subject', 'session', 'token')),
    value      text        not null,
    revoked_at timestamptz not null,
    reason     text        not null,
    created_at timestamptz not null,
    created_by text        not null,
    changed_at timestamptz not null,
    changed_by text        not null
);
create index on read.revocations (revoked_at, id);

reset role;

-- Every process keeps these few streams in memory and asks here which of them have moved.
create index heads_of_access on log.heads (stream_type, stream_id)
    where stream_type in ('user', 'service_account', 'delegation', 'revocation');

create schema access;

create table access.passwords (
    username   text        primary key,
    hash       text        not null check (hash like '$argon2id$%'),
    must_change boolean    not null,
    changed_at timestamptz not null,
    earlier    text[]      not null default '{}' check (cardinality(earlier) <= 5)
);
comment on table access.passwords is 'Hashes by argon2id, those of earlier passwords so that none comes back.';

create table access.failures (
    username     text        primary key check (octet_length(username) <= 255),
    failures     integer     not null,
    last_at      timestamptz not null,
    locked_until timestamptz
);
comment on table access.failures is
    'Attempts that failed in a row, also for names that nobody has, so that an answer tells nothing.';
create index on access.failures (last_at);

create table access.sessions (
    id         uuid        primary key,
    username   text        not null,
    org_unit   text        not null,
    started_at timestamptz not null,
    renewed_at timestamptz not null,
    expires_at timestamptz not null,
    ended_at   timestamptz,
    end_reason text,
    address    text        not null,
    agent      text        not null
);
create index on access.sessions (username, started_at);
create index on access.sessions (org_unit, started_at, id);
create index on access.sessions (ended_at) where ended_at is not null;

create table access.refresh_tokens (
    hash       bytea       primary key check (octet_length(hash) = 32),
    session_id uuid        not null references access.sessions on delete cascade,
    issued_at  timestamptz not null,
    used_at    timestamptz
);
comment on table access.refresh_tokens is 'One that is used twice was stolen: its whole session ends.';
create index on access.refresh_tokens (session_id);

create table access.secrets (
    id      uuid        primary key,
    hash    bytea       not null check (octet_length(hash) = 32),
    made_at timestamptz not null
);
comment on table access.secrets is 'SHA-256 of secrets of 256 random bits; which of them are good, the log says.';

create table access.entries (
    id          uuid        primary key default gen_random_uuid(),
    occurred_at timestamptz not null default now(),
    kind        text        not null,
    subject     text        not null check (length(subject) <= 255),
    org_unit    text        not null,
    address     text        not null,
    agent       text        not null check (length(agent) <= 200),
    session_id  uuid
);
comment on table access.entries is 'Who came in, or tried to, from where. Nothing here is changed or deleted.';
create index on access.entries (org_unit, occurred_at, id);
create index on access.entries (subject, occurred_at);

grant usage on schema access to cardinal_app;
grant select, insert, update, delete on access.passwords, access.failures, access.sessions, access.refresh_tokens,
    access.secrets to cardinal_app;
grant select, insert on access.entries to cardinal_app;

-- Stocks of the rewards that activities may give. Movements are rows that never change.

set local role cardinal_app;

create table read.stocks (
    id                   uuid        primary key,
    version              integer     not null,
    activity_id          uuid        not null,
    org_unit             text        not null,
    code                 text        not null,
    line                 integer     not null,
    reward_type_id       uuid        not null,
    reward_type_revision integer     not null,
    unit                 text        not null,
    status               text        not null check (status in ('open', 'closed')),
    total                numeric     not null,
    free                 numeric     not null check (free >= 0),
    reserved             numeric     not null check (reserved >= 0),
    consumed             numeric     not null check (consumed >= 0),
    reservations         integer     not null,
    created_at           timestamptz not null,
    created_by           text        not null,
    changed_at           timestamptz not null,
    changed_by           text        not null
) with (fillfactor = 85);
create index on read.stocks (activity_id);
create index on read.stocks (created_at, id);
create index on read.stocks (org_unit, created_at, id);
create index on read.stocks (id) where reservations > 0;

create table read.stock_movements (
    id           uuid        primary key,
    stock_id     uuid        not null,
    version      integer     not null,
    org_unit     text        not null,
    kind         text        not null,
    key          text        not null,
    quantity     numeric     not null,
    reference_id uuid,
    expires_at   timestamptz,
    created_at   timestamptz not null,
    created_by   text        not null
);
create index on read.stock_movements (stock_id, version);
create index on read.stock_movements (stock_id, key, version);
create index on read.stock_movements (reference_id) where reference_id is not null;

reset role;

-- Seals: what the log was at an instant, signed, and published where this database's owner can't rewrite it.
-- These tables are the sealer's working copy; what counts is what was published.

-- Tells this log from every other, also after a restore.
create table log.identity (
    only_one boolean primary key default true check (only_one),
    log_id   uuid    not null default gen_random_uuid()
);
insert into log.identity default values;

create table log.seals (
    number    integer primary key check (number > 0),
    size      bigint  not null,  -- events sealed up to here
    epoch     integer not null,  -- of the last of them
    position  bigint  not null,
    statement text    not null,  -- the exact text that is signed
    signature bytea   not null,
    is_void   boolean not null   -- speaks of events that a restore has lost
);

-- The Merkle roots of each 256 events, in the order of positions, and where the first of them stands.
create table log.seal_tiles (
    number   bigint  primary key check (number >= 0),
    epoch    integer not null,
    position bigint  not null,
    root     bytea   not null
);

grant select on log.identity to cardinal_app;
grant select, insert on log.seals, log.seal_tiles to cardinal_app;

-- Projections: how far each has come, what it had to park, and the schemas of the read tables.

create schema projection;

-- Written with each batch, in its transaction. A rebuild under way has a row of its own ("activities:rebuild").
-- Whoever else rewrites a projection's tables raises the generation, so that a batch begun before fails.
create table projection.checkpoints (
    name       text    primary key,
    epoch      integer not null default 0,
    position   bigint  not null default 0,
    generation bigint  not null default 0
) with (fillfactor = 50);

-- Streams with an event that the projection could not take in. Their later events are held back from it.
create table projection.parked (
    projection text        not null,
    stream_id  uuid        not null,
    epoch      integer     not null,
    position   bigint      not null,
    error      text        not null,
    first_seen timestamptz not null default now(),
    attempts   integer     not null default 1,
    primary key (projection, stream_id)
);

grant usage on schema projection to cardinal_app;
grant select, insert, update, delete on all tables in schema projection to cardinal_app;

-- The running role owns the read tables: a rebuild makes new ones and puts them in place of the old.
create schema read authorization cardinal_app;
create schema rebuild authorization cardinal_app;

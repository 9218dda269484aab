-- Processes: how far each has followed the log, and what it is owed.

create schema process;

create table process.checkpoints (
    name     text    primary key,
    epoch    integer not null default 0,
    position bigint  not null default 0
) with (fillfactor = 50);

-- One row for each stream with a step that is still to be done, as of the stream's version.
create table process.owed (
    process   text        not null,
    stream_id uuid        not null,
    stream_type text      not null,
    version   integer     not null,
    task      text        not null,
    due_at    timestamptz not null,
    driven    integer     not null default 1,  -- how often its task has been enqueued
    look_at   timestamptz not null,            -- when the watchdog enqueues it again
    primary key (process, stream_id)
) with (fillfactor = 70);
create index on process.owed (look_at);

grant usage on schema process to cardinal_app;
grant select, insert, update, delete on all tables in schema process to cardinal_app;

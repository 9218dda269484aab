-- Documents that clients may name by their sha256, and where each projection last changed anything.

create schema documents;

-- Written by `cardinal documents`; never changed, for the digest is that of the text.
create table documents.registered (
    digest        text        primary key check (digest ~ '^[0-9a-f]{64}$'),
    source        text        not null check (octet_length(source) <= 200000),
    registered_at timestamptz not null default now()
);

grant usage on schema documents to cardinal_app;
grant select, insert, delete on documents.registered to cardinal_app;

-- A batch without an event of the projection's moves its checkpoint only; one with any moves these too.
alter table projection.checkpoints
    add column changed_epoch    integer not null default 0,
    add column changed_position bigint  not null default 0;
update projection.checkpoints set changed_epoch = epoch, changed_position = position;

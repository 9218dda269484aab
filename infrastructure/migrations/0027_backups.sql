-- When a base backup was taken and found whole: so that its age can be watched without sight of the backups.

create table public.backups (
    taken_at timestamptz primary key,
    bytes    bigint not null
);

grant select, insert on public.backups to cardinal_app;

-- Points that a job is on its way to post, by customer: taken from the run's result, which is as good as this
-- table and outlives it. Not a read table, for no event names these customers yet.

create schema points;

create table points.under_way (
    job_id   uuid    not null,
    line     integer not null,
    customer text    not null,
    points   bigint  not null,
    primary key (job_id, line)
);
create index on points.under_way (customer);

grant usage on schema points to cardinal_app;
grant select, insert, delete on points.under_way to cardinal_app;

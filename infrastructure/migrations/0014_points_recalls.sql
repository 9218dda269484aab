-- Points files that are sent again, recalled, or reversed in part; cancellations that wait for a recall.

set local role cardinal_app;

alter table read.points_jobs
    add column sending         integer not null default 1,
    add column is_overdue      boolean not null default false,
    add column confirmation    text,
    add column reversed_points bigint  not null default 0,
    add column refunded_minor  bigint  not null default 0;
update read.points_jobs set is_overdue = true where status = 'awaiting_acknowledgement';

alter table read.cancellations
    add column points_file text,
    add column refusal     text;

reset role;

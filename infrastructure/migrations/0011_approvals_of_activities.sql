-- The activity that an approval is of, and null where it is of anything else.

alter table read.approvals
    add column activity_id uuid generated always as (case when subject_kind = 'activity' then subject_id end) stored;
alter table read.approval_versions
    add column activity_id uuid generated always as (case when subject_kind = 'activity' then subject_id end) stored;

-- Signed messages of partners that were taken: none is taken twice.

create table access.partner_nonces (
    key_id  text        not null check (length(key_id) <= 64),
    nonce   text        not null check (length(nonce) between 16 and 128),
    seen_at timestamptz not null default now(),
    primary key (key_id, nonce)
);
comment on table access.partner_nonces is 'Kept for longer than a message is good.';
create index on access.partner_nonces (seen_at);

grant select, insert, delete on access.partner_nonces to cardinal_app;

-- The answer to a refresh may be lost on its way. Who asks again at once, from the same address, gets the same
-- token again: it follows from the one before and the salt, and neither token is stored.

alter table access.refresh_tokens
    add column salt bytea check (octet_length(salt) = 32),
    add column used_from text;
comment on table access.refresh_tokens is
    'One that is used again later, from elsewhere, or after its successor was used ends its whole session.';

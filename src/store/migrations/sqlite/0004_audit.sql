-- What happened to people's access, and who stays out although nothing else is kept of them.

-- The record, swept when its time is over.
create table if not exists doorward_audit (
    number integer not null primary key,
    happened_at integer not null,
    kind text not null,
    user_id text, -- whom it is about, user or not
    actor text not null, -- person or operator
    reason text not null, -- a stable word
    detail text not null,
    request_id text not null,
    address text not null
) strict;
create index if not exists doorward_audit_user on doorward_audit (user_id, number);
create index if not exists doorward_audit_kind on doorward_audit (kind, number);
create index if not exists doorward_audit_happened on doorward_audit (happened_at);

-- Blocks of people who were deleted.
create table if not exists doorward_blocks (
    identity blob not null primary key, -- SHA-256 of issuer and subject
    blocked_at integer not null
) strict, without rowid;

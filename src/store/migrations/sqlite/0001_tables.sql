-- What Doorward remembers, beside the site's own table of users. Times are seconds since 1970 in UTC.
-- Strict tables: what is not of a column's type is refused, as MySQL refuses it.

-- Who is who: the provider's word on each person, and the row of the users table that is theirs.
create table if not exists doorward_identities (
    issuer text not null,
    subject text not null,
    user_id text not null unique,
    provider text not null,
    email text not null,
    email_folded text not null, -- the email with its ASCII letters in lower case, to be searched
    email_verified integer not null,
    hosted_domain text,
    name text,
    picture text,
    created_at integer not null,
    last_login_at integer not null,
    blocked_at integer, -- since when the operator keeps them out
    primary key (issuer, subject)
) strict, without rowid;
create index if not exists doorward_identities_email on doorward_identities (email_folded);

-- Browsers that are signed in.
create table if not exists doorward_sessions (
    handle blob not null primary key, -- SHA-256 of what the cookie holds
    user_id text not null,
    created_at integer not null,
    last_seen_at integer not null,
    expires_at integer not null,
    address text not null,
    user_agent text not null
) strict, without rowid;
create index if not exists doorward_sessions_user on doorward_sessions (user_id, created_at);
create index if not exists doorward_sessions_created on doorward_sessions (created_at);
create index if not exists doorward_sessions_expires on doorward_sessions (expires_at);
create index if not exists doorward_sessions_seen on doorward_sessions (last_seen_at);

-- Credentials of programs.
create table if not exists doorward_tokens (
    hash blob not null primary key, -- SHA-256 of the token
    user_id text not null,
    name text not null,
    last_four text not null,
    created_at integer not null,
    expires_at integer not null,
    last_used_at integer
) strict, without rowid;
create index if not exists doorward_tokens_user on doorward_tokens (user_id, created_at);
create index if not exists doorward_tokens_created on doorward_tokens (created_at);
create index if not exists doorward_tokens_expires on doorward_tokens (expires_at);

-- Keys that seal logins under way.
create table if not exists doorward_keys (
    id integer not null primary key,
    secret blob not null,
    created_at integer not null
) strict;

-- What Doorward remembers, beside the site's own table of users. Times are seconds since 1970 in UTC.
-- Whatever is compared is binary: collations of the database's own would take one id for another.
-- The row format is named because a key of 3,072 bytes needs it.

-- Who is who: the provider's word on each person, and the row of the users table that is theirs.
create table if not exists doorward_identities (
    issuer varbinary(512) not null,
    subject varbinary(255) not null,
    user_id varbinary(255) not null comment 'id in the table of users',
    provider varchar(64) character set utf8mb4 collate utf8mb4_bin not null,
    email varchar(320) character set utf8mb4 collate utf8mb4_bin not null,
    email_folded varbinary(1280) not null comment 'the email with its ASCII letters in lower case, to be searched',
    email_verified boolean not null,
    hosted_domain varchar(255) character set utf8mb4 collate utf8mb4_bin,
    name varchar(255) character set utf8mb4 collate utf8mb4_bin,
    picture varchar(2048) character set utf8mb4 collate utf8mb4_bin,
    created_at bigint not null,
    last_login_at bigint not null,
    blocked_at bigint comment 'since when the operator keeps them out',
    primary key (issuer, subject),
    unique key doorward_identities_user (user_id),
    key doorward_identities_email (email_folded)
) engine = InnoDB row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- Browsers that are signed in.
create table if not exists doorward_sessions (
    handle binary(32) not null comment 'SHA-256 of what the cookie holds',
    user_id varbinary(255) not null,
    created_at bigint not null,
    last_seen_at bigint not null,
    expires_at bigint not null,
    address varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
    user_agent varchar(256) character set utf8mb4 collate utf8mb4_bin not null,
    primary key (handle),
    key doorward_sessions_user (user_id, created_at),
    key doorward_sessions_created (created_at),
    key doorward_sessions_expires (expires_at),
    key doorward_sessions_seen (last_seen_at)
) engine = InnoDB row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- Credentials of programs.
create table if not exists doorward_tokens (
    hash binary(32) not null comment 'SHA-256 of the token',
    user_id varbinary(255) not null,
    name varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
    last_four varchar(4) character set utf8mb4 collate utf8mb4_bin not null,
    created_at bigint not null,
    expires_at bigint not null,
    last_used_at bigint,
    primary key (hash),
    key doorward_tokens_user (user_id, created_at),
    key doorward_tokens_created (created_at),
    key doorward_tokens_expires (expires_at)
) engine = InnoDB row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- Keys that seal logins under way.
create table if not exists doorward_keys (
    id int unsigned not null,
    secret binary(32) not null,
    created_at bigint not null,
    primary key (id)
) engine = InnoDB row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

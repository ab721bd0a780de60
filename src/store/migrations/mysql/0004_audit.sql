-- What happened to people's access, and who stays out although nothing else is kept of them.

-- The record, swept when its time is over.
create table if not exists doorward_audit (
    number bigint unsigned not null auto_increment,
    happened_at bigint not null,
    kind varchar(32) character set ascii collate ascii_bin not null,
    user_id varbinary(255) comment 'whom it is about, user or not',
    actor varchar(16) character set ascii collate ascii_bin not null comment 'person or operator',
    reason varchar(64) character set utf8mb4 collate utf8mb4_bin not null comment 'a stable word',
    detail varchar(512) character set utf8mb4 collate utf8mb4_bin not null,
    request_id varchar(64) character set utf8mb4 collate utf8mb4_bin not null,
    address varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
    primary key (number),
    key doorward_audit_user (user_id, number),
    key doorward_audit_kind (kind, number),
    key doorward_audit_happened (happened_at)
) engine = InnoDB row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- Blocks of people who were deleted.
create table if not exists doorward_blocks (
    identity binary(32) not null comment 'SHA-256 of issuer and subject',
    blocked_at bigint not null,
    primary key (identity)
) engine = InnoDB row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- Programs that wait for their person to let them in: for ten minutes, under hashes of both their codes.
create table if not exists doorward_devices (
    code binary(32) not null comment 'SHA-256 of what the program holds',
    user_code binary(32) not null comment 'SHA-256 of what the person types',
    machine varchar(100) character set utf8mb4 collate utf8mb4_bin not null comment 'as the program calls it',
    address varchar(255) character set utf8mb4 collate utf8mb4_bin not null comment 'where it asked from',
    scope varchar(64) character set utf8mb4 collate utf8mb4_bin not null,
    created_at bigint not null,
    expires_at bigint not null,
    polled_at bigint comment 'when it last asked whether it may come in',
    pause int unsigned not null comment 'how many seconds it must leave between two questions',
    state varchar(16) character set utf8mb4 collate utf8mb4_bin not null comment 'pending, approved, denied',
    user_id varbinary(255) comment 'who decided',
    primary key (code),
    unique key doorward_devices_user_code (user_code),
    key doorward_devices_expires (expires_at)
) engine = InnoDB row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

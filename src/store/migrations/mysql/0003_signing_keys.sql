-- Keys that sign assertions for the apps behind the gate. Times are seconds since 1970 in UTC.
create table if not exists doorward_signing_keys (
    number int unsigned not null comment 'counted up: the next key takes the next number',
    private_key varbinary(512) not null comment 'PKCS 8, for ES256',
    created_at bigint not null,
    signs_from bigint not null comment 'published before, so that every app knows it in time',
    primary key (number)
) engine = InnoDB row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- Where programs that wait are counted together: an address, or for IPv6 the /64 that it lies in.
alter table doorward_devices add column
    network varchar(64) character set utf8mb4 collate utf8mb4_bin not null default '';

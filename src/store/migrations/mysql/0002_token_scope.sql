-- What a token may be used for. The tokens that are there were made to show who somebody is, and stay so.
alter table doorward_tokens add column
    scope varchar(64) character set utf8mb4 collate utf8mb4_bin not null default 'me';

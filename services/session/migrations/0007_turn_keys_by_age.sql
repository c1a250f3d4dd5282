-- Keys are forgotten after a time: they were written in its order.
create index turn_keys_by_age on turn_keys using brin (created_at);

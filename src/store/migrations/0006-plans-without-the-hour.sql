-- What waits or lives is a few rows in years of history, and none at all when the statistics happen to be taken in a quiet hour.
-- PostgreSQL then holds a walk through any index over such rows to be free, and takes an arbitrary one: on the day when a hundred
-- thousand wait there, each look at one of them reads all. Without statistics on what a row's place in its life is, plans depend on
-- the queries and the indexes alone, and are the same at any hour.
alter table brevet.requests alter column state set statistics 0;
alter table brevet.grants alter column state set statistics 0, alter column revoke_due_at set statistics 0, alter column overdue_at set statistics 0;
alter table brevet.grant_parts alter column state set statistics 0, alter column settled set statistics 0, alter column work set statistics 0,
  alter column due_at set statistics 0, alter column claimed_until set statistics 0, alter column fence set statistics 0;
alter table brevet.sessions alter column state set statistics 0, alter column cut_reason set statistics 0, alter column lease_until set statistics 0;

-- A page of what was asked for on somebody's behalf, in the page's order.
drop index brevet.requests_by_behalf;
create index requests_by_behalf on brevet.requests (on_behalf_of_id, id) where on_behalf_of_id is not null;
drop index brevet.grants_by_behalf;
create index grants_by_behalf on brevet.grants (on_behalf_of_id, id) where on_behalf_of_id is not null;

-- What an earlier ANALYZE noted stays, unless it is cleared, for which there is a function from 18 on; before, it is a matter of a new store.
do $$
declare
  told record;
begin
  if to_regproc('pg_catalog.pg_clear_attribute_stats') is null then return; end if;
  for told in select c.relname, a.attname from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
                where c.relnamespace = 'brevet'::regnamespace and c.relkind = 'r' and a.attstattarget = 0 loop
    perform pg_catalog.pg_clear_attribute_stats('brevet', told.relname::text, told.attname::text, false);
  end loop;
end $$;

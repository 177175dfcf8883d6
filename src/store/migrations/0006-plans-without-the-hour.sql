-- What waits or lives is a few rows in years of history, and none at all when the statistics happen to be taken in a quiet hour.
-- PostgreSQL then holds a walk through any index over such rows to be free, and takes an arbitrary one: on the day when a hundred
-- thousand wait there, each look at one of them reads all. Without statistics on what a row's place in its life is, plans depend on
-- the queries and the indexes alone, and are the same at any hour.
--
-- What ANALYZE noted before stays when a column is left out, and grows old: it is cleared where there is a function for it (from 18
-- on); elsewhere a column that has been analysed goes on being analysed.
do $$
declare
  told record;
  clears constant boolean := to_regproc('pg_catalog.pg_clear_attribute_stats') is not null;
begin
  for told in
    select c.name as relname, unnest(c.columns) as attname
      from (values ('requests', array['state']), ('grants', array['state', 'revoke_due_at', 'overdue_at']),
                   ('grant_parts', array['state', 'settled', 'work', 'due_at', 'claimed_until', 'fence']),
                   ('sessions', array['state', 'cut_reason', 'lease_until'])) c (name, columns)
  loop
    if exists (select from pg_catalog.pg_stats s where s.schemaname = 'brevet' and s.tablename = told.relname and s.attname = told.attname) then
      continue when not clears;
      perform pg_catalog.pg_clear_attribute_stats('brevet', told.relname, told.attname, false);
    end if;
    execute format('alter table brevet.%I alter column %I set statistics 0', told.relname, told.attname);
  end loop;
end $$;

-- A page of what was asked for on somebody's behalf, in the page's order. Nobody waits while the new ones are made.
create index requests_on_behalf on brevet.requests (on_behalf_of_id, id) where on_behalf_of_id is not null;
create index grants_on_behalf on brevet.grants (on_behalf_of_id, id) where on_behalf_of_id is not null;
create index grants_live_on_behalf on brevet.grants (on_behalf_of_id, id) where on_behalf_of_id is not null and state <> 'ended';
drop index brevet.requests_by_behalf, brevet.grants_by_behalf;

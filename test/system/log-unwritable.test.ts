import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import type { Answer } from '#contract/routes.ts';
import { ask, told } from '#test/worlds/asking.ts';
import { brevetWorld } from '#test/worlds/brevet-world.ts';

test('G06 while the log takes no entry nothing new is granted, and what is due is taken away', { timeout: 90_000 }, async () => {
  await using world = await brevetWorld({ brokers: 0 });
  const { pool } = world.database;
  const [ada, noor] = [await world.as('ada'), await world.as('noor')];
  const due = await world.grant('ada', 'orders-read', { seconds: 8 });
  const stuck = await world.grant('ada', 'orders-read', { seconds: 8 });
  const later = await world.grant('ada', 'orders-read', { seconds: 600 });
  const [object, kept] = [due.parts[0]?.object ?? '', later.parts[0]?.object ?? ''];
  assert.ok((await world.roles()).includes(object) && (await world.roles()).includes(kept));
  const pending = await ask(ada);
  const { host, port, user, password } = world.target;
  const holder = new Client({ host, port, user, password });
  await holder.connect();
  await holder.query(`begin; create temp table held (n int); grant select on held to ${stuck.parts[0]?.object}`); // the role can't be dropped meanwhile

  await pool.query(`create function brevet.no_entry() returns trigger language plpgsql as $f$ begin raise exception 'the log is full' using errcode = 'disk_full'; end $f$;
    create trigger no_entry before insert on brevet.log_entries execute function brevet.no_entry()`);
  const counts = async () => (await pool.query("select (select count(*) from brevet.grants) || ' ' || (select count(*) from brevet.requests) || ' ' || (select count(*) from brevet.log_entries) as n")).rows[0] as { n: string };
  const was = await counts();
  const wish = { entitlement: 'orders-read', reason: 'unlogged', ticket: 'T-1', duration: 60 };
  assert.equal((await ada.post('/api/v1/requests', wish)).status, 503);
  assert.equal((await noor.post(`/api/v1/requests/${pending.id}/reviews`, { decision: 'approve', hash: pending.hash })).status, 503);
  assert.equal((await ada.post(`/api/v1/grants/${later.id}/extension`, { duration: 600, reason: 'more' })).status >= 400, true);

  const end = Date.parse(due.deadline ?? '') + 10_000;
  while ((await world.roles()).includes(object)) {
    assert.ok(Date.now() < end, 'the account still stands ten seconds after the deadline');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok((await world.roles()).includes(kept), 'what is not due stays');
  const blocked = async () => (await world.target.query("select pid from pg_stat_activity where wait_event_type = 'Lock' and query ilike 'drop role%'")).rows.map((row) => Number((row as { pid: number }).pid));
  let first: number | undefined;
  while (first === undefined) [first] = await blocked();
  while ((await blocked()).includes(first)) await new Promise((resolve) => setTimeout(resolve, 20));
  await holder.end();
  while ((await world.roles()).includes(stuck.parts[0]?.object ?? '')) {
    assert.ok(Date.now() < end + 20_000, 'a removal that did not finish is not tried again');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { body } = await ada.get<Answer<'grant'>>(`/api/v1/grants/${due.id}`);
  assert.equal(body.state, 'active', 'no state moves without its entry');
  assert.deepEqual(await counts(), was);

  await pool.query('drop trigger no_entry on brevet.log_entries; drop function brevet.no_entry()');
  await world.until('ada', due.id, 'ended', 20_000);
  const types = await told(world, { grant: due.id });
  for (const type of ['grant.revoking', 'grant.part_absent', 'grant.ended']) assert.equal(types.filter((one) => one === type).length, 1, types.join());
});

test('G06 a removal that was begun goes on although the log takes no entry', { timeout: 60_000 }, async () => {
  await using world = await brevetWorld({ brokers: 0 });
  const { pool } = world.database;
  const grant = await world.grant('ada', 'orders-read', { seconds: 600 });
  const object = grant.parts[0]?.object ?? '';
  // The end of the grant is written, and nothing after it.
  await pool.query(`create function brevet.no_entry() returns trigger language plpgsql as $f$ begin if new.type <> 'grant.revoking' then raise exception 'the log is full'; end if; return new; end $f$;
    create trigger no_entry before insert on brevet.log_entries for each row execute function brevet.no_entry()`);
  await (await world.as('ada')).post(`/api/v1/grants/${grant.id}/finish`);
  const end = Date.now() + 10_000;
  while ((await world.roles()).includes(object)) {
    assert.ok(Date.now() < end, 'the account still stands');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await pool.query('drop trigger no_entry on brevet.log_entries; drop function brevet.no_entry()');
  await world.until('ada', grant.id, 'ended', 70_000);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Answer } from '#contract/routes.ts';
import { done, workload } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld } from '#test/worlds/brevet-world.ts';
import { demoFiles } from '#main/demo/world.ts';
import { hold, psql } from '#test/worlds/brevet-steps.ts';
import pg from 'pg';
let world: BrevetWorld;
before(async () => { world = await brevetWorld(); });
after(() => world[Symbol.asyncDispose]());
test('owner disabled while the workload asks', async () => {
  const bot = await workload(world);
  // Holds the workload's row, so that the submission stops at its quota, after it has read its owner.
  const client = await world.database.pool.connect();
  await client.query('begin');
  await client.query(`select 1 from brevet.principals where name = 'report-bot' for update`);
  const sending = bot.post<Answer<'submitRequest'>>('/api/v1/requests', { entitlement: 'orders-read', reason: 'nightly', duration: 300 });
  await new Promise((r) => setTimeout(r, 700));
  done(await (await world.as('sam')).post('/api/v1/principals/ada/disable'));
  await client.query('commit'); client.release();
  const reply = await sending;
  console.log('submitted:', reply.status, (reply.body as { state?: string }).state);
  await new Promise((r) => setTimeout(r, 1500));
  const { rows } = await world.database.pool.query('select state, end_reason from brevet.grants');
  console.log('grants', rows, await world.roles());
  done(await (await world.as('sam')).post('/api/v1/principals/ada/enable'));
});
test('two last administrators', async () => {
  const files = demoFiles(world.target.port).map((f) => ({ ...f, text: f.text.replace('noor: { name: Noor Haddad }', 'noor: { name: Noor Haddad, administrator: true }') }));
  await world.apply(files);
  const [sam, noor] = [await world.as('sam'), await world.as('noor')];
  for (let n = 0; n < 20; n++) {
    await Promise.all([sam.post('/api/v1/principals/noor/disable'), noor.post('/api/v1/principals/sam/disable')]);
    const { rows } = await world.database.pool.query(`select count(*)::int as n from brevet.principals where administrator and disabled_at is null`);
    if (rows[0].n === 0) { console.log('no administrator left after', n); break; }
    await world.database.pool.query(`update brevet.principals set disabled_at = null where administrator`);
  }
  await world.database.pool.query(`update brevet.principals set disabled_at = null`);
});
test('brokered: the account’s own password', async () => {
  await world.target.query(`create role shared login password 'original'; grant select on all tables in schema public to shared`);
  const files = demoFiles(world.target.port).map((f) => ({ ...f, text: f.text.replace('entitlements:\n', `entitlements:\n  shared-read:\n    title: Shared\n    maximum: 1h\n    parts:\n      - target: orders\n        kind: brokered_session\n        account: shared\n        scope: { database: orders }\n    stages:\n      - { name: lead, groups: [order-leads], required: 1 }\n`) }));
  try { await world.apply(files); } catch (e) { console.log('apply', (e as { message: string }).message); return; }
  const sam = await world.as('sam');
  done(await sam.call('PUT', '/api/v1/targets/orders/credential', { credential: 'original', account: 'shared' }));
  const grant = await world.grant('ada', 'shared-read', { seconds: 60, approvers: ['kim'] }).catch((e: Error) => { console.log('grant', e.message.slice(0, 300)); return null; });
  if (!grant) return;
  const env = { ...(await world.clientEnv('ada')), PGOPTIONS: `-c brevet.grant=${grant.id}` };
  console.log(await psql(env, `alter role current_user password 'mine'`).catch((e: { stderr: string }) => e.stderr));
  done(await (await world.as('ada')).post(`/api/v1/grants/${grant.id}/finish`));
  const ended = await world.until('ada', grant.id, 'ended');
  console.log(ended.state, JSON.stringify(ended.parts[0]?.evidence));
  const direct = new pg.Client({ host: world.target.host, port: world.target.port, user: 'shared', password: 'mine', database: 'orders' });
  console.log(await direct.connect().then(() => 'signed in beside the broker after the end', (e: Error) => e.message)); await direct.end().catch(() => undefined);
  void hold; void assert;
});

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Answer } from '#contract/routes.ts';
import { brevetWorld } from '#test/worlds/brevet-world.ts';

const run = promisify(execFile);

test('the main job: asked, approved, used with psql, cut in mid-query at the deadline, read back as gone', async () => {
  await using world = await brevetWorld();
  const grant = await world.grant('ada', 'orders-write', { seconds: 6, approvers: ['kim'] });
  assert.equal(grant.parts[0]?.state, 'present');
  assert.deepEqual(await world.roles(), [grant.parts[0]?.object]);

  const env = await world.clientEnv('ada');
  const { stdout } = await run('psql', ['-Atc', 'select count(*) from shop.orders'], { env });
  assert.equal(stdout.trim(), '5000');
  await assert.rejects(run('psql', ['-Atc', 'select * from shop.payment_cards'], { env }), /permission denied/);

  const psql = spawn('psql', ['-Atc', 'select pg_sleep(60)'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  psql.stderr.on('data', (bytes) => (said += bytes));
  const [code] = await once(psql, 'exit');
  const late = Date.now() - Date.parse(grant.deadline ?? '');
  assert.notEqual(code, 0);
  assert.match(said, /the granted time is over/);
  assert.ok(late < 2000, `the cut came ${late} ms after the deadline`);

  const ended = await world.until('ada', grant.id, 'ended');
  assert.equal(ended.endReason, 'expired');
  assert.deepEqual(await world.roles(), []);
  await assert.rejects(run('psql', ['-Atc', 'select 1'], { env }), /no active grant/);

  const sam = await world.as('sam');
  const { body: sessions } = await sam.get<Answer<'sessions'>>(`/api/v1/sessions?view=all&grant=${grant.id}`);
  assert.equal(sessions.items.length, 3);
  const { body: entries } = await sam.get<Answer<'logEntries'>>(`/api/v1/log/entries?grant=${grant.id}`);
  assert.ok(entries.items.some((entry) => entry.type === 'grant.ended' && entry.data['verified'] === true));
});

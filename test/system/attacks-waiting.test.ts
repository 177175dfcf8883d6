/** Connections that wait in place for an approval cost the store a look every second: nobody holds any number of them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '#app/app.ts';
import { brevetWorld } from '#test/worlds/brevet-world.ts';
import { until } from '#test/worlds/broker-world.ts';

const MOST = DEFAULT_LIMITS.waitingConnectionsPerPrincipal;

test('H02 of one principal only so many connections wait; others may wait meanwhile', { timeout: 120_000 }, async () => {
  await using world = await brevetWorld();
  /** Starts a psql that waits for an approval, and answers what it says. */
  const wait = async (env: NodeJS.ProcessEnv) => {
    const child = spawn('psql', ['-XAtc', 'select 1'], { env: { ...env, PGOPTIONS: '-c brevet.wait=60s' }, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
    await until(() => said !== '' || child.exitCode !== null, 'a word from the broker', 20_000);
    return { child, said: () => said };
  };
  const [ada, kim] = [await world.as('ada'), await world.as('kim')];
  for (const they of [ada, kim]) {
    const asked = await they.post('/api/v1/requests', { entitlement: 'orders-write', reason: 'it will wait' });
    assert.equal(asked.status, 200, JSON.stringify(asked.body));
  }
  const env = { ...process.env, ...(await world.clientEnv('ada')) };
  const waiting = await Promise.all(Array.from({ length: MOST }, () => wait(env)));
  for (const one of waiting) assert.match(one.said(), /NOTICE: {2}Brevet: waiting up to 60 seconds/);
  const surplus = await wait(env);
  assert.match(surplus.said(), new RegExp(`FATAL: {2}Brevet: ${MOST} connections of yours wait`));
  const other = await wait({ ...process.env, ...(await world.clientEnv('kim')) });
  assert.match(other.said(), /NOTICE: {2}Brevet: waiting/);

  const [first, ...rest] = waiting;
  first?.child.kill('SIGKILL');
  await until(async () => {
    const again = await wait(env);
    rest.push(again);
    return again.said().includes('NOTICE');
  }, 'the place of the one that gave up');
  const alive = [...rest, other].map(({ child }) => child).filter((child) => child.exitCode === null && child.signalCode === null);
  const gone = alive.map((child) => once(child, 'exit'));
  for (const child of alive) child.kill('SIGKILL');
  await Promise.all(gone);
});

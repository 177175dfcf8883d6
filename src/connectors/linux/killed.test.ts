import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartPlan } from '#app/ports/connector.ts';
import { linuxHost, noHost, yes, type LinuxHost } from '#test/worlds/linux-host.ts';

/** Every so many commands of a script one is its last. */
const STRIDE = 3;

const SCOPE = { groups: ['brevet-team'], sudo: ['/usr/bin/id'] };

/** Does something with Brevet's script killed at the Nth command, for N up to where it is done before. Answers how many were killed. */
async function killedEverywhere(host: LinuxHost, once: (attempt: (work: () => Promise<unknown>) => Promise<boolean>) => Promise<boolean>): Promise<number> {
  for (let step = 1, killed = 0; ; step += STRIDE, killed++) {
    const attempt = async (work: () => Promise<unknown>) => {
      await host.killAt(step);
      try {
        return await work().then(() => true, () => false);
      } finally {
        await host.killAt(null);
      }
    };
    if (await once(attempt)) return killed;
    assert.ok(step < 200, 'it is never done, killed or not');
  }
}

test('B08 an account whose making was killed at any step is made again, or removed, and nothing is left', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  await host.group('brevet-team');
  const before = await host.fingerprint();
  let again = false;
  const killed = await killedEverywhere(host, async (attempt) => {
    const plan = host.plan(SCOPE);
    const done = await attempt(() => host.connector.provision(plan, yes));
    again = !again;
    if (again && !done) {
      const { secret } = await host.connector.provision({ ...plan, fence: 2 }, yes);
      assert.equal((await host.ssh(plan, secret ?? '', 'sudo -n /usr/bin/id')).code, 0);
    }
    // Or the store knows nothing of it: then the sweeper finds it by what stands on the host.
    const owned = await host.connector.listOwned(host.target);
    for (const { name } of owned) assert.equal((await host.connector.removeOwned(host.target, name)).gone, true);
    const taken = await host.connector.withdraw(plan);
    assert.equal(taken.gone, true, JSON.stringify(taken));
    assert.equal(await host.fingerprint(), before);
    return done;
  });
  t.diagnostic(`killed at ${killed} places`);
  assert.ok(killed > 5);
});

test('B08 a removal that was killed at any step is done by the next', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  await host.group('brevet-team');
  const before = await host.fingerprint();
  const killed = await killedEverywhere(host, async (attempt) => {
    const plan = host.plan(SCOPE);
    const { secret } = await host.connector.provision(plan, yes);
    await host.ssh(plan, secret ?? '', 'setsid sleep 1000 >/dev/null 2>&1 &');
    const done = await attempt(() => host.connector.withdraw(plan));
    const taken = await host.connector.withdraw(plan);
    assert.equal(taken.gone, true, JSON.stringify(taken));
    assert.equal(await host.fingerprint(), before);
    return done;
  });
  t.diagnostic(`killed at ${killed} places`);
  assert.ok(killed > 5);
});

test('B08 an elevation that was killed at any step, on its way up or down, leaves the account as it was, and running', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  await host.group('brevet-team');
  const key = await host.account('brevet-ada');
  const before = await host.fingerprint();
  const bystander = await host.session('brevet-ada', key, 'sleep 1000');
  const prepared = async (): Promise<PartPlan> => {
    const bare = host.plan(SCOPE, { kind: 'temporary_elevation', account: 'brevet-ada' });
    return { ...bare, prior: await host.connector.prepare(bare) };
  };
  for (const way of ['up', 'down'] as const) {
    const killed = await killedEverywhere(host, async (attempt) => {
      const plan = await prepared();
      if (way === 'down') {
        await host.connector.provision(plan, yes);
        await host.ssh('brevet-ada', key, 'setsid sleep 1001 >/dev/null 2>&1 &');
      }
      const done = await attempt(() => (way === 'up' ? host.connector.provision(plan, yes) : host.connector.withdraw(plan)));
      const taken = await host.connector.withdraw(plan);
      assert.equal(taken.gone, true, JSON.stringify(taken));
      assert.equal(await host.fingerprint(), before);
      assert.match(await host.root('ps -o stat=,args= -u brevet-ada | grep "sleep 1000"'), /^S/m, 'what ran beside it still runs');
      return done;
    });
    t.diagnostic(`${way}: killed at ${killed} places`);
    assert.ok(killed > 3);
  }
  assert.equal(bystander.child.exitCode, null);
});

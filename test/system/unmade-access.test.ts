/** Access that can't become real: why it hangs is told to those who wait for it, and doctor tells what would mend it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { demoFiles } from '#main/demo/world.ts';
import type { Answer } from '#contract/routes.ts';
import { ask, done, review, see, type Grant } from '#test/worlds/asking.ts';
import { eventually } from '#test/worlds/brevet-steps.ts';
import { brevetWorld, pg, type BrevetWorld } from '#test/worlds/brevet-world.ts';

const MORE = `entitlements:
  lends-nothing: { title: Lends a role that is not there, folder: shop, maximum: 1h, parts: [{ target: orders, kind: ephemeral_account, scope: { database: orders, roles: [nosuch, "Odd role"] } }], stages: [{ name: team lead, groups: [order-leads], required: 1 }] }
  raises-nobody: { title: Raises an account that is not there, folder: shop, maximum: 1h, parts: [{ target: orders, kind: temporary_elevation, account: absentee, scope: { roles: [shop_operator] } }], stages: [{ name: team lead, groups: [order-leads], required: 1 }] }
  shares: { title: A shared account, folder: shop, maximum: 1h, parts: [{ target: orders, kind: brokered_session, account: reporting, scope: { database: orders } }], stages: [{ name: team lead, groups: [order-leads], required: 1 }] }
  misnamed: { title: A table that is not there, folder: shop, maximum: 1h, parts: [{ target: orders, kind: ephemeral_account, scope: { database: orders, access: read-only, tables: [shop.nosuch] } }], stages: [{ name: team lead, groups: [order-leads], required: 1 }] }
`;

describe('access that can not become real', { timeout: 90_000 }, () => {
  let world: BrevetWorld;
  before(async () => {
    world = await brevetWorld({ brokers: 0 });
  });
  after(() => world[Symbol.asyncDispose]());

  const doctor = async (name: string) => {
    const { checks } = done(await (await world.as('sam')).get<Answer<'doctor'>>('/api/v1/doctor'));
    const check = checks.find((one) => one.name === name);
    return check ? `${check.state}: ${check.message} > ${check.hint}` : null;
  };
  /** As the superuser of the target, in the shop's database. */
  const onTarget = async (sql: string) => {
    const client = new pg.Client({ host: world.target.host, port: world.target.port, user: world.target.user, password: world.target.password, database: 'orders' });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  const sqlOf = (told: string | null) => / > As a superuser of orders, in the entitlement's database: ([^\n]*)/.exec(told ?? '')?.[1] ?? '';

  test('with all rights there doctor finds nothing', async () => {
    assert.match((await doctor('entitlements')) ?? '', /^ok: Brevet's roles have what they need on the targets for all \d/);
  });

  test('the one who asked is told the code, an administrator what the target said, doctor the SQL; with that it becomes real', async () => {
    await onTarget('alter table shop.order_lines owner to postgres; alter schema shop owner to postgres; grant usage on schema shop to brevet_admin');
    const told = await doctor('entitlement orders-write');
    assert.match(told ?? '', /^error: can't become real on orders: Brevet's role may not pass on usage on schema shop, .*on table shop\.order_lines.*\(no grant option\)/);
    const ada = await world.as('ada');
    const request = await ask(ada);
    done(await review(await world.as('kim'), request));
    const id = (await see(ada, request.id)).grant ?? '';
    const as = async (who: string) => done(await (await world.as(who)).get<Grant>(`/api/v1/grants/${id}`));
    await eventually('an attempt failed', 10_000, async () => (await as('ada')).parts[0]?.lastError !== null);
    const [hers, sams] = [await as('ada'), await as('sam')];
    assert.equal(hers.state, 'activating');
    assert.equal(hers.parts[0]?.lastError, 'target_refused: the target answers, and refuses what this access needs');
    assert.match(hers.parts[0]?.nextStep ?? '', new RegExp(`^Tell an administrator of Brevet: brevet show ${id}`));
    assert.doesNotMatch(`${hers.parts[0]?.lastError} ${hers.parts[0]?.nextStep}`, /shop|postgres|brevet_admin|permission/);
    assert.match(sams.parts[0]?.lastError ?? '', /^target_refused: the target refused: permission denied for table order_lines/);
    assert.match(sams.parts[0]?.nextStep ?? '', /brevet doctor: .* with the SQL/);

    await onTarget(sqlOf(told));
    assert.match((await doctor('entitlements')) ?? '', /^ok/);
    await world.until('ada', id, 'active', 20_000);
    assert.equal((await as('sam')).parts[0]?.lastError, null);
  });

  test('roles and accounts that are not there, and rights over them, each with the statement that mends it', async () => {
    await world.apply([...demoFiles(world.target.port), { path: 'more.yaml', text: MORE }]);
    await onTarget('create role reporting login; revoke pg_signal_backend from brevet_admin');
    assert.match((await doctor('entitlement lends-nothing')) ?? '', /there is no role Odd role on the target; there is no role nosuch on the target > .*create role "Odd role" nologin; create role "nosuch" nologin;$/);
    assert.match((await doctor('entitlement raises-nobody')) ?? '', /there is no role absentee on the target > .*create role "absentee" login;$/);
    assert.match((await doctor('entitlement orders-admin')) ?? '', /could not end the sessions of people's own accounts > .*grant pg_signal_backend, pg_read_all_stats to "brevet_admin";$/);
    assert.match((await doctor('entitlement misnamed')) ?? '', /there is no table shop\.nosuch on the target > Names are exact/);
    assert.match((await doctor('entitlement shares')) ?? '', /could not end the sessions of this account/);
    for (const name of ['lends-nothing', 'raises-nobody', 'orders-admin', 'shares']) await onTarget(sqlOf(await doctor(`entitlement ${name}`)) || 'select 1');
    // A role that a superuser has just made is Brevet's to lend only by its admin option, from PostgreSQL 16 on.
    await onTarget(sqlOf(await doctor('entitlement lends-nothing')) || 'select 1');
    for (const name of ['lends-nothing', 'raises-nobody', 'orders-admin', 'shares']) assert.equal(await doctor(`entitlement ${name}`), null, name);

    await onTarget('alter role brevet_admin nocreaterole');
    assert.match((await doctor('entitlement orders-read')) ?? '', /Brevet's role may not make roles \(NOCREATEROLE\) > .*alter role "brevet_admin" createrole;$/);
    await onTarget('alter role brevet_admin createrole');
  });

  test('what will never become real ends, and why stays to be read', async () => {
    const ada = await world.as('ada');
    await onTarget('create role grander superuser; grant grander to shop_operator');
    const request = await ask(ada, { entitlement: 'orders-admin' });
    done(await review(await world.as('kim'), request));
    done(await review(await world.as('ines'), request));
    const grant = await world.until('ada', (await see(ada, request.id)).grant ?? '', 'ended', 20_000);
    assert.deepEqual([grant.endReason, grant.parts[0]?.lastError], ['activation_failed', 'dangerous_scope: what was asked for is more than Brevet gives on this target']);
    const seen = done(await (await world.as('sam')).get<Grant>(`/api/v1/grants/${grant.id}`));
    assert.match(seen.parts[0]?.lastError ?? '', /^dangerous_scope: role grander \(reached through shop_operator\)/);
  });
});

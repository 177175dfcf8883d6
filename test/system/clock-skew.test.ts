import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connector } from '#app/ports/connector.ts';
import type { Answer } from '#contract/routes.ts';
import { brevetWorld } from '#test/worlds/brevet-world.ts';
import { until } from '#test/worlds/broker-world.ts';

test('B06 nothing new is granted on a target whose clock is off; a right clock is not asked for before each grant', async () => {
  await using world = await brevetWorld({ servers: 1 });
  const connectors = world.server.app.connectors as Map<string, Connector>;
  const real = connectors.get('postgresql') as Connector;
  let skewMs = 0;
  let probes = 0;
  connectors.set('postgresql', { ...real, probe: async (target) => {
    probes += 1;
    const probe = await real.probe(target);
    return { ...probe, skewMs: probe.skewMs === null ? null : probe.skewMs + skewMs };
  } });
  const forget = () => world.database.pool.query("update brevet.targets set checked_at = checked_at - interval '61 seconds'");

  await world.grant('ada', 'orders-read');
  const seen = probes;
  assert.ok(seen >= 1);
  await world.grant('ada', 'orders-read');
  assert.equal(probes, seen, 'a look a moment ago is enough');

  skewMs = 90_000;
  await forget();
  const { body: request } = await (await world.as('ada')).post<Answer<'submitRequest'>>('/api/v1/requests', { entitlement: 'orders-read', reason: 'a test', ticket: 'T-1', duration: 60 });
  const part = async () => (await (await world.as('ada')).get<Answer<'grant'>>(`/api/v1/grants/${request.grant}`)).body.parts[0];
  await until(async () => (await part())?.lastError?.startsWith('clock_skew') === true, 'the refusal');
  const object = (await part())?.object ?? '';
  assert.ok(!(await world.roles()).includes(object));

  skewMs = 0;
  const grant = await world.until('ada', request.grant ?? '', 'active', 20_000);
  assert.ok((await world.roles()).includes(grant.parts[0]?.object ?? ''));
});

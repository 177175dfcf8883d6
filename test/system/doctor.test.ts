import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { Connector } from '#app/ports/connector.ts';
import type { Answer } from '#contract/routes.ts';
import { demoFiles } from '#main/demo/world.ts';
import { changed, done } from '#test/worlds/asking.ts';
import { brevetWorld } from '#test/worlds/brevet-world.ts';
import { makeAuthority } from '#test/worlds/certificates.ts';
import { freePort } from '#test/worlds/postgres-server.ts';

test('doctor: a line for each target that can not be used, with what to do next', { timeout: 60_000 }, async () => {
  await using authority = await makeAuthority();
  await using stranger = await makeAuthority('Somebody else');
  await using world = await brevetWorld({ brokers: 0, target: { tls: await authority.issue('server', 'localhost') } });
  const hanging = createServer().listen(0, '127.0.0.1');
  await once(hanging, 'listening');
  const { port: silent } = hanging.address() as { port: number };
  const { port } = world.target;
  const line = (name: string, config: object) => `  ${name}: { type: postgresql, config: ${JSON.stringify({ host: '127.0.0.1', port, database: 'orders', user: 'brevet_admin', tls: 'disable', ...config })} }\n`;
  await world.apply(changed(world, 'targets:\n', `targets:\n${line('wrong', {})}${line('refuses', { port: await freePort() })}${line('untrusted', { tls: 'verify-full', ca: stranger.ca })}${line('misnamed', { host: 'nosuch.invalid' })}${line('hangs', { port: silent })}${line('nowhere', { database: 'nosuch' })}`));
  const sam = await world.as('sam');
  done(await sam.call('PUT', '/api/v1/targets/wrong/credential', { credential: 'not-the-password-of-it' }));

  const began = performance.now();
  const { checks } = done(await sam.get<Answer<'doctor'>>('/api/v1/doctor'));
  assert.ok(performance.now() - began < 9000);
  const told = (name: string) => {
    const check = checks.find((one) => one.name === `target ${name}`);
    return `${check?.state}: ${check?.message} > ${check?.hint}`;
  };
  assert.match(told('orders'), /^ok: signed in, version \d/);
  assert.match(told('wrong'), /^error: the target refused: password authentication failed .* > .*brevet target credential wrong/);
  assert.match(told('refuses'), /^error: the target does not answer: .*ECONNREFUSED.* > Nothing listens there: check host and port/);
  assert.match(told('untrusted'), /^error: the target could not be trusted: .* > Give the certificate of the authority .* as ca/);
  assert.match(told('misnamed'), /^error: .*(?:ENOTFOUND|EAI_AGAIN).* > The host name is not known here/);
  assert.match(told('hangs'), /^error: the target does not answer: .* > A firewall may drop .* or the server hangs/);
  assert.match(told('nowhere'), /^error: the target refused: database "nosuch" does not exist > Name a database that exists/);
  assert.doesNotMatch(JSON.stringify(checks), /not-the-password-of-it/);
  hanging.close();
  assert.equal(checks.find(({ name }) => name === 'proxies'), undefined);
  done(await sam.call('GET', '/api/v1/me', undefined, { 'x-forwarded-for': '203.0.113.7' }));
  const proxies = done(await sam.get<Answer<'doctor'>>('/api/v1/doctor')).checks.find(({ name }) => name === 'proxies');
  assert.match(`${proxies?.state}: ${proxies?.message} > ${proxies?.hint}`, /^warning: calls come with X-Forwarded-For, last from 127\.0\.0\.1, and no proxy is configured.* > .*BREVET_PROXIES=127\.0\.0\.1/);

  const connectors = world.server.app.connectors as Map<string, Connector>;
  const real = connectors.get('postgresql') as Connector;
  connectors.set('postgresql', { ...real, probe: async (access) => ({ ...(await real.probe(access)), skewMs: -90_000 }) });
  const { checks: skewed } = done(await sam.get<Answer<'doctor'>>('/api/v1/doctor'));
  const clock = skewed.find((one) => one.name === 'target orders');
  assert.equal(`${clock?.state}: ${clock?.message}`, 'error: its clock is 90 s behind ours');
  assert.match(clock?.hint ?? '', /NTP/);
  await world.apply(demoFiles(port));
});

import { randomBytes } from 'node:crypto';
import { parse, stringify } from 'yaml';
import type { SourceFile } from '#app/configuration/read-files.ts';
import { setTargetSecret } from '#app/target-access.ts';
import { fillSampleDatabase } from '#main/demo/sample-database.ts';
import type { BrevetWorld } from '#test/worlds/brevet-world.ts';
import type { TestServer } from '#test/worlds/postgres-server.ts';
import { crowd } from './crowd.ts';

/** Targets `orders-2` and so on, each a server of its own with the same shop, and an entitlement on each. */
export async function addTargets(world: BrevetWorld, servers: readonly TestServer[], people: number): Promise<void> {
  const secrets = servers.map(() => randomBytes(18).toString('base64url'));
  for (const [n, server] of servers.entries()) await fillSampleDatabase({ host: server.host, port: server.port, user: server.user, password: server.password }, secrets[n] ?? '');
  await world.apply(withTargets(crowd(world.target.port, people), servers));
  const { app } = world.server;
  await app.store.transaction(async (tx) => {
    for (const [n, secret] of secrets.entries()) {
      const target = await tx.catalogue.targetByName(`orders-${n + 2}`);
      if (target) await setTargetSecret(app, tx, target.id, null, secret);
    }
  });
}

function withTargets(files: readonly SourceFile[], servers: readonly TestServer[]): readonly SourceFile[] {
  return files.map((file) => {
    if (file.path !== 'world.yaml') return file;
    type World = { targets: Record<string, { config: object }>; entitlements: Record<string, { parts: { target: string }[] }> };
    const world = parse(file.text) as World;
    for (const [n, { port }] of servers.entries()) {
      const { orders } = world.targets;
      const read = world.entitlements['orders-read'];
      if (!orders || !read) throw new Error('the demonstration has changed');
      world.targets[`orders-${n + 2}`] = { ...orders, config: { ...orders.config, port } };
      world.entitlements[`orders-read-${n + 2}`] = { ...read, parts: read.parts.map((part) => ({ ...part, target: `orders-${n + 2}` })) };
    }
    return { path: file.path, text: stringify(world, { aliasDuplicateObjects: false }) };
  });
}

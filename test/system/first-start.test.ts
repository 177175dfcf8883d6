/** What a first start prints: a link to where people are, not to where the process listens. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { testDatabase } from '#test/worlds/database.ts';
import { spawnServer } from '#test/worlds/server-process.ts';

async function printedLink(settings: Readonly<Record<string, string>>): Promise<{ link: string; port: string }> {
  await using database = await testDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'brevet-first-'));
  try {
    await using server = await spawnServer({ BREVET_DATA: folder, DATABASE_URL: database.url, BREVET_BROKER_PROCESSES: '0', ...settings });
    return { link: /brevet login '(\S+)#bvl_/.exec(server.said())?.[1] ?? '', port: new URL(server.address).port };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("the first administrator's link names the address that people were promised", async () => {
  const { link } = await printedLink({ BREVET_HTTP_HOST: '0.0.0.0', BREVET_ADDRESSES: 'https://brevet.example, https://brevet.internal' });
  assert.equal(link, 'https://brevet.example/sign-in');
});

test('an unknown administrator: those that there are, are named', async () => {
  await using database = await testDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'brevet-first-'));
  try {
    const settings = { BREVET_DATA: folder, DATABASE_URL: database.url, BREVET_BROKER_PROCESSES: '0' };
    await (await spawnServer(settings)).stop();
    await assert.rejects(spawnServer(settings, ['--admin-link', 'root']), /there is no administrator "root"\n.*Administrators: admin/);
    await using server = await spawnServer(settings, ['--admin-link', 'admin']);
    assert.match(server.said(), /Sign in as admin/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('without one, it names this machine, even where the API listens on all addresses', async () => {
  const { link, port } = await printedLink({ BREVET_HTTP_HOST: '::' });
  assert.equal(link, `http://127.0.0.1:${port}/sign-in`);
});

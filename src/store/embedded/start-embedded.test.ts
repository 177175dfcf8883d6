import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { Refusal, type RefusalCode } from '#domain/refusal.ts';
import { packagedFolder, prepareBinaries } from './binaries.ts';
import { startEmbedded, type ConnectionOptions, type EmbeddedOptions, type EmbeddedStore } from './start-embedded.ts';

const run = promisify(execFile);
const CHILD = join(import.meta.dirname, '../../../test/worlds/embedded-child.ts');
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
const root = process.getuid?.() === 0;

/** A folder that an unprivileged account can pass through, with a data folder to be inside. */
async function sandbox() {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-embedded-'));
  await chmod(folder, 0o711);
  return { folder, data: join(folder, 'data'), [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

const start = (dataFolder: string, more: Partial<EmbeddedOptions> = {}): Promise<EmbeddedStore> =>
  startEmbedded({ dataFolder, runtimeFolders: [tmpdir()], random: { bytes: randomBytes }, journal: quiet, settings: { fsync: 'off' }, ...more });

async function query(options: ConnectionOptions, sql: string) {
  const client = new Client(options);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

interface Said { pid: number; adopted: boolean; options: ConnectionOptions; code?: string; message?: string }

async function supervise(data: string): Promise<{ said: Said; child: ChildProcess }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CHILD, data], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) return { said: JSON.parse(line) as Said, child };
  throw new Error('the child said nothing');
}

async function kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL') {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

const refusal = (code: RefusalCode, text: RegExp) => (error: unknown) =>
  error instanceof Refusal && error.code === code && text.test(error.message) && (assert.ok(error.details.hint), true);

describe('the embedded store', { timeout: 120_000 }, () => {
  test('starts from nothing, keeps its data, listens on no port, keeps its password to itself', async () => {
    await using box = await sandbox();
    const first = await start(box.data);
    await query(first.connectionOptions, 'create table kept (n int); insert into kept values (7)');
    const [facts] = await query(first.connectionOptions, `select current_user as who, rolsuper as super, current_setting('listen_addresses') as tcp from pg_roles where rolname = current_user`);
    assert.deepEqual(facts, { who: 'brevet', super: false, tcp: '' });
    const { password } = first.connectionOptions;
    assert.ok(!(await readFile(`/proc/${first.pid}/cmdline`, 'utf8')).includes(password));
    assert.equal((await stat(join(box.data, 'database/credentials.json'))).mode & 0o777, 0o600);
    await assert.rejects(query({ ...first.connectionOptions, password: 'wrong' }, 'select 1'), /password/);
    const uid = /^Uid:\s+(\d+)/m.exec(await readFile(`/proc/${first.pid}/status`, 'utf8'))?.[1];
    assert.notEqual(uid, '0');
    await first.stop();
    await first.stop();

    await using second = await start(box.data);
    assert.equal(second.adopted, false);
    assert.deepEqual(second.connectionOptions, first.connectionOptions);
    assert.deepEqual(await query(second.connectionOptions, 'select n from kept'), [{ n: 7 }]);
    assert.ok(!(await readFile(join(box.data, 'postgres.log'), 'utf8')).includes(password));
  });

  test('a killed Brevet leaves a server that the next one takes over, or starts again, time after time', async () => {
    await using box = await sandbox();
    const pids = new Set<number>();
    for (let round = 0; round < 6; round++) {
      const { said, child } = await supervise(box.data);
      assert.equal(said.code, undefined, said.message);
      assert.equal(said.adopted, round % 3 !== 0);
      await query(said.options, `create table if not exists kept (n int); insert into kept values (${round})`);
      await kill(child);
      pids.add(said.pid);
      // Every third time the server goes with it, as when the machine loses power.
      if (round % 3 === 2) process.kill(said.pid, 'SIGKILL');
    }
    assert.equal(pids.size, 2);
    await using last = await start(box.data);
    assert.deepEqual(await query(last.connectionOptions, 'select count(*)::int as n from kept'), [{ n: 6 }]);
  });

  test('a killed server is started again, and the folder has one Brevet at a time', async () => {
    await using box = await sandbox();
    const lost: number[] = [];
    const store = await start(box.data, { onExit: (pid) => lost.push(pid) });
    const before = store.pid;
    await assert.rejects(start(box.data), refusal('conflict', /in use by another Brevet/));
    process.kill(before, 'SIGKILL');
    let rows;
    for (let tries = 0; rows === undefined && tries < 200; tries++) {
      await sleep(50);
      rows = await query(store.connectionOptions, 'select 1 as one').catch(() => undefined);
    }
    assert.deepEqual(rows, [{ one: 1 }]);
    assert.deepEqual(lost, [before]);
    assert.notEqual(store.pid, before);
    await store.stop();
    await assert.rejects(query(store.connectionOptions, 'select 1'));
    await (await start(box.data)).stop();
  });

  test('a kill in the midst of the first start leaves nothing that hinders the next', async () => {
    await using box = await sandbox();
    for (const afterMs of [150, 350, 600, 900]) {
      const child = spawn(process.execPath, [CHILD, box.data], { stdio: 'ignore' });
      await sleep(afterMs);
      await kill(child);
    }
    // The initdb of the last one may still be at work.
    await sleep(1_500);
    await using store = await start(box.data);
    assert.deepEqual(await query(store.connectionOptions, 'select 1 as one'), [{ one: 1 }]);
    assert.deepEqual((await readdir(box.data)).filter((name) => name.startsWith('.')), []);
  });

  test('of two first starts at once one wins and the other is told so', async () => {
    await using box = await sandbox();
    const both = await Promise.all([supervise(box.data), supervise(box.data)]);
    assert.deepEqual(both.map(({ said }) => said.code ?? 'up').sort(), ['conflict', 'up'], both.map(({ said }) => said.message).join());
    for (const { said, child } of both) if (said.code === undefined) await kill(child, 'SIGTERM');
  });

  test('a lock file that names a living process of somebody else, or nobody, does not hinder', async () => {
    await using box = await sandbox();
    const store = await start(box.data);
    const file = join(box.data, 'database/cluster/postmaster.pid');
    const lock = await readFile(file, 'utf8');
    await store.stop();
    await writeFile(file, lock.replace(/^\d+/, String(process.ppid)));
    if (root) await chmod(file, 0o644);
    const again = await start(box.data);
    assert.equal(again.adopted, false);
    await again.stop();
    await writeFile(file, '');
    if (root) await chmod(file, 0o644);
    await (await start(box.data)).stop();
  });

  test('what it cannot use it refuses, saying what to do', async () => {
    await using box = await sandbox();
    await (await start(box.data)).stop();
    await writeFile(join(box.data, 'database/cluster/PG_VERSION'), '19\n');
    await assert.rejects(start(box.data), refusal('unsupported', /PostgreSQL 19/));
    await rm(join(box.data, 'database/cluster/PG_VERSION'));
    await assert.rejects(start(box.data), refusal('invalid_configuration', /incomplete/));
    await writeFile(join(box.folder, 'file'), '');
    await assert.rejects(start(join(box.folder, 'file/data')), refusal('invalid_configuration', /cannot be used/));
    assert.throws(() => packagedFolder('plan9', 'mips'), refusal('unsupported', /plan9-mips/));
    await assert.rejects(start(join(box.folder, 'other'), { runtimeFolders: [join(box.folder, 'x'.repeat(90))] }), refusal('invalid_configuration', /too long/));
  });

  test('a full disk is told as such, and nothing is lost by it', { skip: !root }, async (t) => {
    await using box = await sandbox();
    const small = join(box.folder, 'small');
    const mount = async (size: string) => run('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=711`, 'tmpfs', small]).then(() => true, () => false);
    await mkdir(small);
    if (!(await mount('20m'))) return t.skip('nothing can be mounted here');
    try {
      await assert.rejects(start(join(small, 'data')), refusal('unavailable', /disk is full/));
      assert.deepEqual(await readdir(join(small, 'data')), []);
      await run('umount', [small]);
      // Room for a cluster, and for a copy of the programs where these can't be run in place.
      await mount('170m');
      const before = await start(join(small, 'data'));
      await query(before.connectionOptions, 'create table kept (n int); insert into kept values (7)');
      await before.stop();
      await writeFile(join(small, 'filler'), Buffer.alloc(180e6)).catch(() => undefined);
      await assert.rejects(start(join(small, 'data')), refusal('unavailable', /disk is full/));
      await rm(join(small, 'filler'));
      const after = await start(join(small, 'data'));
      assert.deepEqual(await query(after.connectionOptions, 'select n from kept').finally(() => after.stop()), [{ n: 7 }]);
    } finally {
      await run('umount', ['-l', small]);
    }
  });

  test('a deep data folder is no problem', async () => {
    await using box = await sandbox();
    await using store = await start(join(box.data, 'a-rather-long-name-of-a-folder/'.repeat(6)));
    assert.deepEqual(await query(store.connectionOptions, 'select 1 as one'), [{ one: 1 }]);
  });

  test('as root, what the unprivileged account cannot reach is kept or copied elsewhere', { skip: !root }, async () => {
    await using box = await sandbox();
    const closed = join(box.folder, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const systemFolder = join(box.folder, 'system');
    for (const round of [1, 2]) {
      await using store = await start(join(closed, 'data'), { systemFolder });
      assert.ok(store.folder.startsWith(systemFolder));
      await query(store.connectionOptions, round === 1 ? 'create table kept ()' : 'select from kept');
    }
    await rm(systemFolder, { recursive: true });
    await assert.rejects(start(join(closed, 'data'), { systemFolder }), refusal('invalid_configuration', /that folder is gone/));
    await mkdir(systemFolder, { mode: 0o711 });
    // The same for the programs: `cp -al` makes a package of hard links below the closed folder.
    await run('cp', ['-al', join(packagedFolder(), '..'), join(closed, 'package')]);
    const account = { uid: 65534, gid: 65534, steppedDown: true };
    const binaries = await prepareBinaries(systemFolder, account, join(closed, 'package/native'));
    assert.ok(binaries.postgres.startsWith(join(systemFolder, 'server-')));
    assert.match(binaries.version, /^18\./);
  });
});

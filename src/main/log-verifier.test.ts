import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { encodeEntry } from '#log/entry.ts';
import { buildEvidence } from '#log/evidence.ts';
import { ApiDouble } from '#test/worlds/api-double.ts';
import { CliWorld } from '#test/worlds/cli-world.ts';
import { entriesOfLog, numberedId, publish, SIGNER } from '#test/worlds/log-world.ts';

const life = entriesOfLog(600);
const { files, checkpoints } = publish(life.map(encodeEntry), 300);
const indexesOf = (n: number): number[] =>
  life.flatMap(({ data }, i) => (data['grant'] === numberedId('grant', n) || data['request'] === numberedId('request', n) ? [i] : []));
const key = ['--key', SIGNER.vkey];

async function writeLog(folder: string): Promise<string> {
  const log = join(folder, 'log');
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(log, path)), { recursive: true });
    await writeFile(join(log, path), bytes);
  }
  return log;
}

test('brevet log verify: a folder holds, a changed byte does not, and the entry is named', async () => {
  await using world = await CliWorld.make();
  const log = await writeLog(world.folder);
  const good = await world.run(['log', 'verify', log, ...key]);
  assert.equal(good.code, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /■ 600 entries hash to the signed root of size 600\nthe log holds\n/);
  assert.match((await world.run(['log', 'verify', log])).stdout, /not who wrote it/);
  const bundle = [...files.keys()].find((path) => path.startsWith('tile/entries/000')) ?? '';
  const bytes = await readFile(join(log, bundle));
  bytes[200] = (bytes[200] ?? 0) ^ 1;
  await writeFile(join(log, bundle), bytes);
  const bad = await world.run(['log', 'verify', log, ...key, '--json']);
  assert.equal(bad.code, 9);
  const { ok, firstBad } = JSON.parse(bad.stdout) as { ok: boolean; firstBad: number };
  assert.deepEqual([ok, firstBad], [false, 0]);
});

test('G02: a checkpoint kept from before convicts a log that took something back', async () => {
  await using world = await CliWorld.make();
  const log = await writeLog(world.folder);
  const kept = join(world.folder, 'kept');
  await writeFile(kept, checkpoints[0] ?? '');
  assert.equal((await world.run(['log', 'verify', log, ...key, '--checkpoint', kept])).code, 0);
  await writeFile(kept, checkpoints.at(-1) ?? '');
  await writeFile(join(log, 'checkpoint'), checkpoints[0] ?? '');
  const ran = await world.run(['log', 'verify', log, ...key, '--checkpoint', kept]);
  assert.equal(ran.code, 9);
  assert.match(ran.stdout, /an old state restored \(size_regression\)\nTHE LOG DOES NOT HOLD/);
  assert.doesNotMatch(ran.stdout, /two histories/, 'a smaller log may be a restored one');
});

test('a wrong key, an empty folder, a folder without a key: usage, and no verdict on the log', async () => {
  await using world = await CliWorld.make();
  const log = await writeLog(world.folder);
  const empty = join(world.folder, 'empty');
  await mkdir(empty);
  for (const [args, text] of [
    [[log, '--key', 'foo'], /--key is no key of a log/],
    [[empty, ...key], /holds no log: there is neither checkpoint nor/],
    [[join(world.folder, 'nowhere')], /holds no log/],
  ] as const) {
    const ran = await world.run(['log', 'verify', ...args]);
    assert.deepEqual([ran.code, ran.stdout], [2, ''], ran.stderr);
    assert.match(ran.stderr, text);
  }
  await rm(join(log, 'log.vkey'), { force: true });
  const keyless = await world.run(['log', 'verify', log]);
  assert.equal(keyless.code, 2);
  assert.match(keyless.stderr, /there is no log\.vkey in .*, and no key was given/);
});

test('the same over HTTP; a missing file is missing, a server that is gone is no verdict', async () => {
  await using world = await CliWorld.make();
  let url: string;
  {
    await using double = await ApiDouble.start();
    url = double.url;
    double.intercept = ({ url: path = '' }, response) => {
      const bytes = files.get(path.replace(/^\/log\//, ''));
      response.writeHead(bytes ? 200 : 404).end(bytes);
      return true;
    };
    const ran = await world.run(['log', 'verify', url, ...key]);
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    double.intercept = (_, response) => {
      response.writeHead(404).end();
      return true;
    };
    assert.equal((await world.run(['log', 'verify', url, ...key])).code, 9);
  }
  assert.equal((await world.run(['log', 'verify', url, ...key])).code, 7);
});

test('brevet log verify-grant: evidence holds with the right key only', async () => {
  await using world = await CliWorld.make();
  const read = async (path: string) => files.get(path) ?? null;
  const evidence = await buildEvidence({ read, vkey: SIGNER.vkey, checkpoint: checkpoints.at(-1) ?? '', indexes: indexesOf(12) });
  const file = join(world.folder, 'evidence.json');
  await writeFile(file, JSON.stringify(evidence));
  const good = await world.run(['log', 'verify-grant', file, ...key]);
  assert.equal(good.code, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /■ entry \d+: \S+ grant.ended\nthe log holds\n/);
  await writeFile(file, JSON.stringify({ ...evidence, entries: evidence.entries.slice(1) }));
  const half = await world.run(['log', 'verify-grant', file, ...key]);
  assert.equal(half.code, 9);
  assert.match(half.stdout, /▲ request \S+, from which grant \S+ came: its request.submitted is not here\nthe log holds what is here, and this is not all of it\n/);
  await writeFile(file, JSON.stringify({ ...evidence, entries: evidence.entries.slice(0, -1) }));
  assert.match((await world.run(['log', 'verify-grant', file, ...key])).stdout, /is revoking in the last entry here: what came later, only the log shows\nthe log holds\n/);
  await writeFile(file, JSON.stringify({ ...evidence, entries: evidence.entries.map((each) => ({ ...each, index: each.index + 1 })) }));
  assert.equal((await world.run(['log', 'verify-grant', file, ...key])).code, 9);
});

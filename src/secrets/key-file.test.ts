import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Refusal } from '#domain/refusal.ts';
import { addKeyFile, deleteKeyFiles, fileKeyProvider } from './key-file.ts';
import { givenKeyProvider, rootKeyOf } from './root-key.ts';

const random = { bytes: (count: number) => randomBytes(count) };
const refused = (pattern: RegExp) => (error: unknown) =>
  error instanceof Refusal && error.code === 'invalid_configuration' && pattern.test(`${error.message} ${error.details.hint}`);

async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const made = await mkdtemp(join(tmpdir(), 'brevet-keys-'));
  return { path: join(made, 'root.key'), [Symbol.asyncDispose]: () => rm(made, { recursive: true }) };
}
const idsOf = async (path: string, whenMissing: 'create' | 'refuse' = 'refuse') =>
  (await fileKeyProvider({ path, random, whenMissing }).rootKeys()).map((key) => key.id);

test('the key is made once, mode 0600, and found again; a missing one is not made over existing data', async () => {
  await using dir = await folder();
  await assert.rejects(idsOf(dir.path), refused(/no root key.*backup/));
  const made = await idsOf(dir.path, 'create');
  assert.equal(made.length, 1);
  assert.deepEqual(await idsOf(dir.path), made);
  assert.equal((await stat(dir.path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(dir.path, '..')), ['root.key'], 'nothing temporary stays');
});

test('a key file that others could read is refused, with the command that mends it', async () => {
  await using dir = await folder();
  await idsOf(dir.path, 'create');
  for (const mode of [0o640, 0o604, 0o660, 0o700, 0o601]) {
    await chmod(dir.path, mode);
    await assert.rejects(idsOf(dir.path), refused(new RegExp(`mode 0${mode.toString(8)}.*chmod 600`)));
  }
  await chmod(dir.path, 0o400);
  assert.equal((await idsOf(dir.path)).length, 1);
});

test('a key file with anything else in it is refused, and not quoted', async () => {
  await using dir = await folder();
  const good = randomBytes(32).toString('base64');
  for (const text of ['', 'hunter2', good.slice(0, 40), `${good}${good}`, `${good}\n${good}`, Buffer.alloc(32).toString('base64'), `${good.slice(0, 20)} ${good.slice(20)}`]) {
    await writeFile(dir.path, text, { mode: 0o600 });
    await assert.rejects(idsOf(dir.path), (error: Error) => refused(/32 random bytes/)(error) && (text === '' || !error.message.includes(text)));
  }
});

test('eight processes start at once on an empty folder: one key', { timeout: 60_000 }, async () => {
  await using dir = await folder();
  const program = `
    const { randomBytes } = await import('node:crypto');
    const { fileKeyProvider } = await import(${JSON.stringify(new URL('./key-file.ts', import.meta.url).href)});
    const random = { bytes: (n) => randomBytes(n) };
    while (Date.now() < Number(process.argv[1])) await new Promise(setImmediate);
    const keys = await fileKeyProvider({ path: process.argv[2], random, whenMissing: 'create' }).rootKeys();
    console.log(keys.map((key) => key.id).join());`;
  const start = String(Date.now() + 1500);
  const runs = Array.from({ length: 8 }, () =>
    promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program, start, dir.path]));
  const ids = (await Promise.all(runs)).map(({ stdout }) => stdout.trim());
  assert.deepEqual(new Set(ids), new Set(await idsOf(dir.path)));
  assert.deepEqual(await readdir(join(dir.path, '..')), ['root.key']);
});

test('racers inside one process, creating and rotating: no key is lost', async () => {
  await using dir = await folder();
  const seen = await Promise.all(Array.from({ length: 12 }, () => idsOf(dir.path, 'create')));
  assert.equal(new Set(seen.flat()).size, 1);
  const added = await Promise.all(Array.from({ length: 6 }, () => addKeyFile(dir.path, random)));
  const ids = await idsOf(dir.path);
  assert.equal(ids.length, 7);
  for (const key of added) assert.ok(ids.includes(key.id));
});

test('a new key comes first, and the old ones go when they are retired - the first file too', async () => {
  await using dir = await folder();
  const [first] = await idsOf(dir.path, 'create');
  const second = await addKeyFile(dir.path, random);
  assert.deepEqual(await idsOf(dir.path), [second.id, first]);
  assert.deepEqual(await deleteKeyFiles(dir.path, [String(first), 'ffffffffffffffff']), [first]);
  assert.deepEqual(await idsOf(dir.path, 'create'), [second.id], 'root.key is gone, and no new key is made for it');
  const third = await addKeyFile(dir.path, random);
  assert.deepEqual(await idsOf(dir.path), [third.id, second.id]);
});

test('what is left of a crash while a key was made does no harm', async () => {
  await using dir = await folder();
  await writeFile(`${dir.path}.0011223344556677.new`, 'half a ke', { mode: 0o600 });
  await writeFile(`${dir.path}.bak`, 'somebody else', { mode: 0o644 });
  const ids = await idsOf(dir.path, 'create');
  assert.equal(ids.length, 1);
  await unlink(dir.path);
  await assert.rejects(idsOf(dir.path), refused(/backup/));
});

test('a folder that does not exist is named', async () => {
  await assert.rejects(idsOf('/nonexistent/brevet/root.key', 'create'), refused(/\/nonexistent\/brevet.*ENOENT/));
});

test('keys handed in as text: several, newest first; both alphabets; wrong ones are refused without being quoted', async () => {
  const [one, two] = [randomBytes(32), randomBytes(32)];
  const text = ` ${two.toString('base64url')}\n${one.toString('base64')} `;
  const keys = await givenKeyProvider(text, 'BREVET_ROOT_KEY').rootKeys();
  assert.deepEqual(keys.map((key) => key.id), [rootKeyOf(two).id, rootKeyOf(one).id]);
  for (const bad of ['', 'correct horse battery staple', one.toString('hex')]) {
    await assert.rejects(givenKeyProvider(bad, 'BREVET_ROOT_KEY').rootKeys(), (error: Error) => refused(/BREVET_ROOT_KEY/)(error) && (bad === '' || !error.message.includes(bad)));
  }
});

test('the file is what its header says: a person who opens it knows what it is', async () => {
  await using dir = await folder();
  await idsOf(dir.path, 'create');
  assert.match(await readFile(dir.path, 'utf8'), /^# A root key of Brevet\./);
});

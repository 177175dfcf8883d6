/** What real sftp and scp say to a real server, heard in clear text: which files, how many bytes, which hash. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { execKind } from '#brokers/ssh/exec-kind.ts';
import { ScpReader } from '#brokers/ssh/scp-reader.ts';
import { SftpReader } from '#brokers/ssh/sftp-reader.ts';
import type { JsonObject } from '#domain/json.ts';
import { heardBy } from '#test/worlds/pipe-tap.ts';

const run = promisify(execFile);
const SFTP_SERVER = '/usr/lib/openssh/sftp-server';
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A folder with something that sftp and scp take for ssh: it runs the command here, through a tap. */
async function listeningPost(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-files-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const at = (name: string) => join(folder, name);
  const tap = new URL('../worlds/pipe-tap.ts', import.meta.url).pathname;
  const lines = [
    '#!/bin/sh', 'for last; do :; done', `printf '%s\\n' "$last" >> '${at('commands')}'`,
    `if [ "$last" = sftp ]; then exec '${process.execPath}' '${tap}' '${at('heard')}' ${SFTP_SERVER}; fi`,
    `exec '${process.execPath}' '${tap}' '${at('heard')}' sh -c "$last"`,
  ];
  await writeFile(at('ssh'), `${lines.join('\n')}\n`, { mode: 0o755 });
  await mkdir(at('far'));
  const sftp = async (...batch: readonly string[]) => {
    const child = spawn('sftp', ['-q', '-S', at('ssh'), '-b', '-', 'far'], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.end(`${batch.join('\n')}\n`);
    await Promise.all([text(child.stdout), text(child.stderr), new Promise((resolve) => child.on('close', resolve))]);
  };
  const scp = (...args: readonly string[]) => run('scp', ['-q', '-S', at('ssh'), ...args]);
  return { at, sftp, scp };
}

/** Reads what was heard, in pieces of this size at most. */
function sftpEvents(file: string, size = Infinity): readonly JsonObject[] {
  const events: JsonObject[] = [];
  const reader = new SftpReader((event) => events.push(event));
  for (const [side, bytes] of heardBy(file)) {
    for (let at = 0; at < bytes.length; at += size) {
      if (side === 'client') reader.fromClient(bytes.subarray(at, at + size));
      else reader.fromServer(bytes.subarray(at, at + size));
    }
  }
  reader.end();
  assert.equal(reader.broken, null);
  return events;
}

function scpEvents(file: string, receives: 'client' | 'server', size = Infinity): readonly JsonObject[] {
  const events: JsonObject[] = [];
  const reader = new ScpReader((event) => events.push(event));
  for (const [side, bytes] of heardBy(file)) {
    for (let at = 0; at < bytes.length; at += size) {
      if (side === receives) reader.fromReceiver(bytes.subarray(at, at + size));
      else reader.fromSender(bytes.subarray(at, at + size));
    }
  }
  reader.end();
  assert.equal(reader.broken, null);
  return events;
}

test('D01 everything that sftp does to files is told, with the hash of what went over', async (t) => {
  const { at, sftp } = await listeningPost(t);
  const big = randomBytes(3_000_001);
  await writeFile(at('big'), big);
  await writeFile(at('far/secret'), 'hidden', { mode: 0o644 });
  const far = (name: string) => at(`far/${name}`);
  await sftp(
    `put ${at('big')} ${far('up')}`, `get ${far('up')} ${at('down')}`, `chmod 600 ${far('up')}`, `rename ${far('up')} ${far('moved')}`, `ln ${far('moved')} ${far('hard')}`,
    `ln -s moved ${far('soft')}`, `mkdir ${far('folder')}`, `ls ${at('far')}`, `rmdir ${far('folder')}`, `rm ${far('hard')}`, `-get ${far('nothing')} ${at('nothing')}`, `put ${at('big')} '${far('naïve 日')}'`,
    `cp ${far('moved')} ${far('copy')}`,
  );
  assert.ok(big.equals(await readFile(at('down'))));
  const events = sftpEvents(at('heard'));
  const of = (op: string, name: string) => events.find((event) => event['op'] === op && event['path'] === far(name));
  const whole = { bytes: big.length, sha256: sha256(big) };
  assert.deepEqual(of('close', 'up'), { op: 'close', path: far('up'), written: whole, outcome: 'ok' });
  assert.deepEqual(events.filter((event) => event['op'] === 'close')[1], { op: 'close', path: far('up'), read: whole, outcome: 'ok' });
  assert.equal(of('setstat', 'up')?.['permissions'] ?? events.find((event) => event['permissions'] === '0600')?.['permissions'], '0600');
  assert.deepEqual(of('rename', 'up'), { op: 'rename', path: far('up'), to: far('moved'), outcome: 'ok' });
  assert.deepEqual(of('hardlink', 'moved'), { op: 'hardlink', path: far('moved'), to: far('hard'), outcome: 'ok' });
  assert.deepEqual(of('symlink', 'soft'), { op: 'symlink', path: far('soft'), to: 'moved', outcome: 'ok' });
  for (const op of ['mkdir', 'rmdir']) assert.equal(of(op, 'folder')?.['outcome'], 'ok', op);
  assert.equal(of('remove', 'hard')?.['outcome'], 'ok');
  assert.ok(events.some((event) => event['op'] === 'readdir' && Number(event['entries']) >= 5));
  assert.deepEqual(of('close', 'naïve 日')?.['written'], whole);
  const copied = events.find((event) => event['op'] === 'copy');
  if (copied) assert.deepEqual([copied['from'], copied['to'], copied['outcome']], [far('moved'), far('copy'), 'ok']);
  assert.deepEqual(sftpEvents(at('heard'), 1000), events);
  assert.deepEqual(sftpEvents(at('heard'), 7), events);
});

test('scp in its new way is sftp', async (t) => {
  const { at, scp } = await listeningPost(t);
  await writeFile(at('one'), 'hello');
  await scp(at('one'), `host:${at('far/one')}`);
  const close = sftpEvents(at('heard')).find((event) => event['op'] === 'close');
  assert.deepEqual(close, { op: 'close', path: at('far/one'), written: { bytes: 5, sha256: sha256(Buffer.from('hello')) }, outcome: 'ok' });
});

test('scp in its old way: folders up and down, a file that may not be written', async (t) => {
  const { at, scp } = await listeningPost(t);
  await mkdir(at('tree/inner'), { recursive: true });
  const big = randomBytes(700_000);
  await Promise.all([writeFile(at('tree/big'), big), writeFile(at('tree/inner/empty'), ''), writeFile(at('tree/inner/note'), 'hello')]);
  await scp('-O', '-r', '-p', at('tree'), `host:${at('far')}`);
  assert.ok(big.equals(await readFile(at('far/tree/big'))));
  const expected = [['tree', 'folder', null], ['tree/big', 'file', sha256(big)], ['tree/inner', 'folder', null], ['tree/inner/empty', 'file', sha256(Buffer.alloc(0))], ['tree/inner/note', 'file', sha256(Buffer.from('hello'))]];
  const told = (events: readonly JsonObject[]) => events.map((event) => [event['path'], event['op'], event['sha256'] ?? null]).sort();
  assert.deepEqual(told(scpEvents(at('heard'), 'server')), expected);
  assert.deepEqual(told(scpEvents(at('heard'), 'server', 3)), expected);
  assert.deepEqual(execKind((await readFile(at('commands'), 'utf8')).trim()), { program: 'scp', way: 'to target', path: at('far') });

  await rm(at('heard'));
  await rm(at('commands'));
  await scp('-O', '-r', `host:${at('far/tree')}`, at('back'));
  assert.ok(big.equals(await readFile(at('back/big'))));
  assert.deepEqual(told(scpEvents(at('heard'), 'client')), expected);
  assert.deepEqual(execKind((await readFile(at('commands'), 'utf8')).trim()), { program: 'scp', way: 'from target', path: at('far/tree') });
});

test('what scp is refused is told as that', async (t) => {
  const { at, scp } = await listeningPost(t);
  await writeFile(at('one'), 'hello');
  await assert.rejects(scp('-O', at('one'), `host:${at('far/none/one')}`));
  const [event] = scpEvents(at('heard'), 'server');
  assert.match(String(event?.['outcome']), /No such file or directory/);
  await rm(at('heard'));
  await assert.rejects(scp('-O', `host:${at('nothing')}`, at('back')));
  const [complaint] = scpEvents(at('heard'), 'client');
  assert.match(String(complaint?.['said']), /No such file or directory/);
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ApiDouble, Refused } from '#test/worlds/api-double.ts';
import { approved, hash, page, request, requestId } from '#test/worlds/api-samples.ts';
import { CliWorld } from '#test/worlds/cli-world.ts';

async function signedIn(handlers: ApiDouble['handlers']) {
  const double = await ApiDouble.start({ request: () => request, reviewRequest: () => approved, ...handlers });
  const world = await CliWorld.make();
  await world.signIn(double);
  return {
    double,
    world,
    run: world.run.bind(world),
    async [Symbol.asyncDispose]() {
      await double[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
      assert.deepEqual(double.complaints, []);
    },
  };
}

test('an approval shows who, what, how long, how far and the hash, and sends the hash shown', async () => {
  await using world = await signedIn({});
  const ran = await world.run(['approve', requestId, '--yes', '--for', '15m', '--reason', 'enough']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, new RegExp(`Ana Novak \\(ana\\)[^]*orders-read, revision 3[^]*read schema sales[^]*30m[^]*${hash}[^]*you shorten +to 15m`));
  assert.deepEqual(world.double.called('reviewRequest')[0]?.body, { decision: 'approve', hash, reason: 'enough', duration: '15m' });
});

test('without a terminal silence is no consent', async () => {
  await using world = await signedIn({});
  const ran = await world.run(['approve', requestId], { stdin: 'y\n' });
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /no terminal to ask at\n.*--yes/);
  assert.deepEqual(world.double.called('reviewRequest'), []);
});

/** Runs the command on a terminal of its own, by util-linux `script`, and types once the question is there. */
async function onTerminal(world: CliWorld, args: readonly string[], typed: string): Promise<{ code: number | null; screen: string }> {
  const program = fileURLToPath(new URL('../../../bin/brevet', import.meta.url));
  const child = spawn('script', ['-qec', [program, ...args].join(' '), '/dev/null'], { env: world.environment({ TERM: 'xterm', SHELL: '/bin/sh' }), stdio: 'pipe' });
  let screen = '';
  let answered = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
    if (answered || !screen.includes('[y/N]')) return;
    answered = true;
    child.stdin.write(typed);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, screen };
}

test('on a terminal it asks: y approves, anything else does not', async () => {
  await using world = await signedIn({});
  const no = await onTerminal(world.world, ['approve', requestId], 'n\r');
  assert.equal(no.code, 130, no.screen);
  assert.deepEqual(world.double.called('reviewRequest'), []);
  const yes = await onTerminal(world.world, ['approve', requestId], 'y\r');
  assert.equal(yes.code, 0, yes.screen);
  assert.equal(world.double.called('reviewRequest').length, 1);
  assert.ok(yes.screen.includes('\u001b[2m◌ pending'), 'colours on a terminal');
});

test('--hash approves only what was seen elsewhere', async () => {
  await using world = await signedIn({});
  const ran = await world.run(['approve', requestId, '--yes', '--hash', 'a'.repeat(64)]);
  assert.equal(ran.code, 5);
  assert.deepEqual(world.double.called('reviewRequest'), []);
});

test('a scope from YAML, for one part or for several', async () => {
  await using world = await signedIn({});
  const file = join(world.world.folder, 'scope.yaml');
  await writeFile(file, 'tables: [sales.orders]\n');
  await world.run(['approve', requestId, '--yes', '--scope', file]);
  await writeFile(file, '0: { tables: [sales.orders] }\n1: { verbs: [select] }\n');
  await world.run(['approve', requestId, '--yes', '--scope', file]);
  const sent = world.double.called('reviewRequest').map((call) => (call.body as { scopes: unknown }).scopes);
  assert.deepEqual(sent, [{ '0': { tables: ['sales.orders'] } }, { '0': { tables: ['sales.orders'] }, '1': { verbs: ['select'] } }]);
  await writeFile(file, 'tables: [');
  assert.equal((await world.run(['approve', requestId, '--yes', '--scope', file])).code, 2);
});

test('A01: approving an own request is refused with exit code 3', async () => {
  await using world = await signedIn({
    reviewRequest: () => {
      throw new Refused(403, 'own_request', 'nobody approves their own request');
    },
  });
  assert.equal((await world.run(['approve', requestId, '--yes'])).code, 3);
});

test('deny needs a reason, and sends it', async () => {
  await using world = await signedIn({ reviewRequest: () => ({ ...request, state: 'denied', decisionReason: 'no' }) });
  assert.equal((await world.run(['deny', requestId])).code, 2);
  const ran = await world.run(['deny', requestId, '--reason', 'no']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual(world.double.called('reviewRequest')[0]?.body, { decision: 'deny', hash, reason: 'no' });
});

test('D05, A08: a hostile reason, name and ticket are shown escaped, with a warning, in every view', async () => {
  const evil = { ...request, reason: 'ok\u001b[2K\r\u001b]52;c;Zm9v\u0007 \u202eesrever', ticket: 'OPS\u200b-1', principal: { ...request.principal, displayName: 'Bo\u001b[1A' } };
  await using world = await signedIn({ request: () => evil, requests: () => page(evil) });
  for (const args of [['show', requestId], ['requests', '--inbox'], ['approve', requestId, '--yes'], ['show', requestId, '--json']]) {
    const ran = await world.run(args);
    assert.equal(ran.code, 0, ran.stderr);
    assert.doesNotMatch((ran.stdout + ran.stderr).replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u, args.join(' '));
  }
  const shown = await world.run(['show', requestId]);
  assert.match(shown.stdout, /characters that can mislead[^]*ok\\e\[2K\\r\\e\]52;c;Zm9v\\x07 \\u\{202e\}esrever/);
  assert.deepEqual(JSON.parse((await world.run(['show', requestId, '--json'])).stdout), evil);
});

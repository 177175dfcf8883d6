import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { CliWorld } from '#test/worlds/cli-world.ts';
import type { CliDeps } from './deps.ts';
import { buildProgram } from './program.ts';
import { writeReference } from './reference.ts';

const run = promisify(execFile);
const REFERENCE = new URL('../../docs/cli.md', import.meta.url);
const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
const shell = buildProgram({ version: '0', terminal: streams, env: {} } as unknown as CliDeps);

const leaves = (command: Command): Command[] => (command.commands.length === 0 ? [command] : command.commands.flatMap(leaves));

test('docs/cli.md says what the commands say; UPDATE_DOCS=1 rewrites it', async () => {
  const written = writeReference(shell);
  if (process.env['UPDATE_DOCS']) await writeFile(REFERENCE, written);
  assert.equal(await readFile(REFERENCE, 'utf8'), written, 'UPDATE_DOCS=1 node --test src/cli/reference.test.ts');
});

test('every command has examples, and each example is a command line that exists', () => {
  for (const command of leaves(shell.program)) {
    const examples = shell.examples.get(command) ?? [];
    assert.notEqual(examples.length, 0, command.name());
    for (const example of examples) {
      const words = /brevet ((?:[\w-]+ ?)+)/.exec(example)?.[1]?.trim().split(' ') ?? [];
      const path: string[] = [];
      for (let at: Command | undefined = command; at && at.parent; at = at.parent as Command | undefined) path.unshift(at.name());
      assert.deepEqual(words.slice(0, path.length), path, example);
    }
  }
});

test('completion scripts are accepted by their shells, and bash completes', async () => {
  await using world = await CliWorld.make();
  const { stdout: script } = await world.run(['completion', 'bash']);
  const complete = async (...words: string[]) => {
    const body = `${script}\nCOMP_WORDS=(brevet ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _brevet; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return (await run('bash', ['-c', body])).stdout.trim().split('\n');
  };
  assert.deepEqual(await complete('appr'), ['approve']);
  assert.deepEqual(await complete('policy', 's'), ['show', 'simulate']);
  assert.ok((await complete('log', 'verify', '--')).includes('--checkpoint'));
  assert.deepEqual(await complete('request', 'orders-read', '--rea'), ['--reason']);
  assert.match((await world.run(['completion', 'fish'])).stdout, /complete -c brevet -f -n '__fish_use_subcommand' -a 'login/);
  assert.match((await world.run(['completion', 'zsh'])).stdout, /^#compdef brevet/);
  assert.equal((await world.run(['completion', 'tcsh'])).code, 2);
});

test('help: the tree, a command, a topic; an unknown one is a usage error', async () => {
  await using world = await CliWorld.make();
  assert.match((await world.run(['--help'])).stdout, /Asking:[^]*request +Ask for access/);
  assert.match((await world.run(['help', 'policy', 'simulate'])).stdout, /Examples:\n {2}brevet policy simulate --as ana/);
  assert.match((await world.run(['help', 'exit-codes'])).stdout, /\n +3 +policy, a reviewer or your rights say no\n/);
  assert.equal((await world.run(['help', 'nonsense'])).code, 2);
  assert.equal((await world.run([])).code, 2);
  assert.match((await world.run(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
});

/** No bound is asserted: other work on the machine decides. The figure is for whoever reads the run. */
test('start-up time of --help', async (context) => {
  await using world = await CliWorld.make();
  const times: number[] = [];
  for (let i = 0; i < 6; i++) {
    const begun = performance.now();
    assert.equal((await world.run(['--help'])).code, 0);
    times.push(performance.now() - begun);
  }
  context.diagnostic(`brevet --help: ${Math.round(Math.min(...times))} ms at best, ${Math.round(times.toSorted((a, b) => a - b)[3] ?? 0)} ms median of 6`);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, sources } from '#test/worlds/repository.ts';

/** What reads the outer world. Only src/main/ does; everybody else is handed a clock, randomness and settings. */
const READS: Readonly<Record<string, RegExp>> = {
  'the wall clock': /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\)/,
  'a monotonic clock': /(?<![#.\w])(?:performance\.now|process\.(?:hrtime|uptime))\b/,
  // Named in an import from node:crypto, or global.
  randomness: /\bMath\.random\b|\bgetRandomValues\b|^import .*\b(?:random(?:Bytes|UUID|Int|Fill|FillSync)|generateKey(?:Pair)?(?:Sync)?)\b/,
  'the environment': /(?<![#.\w])process\.(?:env|argv|cwd)\b/,
  'the process': /(?<![#.\w])process\.(?:exit|exitCode|on|once|kill|abort)\b/,
};

/** Who does so all the same, and why. This list only shrinks. */
const EXCEPTIONS: readonly { readonly path: string; readonly reads: string; readonly why: string }[] = [
  { path: 'src/cli/commands/people.ts', reads: 'randomness', why: 'Node makes key pairs from its own randomness and takes no other' },
  { path: 'src/cli/commands/sign-in.ts', reads: 'randomness', why: 'the same' },
  { path: 'src/cli/session/client-certificate.ts', reads: 'randomness', why: 'the same' },
  { path: 'src/store/embedded/postmaster.ts', reads: 'the process', why: 'signals the database server that it started or adopted, by its pid' },
];

const found = sources('src')
  .filter((file) => !file.isTest && file.folder !== 'main')
  .flatMap((file) => {
    const lines = codeOf(file.text).split('\n');
    return Object.entries(READS).flatMap(([reads, pattern]) => lines.flatMap((line, at) => (pattern.test(line) ? [{ path: file.path, line: at + 1, reads }] : [])));
  });

test('only src/main/ reads a clock, randomness, the environment and the process', () => {
  const excused = new Set(EXCEPTIONS.map(({ path, reads }) => `${path} ${reads}`));
  assert.deepEqual(found.filter(({ path, reads }) => !excused.has(`${path} ${reads}`)).map(({ path, line, reads }) => `${path}:${line} reads ${reads}`), []);
});

test('an exception that nobody needs any more is gone from the list', () => {
  const needed = new Set(found.map(({ path, reads }) => `${path} ${reads}`));
  assert.deepEqual(EXCEPTIONS.filter(({ path, reads }) => !needed.has(`${path} ${reads}`)), []);
});

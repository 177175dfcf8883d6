/**
 * Runs every `*.test.ts` of the repository with Node's own runner, each file in a process of its own, and closes with
 * `N passed, N failed, N skipped`. `node test/run.ts broker` runs only the files whose path holds "broker". All files
 * share one PostgreSQL server for their databases: that of `TEST_DATABASE_URL`, else an embedded one. What an earlier run
 * of this checkout that was killed left running is ended first.
 */
import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { sweepLeftBehind } from './worlds/left-behind.ts';
import { startTestStore } from './worlds/test-store.ts';

if (process.argv.includes('--help') || process.argv.includes('-h')) {
  console.log('npm test              all tests, on real servers: some minutes\nnpm test WORD ...     the test files whose path holds one of the words\n\nMore: CONTRIBUTING.md');
  process.exit(0);
}

const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'));
/** These make accounts, groups and sudo rules on this very machine, one file at a time: only when they are asked for by a word. */
const changesMachine = (file: string) => readFileSync(file, 'utf8').includes('worlds/linux-host.ts');
const files = globSync('{src,test}/**/*.test.ts')
  .filter((file) => (wanted.length === 0 ? !changesMachine(file) : wanted.some((word) => file.includes(word))))
  .sort();
if (wanted.length === 0) console.log('Left out, since they make accounts on this machine: npm test connectors/linux');
const oneByOne = files.some(changesMachine);
const count = { passed: 0, failed: 0, skipped: 0 };

await sweepLeftBehind();
const store = process.env['TEST_DATABASE_URL'] ? null : await startTestStore();
if (store !== null) process.env['TEST_DATABASE_URL'] = store.url;

const halt = new AbortController();
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted = true;
    halt.abort();
  });
}

// A file that hangs is a failure that says which file, not a run without an end.
const stream = run({ files, concurrency: oneByOne ? 1 : availableParallelism(), timeout: 480_000, execArgv: ['--disable-warning=ExperimentalWarning'], signal: halt.signal });
stream.on('test:pass', ({ details, skip, name }) => {
  if (details.type === 'suite' || files.includes(name)) return;
  if (skip === undefined || skip === false) count.passed += 1;
  else count.skipped += 1;
});
stream.on('test:fail', ({ details }) => {
  if (details.type !== 'suite') count.failed += 1;
});
stream.compose(spec).pipe(process.stdout);
stream.on('end', () => {
  void store?.[Symbol.asyncDispose]();
  // The reporter has written its summary by the time the event loop is empty.
  process.once('beforeExit', () => {
    if (interrupted || count.passed + count.failed === 0) count.failed += 1;
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
    process.exitCode = count.failed > 0 ? 1 : 0;
  });
});

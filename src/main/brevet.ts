/**
 * The `brevet` command: hands the real world to src/cli. What only some commands need is loaded when they ask for it, so
 * that the others start fast.
 */
import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CliDeps } from '#cli/deps.ts';

/**
 * Keeps compiled code between starts, which halves them. The folder must be this user's alone: whoever writes there
 * decides what runs here. (Under sudo, HOME may be somebody else's.)
 */
function keepCompiled(): void {
  const folder = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'brevet');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = lstatSync(folder);
    if (uid === process.getuid?.() && (mode & 0o170077) === 0o040000) enableCompileCache(folder);
  } catch {
    // Without it everything works, slower.
  }
}

keepCompiled();
const { buildProgram } = await import('#cli/program.ts');
const { EXIT } = await import('#cli/exit-codes.ts');
const { Failure } = await import('#cli/failure.ts');

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** What works on the store itself is refused as the server refuses a call. */
async function onHost<T>(work: () => Promise<T>): Promise<T> {
  const { Refusal } = await import('#domain/refusal.ts');
  const { EXIT_OF_PROBLEM } = await import('#cli/exit-codes.ts');
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Failure(EXIT_OF_PROBLEM[error.code], error.message, error.details.hint);
  }
}

const rootKeys = async () => (await import('./root-keys.ts')).rootKeyCommands(process.env);

const deps: CliDeps = {
  version: version(),
  terminal: process,
  env: process.env,
  home: homedir(),
  host: hostname(),
  timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  now: () => new Date(),
  randomBytes: (count) => randomBytes(count),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}),
  onSignal: (signal, listener) => {
    process.on(signal, listener);
    return () => void process.off(signal, listener);
  },
  verifier: {
    verifyLog: async (...args) => (await import('./log-verifier.ts')).verifyLogAt(...args),
    verifyGrant: async (...args) => (await import('./log-verifier.ts')).verifyGrantBundle(...args),
  },
  startServer: (args) => onHost(async () => (await import('./serve.ts')).serve(args, process.env)),
  rootKeys: {
    list: (config) => onHost(async () => (await rootKeys()).list(config)),
    rotate: (config, tell) => onHost(async () => (await rootKeys()).rotate(config, tell)),
    retire: (config) => onHost(async () => (await rootKeys()).retire(config)),
  },
};

// A reader that has seen enough, such as `head`, is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
}

process.exitCode = await buildProgram(deps).run(process.argv.slice(2));

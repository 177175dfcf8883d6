/** `bin/brevet server` as a process of its own, to be killed. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BREVET = join(import.meta.dirname, '../../bin/brevet');
const START_MS = 60_000;

export interface ServerProcess extends AsyncDisposable {
  readonly address: string;
  readonly brokerPort: number;
  readonly pid: number;
  /** Of its broker processes, as they are now. */
  brokerPids(): Promise<readonly number[]>;
  /** What it has written: the journal's lines and the sign-in link of a first start. */
  readonly said: () => string;
  /** SIGKILL to the server alone: its brokers and its database are left behind. */
  kill(): Promise<void>;
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number | null>;
}

/**
 * Starts it on free ports with these settings, and waits until it says that it runs; with `within` as that says, in a network of
 * its own, say. @throws with its words when it ends instead
 */
export async function spawnServer(env: Readonly<Record<string, string>>, args: readonly string[] = [], within = (program: readonly string[]) => program): Promise<ServerProcess> {
  const [command = '', ...rest] = within([BREVET, 'server', ...args]);
  const child = spawn(command, rest, {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', BREVET_HTTP_PORT: '0', BREVET_BROKER_PORT: '0', BREVET_JOURNAL: 'info', ...env },
    cwd: env['BREVET_DATA'] ?? '/',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stdout.on('data', (bytes) => (said += bytes));
  const exited = once(child, 'exit');
  const running = new Promise<{ api: string; broker: number | null }>((resolve) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      said = `${said}${line}\n`.slice(-200_000);
      if (line.includes('"Brevet is running"')) resolve(JSON.parse(line) as { api: string; broker: number | null });
    });
  });
  const alive = () => child.exitCode === null && child.signalCode === null;
  const end = async (signal: NodeJS.Signals) => {
    if (alive()) child.kill(signal);
    await exited;
  };
  const patience = new AbortController();
  const started = await Promise.race([running, exited.then(() => null), sleep(START_MS, null, { signal: patience.signal })]);
  patience.abort();
  if (started === null) {
    await end('SIGKILL');
    throw new Error(`the server did not start: ${said.slice(-2000)}`);
  }
  return {
    address: started.api,
    brokerPort: started.broker ?? 0,
    pid: child.pid ?? 0,
    brokerPids: () => childrenOf(child.pid ?? 0, 'broker.ts'),
    said: () => said,
    kill: () => end('SIGKILL'),
    async stop() {
      await end('SIGTERM');
      return child.exitCode;
    },
    [Symbol.asyncDispose]: () => end('SIGTERM'),
  };
}

async function childrenOf(pid: number, command: string): Promise<readonly number[]> {
  const { stdout } = await run('ps', ['-o', 'pid=,args=', '--ppid', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.split('\n').filter((line) => line.includes(command)).map((line) => Number.parseInt(line, 10));
}

/** Whether a process is there and no zombie. */
export async function isAlive(pid: number): Promise<boolean> {
  const { stdout } = await run('ps', ['-o', 'stat=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.trim() !== '' && !stdout.trim().startsWith('Z');
}

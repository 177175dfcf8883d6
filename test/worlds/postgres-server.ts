/** A throw-away PostgreSQL server for tests: Debian's binaries, own data folder, TCP on a free port, never root. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, mkdtemp, readdir, rm, writeFile, copyFile, chmod } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { chooseAccount } from '#store/embedded/account.ts';
import { prepareBinaries } from '#store/embedded/binaries.ts';
import { FOLDERS, sign } from './left-behind.ts';
import type { WalledNet } from './walled-net.ts';

const run = promisify(execFile);

export interface TestServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Where Debian's `psql`, `pgbench` ... of the same version are. */
  readonly bin: string;
  readonly pid: number;
  /** The folder of its Unix socket: `host` for a driver on this machine, whatever stands in between on the network. */
  readonly socket: string;
  url(database?: string): string;
  query(sql: string, values?: unknown[], database?: string): Promise<pg.QueryResult>;
  /** SIGKILL to the postmaster, as a power cut would. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT to the postmaster and all backends. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Starts it again on the same port and data after `kill` or `stop`. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export async function debianBin(): Promise<string> {
  const versions = await readdir('/usr/lib/postgresql').catch(() => []);
  const newest = versions.map(Number).sort((a, b) => b - a)[0];
  if (newest === undefined) throw new Error('Debian\'s "postgresql" is not installed: apt-get install postgresql');
  return `/usr/lib/postgresql/${newest}/bin`;
}

/** The programs that the embedded store runs on: a newer PostgreSQL than Debian's. */
export async function embeddedBin(): Promise<string> {
  const folder = join(tmpdir(), 'brevet-test-programs'); // used only where the package itself can't be run
  await mkdir(folder, { recursive: true });
  return dirname((await prepareBinaries(folder, await chooseAccount([]))).postgres);
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

export interface TestServerOptions {
  /** Another version's programs than Debian's newest. */
  readonly bin?: string;
  /** Lines for postgresql.conf. */
  readonly conf?: readonly string[];
  /** Turns TLS on with this certificate and key (PEM). */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Lines for pg_hba.conf instead of SCRAM for everybody on loopback. */
  readonly hba?: readonly string[];
  /** The network that it stands in, instead of loopback. */
  readonly net?: WalledNet;
}

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const bin = options.bin ?? (await debianBin());
  const folder = await mkdtemp(join(tmpdir(), FOLDERS));
  await sign(folder);
  const data = join(folder, 'data');
  const password = 'test-superuser';
  const root = process.getuid?.() === 0;
  const owner = root ? await idsOf('postgres') : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  await writeFile(join(folder, 'pw'), password);
  if (root) await Promise.all([chown(folder, owner.uid, owner.gid), chown(join(folder, 'pw'), owner.uid, owner.gid)]);
  await run(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${folder}/pw`, '-E', 'UTF8', '--locale=C', '-N'], owner);
  const port = await freePort();
  const host = options.net?.address ?? '127.0.0.1';
  const conf = [
    `port = ${port}`, `listen_addresses = '${host}'`, `unix_socket_directories = '${folder}'`, 'fsync = off',
    'max_connections = 200', 'log_min_messages = fatal', ...(options.conf ?? []),
  ];
  if (options.tls) {
    await writeFile(join(data, 'server.crt'), options.tls.cert);
    await writeFile(join(data, 'server.key'), options.tls.key);
    await chmod(join(data, 'server.key'), 0o600);
    if (root) for (const name of ['server.crt', 'server.key']) await chown(join(data, name), owner.uid, owner.gid);
    conf.push('ssl = on');
  }
  await writeFile(join(data, 'brevet.conf'), conf.join('\n') + '\n');
  await copyFile(join(data, 'postgresql.conf'), join(data, 'postgresql.conf.base'));
  await writeFile(join(data, 'postgresql.conf'), "include 'postgresql.conf.base'\ninclude 'brevet.conf'\n");
  if (options.hba) await writeFile(join(data, 'pg_hba.conf'), options.hba.join('\n') + '\n');

  let child: ChildProcess | undefined;
  const url = (database = 'postgres') => `postgresql://postgres:${password}@${host}:${port}/${database}`;
  const query: TestServer['query'] = async (sql, values, database) => {
    // By the socket where there is a network that may be down: the test looks past it.
    const client = new pg.Client(options.net ? { host: folder, port, user: 'postgres', password, database: database ?? 'postgres' } : { connectionString: url(database) });
    await client.connect();
    try {
      return await client.query(sql, values);
    } finally {
      await client.end();
    }
  };
  const start = async () => {
    const program = [join(bin, 'postgres'), '-D', data];
    const within = options.net?.command(program, owner);
    const [command = '', ...args] = within ?? program;
    let stderr = '';
    const launch = () => {
      const launched = spawn(command, args, { ...(within ? {} : owner), stdio: ['ignore', 'ignore', 'pipe'] });
      launched.stderr?.on('data', (bytes) => (stderr += bytes));
      return launched;
    };
    child = launch();
    for (let tries = 0; ; tries++) {
      const error = await query('select 1').then(() => null, (e: Error) => e);
      if (!error) return;
      // Backends of a killed postmaster notice it within moments, and hold its memory until then.
      if (child.exitCode !== null && stderr.includes('still in use') && tries < 100) {
        stderr = '';
        child = launch();
      } else if (child.exitCode !== null || tries > 200) throw new Error(`the test server did not start: ${stderr || error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const signal = async (name: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(name);
    await gone;
  };
  const everyProcess = async (name: NodeJS.Signals) => {
    const { stdout } = await run('ps', ['-o', 'pid=', '--ppid', String(child?.pid)]).catch(() => ({ stdout: '' }));
    for (const pid of [String(child?.pid), ...stdout.split(/\s+/)].map(Number).filter(Boolean)) process.kill(pid, name);
  };
  await start();
  return {
    host, port, socket: folder, user: 'postgres', password, bin, url, query, start,
    get pid() {
      return child?.pid ?? 0;
    },
    kill: () => signal('SIGKILL'),
    stop: () => signal('SIGINT'),
    pause: () => everyProcess('SIGSTOP'),
    resume: () => everyProcess('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await everyProcess('SIGCONT').catch(() => undefined);
      await signal('SIGINT');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function idsOf(user: string): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => Number((await run('id', [flag, user])).stdout)));
  return { uid: uid as number, gid: gid as number };
}

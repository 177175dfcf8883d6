/**
 * pgbench and COPY: direct, through a plain Node pipe, pgbouncer, and the broker with one and two processes. All in one
 * run, in turns; ratios of medians; JSON on standard output.
 *
 *     node bench/broker-pgbench.ts [--seconds 3] [--rounds 3] [--only simple-8,prepared-8,copy]
 */
import { execFile, fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { arch, cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { randomBytes } from 'node:crypto';
import { startBrokers } from '#brokers/start-brokers.ts';
import { makeId } from '#domain/id.ts';
import { makeAuthority } from '#test/worlds/certificates.ts';
import { MemoryGate } from '#test/worlds/memory-gate.ts';
import { freePort, startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';

const run = promisify(execFile);
const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '3' }, rounds: { type: 'string', default: '3' }, only: { type: 'string' }, systems: { type: 'string' } },
});

interface System {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** The processes in the middle. */
  readonly pids: readonly number[];
  readonly stop: () => Promise<void>;
}
type Certificate = { readonly cert: string; readonly key: string; readonly folder: string };

const WORKLOADS = ['simple-1', 'simple-8', 'prepared-1', 'prepared-8', 'copy'];
const COPY_ROWS = 1_500_000;

const median = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;
const environment = (more: Readonly<Record<string, string>>): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], HOME: '/nonexistent', ...more });

function direct(server: TestServer): System {
  const env = { PGHOST: '127.0.0.1', PGPORT: String(server.port), PGUSER: 'carrier', PGPASSWORD: 'carried', PGDATABASE: 'postgres', PGSSLMODE: 'disable' };
  return { name: 'direct', env, pids: [], stop: async () => undefined };
}

async function plainPipe(server: TestServer, tls: Certificate | null): Promise<System> {
  const child = fork(join(import.meta.dirname, 'plain-pipe.ts'), [], { execArgv: ['--disable-warning=ExperimentalWarning'] });
  child.send({ host: server.host, port: server.port, tls: tls && { cert: tls.cert, key: tls.key } });
  const [port] = (await once(child, 'message')) as [number];
  return {
    name: tls ? 'plain pipe, TLS' : 'plain pipe',
    env: { ...direct(server).env, PGPORT: String(port), PGSSLMODE: tls ? 'require' : 'disable' },
    pids: [child.pid ?? 0],
    stop: () => end(child),
  };
}

async function pgbouncer(server: TestServer, tls: Certificate | null): Promise<System | null> {
  if ((await run('sh', ['-c', 'command -v pgbouncer']).catch(() => null)) === null) return null;
  const folder = await mkdtemp(join(tmpdir(), 'brevet-pgbouncer-'));
  const port = await freePort();
  await chmod(folder, 0o755);
  await writeFile(join(folder, 'users'), '"carrier" "carried"\n');
  const lines = [
    '[databases]', `postgres = host=127.0.0.1 port=${server.port} user=carrier password=carried`, '[pgbouncer]', 'listen_addr = 127.0.0.1',
    `listen_port = ${port}`, 'unix_socket_dir =', 'auth_type = trust', `auth_file = ${folder}/users`, 'pool_mode = session', 'log_connections = 0',
    'log_disconnections = 0', 'ignore_startup_parameters = extra_float_digits',
  ];
  if (tls) {
    await writeFile(join(folder, 'cert.pem'), tls.cert);
    await writeFile(join(folder, 'key.pem'), tls.key);
    await chmod(join(folder, 'key.pem'), 0o644);
    lines.push('client_tls_sslmode = require', `client_tls_cert_file = ${folder}/cert.pem`, `client_tls_key_file = ${folder}/key.pem`);
  }
  await writeFile(join(folder, 'ini'), `${lines.join('\n')}\n`);
  const child = spawn('pgbouncer', ['-q', ...(process.getuid?.() === 0 ? ['-u', 'postgres'] : []), join(folder, 'ini')], { stdio: ['ignore', 'ignore', 'ignore'] });
  await new Promise((resolve) => setTimeout(resolve, 500));
  return {
    name: tls ? 'pgbouncer, TLS' : 'pgbouncer',
    env: { ...direct(server).env, PGPORT: String(port), PGSSLMODE: tls ? 'require' : 'disable' },
    pids: [child.pid ?? 0],
    stop: async () => {
      await end(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function broker(server: TestServer, tls: Certificate, count: number): Promise<System> {
  const gate = new MemoryGate({
    principalName: 'mia', entitlementName: 'bench', remainingMs: 3_600_000, leaseMs: 15_000, graceMs: 30_000, endMode: 'cut', warnMs: 0, maskLiterals: false,
    upstream: { protocol: 'postgresql', host: server.host, port: server.port, tls: 'disable', ca: null, database: 'postgres', user: 'carrier', password: 'carried', settings: {} },
  });
  gate.oneTime = false;
  gate.keepsRecordings = false;
  const token = gate.issueToken();
  const brokerIds = Array.from({ length: count }, () => makeId('broker', Date.now(), randomBytes(10)));
  const entry = join(import.meta.dirname, '../src/main/broker.ts');
  const brokers = await startBrokers({ entry, count, host: '127.0.0.1', port: 0, tls: { ...tls, ca: [] }, gate, brokerIds, log: console.error, monotonic: () => performance.now() });
  const env = { ...direct(server).env, PGPORT: String(brokers.port), PGUSER: `mia/${token.handle}`, PGPASSWORD: token.secret, PGSSLMODE: 'require' };
  return { name: count === 1 ? 'broker' : `broker, ${count} processes`, env, pids: brokers.pids, stop: () => brokers.stop() };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

/** Processor time that processes have had, in microseconds: the one figure that a busy machine does not blur. */
async function processorTime(pids: readonly number[]): Promise<number> {
  const ticks = await Promise.all(pids.map(async (pid) => {
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
    return Number(fields[11]) + Number(fields[12]);
  }));
  return ticks.reduce((sum, each) => sum + each, 0) * 10_000;
}

/** Transactions per second, or MB per second for COPY out and in. */
async function measure(system: System, workload: string, seconds: number, file: string): Promise<Record<string, number>> {
  if (workload === 'copy') {
    const size = (await readFile(file)).length / 1e6;
    const out = await timed('psql', ['-Xqc', 'copy big to stdout'], system, { stdout: '/dev/null' });
    const into = await timed('psql', ['-Xqc', 'begin', '-c', 'truncate sink', '-c', 'copy sink from stdin', '-c', 'rollback'], system, { stdin: file });
    return { 'copy-out': size / out, 'copy-in': size / into };
  }
  const [mode, clients] = workload.split('-') as [string, string];
  const args = ['-n', '-S', '-M', mode, '-c', clients, '-j', '1', '-T', String(seconds)];
  const before = await processorTime(system.pids);
  const { stdout } = await run('pgbench', args, { env: environment(system.env) });
  const spent = (await processorTime(system.pids)) - before;
  const transactions = Number(/transactions actually processed: (\d+)/.exec(stdout)?.[1]);
  return { [workload]: Number(/tps = ([\d.]+)/.exec(stdout)?.[1]), [`${workload} processor`]: Math.round((spent / transactions) * 10) / 10 };
}

async function timed(program: string, args: readonly string[], system: System, io: { stdin?: string; stdout?: string }): Promise<number> {
  const began = performance.now();
  const stdio = [io.stdin ? openSync(io.stdin, 'r') : 'ignore', io.stdout ? openSync(io.stdout, 'w') : 'ignore', 'inherit'] as const;
  const child = spawn(program, args, { env: environment(system.env), stdio: [...stdio] });
  const [code] = (await once(child, 'exit')) as [number];
  if (code !== 0) throw new Error(`${program} failed through ${system.name}`);
  return (performance.now() - began) / 1000;
}

async function main(): Promise<void> {
  const seconds = Number(options.seconds);
  const workloads = options.only?.split(',') ?? WORKLOADS;
  const folder = await mkdtemp(join(tmpdir(), 'brevet-bench-'));
  await using server = await startTestServer();
  await using authority = await makeAuthority();
  const tls = await authority.issue('server', 'localhost');
  await server.query("create role carrier login password 'carried'; grant create on schema public to carrier");
  await run('pgbench', ['-i', '-q', '-s', '5'], { env: environment(direct(server).env) });
  const file = join(folder, 'rows');
  if (workloads.includes('copy')) {
    await server.query(`create table big as select n, md5(n::text) || md5((n + 1)::text) as text, now() as at from generate_series(1, ${COPY_ROWS}) n;
      create table sink (like big); alter table big owner to carrier; alter table sink owner to carrier`);
    await timed('psql', ['-Xqc', 'copy big to stdout'], direct(server), { stdout: file });
  }
  const all = [
    direct(server), await plainPipe(server, null), await plainPipe(server, tls), await pgbouncer(server, null), await pgbouncer(server, tls),
    await broker(server, tls, 1), await broker(server, tls, 2),
  ].filter((system) => system !== null);
  const systems = options.systems ? all.filter((system) => options.systems?.split(';').includes(system.name)) : all;
  const found: Record<string, Record<string, number[]>> = {};
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const workload of workloads) {
      for (const system of systems) {
        const figures = await measure(system, workload, seconds, file);
        for (const [what, figure] of Object.entries(figures)) ((found[what] ??= {})[system.name] ??= []).push(figure > 1000 ? Math.round(figure) : figure);
      }
    }
  }
  for (const system of all) await system.stop();
  await rm(folder, { recursive: true, force: true });

  const results = Object.entries(found).map(([what, bySystem]) => {
    const medians = Object.fromEntries(Object.entries(bySystem).map(([name, figures]) => [name, median(figures)]));
    const against = (base: string) =>
      Object.fromEntries(Object.entries(medians).map(([name, figure]) => [name, Number((figure / (medians[base] ?? NaN)).toFixed(2))]));
    return { what, unit: what.startsWith('copy') ? 'MB/s' : what.endsWith('processor') ? 'microseconds per transaction, in the middle' : 'transactions/s', medians, toDirect: against('direct'), toPlainPipe: against('plain pipe'), all: bySystem };
  });
  const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length, arch: arch(), memoryMb: Math.round(totalmem() / 1e6) };
  console.log(JSON.stringify({ benchmark: 'broker-pgbench', machine, seconds, rounds: Number(options.rounds), results }, null, 2));
}

await main();

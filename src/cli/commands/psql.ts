import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape } from '../output/escape.ts';
import { type CertificateFiles, type ConnectInfo, connectInfo, fetchCertificate, privateFolder } from '../session/client-certificate.ts';
import { findGrant, noGrant } from '../session/find-grant.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import { type AskOptions, patienceFor, readAsk, waitThrough } from './ask.ts';
import { ending, type Grant } from './render-grant.ts';
import { renderPreview } from './render-request.ts';

interface PsqlOptions extends AskOptions {
  readonly request?: true;
}

export function addPsql(shell: Shell): void {
  shell.leaf<PsqlOptions>(shell.program, {
    use: 'psql <grant-or-name> [psql-args...]',
    about: "Open psql under your grant\nTakes a target's or an entitlement's name, or a grant's id. Fetches a client certificate that lives for minutes, starts the psql that is installed here, and removes the certificate's key afterwards. You never see a credential. Ends with psql's own exit code.",
    examples: [
      'brevet psql orders-read',
      "brevet psql orders -- -c 'select count(*) from orders'",
      "brevet psql orders-read --request --wait --reason 'why are invoices late?' --for 30m",
    ],
    options: (command) => command
      .option('--request', 'when there is no active grant: ask for one (needs --reason)')
      .option('--reason <text>', 'with --request: why')
      .option('--ticket <id>', 'with --request: the ticket it belongs to')
      .option('--for <duration>', 'with --request: how long')
      .option('--on-behalf-of <name>', 'with --request: the person that a workload acts for')
      .option('--wait', 'with --request: wait in place until it is approved and real')
      .option('--timeout <duration>', 'with --wait: give up waiting after this'),
    act: psql,
  });
}

async function psql(run: Run, [name = '', ...args]: readonly string[], options: PsqlOptions): Promise<ExitCode> {
  if (run.json) throw new Failure(EXIT.usage, 'psql speaks for itself: there is no --json here', 'brevet connect GRANT --json says where to connect.');
  const grant = (await findGrant(run, name)) ?? (await askFirst(run, name, options));
  const where = connectInfo(grant);
  run.note(run.paint('live', `● ${escape(grant.entitlement.name)} on ${escape(grant.parts.map((part) => part.target.name).join(', '))}, ${escape(ending(run, grant))}; this session is recorded`));
  await using folder = await privateFolder(run);
  const files = await fetchCertificate(run, grant, folder.path);
  // Awaited here: the folder goes when this function ends.
  return await runPsql(run, args, libpqEnvironment(run.deps.env, where, files));
}

async function askFirst(run: Run, name: string, options: PsqlOptions): Promise<Grant> {
  if (!options.request) throw await noGrant(run, name);
  const client = await run.client();
  const { items } = await client.call('requests', { query: { view: 'mine', state: 'pending', limit: 100 } });
  let request = items.find((each) => each.entitlement.name === name);
  if (request === undefined) {
    const body = readAsk(run, name, options);
    const preview = await client.call('previewRequest', { body });
    run.note(renderPreview(run, preview));
    if (preview.outcome === 'refused') throw new Failure(EXIT.refused, `policy refuses this request: ${preview.explanation[0] ?? ''}`, 'It was not sent.');
    request = await client.call('submitRequest', { body });
  }
  run.note(`\nasked as ${escape(request.id)}`);
  const patience = patienceFor(request.id, options.timeout);
  if (!options.wait && request.state === 'pending') throw new Failure(EXIT.notFound, `no active grant yet; ${request.id} waits for a decision`, 'With --wait this waits in place.');
  const { decided, grant } = await waitThrough(run, request, patience);
  if (decided.state !== 'approved') {
    throw new Failure(decided.state === 'denied' ? EXIT.refused : EXIT.state, `${decided.id} is ${decided.state}${decided.decisionReason ? `: ${decided.decisionReason}` : ''}`);
  }
  if (grant?.state !== 'active') throw new Failure(EXIT.state, `the grant did not become active: ${grant?.endReason ?? grant?.state ?? 'unknown'}`, `brevet show ${grant?.id ?? decided.id}`);
  return grant;
}

/** Settings that would send psql elsewhere, or weaken how it checks the broker, are taken out of what it inherits. */
export function libpqEnvironment(inherited: Run['deps']['env'], where: ConnectInfo, files: CertificateFiles): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...inherited };
  for (const name of ['PGHOSTADDR', 'PGSERVICE', 'PGSERVICEFILE', 'PGPASSWORD', 'PGPASSFILE', 'PGREQUIREAUTH', 'PGREQUIRESSL', 'PGCHANNELBINDING', 'PGTARGETSESSIONATTRS', 'PGSSLCERTMODE', 'PGSSLNEGOTIATION', 'PGSSLCRL', 'PGSSLCRLDIR']) delete env[name];
  return {
    ...env,
    PGHOST: where.host,
    PGPORT: String(where.port),
    PGDATABASE: where.database,
    PGUSER: where.user,
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: files.authority,
    PGSSLCERT: files.cert,
    PGSSLKEY: files.key,
    PGGSSENCMODE: 'disable',
  };
}

async function runPsql(run: Run, args: readonly string[], env: NodeJS.ProcessEnv): Promise<ExitCode> {
  const child = spawn('psql', args, { stdio: 'inherit', env });
  // Ctrl-C is psql's: it cancels the query. What would end us ends psql, so that the key's folder is removed.
  const stops = [
    run.deps.onSignal('SIGINT', () => undefined),
    run.deps.onSignal('SIGTERM', () => child.kill('SIGTERM')),
    run.deps.onSignal('SIGHUP', () => child.kill('SIGHUP')),
  ];
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? (signal === 'SIGINT' ? EXIT.interrupted : EXIT.internal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Failure(EXIT.unavailable, 'psql is not installed here', 'Install a PostgreSQL client (Debian: apt-get install postgresql-client), or see brevet connect.');
  } finally {
    for (const stop of stops) stop();
  }
}

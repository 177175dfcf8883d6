import { applyIn } from '#app/configuration/apply-configuration.ts';
import { createPrincipalIn } from '#app/signin/create-principal.ts';
import { issueLinkIn } from '#app/signin/issue-link.ts';
import type { Principal } from '#domain/principal.ts';
import { Refusal } from '#domain/refusal.ts';
import { defaultPolicies } from '#policy/default-policies.ts';
import { readSettings, VARIABLES } from './settings.ts';
import { startServer, type RunningServer } from './start-server.ts';
import { stoppable } from './stopping.ts';

const HELP = `Usage: brevet server [--config FILE] [--admin-link NAME]

Runs Brevet: the API, the reconciler, the log's sequencer and the brokers.
Any number of servers may run on one PostgreSQL (DATABASE_URL); without one,
Brevet runs its own in the data folder.

The first start makes the first administrator, "admin", and prints a one-time
link to sign in with.

Options:
  --config FILE       settings in YAML (brevet.yaml, if it is there)
  --admin-link NAME   print a new one-time link for an administrator, and go on
  --help              this text

Each setting has a variable:
${Object.entries(VARIABLES).map(([variable, [section, key, meaning]]) => `  ${variable} (${section === null ? key : `${section}.${key}`})\n    ${meaning}`).join('\n')}
`;

/** \`brevet server\`. Answers the exit code when it has been told to stop. */
export async function serve(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  const options = readArgs(args);
  if (options === null) {
    process.stdout.write(HELP);
    return 0;
  }
  const stopping = stoppable((text) => process.stderr.write(`brevet: ${text}\n`));
  const server = await startServer(readSettings(env, options.config), stopping.children);
  try {
    await firstStart(server, options.adminLink);
    server.app.journal.info('Brevet is running', { api: server.address, broker: server.brokerPort });
    const signal = await stopping.asked;
    server.app.journal.info('stopping', { signal });
  } finally {
    await server.stop();
  }
  return 0;
}

function readArgs(args: readonly string[]): { config: string | null; adminLink: string | null } | null {
  const options: { config: string | null; adminLink: string | null } = { config: null, adminLink: null };
  for (let at = 0; at < args.length; at++) {
    const value = args[at + 1] ?? null;
    if (args[at] === '--help' || args[at] === '-h') return null;
    else if (args[at] === '--config' && value !== null) options.config = args[(at += 1)] as string;
    else if (args[at] === '--admin-link' && value !== null) options.adminLink = args[(at += 1)] as string;
    else if (args[at] === '--config' || args[at] === '--admin-link') throw new Refusal('invalid_input', `${args[at]} needs a value`, { hint: 'brevet server --help' });
    else throw new Refusal('invalid_input', `brevet server does not know "${args[at]}"`, { hint: 'brevet server --help' });
  }
  return options;
}

function administratorsAmong(everybody: readonly Principal[]): string {
  const names = everybody.filter((one) => one.administrator && one.disabledAt === null).map((one) => one.name);
  return names.length === 0 ? 'There is no administrator at all.' : `Administrators: ${names.join(', ')}`;
}

/** A fresh store gets default policies and its first administrator; whoever can start the server may ask for a link. */
async function firstStart({ app, identity, publicAddress }: RunningServer, adminLink: string | null): Promise<void> {
  const link = await app.store.transaction(async (tx) => {
    if (!(await tx.policies.current())) await applyIn(app, tx, defaultPolicies().map(({ file, text }) => ({ path: file, text })), null, 'system');
    const everybody = await tx.principals.all();
    if (everybody.length === 0) await createPrincipalIn(app, tx, { kind: 'person', name: 'admin', displayName: 'Administrator', owner: null, administrator: true }, 'system');
    const name = adminLink ?? (everybody.length === 0 ? 'admin' : null);
    if (name === null) return null;
    const person = await tx.principals.byName(name);
    if (!person?.administrator) throw new Refusal('not_found', `there is no administrator "${name}"`, { hint: administratorsAmong(everybody) });
    return { name, secret: (await issueLinkIn(tx, identity, name, 'system')).secret };
  });
  if (link) process.stdout.write(`Sign in as ${link.name}, once, within a day:\n\n  brevet login '${publicAddress}/sign-in#${link.secret}'\n\n`);
}

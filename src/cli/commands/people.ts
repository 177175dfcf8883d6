import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Answer } from '#contract/routes.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape } from '../output/escape.ts';
import { table } from '../output/table.ts';
import { writeProfile } from '../session/profile.ts';
import { askLine, demand } from '../session/prompt.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import { renderRevoked } from './grants.ts';
import { collectAll } from './pages.ts';

type Principal = Answer<'createPrincipal'>;

export function addPeople(shell: Shell): void {
  const people = shell.group('people', 'Administer people (and see workloads)');
  shell.leaf(people, {
    use: 'list',
    about: 'List people and workloads',
    examples: ['brevet people list'],
    act: async (run) => {
      const client = await run.client();
      const list = await collectAll((query) => client.call('principals', { query }));
      run.answer(list, () => renderPrincipals(run, list.items));
    },
  });
  shell.leaf<{ displayName?: string; admin?: true; link?: true }>(people, {
    use: 'add <name>',
    about: 'Add a person',
    examples: ["brevet people add ana --display-name 'Ana Novak' --link"],
    options: (command) => command.option('--display-name <text>', 'the name that people read').option('--admin', 'as an administrator').option('--link', 'and print a one-time sign-in link'),
    act: async (run, [name = ''], { displayName = name, admin = false, link }) => {
      const client = await run.client();
      const person = await client.call('createPrincipal', { body: { kind: 'person', name, displayName, administrator: admin } });
      if (!link) return run.answer(person, () => `${escape(person.displayName)} (${escape(person.name)}) is added\nnext: brevet people link ${escape(person.name)}`);
      await printLink(run, name);
    },
  });
  shell.leaf(people, { use: 'link <name>', about: 'Print a one-time sign-in link', examples: ['brevet people link ana'], act: (run, [name = '']) => printLink(run, name) });
  shell.leaf<{ yes?: true }>(people, {
    use: 'disable <name>',
    about: 'Disable somebody, and end everything that they hold',
    examples: ['brevet people disable ana', 'brevet people disable ci --yes'],
    options: (command) => command.option('--yes', 'do not ask'),
    act: async (run, [name = ''], { yes }) => {
      const client = await run.client();
      await demand(run, yes, `Disable ${escape(name)}, and take away everything they hold?`);
      const taken = await client.call('disablePrincipal', { params: { name } });
      run.answer(taken, () => `${escape(name)} is disabled; ${renderRevoked(taken)}`);
    },
  });
  shell.leaf(people, {
    use: 'enable <name>',
    about: 'Enable somebody again; what they held stays gone',
    examples: ['brevet people enable ana'],
    act: async (run, [name = '']) => {
      const principal = await (await run.client()).call('enablePrincipal', { params: { name } });
      run.answer(principal, () => renderPrincipals(run, [principal]));
    },
  });
  shell.leaf<{ yes?: true }>(people, {
    use: 'erase <name>',
    about: 'Erase what names or describes somebody who is disabled and holds nothing\nTheir name, reasons, tickets, addresses and recordings go, and the key of their personal parts of the log. Entries of the log stay provable; the name stays taken, and backups keep what they hold. This can not be undone; without --yes the name has to be typed.',
    examples: ['brevet people erase ana'],
    options: (command) => command.option('--yes', 'do not ask'),
    act: async (run, [name = ''], { yes }) => {
      const client = await run.client();
      if (!yes && (await askLine(run, `Type ${escape(name)} to erase for ever: `)).trim() !== name) throw new Failure(EXIT.interrupted, 'nothing was changed');
      run.answer(await client.call('erasePrincipal', { params: { name } }), () => `${escape(name)} is erased`);
    },
  });
  addWorkload(shell);
}

function addWorkload(shell: Shell): void {
  const workload = shell.group('workload', 'Administer workloads: pipelines, agents, jobs');
  shell.leaf<{ owner: string; displayName?: string }>(workload, {
    use: 'add <name>',
    about: 'Add a workload; its owner answers for it',
    examples: ["brevet workload add ci --owner ana --display-name 'CI pipeline'"],
    options: (command) => command.requiredOption('--owner <name>', 'the person who answers for it').option('--display-name <text>', 'the name that people read'),
    act: async (run, [name = ''], { owner, displayName = name }) => {
      const added = await (await run.client()).call('createPrincipal', { body: { kind: 'workload', name, displayName, owner } });
      run.answer(added, () => `${escape(added.name)} is added\nnext: brevet workload key ${escape(added.name)} --home ./${escape(added.name)}`);
    },
  });
  shell.leaf<{ publicKey?: string; home?: string; label?: string }>(workload, {
    use: 'key <name>',
    about: 'Enrol a key for a workload\nWith --public-key the private key never leaves where it was made. With --home a fresh key is made into a folder that the workload uses as its BREVET_HOME.',
    examples: ['brevet workload key ci --public-key ci.pub.pem', 'brevet workload key ci --home ./ci-brevet'],
    options: (command) => command.option('--public-key <file>', 'an Ed25519 public key, SPKI in PEM').option('--home <folder>', 'make a key, and write a ready sign-in into this folder').option('--label <text>', 'a name for the key'),
    act: enrol,
  });
}

async function enrol(run: Run, [name = '']: readonly string[], options: { publicKey?: string; home?: string; label?: string }): Promise<void> {
  if ((options.publicKey === undefined) === (options.home === undefined)) throw new Failure(EXIT.usage, 'give --public-key FILE or --home FOLDER');
  const client = await run.client();
  const label = options.label ?? name;
  if (options.publicKey !== undefined) {
    const signedIn = await client.call('enrolWorkloadKey', { params: { name }, body: { publicKey: await readPublicKey(options.publicKey), label } });
    return run.answer(signedIn, () => `enrolled as ${escape(signedIn.key)}\nthe workload signs in with: brevet login --key FILE --key-id ${escape(signedIn.key)} --server ${client.server}`);
  }
  const pair = generateKeyPairSync('ed25519');
  const publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const signedIn = await client.call('enrolWorkloadKey', { params: { name }, body: { publicKey, label } });
  const folder = resolve(options.home ?? '');
  const { id, kind, name: called } = signedIn.principal;
  const { logKey } = await run.profile();
  await writeProfile(folder, { server: client.server, keyId: signedIn.key, principal: { id, kind, name: called }, label, signedInAt: run.deps.now().toISOString(), logKey }, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
  run.answer(signedIn, () => `enrolled as ${escape(signedIn.key)}\nthe workload runs with: BREVET_HOME=${escape(folder)} brevet ...`);
}

async function readPublicKey(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    // Reading a private key here would work, and would mean that it was carried to the wrong machine.
    if (text.includes('PRIVATE KEY')) throw new TypeError('private');
    const key = createPublicKey(text);
    if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('another kind');
    return key.export({ type: 'spki', format: 'pem' }) as string;
  } catch {
    throw new Failure(EXIT.usage, `${file} holds no Ed25519 public key in PEM`, 'openssl pkey -in key.pem -pubout writes it.');
  }
}

async function printLink(run: Run, name: string): Promise<void> {
  const link = await (await run.client()).call('issueLink', { params: { name } });
  run.note(run.paint('dim', `works once, until ${run.times.both(link.expiresAt)}; hand it to ${escape(name)} over a way you trust`));
  run.answer(link, () => escape(link.link));
}

function renderPrincipals(run: Run, principals: readonly Principal[]): string {
  return table(principals, [
    { head: 'name', cell: (each) => each.name },
    { head: 'called', cell: (each) => each.displayName, flexible: true },
    { head: 'kind', cell: (each) => (each.administrator ? `${each.kind}, administrator` : each.kind) },
    { head: 'owner', cell: (each) => each.owner?.name ?? null },
    { head: 'state', cell: (each) => (each.disabledAt ? { tone: 'dim', text: `– disabled ${run.times.away(each.disabledAt)}` } : 'enabled') },
    { head: 'groups', cell: (each) => each.groups.join(', '), flexible: true },
  ], run.paint, run.columns);
}

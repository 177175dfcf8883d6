import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Answer, BodyIn } from '#contract/routes.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape } from '../output/escape.ts';
import { facts } from '../output/facts.ts';
import { table } from '../output/table.ts';
import { readProfile, removeProfile, type SignedInProfile, writeProfile } from '../session/profile.ts';
import { askSecret, demand } from '../session/prompt.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';

interface LoginOptions {
  readonly label?: string;
  readonly password?: string;
  readonly key?: string;
  readonly keyId?: string;
  readonly replace?: true;
}

export function addSignIn(shell: Shell): void {
  const { program } = shell;
  shell.leaf<LoginOptions>(program, {
    use: 'login [link]',
    about: 'Sign in on this machine\nMakes a key pair here and enrols its public half; the private key never leaves the machine (mode 0600, in $BREVET_HOME or ~/.config/brevet). Every request is signed with it. One folder holds one sign-in: a second person on this machine sets another BREVET_HOME.',
    examples: [
      "brevet login 'http://127.0.0.1:8484/sign-in#bvl_...'",
      "BREVET_HOME=~/.config/brevet-ada brevet login 'http://127.0.0.1:8484/sign-in#bvl_...'   # a second person here",
      'brevet login --password ana --server https://brevet.example',
      'brevet login --key ci.pem --key-id key_01j... --server https://brevet.example   # a workload, with its enrolled key',
    ],
    options: (command) => command
      .option('--label <text>', "a name for this machine's key (default: user and host)")
      .option('--password <name>', 'sign in as NAME; the password is asked for, or read from standard input')
      .option('--key <file>', 'use a key that an administrator enrolled already (Ed25519, PKCS #8 PEM)')
      .option('--key-id <id>', 'the id of that key')
      .option('--replace', "where somebody else is signed in here: revoke that key, and sign in in its place"),
    act: login,
  });
  shell.leaf<{ local?: true }>(program, {
    use: 'logout',
    about: "Revoke this machine's key and forget it",
    examples: ['brevet logout', 'brevet logout --local   # the server is gone; only forget'],
    options: (command) => command.option('--local', 'forget the key here without revoking it at the server'),
    act: logout,
  });
  shell.leaf(program, { use: 'whoami', about: 'Show who you are signed in as', examples: ['brevet whoami', 'brevet whoami --json'], act: whoami });
  shell.leaf(program, { use: 'keys', about: 'List your enrolled keys', examples: ['brevet keys'], act: listKeys });
  shell.leaf<{ yes?: true }>(program, {
    use: 'revoke-key <key>',
    about: 'Revoke one of your keys, such as that of a lost machine',
    examples: ['brevet revoke-key key_01j...'],
    options: (command) => command.option('--yes', 'do not ask'),
    act: async (run, [id = ''], { yes }) => {
      await demand(run, yes, `Revoke ${escape(id)}? Whoever holds it is signed out at once.`);
      run.answer(await (await run.client()).call('revokeKey', { params: { id } }), () => `${escape(id)} is revoked`);
    },
  });
  shell.leaf(program, {
    use: 'password',
    about: 'Set your password (at least 12 characters; typed unseen, or on standard input)',
    examples: ['brevet password'],
    act: async (run) => {
      const client = await run.client();
      const password = await askSecret(run, 'New password: ');
      if (run.deps.terminal.stdin.isTTY && password !== (await askSecret(run, 'Once more: '))) throw new Failure(EXIT.usage, 'the two differ');
      run.answer(await client.call('setPassword', { body: { password } }), () => 'the password is set');
    },
  });
}

async function login(run: Run, [link]: readonly string[], options: LoginOptions): Promise<void> {
  const label = options.label ?? `${run.deps.env['USER'] ?? 'somebody'}@${run.deps.host}`.slice(0, 100);
  const before = await signInBefore(run);
  if (options.key !== undefined) return loginWithKey(run, options, label, before);
  const guarded = options.replace ? null : before;
  const pair = generateKeyPairSync('ed25519');
  const publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  let server: string;
  let signedIn: Answer<'signInByLink'>;
  if (options.password !== undefined) {
    server = neededServer(run);
    if (guarded && (guarded.server !== server || guarded.principal.name !== options.password)) throw inTheWay(guarded);
    const password = await askSecret(run, `Password of ${options.password} at ${server}: `);
    signedIn = await run.clientAt(server, null).call('signInByPassword', { body: { name: options.password, password, publicKey, label } });
  } else {
    const read = readLink(run, link);
    server = read.server;
    if (guarded && guarded.server !== server) throw inTheWay(guarded);
    // Whose link it is only the server knows: told who is expected, it leaves a link of somebody else's unspent.
    const expected = guarded ? { principal: guarded.principal.id as BodyIn<'signInByLink'>['principal'] } : {};
    signedIn = await run.clientAt(server, null).call('signInByLink', { body: { link: read.secret, publicKey, label, ...expected } }).catch((error: unknown) => {
      throw guarded && error instanceof Failure && error.problem.code === 'conflict' ? inTheWay(guarded) : error;
    });
  }
  await keep(run, { server, keyId: signedIn.key, principal: signedIn.principal, label }, pair.privateKey, before);
  run.answer(signedIn, () => welcome(run, signedIn.principal, server));
}

/** Who is signed in here already. Of what can't be read nothing can be saved: it is replaced, and that is said. */
async function signInBefore(run: Run): Promise<SignedInProfile | null> {
  try {
    return await readProfile(run.folder);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    run.note(`${escape(error.message)}: it is replaced, and its key not revoked. If that was yours: brevet keys, brevet revoke-key KEY`);
    return null;
  }
}

function inTheWay({ principal, server }: SignedInProfile): Failure {
  return new Failure(EXIT.state, `signed in as ${principal.name} at ${server} here, and this is somebody else's sign-in`, 'Give it another folder (BREVET_HOME=FOLDER brevet login ...), or sign out before: brevet logout. --replace revokes the key that is here and replaces it.');
}

/** The private key of the sign-in before is about to be overwritten: nobody could use it, or revoke it, afterwards. */
async function revokeBefore(run: Run, before: SignedInProfile | null, keyId: string): Promise<void> {
  // A workload's key was enrolled by an administrator, and may be in use elsewhere.
  if (before === null || before.keyId === keyId || before.principal.kind === 'workload') return;
  try {
    await run.clientAt(run.serverAt(before.server), before).call('revokeKey', { params: { id: before.keyId } });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (!noLongerCounts(error)) run.note(`${escape(before.principal.name)}'s key from before, ${escape(before.keyId)} at ${escape(before.server)}, was not revoked: ${escape(error.message)}`);
  }
}

const noLongerCounts = (error: unknown) => error instanceof Failure && (error.exit === EXIT.unauthenticated || error.exit === EXIT.notFound);

/** The one-time secret stands in the fragment, which browsers never send and servers never log. */
function readLink(run: Run, link: string | undefined): { server: string; secret: string } {
  if (link === undefined) throw new Failure(EXIT.usage, 'login takes a one-time link, or --password NAME', 'An administrator makes a link with: brevet people link NAME');
  let url: URL;
  try {
    url = new URL(link);
  } catch {
    throw new Failure(EXIT.usage, 'this is not a sign-in link', 'It looks like http://127.0.0.1:8484/sign-in#bvl_...; quote it in the shell.');
  }
  const secret = url.hash.slice(1);
  if (!/^bvl_[A-Za-z0-9_-]{16,296}$/.test(secret)) {
    throw new Failure(EXIT.usage, 'the link has no one-time secret behind its #', 'Copy it as a whole, and quote it in the shell.');
  }
  return { server: run.serverAt(url.origin), secret };
}

function neededServer(run: Run): string {
  const server = run.namedServer;
  if (server === null) throw new Failure(EXIT.usage, 'which server?', 'Give --server https://... or set BREVET_SERVER.');
  return server;
}

async function loginWithKey(run: Run, { key: file = '', keyId, replace }: LoginOptions, label: string, before: SignedInProfile | null): Promise<void> {
  if (keyId === undefined) throw new Failure(EXIT.usage, '--key needs --key-id', 'brevet workload key NAME printed it when the key was enrolled.');
  const server = neededServer(run);
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(await readFile(file));
    if (privateKey.asymmetricKeyType !== 'ed25519') throw new TypeError('another kind of key');
  } catch {
    throw new Failure(EXIT.usage, `${file} holds no Ed25519 private key`);
  }
  const nobody = { id: '', kind: '', name: '' };
  const me = await run.clientAt(server, { server, keyId, principal: nobody, label, signedInAt: '', logKey: null, privateKey }).call('me');
  if (before && !replace && (before.server !== server || before.principal.id !== me.id)) throw inTheWay(before);
  await keep(run, { server, keyId, principal: me, label }, privateKey, before);
  run.answer(me, () => welcome(run, me, server));
}

type Kept = { readonly server: string; readonly keyId: string; readonly principal: { readonly id: string; readonly kind: string; readonly name: string }; readonly label: string };

async function keep(run: Run, { server, keyId, principal, label }: Kept, privateKey: KeyObject, before: SignedInProfile | null): Promise<void> {
  await revokeBefore(run, before, keyId);
  // What the log's key is today is what later verifications are held against; a sign-in must not fail for it.
  const logKey = await run.clientAt(server, null).call('logHead').then((head) => head.verifier, () => null);
  const { id, kind, name } = principal;
  const profile = { server, keyId, principal: { id, kind, name }, label, signedInAt: run.deps.now().toISOString(), logKey };
  await writeProfile(run.folder, profile, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
}

function welcome(run: Run, { name, displayName }: { name: string; displayName: string }, server: string): string {
  return `signed in as ${run.paint('bold', escape(displayName))} (${escape(name)}) at ${server}\nnext: brevet entitlements`;
}

async function logout(run: Run, _: readonly string[], { local }: { local?: true }): Promise<void> {
  const profile = await run.profile();
  if (!local) {
    try {
      await (await run.client()).call('revokeKey', { params: { id: profile.keyId } });
    } catch (error) {
      // A key that no longer counts is what was wanted.
      if (!noLongerCounts(error)) throw error instanceof Failure ? new Failure(error.exit, `the key was not revoked: ${error.message}`, 'brevet logout --local only forgets it here.') : error;
    }
  }
  await removeProfile(run.folder);
  run.answer({}, () => `signed out of ${escape(profile.server)}`);
}

async function whoami(run: Run): Promise<void> {
  const client = await run.client();
  const me = await client.call('me');
  run.answer(me, () =>
    [
      `${run.paint('bold', escape(me.displayName))} (${escape(me.name)})`,
      facts([
        ['kind', me.administrator ? `${me.kind}, administrator` : me.kind],
        ['groups', me.groups.join(', ')],
        ['owner', me.owner ? `${me.owner.displayName} (${me.owner.name})` : null],
        ['server', client.server],
        ['signed in', `${me.authentication.method}, ${run.times.both(me.authentication.at)}`],
        ['key', me.key],
      ], run.paint, run.columns),
    ].join('\n'),
  );
}

async function listKeys(run: Run): Promise<void> {
  const keys = await (await run.client()).call('keys');
  run.answer(keys, () =>
    table(keys.items, [
      { head: 'key', cell: (key) => key.id },
      { head: 'label', cell: (key) => key.label, flexible: true },
      { head: 'state', cell: (key) => (key.revokedAt ? { tone: 'dim', text: 'revoked' } : { tone: key.current ? 'bold' : 'plain', text: key.current ? 'this machine' : 'valid' }) },
      { head: 'signed in', cell: (key) => `${key.signInMethod}, ${run.times.at(key.signedInAt)}` },
      { head: 'last used', cell: (key) => (key.lastUsedAt ? run.times.away(key.lastUsedAt) : 'never') },
    ], run.paint, run.columns),
  );
}

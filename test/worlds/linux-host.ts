/** This machine as a target: a real sshd on a port of its own, real accounts. For root only, and one world at a time. */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connector, PartPlan, TargetAccess } from '#app/ports/connector.ts';
import { makeKey } from '#connectors/linux/account-key.ts';
import type { Timeouts } from '#connectors/linux/connect.ts';
import { linuxConnector } from '#connectors/linux/connector.ts';
import { loginOf } from '#connectors/linux/names.ts';
import { publicKeyLine } from '#contract/ssh/key-lines.ts';
import { makeId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import { sshFolder, type Answered, type SshFolder, type Sshd } from './ssh-programs.ts';

const run = promisify(execFile);

export interface LinuxHost extends AsyncDisposable {
  readonly connector: Connector;
  connectorOf(installation: string, timeouts?: Partial<Timeouts>): Connector;
  readonly installation: string;
  readonly target: TargetAccess;
  readonly folder: SshFolder;
  readonly sshd: Sshd;
  /** A plan of a new grant, due in an hour. */
  plan(scope: JsonObject, more?: Partial<PartPlan>): PartPlan;
  /** Runs a command on this machine as root; answers what it printed. */
  root(command: string): Promise<string>;
  /** Runs the real ssh as the account of a plan, or another. */
  ssh(user: string | PartPlan, privateKey: string, command: string, flags?: readonly string[]): Promise<Answered>;
  /** An ssh that stays; its end is noted in `ended`. */
  session(user: string | PartPlan, privateKey: string, command: string): Promise<{ readonly child: ChildProcess; readonly ended: Promise<unknown> }>;
  /** An account that is not Brevet's, with a key; it goes with the world. */
  account(name: string, ...args: readonly string[]): Promise<string>;
  group(name: string): Promise<void>;
  /** Has Brevet's scripts killed (-9) at the Nth command that changes something, from now on; never when it is null. */
  killAt(step: number | null): Promise<void>;
  /** The commands of the processes with this user id, without zombies. They are stopped for it: one that flees is seen, too. */
  living(user: string): Promise<string>;
  /** How many processes begin on the machine in this time. */
  forks(milliseconds: number): Promise<number>;
  /** Accounts, groups, rules, jobs, homes: equal before and after says nothing was left. */
  fingerprint(): Promise<string>;
}

/**
 * A shell command that begins processes without end, each ending as soon as it has begun the next: no list of processes is ever
 * right. The first takes in their remains (PR_SET_CHILD_SUBREAPER), so that no limit stops them.
 */
export const FLEEING = `setsid perl -e 'syscall(157, 36, 1, 0, 0, 0); if (!fork) { while (1) { my $next = fork; exit 0 if $next } } while (1) { wait }' > /dev/null 2>&1 & sleep 0.3`;

export const yes = () => Promise.resolve(true);

/** In place of the shell: bash, which counts the commands that change something, those in functions too. */
const KILL_AT = `#!/bin/bash
exec bash -s < <(cat "$(dirname "$0")/prelude"; exec cat)
`;
const prelude = (step: number) => `set -T; step=0
count() {
  case $1 in attempt*|mv*|rm*|mkdir*|cp*|chmod*|chown*|chattr*|kill*|sync*|userdel*|signal_all*|freeze*|thaw*|drop_*|place_*|write_state*|say*gone*) ((++step != ${step})) || kill -KILL $$ ;; esac
}
trap 'count "$BASH_COMMAND"' DEBUG
`;

/** Tests of a host need root, and what Debian has: elsewhere they say so and are counted as left out. */
export const noHost: string | false = process.getuid?.() === 0 ? false : 'makes accounts on this machine: for root only';

export async function linuxHost(options: { readonly settings?: readonly string[]; readonly config?: JsonObject; readonly timeouts?: Partial<Timeouts> } = {}): Promise<LinuxHost> {
  const lock = await takeMachine();
  const installation = randomBytes(8).toString('hex');
  const made: (() => Promise<unknown>)[] = [];
  const folder = await sshFolder();
  // Where sshd believes a file: no folder above it is anybody's but root's.
  const keys = `/run/brevet-test-${installation}`;
  await mkdir(keys, { mode: 0o755 });
  const admin = makeKey((n) => randomBytes(n), 'admin');
  const adminLine = `${publicKeyLine(admin.publicKey, 'admin')}\n`;
  await writeFile(`${keys}/root`, adminLine);
  await writeFile(`${keys}/kill-at`, KILL_AT, { mode: 0o755 });
  const keysFolder = options.config?.['keysFolder'];
  const sshd = await folder.sshd([
    ...(options.settings ?? []), 'StrictModes yes', `AuthorizedKeysFile ${keys}/%u ${typeof keysFolder === 'string' ? `${keysFolder}/%u` : '.ssh/authorized_keys'}`, 'UsePAM yes', 'AcceptEnv LC_*', 'Subsystem sftp internal-sftp', 'MaxStartups 100',
  ]);
  const connectorOf = (of: string, timeouts: Partial<Timeouts> = {}) =>
    linuxConnector({ installation: of, random: (n) => randomBytes(n), now: () => new Date(), timeouts: { ...options.timeouts, ...timeouts } });
  const connector = connectorOf(installation);
  const target: TargetAccess = {
    id: makeId('target', Date.now(), randomBytes(10)), name: 'web1', credential: admin.privateKey,
    config: connector.parseConfig({ host: '127.0.0.1', port: sshd.port, user: 'root', hostKeys: [await folder.read('host-key.pub')], uids: { from: 71_000, to: 71_499 }, ...options.config }),
  };
  const root = async (command: string) => (await run('sh', ['-c', command], { maxBuffer: 16e6 })).stdout.trim();
  const nameOf = (user: string | PartPlan) => (typeof user === 'string' ? user : (loginOf(user.objectName) ?? ''));
  let count = 0;
  const keyFile = async (privateKey: string) => {
    count += 1;
    await folder.write(`key-${count}`, privateKey);
    return `key-${count}`;
  };
  return {
    connector, connectorOf, installation, target, folder, sshd, root,
    plan(scope, more = {}) {
      const grant = makeId('grant', Date.now(), randomBytes(10));
      const kind = more.kind ?? 'ephemeral_account';
      return {
        grant, part: makeId('part', Date.now(), randomBytes(10)), target, kind, objectName: `brevet_${grant.slice(4)}`, account: null, accountCredential: null,
        deadline: new Date(Date.now() + 3_600_000), fence: 1, prior: null, ...more, scope: connector.parseScope(kind, scope),
      };
    },
    async ssh(user, privateKey, command, flags = []) {
      return folder.ssh(sshd.port, command, { user: nameOf(user), key: await keyFile(privateKey), flags });
    },
    async session(user, privateKey, command) {
      const key = folder.at(await keyFile(privateKey));
      const options = ['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'IdentitiesOnly=yes', 'IdentityAgent=none', 'LogLevel=ERROR'].flatMap((one) => ['-o', one]);
      const child = spawn('ssh', ['-F', 'none', ...options, '-i', key, '-p', String(sshd.port), '-l', nameOf(user), '127.0.0.1', `echo started; ${command}`], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = once(child, 'exit');
      await Promise.race([once(child.stdout as NodeJS.ReadableStream & ChildProcess['stdout'], 'data'), ended]);
      assert.equal(child.exitCode, null, 'the session ended before it began');
      made.push(async () => void child.kill());
      return { child, ended };
    },
    async account(name, ...args) {
      await run('useradd', ['-m', '-s', '/bin/bash', '-p', '*', ...args, name]);
      const uid = Number(await root(`id -u ${name}`));
      assert.ok(uid >= 1000, 'processes are ended by this number');
      made.push(() => root(`pkill -KILL -u ${uid}; sleep 0.1; userdel -rf ${name} 2>/dev/null; true`));
      const key = makeKey((n) => randomBytes(n), name);
      await root(`install -d -m 700 -o ${name} -g ${name} /home/${name}/.ssh && printf '%s\\n' '${publicKeyLine(key.publicKey, name)}' > /home/${name}/.ssh/authorized_keys && chown ${name}: /home/${name}/.ssh/authorized_keys`);
      return key.privateKey;
    },
    async group(name) {
      await run('groupadd', [name]);
      made.push(() => root(`groupdel ${name} 2>/dev/null; true`));
    },
    living: (user) => root(`setpriv --reuid=${user} --regid=65534 --clear-groups sh -c 'kill -STOP -1'; sleep 0.1; ps -o stat=,args= -u ${user} | grep -v ^Z || true`),
    async killAt(step) {
      if (step !== null) await writeFile(`${keys}/prelude`, prelude(step));
      await writeFile(`${keys}/root`, step === null ? adminLine : `command="${keys}/kill-at" ${adminLine}`);
    },
    async forks(milliseconds) {
      const count = async () => Number(/^processes (\d+)/m.exec(await readFile('/proc/stat', 'utf8'))?.[1]);
      const before = await count();
      await sleep(milliseconds);
      return (await count()) - before;
    },
    fingerprint,
    async [Symbol.asyncDispose]() {
      // What a test that failed left.
      for (const { name } of await connector.listOwned(target).catch(() => [])) await connector.removeOwned(target, name).catch(() => undefined);
      for (const undo of made.toReversed()) await undo();
      await sshd[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
      await rm(keys, { recursive: true });
      lock.stdin?.end();
      await once(lock, 'exit');
    },
  };
}

/** Test files run side by side, and there is one machine. */
async function takeMachine(): Promise<ChildProcess> {
  const lock = spawn('flock', ['/run/lock/brevet-tests-of-hosts', 'sh', '-c', 'echo mine; cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(lock.stdout, 'data');
  return lock;
}

async function fingerprint(): Promise<string> {
  const files = ['passwd', 'group', 'shadow', 'gshadow', 'subuid', 'subgid', 'sudoers'].map((name) => `/etc/${name}`);
  const contents = await Promise.all(files.map(async (path) => `${path}\n${await readFile(path, 'utf8').catch(() => 'absent')}`));
  const folders = ['/etc/sudoers.d', '/var/spool/cron', '/var/spool/cron/crontabs', '/var/spool/cron/atjobs', '/home', '/var/mail', '/var/lib/brevet-grants', '/run/brevet', '/var/lib/systemd/linger'];
  const names = await Promise.all(folders.map(async (path) => `${path}: ${(await readdir(path).catch(() => [])).filter((name) => name !== 'next-uid' && name !== 'lock' && name !== '.SEQ').toSorted().join(' ')}`));
  // Other tests make accounts of their own on this machine meanwhile.
  return [...contents, ...names].join('\n').replaceAll(/^brv-.*\n|,?\bbrv-[\w-]+/gm, '');
}

/** Waits until a command of root's succeeds. */
export async function until(host: LinuxHost, command: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await host.root(command).then(() => true, () => false)) return;
    await sleep(50);
  }
  assert.fail(`never came true: ${command}`);
}

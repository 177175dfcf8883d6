import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Answered {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of one test, with OpenSSH's programs run on what is in it. No configuration of this machine or user counts. */
export interface SshFolder extends AsyncDisposable {
  at(name: string): string;
  write(name: string, content: string | Uint8Array): Promise<string>;
  read(name: string): Promise<string>;
  /** A new key pair: `name` and `name.pub`. */
  keygen(name: string, ...args: readonly string[]): Promise<string>;
  ssh(port: number, command: string, options?: SshOptions): Promise<Answered>;
  /** A real sshd on a free port of this machine, which lets in whoever runs the tests. */
  sshd(settings: readonly string[]): Promise<Sshd>;
}

export interface SshOptions {
  readonly user?: string;
  /** The private key's name in the folder; its `-cert.pub` beside it is found by ssh. */
  readonly key?: string;
  /** The name of a known_hosts in the folder; without one any host is believed. */
  readonly knownHosts?: string;
  /** By which name the host is known; 127.0.0.1 unless told. */
  readonly hostAlias?: string;
  readonly flags?: readonly string[];
}

export interface Sshd extends AsyncDisposable {
  readonly port: number;
  readonly user: string;
  /** What it has logged. */
  log(): Promise<string>;
}

export async function sshFolder(): Promise<SshFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-ssh-'));
  const at = (name: string) => join(folder, name);
  const write = async (name: string, content: string | Uint8Array) => {
    await writeFile(at(name), content, { mode: 0o600 });
    return at(name);
  };
  const keygen = async (name: string, ...args: readonly string[]) => {
    await run('ssh-keygen', ['-q', '-N', '', '-C', name, '-f', at(name), ...args]);
    return at(name);
  };
  return {
    at, write, keygen,
    read: (name) => readFile(at(name), 'utf8'),
    ssh: (port, command, options = {}) => ssh(port, command, { ...options, at }),
    sshd: (settings) => startSshd({ at, write, keygen }, settings),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

async function ssh(port: number, command: string, { at, user = userInfo().username, key, knownHosts, hostAlias, flags = [] }: SshOptions & Pick<SshFolder, 'at'>): Promise<Answered> {
  const options = [
    'BatchMode=yes', 'ConnectTimeout=10', 'GlobalKnownHostsFile=/dev/null', 'IdentitiesOnly=yes', 'IdentityAgent=none',
    ...(knownHosts === undefined ? ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null'] : ['StrictHostKeyChecking=yes', `UserKnownHostsFile=${at(knownHosts)}`]),
    ...(hostAlias === undefined ? [] : [`HostKeyAlias=${hostAlias}`]),
  ].flatMap((option) => ['-o', option]);
  // A key that is not there, so that none of the user's own is offered.
  const line = ['-F', 'none', ...options, '-i', at(key ?? 'no-key'), '-p', String(port), '-l', user, ...flags, '127.0.0.1', command];
  return run('ssh', line, { timeout: 30_000, maxBuffer: 64_000_000 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({ code: error.code, stdout: error.stdout, stderr: error.stderr }),
  );
}

async function startSshd({ at, write, keygen }: Pick<SshFolder, 'at' | 'write' | 'keygen'>, settings: readonly string[]): Promise<Sshd> {
  // As root sshd wants a folder to lock itself up in, which a service manager makes elsewhere.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  if (!existsSync(at('host-key'))) await keygen('host-key', '-t', 'ed25519');
  const port = await freePort();
  await write('sshd_config', [
    // The first value of a setting counts: what a test says goes first.
    `HostKey ${at('host-key')}`, `Port ${port}`, 'ListenAddress 127.0.0.1', `PidFile ${at('sshd.pid')}`, ...settings, 'UsePAM no', 'PasswordAuthentication no',
    'KbdInteractiveAuthentication no', 'PermitRootLogin prohibit-password', 'AuthorizedKeysFile none', 'StrictModes no', 'LogLevel VERBOSE', '',
  ].join('\n'));
  const child = spawn('/usr/sbin/sshd', ['-D', '-f', at('sshd_config'), '-E', at('sshd.log')], { stdio: 'ignore' });
  const log = () => readFile(at('sshd.log'), 'utf8').catch(() => '');
  for (let tries = 0; !(await answers(port)); tries++) {
    if (child.exitCode !== null || tries > 200) assert.fail(`sshd does not start: ${await log()}`);
    await sleep(25);
  }
  return {
    port, user: userInfo().username, log,
    async [Symbol.asyncDispose]() {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(() => resolve(true))).on('error', () => resolve(false));
  });
}

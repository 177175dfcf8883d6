/** An SSH broker in front of a real sshd, with the gate in memory and OpenSSH's programs in front: what its tests start from. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import type { SshPermits, SshUpstream } from '#app/ports/gate.ts';
import { startSshBroker, type SshBroker, type SshBrokerSettings } from '#brokers/ssh/broker.ts';
import type { SshMaterial } from '#brokers/ssh/doorway.ts';
import { readRecording } from '#brokers/ssh/recording.ts';
import { publicKeyLine } from '#contract/ssh/key-lines.ts';
import { encodePublicKey } from '#contract/ssh/public-key.ts';
import { authorityOf, signHostCertificate, signUserCertificate, type SshAuthority, type UserContent } from '#contract/ssh/sign-certificate.ts';
import { makeId } from '#domain/id.ts';
import { until } from './broker-world.ts';
import { MemoryGate, type TicketTerms } from './memory-gate.ts';
import { sshFolder, type SshFolder, type Sshd } from './ssh-programs.ts';

export const EVERYTHING: SshPermits = { shell: true, exec: true, sftp: true, localForward: ['*:*'], remoteForward: ['*'] };
export const PROGRAMS_ONLY: SshPermits = { ...EVERYTHING, localForward: [], remoteForward: [] };

export interface RunResult {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A line of a recording. */
export interface RecordedLine {
  readonly at: number;
  readonly what: string;
  readonly channel: number | null;
  readonly [name: string]: unknown;
}

export interface SshBrokerWorld extends AsyncDisposable {
  readonly folder: SshFolder;
  readonly sshd: Sshd;
  readonly broker: SshBroker;
  readonly gate: MemoryGate<SshUpstream>;
  readonly authority: SshAuthority;
  readonly log: string[];
  /** Who the certificate of `key` is for. */
  readonly principal: string;
  /** Signs `name.pub`, for `principal` unless told. */
  certify(name: string, changed?: Partial<UserContent>, by?: SshAuthority): Promise<void>;
  /** Other permits for sessions to come. */
  permit(permits: Partial<SshPermits>): void;
  /** Arguments with which OpenSSH's programs reach `target` through the broker. */
  readonly options: readonly string[];
  ssh(args: readonly string[], input?: string | Buffer): Promise<RunResult>;
  /** Starts ssh and leaves it running. */
  spawnSsh(args: readonly string[]): ChildProcess;
  run(program: string, args: readonly string[], input?: string | Buffer): Promise<RunResult>;
  /** The recording of the last session, once the gate has heard of its end. */
  recorded(): Promise<readonly RecordedLine[]>;
  /** How many connections the broker has to the target. */
  connections(): Promise<number>;
}

export async function startSshBrokerWorld(permits: SshPermits = EVERYTHING, limits: NonNullable<SshBrokerSettings['limits']> = {}): Promise<SshBrokerWorld> {
  const folder = await sshFolder();
  await Promise.all([folder.keygen('key', '-t', 'ed25519'), folder.keygen('carrier', '-t', 'ed25519')]);
  const account = await makeAccount(folder);
  const sshd = await folder.sshd([`AuthorizedKeysFile ${folder.at('carrier.pub')}`, 'Subsystem sftp internal-sftp', 'AcceptEnv *', 'MaxSessions 100', 'PasswordAuthentication yes', 'X11Forwarding yes']);
  const authority = authorityOf(generateKeyPairSync('ed25519').privateKey);
  const principal = makeId('person', Date.now(), randomBytes(10));
  const hostKeys = [(await folder.read('host-key.pub')).trim().split(' ').slice(0, 2).join(' ')];
  const gate = new MemoryGate<SshUpstream>(termsFor({
    protocol: 'ssh', host: '127.0.0.1', port: sshd.port, hostKeys, user: account.name, auth: { by: 'key', privateKey: await folder.read('carrier') }, permits,
  }));
  gate.certificates.add(principal);
  const log: string[] = [];
  const material = await makeMaterial(folder, authority);
  const broker = await startSshBroker({ ...settingsFor(gate, material, log), limits });
  await folder.write('known_hosts', `[127.0.0.1]:${broker.port} ${material.line}\n`);
  const certify = async (name: string, changed: Partial<UserContent> = {}, by = authority) => {
    const publicKey = Buffer.from((await folder.read(`${name}.pub`)).split(' ')[1] ?? '', 'base64');
    const now = Date.now();
    const certificate = signUserCertificate({
      publicKey, serial: 1n, keyId: 'mia', principals: [principal], nonce: randomBytes(32), extensions: ['permit-pty', 'permit-port-forwarding'],
      validAfter: new Date(now - 60_000), validBefore: new Date(now + 600_000), ...changed,
    }, by);
    await folder.write(`${name}-cert.pub`, `${publicKeyLine(certificate, 'brevet')}\n`);
  };
  await certify('key');
  await folder.write('config', configFor(folder, broker.port));
  const options = ['-F', folder.at('config')];
  const programs: ChildProcess[] = [];
  return {
    folder, sshd, broker, gate, authority, log, principal, certify, options,
    permit(changed) {
      gate.terms = { ...gate.terms, upstream: { ...gate.terms.upstream, permits: { ...gate.terms.upstream.permits, ...changed } } };
    },
    ssh: (args, input) => run('ssh', [...options, ...args], input),
    spawnSsh(args) {
      const child = spawn('ssh', [...options, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
      child.stdin.on('error', () => undefined);
      programs.push(child);
      return child;
    },
    run,
    async recorded() {
      const session = gate.lastSession;
      await until(() => gate.ends.some((end) => end.session === session), 'the end of the session');
      return linesOf(gate.recording(session));
    },
    connections: () => connectionsTo(sshd.port),
    async [Symbol.asyncDispose]() {
      for (const child of programs) child.kill('SIGKILL');
      await broker.stop();
      await sshd[Symbol.asyncDispose]();
      await account[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/**
 * An account on the target. sshd passes no signals on for root, nor for anybody when it is not root's itself: without an account of its own
 * a session would be another one than out there.
 */
async function makeAccount(folder: SshFolder): Promise<{ readonly name: string } & AsyncDisposable> {
  if (process.getuid?.() !== 0) return { name: userInfo().username, [Symbol.asyncDispose]: async () => undefined };
  const name = `brv-${randomBytes(4).toString('hex')}`;
  const made = await run('useradd', ['-M', '-d', folder.at('.'), '-s', '/bin/bash', '-p', '*', name]);
  assert.equal(made.code, 0, made.stderr);
  await run('chown', [name, folder.at('.')]);
  return {
    name,
    async [Symbol.asyncDispose]() {
      await run('pkill', ['-KILL', '-u', name]);
      await until(async () => (await run('userdel', [name])).code === 0, 'the end of the account');
    },
  };
}

function termsFor(upstream: SshUpstream): TicketTerms<SshUpstream> {
  return { principalName: 'mia', entitlementName: 'orders-host', remainingMs: 600_000, leaseMs: 15_000, graceMs: 30_000, endMode: 'cut', warnMs: 0, maskLiterals: false, upstream };
}

/** A host key of a broker's, and a certificate of the authority's for it. */
export async function makeMaterial(folder: SshFolder, authority: SshAuthority): Promise<SshMaterial & { readonly line: string }> {
  const name = `broker-${randomBytes(4).toString('hex')}`;
  // ssh2 makes one Ed25519 key in 250 or so that is a byte short.
  await folder.keygen(name, '-t', 'ed25519');
  const [hostKey, line] = await Promise.all([folder.read(name), folder.read(`${name}.pub`)]);
  const hostCertificate = signHostCertificate({
    publicKey: Buffer.from(line.split(' ')[1] ?? '', 'base64'), serial: 2n, keyId: 'broker', hosts: ['broker.example'], nonce: randomBytes(32),
    validAfter: new Date(Date.now() - 60_000), validBefore: new Date(Date.now() + 600_000),
  }, authority);
  return { hostKey, line: line.trim(), hostCertificate, authorities: [encodePublicKey(authority.publicKey)] };
}

export function settingsFor(gate: MemoryGate<SshUpstream>, material: SshMaterial, log: string[]): SshBrokerSettings {
  return {
    broker: makeId('broker', Date.now(), randomBytes(10)), gate, host: '127.0.0.1', port: 0, material,
    now: () => Date.now(), monotonic: () => performance.now(), random: (size) => randomBytes(size),
    log: (level, message, facts) => log.push(`${level} ${message} ${JSON.stringify(facts)}`),
  };
}

function configFor(folder: SshFolder, port: number): string {
  return [
    'Host target', 'HostName 127.0.0.1', `Port ${port}`, 'User orders-host', `IdentityFile ${folder.at('key')}`, 'IdentitiesOnly yes', 'IdentityAgent none',
    `UserKnownHostsFile ${folder.at('known_hosts')}`, 'GlobalKnownHostsFile /dev/null', 'StrictHostKeyChecking yes', 'BatchMode yes', 'ConnectTimeout 10', '',
  ].join('\n');
}

export function run(program: string, args: readonly string[], input?: string | Buffer, env = process.env): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: 40_000, env });
    const stdout: Buffer[] = [];
    let stderr = '';
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
    child.on('error', reject).on('close', (code) => resolve({ code, stdout: Buffer.concat(stdout), stderr }));
  });
}

/** A recording's events as flat lines, for tests to look through. */
export function linesOf(chunks: readonly Uint8Array[]): readonly RecordedLine[] {
  return [...readRecording(chunks)].map((event): RecordedLine => {
    const { at } = event;
    if (event.type === 'header') return { ...event.header, at, what: 'header', channel: null };
    if (event.type === 'end') return { at, what: 'end', channel: null, reason: event.reason };
    const { type, channel } = event;
    if (type === 'opened') return { ...event.detail, at, what: type, channel, kind: event.kind };
    if (type === 'file') return { ...event.event, at, what: 'file', channel };
    if (type === 'output') return { at, what: type, channel, stream: event.stream, bytes: Buffer.from(event.bytes).toString('base64') };
    return { ...event, what: type };
  });
}

/** What came out of a channel, by its recording. */
export function shown(lines: readonly RecordedLine[], stream = 'out'): string {
  const outputs = lines.filter((line) => line.what === 'output' && line['stream'] === stream);
  return Buffer.concat(outputs.map((line) => Buffer.from(String(line['bytes']), 'base64'))).toString();
}

/** What was refused, by its recording. */
export function refusals(lines: readonly RecordedLine[]): readonly string[] {
  return lines.filter((line) => line['kind'] === 'refused').map((line) => [line['asked'], line['type']].filter((part) => part !== undefined).join(' '));
}

/** Connections on this machine that are established to a port. */
async function connectionsTo(port: number): Promise<number> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const table = await readFile('/proc/net/tcp', 'utf8');
  return table.split('\n').filter((line) => new RegExp(`^ *\\d+: \\S+ \\S+:${hex} 01`).test(line)).length;
}

/** How many processes of this machine have this among their arguments. */
export async function processesWith(word: string): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.split('\0').includes(word)).length;
}

/** A word that stands in no other process's arguments. */
export function marker(): string {
  const word = String(100_000 + (randomBytes(4).readUInt32BE() % 900_000));
  assert.equal(word.length, 6);
  return word;
}

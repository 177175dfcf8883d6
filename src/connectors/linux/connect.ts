import { connect, type Socket } from 'node:net';
import ssh2, { type AuthMethod, type Client, type ClientChannel } from 'ssh2';
import type { TargetAccess } from '#app/ports/connector.ts';
import { fingerprintOf } from '#contract/ssh/public-key.ts';
import { Refusal } from '#domain/refusal.ts';
import { algorithmsFor } from './algorithms.ts';
import { readAnswer, type Answer } from './answer.ts';
import { readConfig, type TargetConfig } from './config.ts';
import { changedHostKey, failureOf } from './failure.ts';

/** All in milliseconds. */
export interface Timeouts {
  /** From the first packet until the host has shown its key. */
  readonly connect: number;
  /** Until signed in: a host that checks passwords by PAM lets a wrong one wait. */
  readonly signIn: number;
  /** How long a script may say nothing. */
  readonly silence: number;
  /** How long it may take in all; the host ends it then by itself too. */
  readonly script: number;
  /** How long it waits for another worker on the host. */
  readonly lock: number;
}
export const TIMEOUTS: Timeouts = { connect: 3000, signIn: 6000, silence: 15_000, script: 50_000, lock: 5000 };

/** A host may send this much over one connection; a hostile one is cut off there. */
const MOST_BYTES = 8 * 1024 * 1024;
const MOST_ANSWER = 1024 * 1024;

/** One bounded connection to a host as Brevet's administrative account. Errors are `Refusal`s. */
export interface HostSession extends AsyncDisposable {
  readonly config: TargetConfig;
  /** What sshd calls itself, such as `OpenSSH_9.2p1`. */
  readonly server: string;
  /**
   * Runs a script as root. It reaches the shell through its standard input: no command line holds anything of anybody's.
   * `mayGoOn` answers when the script asks whether to make its change lasting.
   */
  run(script: string, mayGoOn?: () => Promise<boolean>): Promise<Answer>;
}

export async function openHost(target: TargetAccess, timeouts: Timeouts): Promise<HostSession> {
  const config = readConfig(target.config);
  const client = new ssh2.Client();
  const secrets = [target.credential];
  const socket = connect({ host: config.host, port: config.port, noDelay: true });
  let server: string;
  try {
    server = await signIn(client, socket, config, target.credential, timeouts);
  } catch (error) {
    client.on('error', () => undefined);
    socket.destroy();
    throw failureOf(error, secrets);
  }
  const budget = setTimeout(() => socket.destroy(new Error('the time for the work on the host is over')), timeouts.script + 10_000);
  budget.unref();
  return {
    config, server,
    async run(script, mayGoOn) {
      try {
        return await runScript(client, socket, config.user, script, mayGoOn, timeouts);
      } catch (error) {
        throw failureOf(error, secrets);
      }
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(budget);
      client.end();
      socket.destroySoon();
      setTimeout(() => socket.destroy(), 500).unref();
    },
  };
}

/** Answers what sshd calls itself. */
function signIn(client: Client, socket: Socket, config: TargetConfig, credential: string | null, timeouts: Timeouts): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = () => fail(new Error('timed out while signing in'));
    let timer = setTimeout(late, timeouts.connect);
    let shown: string | null = null;
    let [server, bytes] = ['', 0];
    // Counted from the first byte on: a hostile host need not get as far as the protocol.
    socket.on('data', (chunk: Buffer) => {
      server ||= /^SSH-2\.0-(\S{1,80})/m.exec(chunk.toString('latin1', 0, 1000))?.[1] ?? '';
      bytes += chunk.length;
      if (bytes > MOST_BYTES) socket.destroy(new Error('the connection was closed: the answer has no end'));
    });
    const fail = (error: Error) => {
      clearTimeout(timer);
      reject(shown === null ? error : changedHostKey(shown));
    };
    socket.on('error', fail);
    // The listeners stay: a later error is reported by whatever runs then.
    client.on('error', fail).on('close', () => fail(new Error('the host closed the connection')));
    client.once('handshake', () => {
      clearTimeout(timer);
      timer = setTimeout(late, timeouts.signIn - timeouts.connect);
    });
    client.on('ready', () => {
      clearTimeout(timer);
      resolve(server);
    });
    try {
      client.connect({
        sock: socket, username: config.user, readyTimeout: timeouts.signIn, algorithms: algorithmsFor(config.hostKeys), authHandler: [proofOf(config.user, credential)],
        hostVerifier: (key: Buffer) => {
          const known = config.hostKeys.some((line) => Buffer.from(line.split(' ')[1] ?? '', 'base64').equals(key));
          if (!known) shown = fingerprintOf(key);
          return known;
        },
      });
    } catch (error) {
      fail(error as Error);
    }
  });
}

/** One proof, and no other is tried. @throws Refusal `target_refused` when there is none, or a key can't be read */
function proofOf(username: string, credential: string | null): AuthMethod & { type: 'password' | 'publickey'; password: string; key: string } {
  if (credential === null) throw new Refusal('target_refused', 'no key or password is stored for the host', { hint: 'Set it with brevet target credential NAME.' });
  if (!/^\s*-----BEGIN/.test(credential)) return { type: 'password', username, password: credential, key: '' };
  if (ssh2.utils.parseKey(credential) instanceof Error) {
    throw new Refusal('target_refused', 'the key that is stored for the host can\'t be read', { hint: 'It must be a private key in OpenSSH\'s format, without a passphrase.' });
  }
  return { type: 'publickey', username, key: credential, password: '' };
}

function runScript(client: Client, socket: Socket, user: string, script: string, mayGoOn: (() => Promise<boolean>) | undefined, timeouts: Timeouts): Promise<Answer> {
  // Constant but for a number of ours. The host ends a script whose worker sleeps, and with it the lock that it holds.
  const shell = `/usr/bin/timeout -k 2 ${Math.ceil(timeouts.script / 1000)} /bin/sh -s`;
  const command = user === 'root' ? `exec ${shell}` : `exec sudo -n -- ${shell}`;
  return new Promise((resolve, reject) => {
    const over = () => fail(new Error('the time for a step on the host is over'));
    const silence = setTimeout(over, timeouts.silence);
    const whole = setTimeout(over, timeouts.script + 5000);
    const settle = () => (clearTimeout(silence), clearTimeout(whole), socket.off('close', lost));
    const fail = (error: unknown) => (settle(), socket.destroy(), reject(error as Error));
    const lost = () => fail(new Error('the host closed the connection'));
    socket.once('close', lost);
    const finish = (text: string, complaint: string) => (settle(), resolveAnswer(text, complaint, resolve, reject));
    client.exec(command, (error, channel) => {
      if (error) fail(error);
      else converse(channel, script, mayGoOn, { heard: () => silence.refresh(), fail, finish });
    });
  });
}

interface Conversation {
  heard(): void;
  fail(error: unknown): void;
  finish(text: string, complaint: string): void;
}

function converse(channel: ClientChannel, script: string, mayGoOn: (() => Promise<boolean>) | undefined, { heard, fail, finish }: Conversation): void {
  let [text, complaint, asked] = ['', '', false];
  channel.on('data', (chunk: Buffer) => {
    heard();
    text += chunk.toString('latin1');
    if (text.length > MOST_ANSWER) return fail(new Error('the answer has no end'));
    if (asked || !/^ask\t/m.test(text)) return;
    asked = true;
    mayGoOn?.().then((yes) => channel.end(yes ? 'go\n' : 'no\n'), fail);
  });
  channel.stderr.on('data', (chunk: Buffer) => {
    if (complaint.length < 2000) complaint += chunk.toString('latin1');
  });
  channel.on('error', fail);
  channel.on('close', () => finish(text, complaint));
  channel.write(script);
  if (mayGoOn === undefined) channel.end();
}

function resolveAnswer(text: string, complaint: string, resolve: (answer: Answer) => void, reject: (error: unknown) => void): void {
  try {
    resolve(readAnswer(text, complaint));
  } catch (error) {
    reject(error);
  }
}

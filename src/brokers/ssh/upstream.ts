import { connect, type Socket } from 'node:net';
import ssh2, { type AnyAuthMethod, type Client, type KeyboardInteractiveAuthMethod, type ServerHostKeyAlgorithm } from 'ssh2';
import type { SshUpstream } from '#app/ports/gate.ts';
import { fingerprintOf } from '#contract/ssh/public-key.ts';
import { Refusal } from '#domain/refusal.ts';
import { CLIENT_ALGORITHMS } from './algorithms.ts';
import { readableKey } from './private-key.ts';

const DIAL_MS = 10_000;

/** A connection to the target, signed in. */
export interface Target {
  readonly client: Client;
  readonly socket: Socket;
  /** Calls back once when the target is gone; at once when it is. */
  onGone(listener: () => void): void;
}

/**
 * Signs in on the target. Bounded in time; on any failure, and when `signal` fires, the connection is closed before this throws.
 * `alarm` hears of a host key that is none of the target's.
 *
 * @throws Refusal `target_unreachable`, `target_refused`, `invalid_configuration`: without addresses, accounts or the target's own words
 */
export async function dialTarget(address: SshUpstream, alarm: (shown: string | null) => void, signal: AbortSignal): Promise<Target> {
  const pinned = address.hostKeys.map(readHostKey);
  const algorithms = { ...CLIENT_ALGORITHMS, serverHostKey: algorithmsOf(pinned.map(({ type }) => type)) };
  const authHandler = [...methodsOf(address)];
  const socket = connect({ host: address.host, port: address.port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
  const stop = () => socket.destroy();
  signal.addEventListener('abort', stop, { once: true });
  const client = new ssh2.Client();
  try {
    let wrongKey: string | null = null;
    const hostVerifier = (key: Buffer) => {
      const known = pinned.some(({ blob }) => blob.equals(key));
      if (!known) wrongKey = fingerprintOf(key);
      return known;
    };
    await ready(client, () => client.connect({
      sock: socket,
      username: address.user,
      algorithms,
      authHandler,
      hostVerifier,
      ident: 'Brevet',
      readyTimeout: DIAL_MS,
      keepaliveInterval: 30_000,
      keepaliveCountMax: 3,
    })).catch((error: Error & { level?: string }) => {
      const changed = wrongKey !== null || /no matching host key/.test(error.message);
      if (changed) alarm(wrongKey);
      throw changed ? HOST_KEY_CHANGED : asRefusal(error);
    });
    if (signal.aborted) throw new Refusal('target_unreachable', 'the session is over');
  } catch (error) {
    stop();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return { client, socket, onGone: (listener) => (socket.destroyed ? listener() : void socket.once('close', listener)) };
}

/** Waits until the client is signed in. @throws the first error, with ssh2's `level` */
function ready(client: Client, connect: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    client.on('ready', resolve);
    client.on('error', reject);
    client.on('close', () => reject(new Error('the target hung up')));
    client.on('change password', () => reject(Object.assign(new Error('the password has run out'), { level: 'client-authentication' })));
    connect();
  });
}

const HOST_KEY_CHANGED = new Refusal('target_refused', "the target's host key is not the one that it was enrolled with", {
  hint: 'Somebody may stand in between, or the host was set up anew: an administrator has to look at it.',
  facts: { hostKey: 'changed' },
});

/** @throws Refusal `invalid_configuration` for a line that is none of known_hosts */
function readHostKey(line: string): { readonly type: string; readonly blob: Buffer } {
  const [, type, base64] = /^(\S+) ([A-Za-z0-9+/]+={0,2})(?: .*)?$/.exec(line) ?? [];
  if (type === undefined || base64 === undefined) throw new Refusal('invalid_configuration', 'a host key of the target can not be read');
  return { type, blob: Buffer.from(base64, 'base64') };
}

/** Only keys that are pinned are asked for: a target has several, and shows the one that its client prefers. */
function algorithmsOf(types: readonly string[]): ServerHostKeyAlgorithm[] {
  const wanted = CLIENT_ALGORITHMS.serverHostKey.filter((algorithm) => types.includes(algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm));
  if (wanted.length === 0) throw new Refusal('invalid_configuration', 'no host key of the target is of a type that is accepted');
  return wanted;
}

/** Many servers ask for a password by prompts (PAM). One prompt that hides what is typed gets it, anything else nothing. */
function methodsOf({ user: username, auth }: SshUpstream): readonly AnyAuthMethod[] {
  if (auth.by === 'key') return [{ type: 'publickey', username, key: readKey(auth.privateKey) }];
  const prompt: KeyboardInteractiveAuthMethod['prompt'] = (_name, _instructions, _language, prompts, finish) =>
    finish(prompts.length === 1 && prompts[0]?.echo !== true ? [auth.password] : prompts.map(() => ''));
  return [
    { type: 'password', username, password: auth.password },
    { type: 'keyboard-interactive', username, prompt },
  ];
}

function readKey(text: string): string {
  try {
    return readableKey(text);
  } catch {
    throw new Refusal('invalid_configuration', "Brevet's key for the target can not be read");
  }
}

function asRefusal(error: Error & { level?: string }): Refusal {
  if (error.level === 'client-authentication') return new Refusal('target_refused', "the target does not accept Brevet's sign-in");
  if (error.level === 'handshake' || error.level === 'protocol') return new Refusal('target_refused', 'the target does not speak SSH as it should');
  return new Refusal('target_unreachable', 'the target does not answer');
}

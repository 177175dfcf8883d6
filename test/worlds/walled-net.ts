/**
 * A network of its own for one server: a namespace, joined to this machine by a pair of virtual interfaces. The wall in
 * between lets nothing through in either direction and answers nobody, as a firewall that drops packets does: each side
 * takes the other for a neighbour with an address that nobody has. Needs root and iproute2, no module of the kernel.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isAlive } from './server-process.ts';

const run = promisify(execFile);
const NOBODY = '02:00:00:00:00:01';

export interface WalledNet extends AsyncDisposable {
  /** Of the server, as this machine reaches it. */
  readonly address: string;
  /** How a program is started inside, as this user; it stays the process that was started. */
  command(program: readonly string[], owner: { readonly uid: number; readonly gid: number }): readonly string[];
  close(): Promise<void>;
  open(): Promise<void>;
}

/** @throws with the reason where there can be none: without root, without the right to make networks */
export async function walledNet(): Promise<WalledNet> {
  if (process.getuid?.() !== 0) throw new Error('a network namespace takes root');
  const name = `bv${process.pid}`;
  const [here, there] = [`${name}h`, `${name}n`];
  // One of the 16,384 small networks of 10.213.0.0/16.
  const at = (process.pid % 16_384) * 4;
  const address = (n: number) => `10.213.${(at + n) >> 8}.${(at + n) & 255}`;
  const ip = (...words: string[]) => run('ip', words);
  const inside = (...words: string[]) => run('ip', ['netns', 'exec', name, 'ip', ...words]);
  await forgetNetsOfTheDead();
  await ip('netns', 'add', name);
  await ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name);
  await ip('addr', 'add', `${address(1)}/30`, 'dev', here);
  await ip('link', 'set', here, 'up');
  await inside('addr', 'add', `${address(2)}/30`, 'dev', there);
  await inside('link', 'set', there, 'up');
  await inside('link', 'set', 'lo', 'up');
  return {
    address: address(2),
    command: (program, { uid, gid }) => ['ip', 'netns', 'exec', name, 'setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', ...program],
    async close() {
      await ip('neigh', 'replace', address(2), 'lladdr', NOBODY, 'dev', here, 'nud', 'permanent');
      await inside('neigh', 'replace', address(1), 'lladdr', NOBODY, 'dev', there, 'nud', 'permanent');
    },
    async open() {
      await ip('neigh', 'del', address(2), 'dev', here);
      await inside('neigh', 'del', address(1), 'dev', there);
    },
    async [Symbol.asyncDispose]() {
      await ip('netns', 'del', name);
    },
  };
}

/** Whoever is killed leaves a namespace behind, with what stands in it. */
async function forgetNetsOfTheDead(): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'list']);
  for (const [name, pid] of stdout.matchAll(/^bv(\d+)/gm)) if (!(await isAlive(Number(pid)))) await run('ip', ['netns', 'del', name]).catch(() => undefined);
}

/** Runs the real `bin/brevet` as a person would, in a home of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ApiDouble } from './api-double.ts';
import { ana, keyId } from './api-samples.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/brevet', import.meta.url));
export const LINK_SECRET = 'bvl_0123456789abcdefghijklmnop';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Is handed a way to signal the running command. */
  started?(kill: (signal: NodeJS.Signals) => void): void;
}

export class CliWorld implements AsyncDisposable {
  readonly folder: string;
  readonly home: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.home = join(folder, 'home');
  }

  static async make(): Promise<CliWorld> {
    return new CliWorld(await mkdtemp(join(tmpdir(), 'brevet-cli-')));
  }

  /** Signs in at the double, which enrols whatever key comes. */
  async signIn(double: ApiDouble): Promise<Ran> {
    double.handlers.signInByLink = ({ body }) => {
      double.enrol(keyId, (body as { publicKey: string }).publicKey);
      return { key: keyId, principal: ana };
    };
    double.handlers.logHead = () => ({ size: 0, checkpoint: null, verifier: 'brevet.test+00000000+AQ==' });
    const ran = await this.run(['login', `${double.url}/sign-in#${LINK_SECRET}`]);
    if (ran.code !== 0) throw new Error(`signing in failed: ${ran.stderr}`);
    double.calls.length = 0;
    return ran;
  }

  environment(more: RunOptions['env'] = {}): NodeJS.ProcessEnv {
    const { PATH } = process.env;
    return { PATH, HOME: this.folder, BREVET_HOME: this.home, TMPDIR: this.folder, XDG_CACHE_HOME: join(tmpdir(), 'brevet-cli-test-cache'), USER: 'ana', TZ: 'Europe/Berlin', ...more };
  }

  async run(args: readonly string[], { stdin = '', env, started }: RunOptions = {}): Promise<Ran> {
    const child = spawn(PROGRAM, args, { env: this.environment(env), stdio: 'pipe' });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    started?.((signal) => void child.kill(signal));
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { testDatabase } from '#test/worlds/database.ts';
import type { Benchmark } from '../benchmark.ts';
import { median, rounded, spread } from '../statistics.ts';
import { BREVET, startServerProcess } from '../world/server-process.ts';

export const benchmark: Benchmark = {
  title: 'Command line: start',
  about:
    'From spawning a process to its exit: `brevet --version`; `brevet whoami`, which signs a request and asks a running server; and `node -e 0`, which is what the runtime itself takes. In turns within one run. What Node keeps of compiled code between starts has been filled by two starts before.',
  async run({ quick }) {
    const rounds = quick ? 8 : 40;
    await using database = await testDatabase();
    await using server = await startServerProcess(database.url);
    const env = { PATH: process.env['PATH'], HOME: server.folder };
    await timed([BREVET, 'login', server.link], env);
    const commands = { version: [BREVET, '--version'], whoami: [BREVET, 'whoami'], node: [process.execPath, '-e', '0'] } as const;
    const took: Record<keyof typeof commands, number[]> = { version: [], whoami: [], node: [] };
    for (let n = -2; n < rounds; n++) {
      for (const name of ['version', 'whoami', 'node'] as const) {
        const ms = await timed(commands[name], env);
        if (n >= 0) took[name].push(ms);
      }
    }
    const ratio = (name: 'version' | 'whoami') => Number((median(took[name]) / median(took.node)).toFixed(2));
    return {
      figures: [
        { what: 'brevet --version, median', value: rounded(median(took.version)), unit: 'ms', aim: { atMost: 150 } },
        { what: 'brevet whoami, median', value: rounded(median(took.whoami)), unit: 'ms' },
        { what: 'node -e 0, median', value: rounded(median(took.node)), unit: 'ms' },
        { what: 'brevet --version to node -e 0', value: ratio('version'), unit: 'ratio' },
        { what: 'brevet whoami to node -e 0', value: ratio('whoami'), unit: 'ratio' },
      ],
      details: { rounds, version: spread(took.version), whoami: spread(took.whoami), node: spread(took.node) },
    };
  },
};

async function timed([file, ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const began = performance.now();
  const child = spawn(file ?? '', args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const [code] = (await once(child, 'exit')) as [number];
  if (code !== 0) throw new Error(`${args.join(' ')} failed: ${said}`);
  return performance.now() - began;
}

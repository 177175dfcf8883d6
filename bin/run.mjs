/**
 * What `npm start`, `npm test`, `npm run setup`, `npm run tour`, `npm run bench`, `npm run sim` and `npm run faults` run. Works from a
 * bare clone on Node 20 with nothing installed: brings the dependencies as the lockfile says, then hands over to the program on the
 * Node.js that the project pins. Uses nothing but Node itself, because nothing else is there yet.
 */
import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, Stop } from './install.mjs';
import { ensureDebianPackages } from './debian-packages.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE_MAJOR = 24;
const NODE_FLAGS = ['--disable-proto=delete', '--disable-sigusr1', '--disable-warning=ExperimentalWarning'];

/** What each word runs: programs one after the other, the last with the arguments given. */
const TARGETS = {
  start: { runs: [['src/main/demo.ts']] },
  test: { runs: [['test/run.ts']], debian: true },
  tour: { runs: [['src/main/tour.ts']], debian: true },
  bench: { runs: [['bench/run.ts']], debian: true },
  sim: { runs: [['test/sim/main.ts']] },
  faults: { runs: [['test/faults/run.ts']], debian: true },
  setup: { runs: [] },
  check: { runs: [['node_modules/typescript/bin/tsc', '-p', '.'], ['node_modules/oxlint/bin/oxlint', 'src', 'test', 'bench', 'bin']] },
};

/** The Node.js to run on: this one if it is new enough, else the one that came with the dependencies. */
function pinnedNode() {
  if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR) return process.execPath;
  const pinned = join(root, 'node_modules/.bin/node');
  const works = existsSync(pinned) && spawnSync(pinned, ['--version'], { encoding: 'utf8' }).stdout?.startsWith('v');
  if (works) return pinned;
  throw new Stop(
    `Brevet needs Node.js ${NODE_MAJOR} or newer; this is ${process.version}, and the packaged one does not run on ${process.platform}-${process.arch}.`,
    `Install Node.js ${NODE_MAJOR} from https://nodejs.org and try again.`,
  );
}

/** Runs a program to its end in this terminal, and answers how it ended. */
function runProgram(node, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [...NODE_FLAGS, ...args], { cwd: root, stdio: 'inherit' });
    const forward = (signal) => {
      // Ctrl-C in a terminal reaches the whole foreground group: the program has had it already.
      if (signal === 'SIGINT' && process.stdin.isTTY) return;
      child.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, forward);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const name of signals) process.off(name, forward);
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

async function main([word, ...rest]) {
  const target = Object.hasOwn(TARGETS, word ?? '') ? TARGETS[word] : undefined;
  if (target === undefined) throw new Stop(`There is nothing called "${word ?? ''}".`, `Say one of: ${Object.keys(TARGETS).join(', ')}.`);
  await ensureInstalled(root);
  if (target.debian) ensureDebianPackages(join(root, 'test/debian-packages.txt'));
  const node = pinnedNode();
  for (const [at, run] of target.runs.entries()) {
    const last = at === target.runs.length - 1;
    const missing = !existsSync(join(root, run[0]));
    if (missing) throw new Stop(`${run[0]} is missing.`, 'Is this a complete clone of the repository?');
    const code = await runProgram(node, last ? [...run, ...rest] : run);
    if (code !== 0) return code;
  }
  return 0;
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error) => {
    process.exitCode = 1;
    if (error instanceof Stop) console.error(`\n${error.message}\n${error.hint}`);
    else console.error(error);
  },
);

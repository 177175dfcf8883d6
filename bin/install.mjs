/** Brings `node_modules` to what `package-lock.json` and `patches/` say, once, whoever else is doing the same. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { applyPatches } from './apply-patches.mjs';

/** Ends the launcher with a message and what to do next, and no stack. */
export class Stop extends Error {
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

const UNREACHABLE = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|E40[137]|E5[0-9]{2}|CERT_[A-Z_]+|SELF_SIGNED[A-Z_]*|UNABLE_TO_[A-Z_]+)\b/;

export async function ensureInstalled(root) {
  if (isInstalled(root) && patchFailure(root) === null) return;
  const release = await takeLock(join(root, '.brevet-install-lock'));
  try {
    // Another launcher may have done it while we waited.
    if (!isInstalled(root) || patchFailure(root) !== null) await install(root);
    const why = patchFailure(root);
    if (why !== null) throw new Stop(`The dependencies could not be patched: ${why}`, 'Is this a complete clone of the repository, and is its node_modules yours to write?');
  } finally {
    release();
  }
}

/** Applies what is not applied yet. Why that can't be done, or `null`: a patch that has changed needs the packages anew. */
function patchFailure(root) {
  try {
    applyPatches(root);
    return null;
  } catch (error) {
    return error.message;
  }
}

/** A note of the lockfile's hash stands in `node_modules`; without it, npm's own account of what it installed counts. */
function isInstalled(root) {
  const text = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const note = join(root, 'node_modules/.brevet-lock');
  const hash = hashOf(text);
  if (read(note) === hash) return true;
  const installed = read(join(root, 'node_modules/.package-lock.json'));
  if (installed === null || !holdsAll(JSON.parse(text).packages, JSON.parse(installed).packages)) return false;
  try {
    writeFileSync(note, hash);
  } catch {
    // A read-only installation is as good; it is only looked through again.
  }
  return true;
}

/** Whether everything this platform needs is there, in the very version. */
function holdsAll(wanted, installed) {
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || entry.link || !fits(entry)) return true;
    return installed[path]?.version === entry.version && installed[path]?.integrity === entry.integrity;
  });
}

/** Packages for other platforms are listed too, and not installed. */
function fits({ os, cpu, libc }) {
  const listed = (names, own) => {
    const list = [names ?? []].flat();
    return list.length === 0 || (list[0].startsWith('!') ? !list.includes(`!${own}`) : list.includes(own));
  };
  return listed(os, process.platform) && listed(cpu, process.arch) && (libc === undefined || process.platform !== 'linux' || listed(libc, cLibrary()));
}

function cLibrary() {
  return process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}

async function install(root) {
  rmSync(join(root, 'node_modules/.brevet-lock'), { force: true });
  const started = performance.now();
  const text = 'Installing dependencies (once, about 20 s)';
  console.error(`${text} ...`);
  const ticking = process.stderr.isTTY ? setInterval(() => process.stderr.write(`\r  ${Math.round((performance.now() - started) / 1000)} s `), 1000) : undefined;
  const { code, output } = await runNpm(root, ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--fetch-retries=3', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=8000']);
  clearInterval(ticking);
  if (process.stderr.isTTY) process.stderr.write('\r');
  if (code !== 0) throw failure(output, root);
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(join(root, 'node_modules/.brevet-lock'), hashOf(readFileSync(join(root, 'package-lock.json'), 'utf8')));
  console.error(`Dependencies are in place (${((performance.now() - started) / 1000).toFixed(0)} s).`);
}

/** `npm ci` removes `node_modules` first, also the Node.js in it: npm must run on the machine's own. */
function runNpm(root, args) {
  const ours = join(root, 'node_modules');
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.startsWith(ours)).join(delimiter);
  return new Promise((resolve, reject) => {
    const child = spawn('npm', args, { cwd: root, env: { ...process.env, PATH: path }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output = (output + bytes).slice(-20_000)));
    child.once('error', (error) => reject(new Stop(`npm could not be run: ${error.message}`, 'Install npm, which comes with Node.js, and try again.')));
    child.once('close', (code) => resolve({ code, output }));
  });
}

function failure(output, root) {
  const lines = output.split('\n').filter((line) => line.startsWith('npm error') && !/A complete log of this run/.test(line));
  const said = lines.map((line) => line.slice('npm error'.length).trim()).filter((line) => line !== '' && !line.startsWith('at ')).slice(0, 5).join('\n  ');
  const registry = process.env.npm_config_registry ?? 'its registry';
  if (UNREACHABLE.test(output)) {
    return new Stop(`npm cannot fetch the dependencies from ${registry}:\n  ${said}`, 'Check the network, the proxy (npm config get proxy) and the registry (npm config get registry), then try again.');
  }
  if (/ENOSPC/.test(output)) return new Stop(`The disk is full: the dependencies need about 250 MB in ${root}.`, 'Free some space and try again.');
  return new Stop(`The dependencies could not be installed:\n  ${said || output.trim().slice(-800)}`, 'Run "npm ci" to see everything it says.');
}

/**
 * One installation at a time: a file that names its holder. One whose holder is gone is taken away by whoever notices
 * first. The file appears with its content (a link to a finished file), so that a reader never finds it empty.
 */
async function takeLock(path) {
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, String(process.pid));
  try {
    for (let told = false; ; ) {
      try {
        linkSync(mine, path);
        const release = () => rmSync(path, { force: true });
        process.once('exit', release);
        return release;
      } catch (error) {
        if (error.code !== 'EEXIST') throw new Stop(`${path} cannot be written: ${error.message}`, 'Give the repository to the user who runs this.');
      }
      const holder = Number(read(path));
      if (holder > 0 && !isAlive(holder)) rmSync(path, { force: true });
      else if (!told) {
        console.error(`Waiting for another installation (process ${holder}) ...`);
        told = true;
      }
      await sleep(300);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function read(path) {
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : null;
}

function hashOf(text) {
  return createHash('sha256').update(text).digest('hex');
}

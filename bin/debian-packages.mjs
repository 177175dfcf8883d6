/** The programs that tests drive for real: listed in a file, installed when we are root on Debian, else asked for. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Stop } from './install.mjs';

/** Debian starts what it installs: a database cluster on port 5432, a pooler on 6432, sshd on 22. Tests bring their own and want none. */
const NO_CLUSTER = '/etc/postgresql-common/createcluster.d/no-cluster-for-brevet-tests.conf';
const NO_START = '/usr/sbin/policy-rc.d';
/** What packages bring that would run by itself from the next boot on. */
const SERVICES = { pgbouncer: 'pgbouncer', 'openssh-server': 'ssh', cron: 'cron', at: 'atd' };

export function ensureDebianPackages(list) {
  const wanted = readFileSync(list, 'utf8').split('\n').map((line) => line.replace(/#.*/, '').trim()).filter(Boolean);
  const missing = missingOf(wanted);
  if (missing.length === 0) return;
  const command = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    const hint = existsSync('/etc/debian_version') ? `As root:\n\n  ${command}\n` : 'On this system, install what corresponds to them on Debian 12.';
    throw new Stop(`The tests drive real programs, and these Debian packages are missing: ${missing.join(', ')}.`, hint);
  }
  console.error(`Installing Debian packages for the tests (once): ${missing.join(', ')} ...`);
  const putBack = keepQuiet();
  try {
    apt(['update', '-qq']);
    apt(['install', '-y', '-qq', '--no-install-recommends', ...missing]);
  } finally {
    for (const undo of putBack) undo();
  }
  // Nor should it start at the next boot: least of all a way in that was not there before.
  const services = missing.map((name) => SERVICES[name]).filter(Boolean);
  if (services.length > 0 && existsSync('/run/systemd/system')) spawnSync('systemctl', ['disable', '--quiet', ...services], { stdio: 'ignore' });
}

function missingOf(wanted) {
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\\n', ...wanted], { encoding: 'utf8' });
  const installed = new Set((stdout ?? '').split('\n').filter((line) => line.endsWith(' installed')).map((line) => line.split(' ')[0]));
  return wanted.filter((name) => !installed.has(name));
}

/** For this installation only: no new cluster, and no service started. Answers how to undo it. */
function keepQuiet() {
  const undo = [];
  for (const [path, text, mode] of [[NO_CLUSTER, 'create_main_cluster = false\n', 0o644], [NO_START, '#!/bin/sh\nexit 101\n', 0o755]]) {
    if (existsSync(path)) continue;
    const made = mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode });
    undo.push(() => {
      rmSync(path, { force: true });
      // Only what is still empty: the package may have moved in.
      if (made !== undefined) spawnSync('rmdir', ['--ignore-fail-on-non-empty', dirname(path)]);
    });
  }
  return undo;
}

function apt(args) {
  const { status, stdout, stderr, error } = spawnSync('apt-get', args, {
    encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64e6,
  });
  if (status === 0) return;
  const said = (error?.message ?? `${stderr}\n${stdout}`).trim().split('\n').slice(-8).join('\n  ');
  throw new Stop(`apt-get ${args[0]} failed:\n  ${said}`, `Try it by hand: apt-get ${args.join(' ')}`);
}

import type { Command } from 'commander';
import type { RootKeyList, RotatedRootKey } from '../deps.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { escape } from '../output/escape.ts';
import { table } from '../output/table.ts';
import { demand } from '../session/prompt.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';

const STATES: { readonly [S in RootKeyList['keys'][number]['state']]: string } = {
  in_force: 'in force: seals',
  old: 'opens what is under it',
  new: 'made, not in force yet',
  retired: 'retired: nothing needs it',
};

const OLDER_BACKUPS = 'A backup from before the rotation opens with the OLD key only: keep a copy of it for as long as you keep the backup.';

interface Options {
  readonly config?: string;
}

/** A server's root keys. They need no sign-in but the host, its settings and the right to read the key. */
export function addRootKeys(shell: Shell): void {
  const keys = shell.group('root-key', "A server's root keys, on its host: list, rotate, retire");
  const config = (command: Command) => command.option('--config <file>', "the server's settings in YAML (brevet.yaml, if it is there)");
  shell.leaf<Options>(keys, {
    use: 'list',
    about: "List a server's root keys by id, and what is sealed under each\nRun on the server's host, with its settings and as its user.",
    examples: ['brevet root-key list', 'brevet root-key list --config /etc/brevet/brevet.yaml'],
    options: config,
    act: async (run, _, { config: file }) => {
      const list = await run.deps.rootKeys.list(file ?? null);
      run.answer(list, () => render(run, list));
    },
  });
  shell.leaf<Options>(keys, {
    use: 'rotate',
    about: "Make a new root key and put everything sealed under it\nRun on the server's host, with its settings and as its user. Servers go on working; run it again if it was interrupted. Old keys are kept: brevet root-key retire deletes them.",
    examples: ['brevet root-key rotate'],
    options: config,
    act: async (run, _, { config: file }) => rotate(run, file ?? null),
  });
  shell.leaf<Options & { readonly yes?: true }>(keys, {
    use: 'retire',
    about: "Delete old root keys that nothing is sealed under any more\nRun on the server's host, with its settings and as its user. A backup from before the rotation opens with the old key only: keep a copy for as long as you keep the backup.",
    examples: ['brevet root-key retire', 'brevet root-key retire --yes'],
    options: (command) => config(command).option('--yes', 'do not ask'),
    act: async (run, _, { config: file, yes }) => {
      run.note(`This deletes every root key but the newest, for good. ${OLDER_BACKUPS}`);
      await demand(run, yes, 'Delete the old root keys?');
      const done = await run.deps.rootKeys.retire(file ?? null);
      run.answer(done, () => renderRetired(done));
    },
  });
}

async function rotate(run: Run, config: string | null): Promise<ExitCode> {
  const done = await run.deps.rootKeys.rotate(config, (line) => run.note(run.paint('dim', escape(line))));
  run.answer(done, () => renderRotated(done));
  return done.left === 0 ? EXIT.ok : EXIT.checkFailed;
}

function renderRotated({ key, rewrapped, broken, left }: RotatedRootKey): string {
  if (left === 0) return `everything is sealed under root key ${key}; ${rewrapped} values were wrapped anew\nkeep a copy of the new key apart from the database's backup\n${OLDER_BACKUPS}\nnext: brevet root-key retire`;
  return [
    `${left} values are not under root key ${key}: keep the keys before`,
    ...broken.slice(0, 20).map((identity) => `does not open: ${escape(identity)}`),
    ...(broken.length < left ? ['next: brevet root-key rotate, once more'] : []),
  ].join('\n');
}

function renderRetired({ retired, deleted }: { readonly retired: readonly string[]; readonly deleted: readonly string[] | null }): string {
  const gone = [...new Set([...retired, ...(deleted ?? [])])];
  if (deleted === null) return `${gone.length === 0 ? 'nothing needs another root key than the newest' : `retired: ${gone.join(', ')}`}\nnow leave only the newest key in BREVET_ROOT_KEY of every server, and restart each`;
  return gone.length === 0 ? 'there is no old root key' : `retired, and deleted here: ${gone.join(', ')}`;
}

function render(run: Run, { provider, keys, kinds, servers }: RootKeyList): string {
  return [
    table(keys, [
      { head: 'root key', cell: (key) => key.id },
      { head: 'state', cell: (key) => (key.here ? STATES[key.state] : { tone: 'bad', text: `${STATES[key.state]}, and not here` }) },
      { head: 'sealed under it', cell: (key) => kinds.filter((kind) => key.sealed[kind]).map((kind) => `${key.sealed[kind]} ${kind}${key.sealed[kind] === 1 ? '' : 's'}`).join(', ') || 'nothing', flexible: true },
    ], run.paint, run.columns),
    `from ${escape(provider)}`,
    ...servers.map((server) => `a server on ${escape(server.host)} has ${server.keys.join(', ')}, and seals under ${server.sealsUnder}`),
  ].join('\n');
}

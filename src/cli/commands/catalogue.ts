import { escape } from '../output/escape.ts';
import { table } from '../output/table.ts';
import { duration } from '../output/times.ts';
import { askSecret } from '../session/prompt.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import { collectAll } from './pages.ts';
import { whoDecides } from './render-request.ts';

export function addCatalogue(shell: Shell): void {
  const { program } = shell;
  shell.leaf(program, {
    use: 'entitlements',
    about: 'List what you may ask for, and who would decide',
    examples: ['brevet entitlements', 'brevet entitlements --json'],
    act: entitlements,
  });
  shell.leaf(program, { use: 'targets', about: 'List the systems, and whether they answer', examples: ['brevet targets'], act: targets });
  const target = shell.group('target', 'Administer one target');
  shell.leaf<{ account?: string }>(target, {
    use: 'credential <name>',
    about: "Set Brevet's own credential for a target\nTyped unseen, or read from standard input; never an argument, which other users of the machine could see.",
    examples: ['brevet target credential orders < orders.secret', 'brevet target credential orders', 'brevet target credential orders --account exporter'],
    options: (command) => command.option('--account <name>', 'that of an account on the target which brokered sessions sign in as'),
    act: async (run, [name = ''], { account }) => {
      const client = await run.client();
      const of = account === undefined ? name : `${account} on ${name}`;
      const credential = await askSecret(run, `Credential for ${of}: `);
      if (credential === '') throw new Failure(EXIT.usage, 'the credential is empty');
      const body = { credential, ...(account === undefined ? {} : { account }) };
      run.answer(await client.call('setCredential', { params: { name }, body }), () => `the credential of ${escape(of)} is set`);
    },
  });
  shell.leaf(target, {
    use: 'standing <name>',
    about: 'List who holds what on a target without a grant',
    examples: ['brevet target standing orders'],
    act: async (run, [name = '']) => {
      const standing = await (await run.client()).call('standingPrivileges', { params: { name } });
      run.answer(standing, () =>
        standing.items.length === 0
          ? `nobody holds anything on ${escape(name)} but by a grant`
          : table(standing.items, [
              { head: 'account', cell: (each) => each.account },
              { head: 'privilege', cell: (each) => each.privilege },
              { head: 'on', cell: (each) => each.on, flexible: true },
            ], run.paint, run.columns),
      );
    },
  });
}

async function entitlements(run: Run): Promise<void> {
  const client = await run.client();
  const list = await collectAll((query) => client.call('entitlements', { query }));
  run.answer(list, () =>
    list.items.length === 0
      ? 'there is nothing that you may ask for yet; an administrator adds entitlements with brevet apply'
      : `${table(list.items, [
          { head: 'entitlement', cell: (each) => ({ tone: each.request.allowed ? 'bold' : 'dim', text: each.name }) },
          { head: 'what', cell: (each) => each.title, flexible: true },
          { head: 'on', cell: (each) => each.targets.map((target) => target.name).join(', '), flexible: true },
          { head: 'time', cell: (each) => `${duration(each.defaultDurationSeconds)}, max ${duration(each.maxDurationSeconds)}` },
          { head: 'decided by', cell: (each) => (each.request.allowed ? whoDecides(each.stages) : { tone: 'dim', text: `locked: ${each.request.reason ?? 'not for you'}` }), flexible: true },
        ], run.paint, run.columns)}\n\n${run.paint('dim', "ask with: brevet request NAME --reason '...'")}`,
  );
}

async function targets(run: Run): Promise<void> {
  const client = await run.client();
  const list = await collectAll((query) => client.call('targets', { query }));
  const marks = { reachable: { tone: 'good', text: '● reachable' }, unreachable: { tone: 'bad', text: '▲ unreachable' }, unknown: { tone: 'dim', text: '◌ unknown' } } as const;
  run.answer(list, () =>
    list.items.length === 0
      ? 'there are no targets yet'
      : table(list.items, [
          { head: 'target', cell: (each) => each.name },
          { head: 'type', cell: (each) => each.type },
          { head: 'folder', cell: (each) => each.folder },
          { head: 'health', cell: (each) => (each.retiredAt ? { tone: 'dim', text: '– retired' } : marks[each.health.state]) },
          { head: 'checked', cell: (each) => (each.health.checkedAt ? run.times.away(each.health.checkedAt) : 'never') },
          { head: 'problem', cell: (each) => each.health.problem ?? (each.hasCredential ? null : 'no credential set'), flexible: true },
          { head: 'entitlements', cell: (each) => each.entitlements.map((entitlement) => entitlement.name).join(', '), flexible: true },
        ], run.paint, run.columns),
  );
}

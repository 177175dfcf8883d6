import type { Answer } from '#contract/routes.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape } from '../output/escape.ts';
import { demand } from '../session/prompt.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import { patienceFor, waitThrough, exitOf } from './ask.ts';
import { collect, more, readLimit } from './pages.ts';
import { renderGrant, renderGrants } from './render-grant.ts';
import { renderRequest } from './render-request.ts';

interface ListOptions {
  readonly all?: true;
  readonly reviewed?: true;
  readonly ended?: true;
  readonly overdue?: true;
  readonly person?: string;
  readonly target?: string;
  readonly limit?: string;
}
interface RevokeOptions {
  readonly reason: string;
  readonly person?: string;
  readonly target?: string;
  readonly yes?: true;
}

export function addGrants(shell: Shell): void {
  const { program } = shell;
  shell.leaf<ListOptions>(program, {
    use: 'grants',
    about: 'List live grants: yours, those you may revoke, or all',
    examples: ['brevet grants', 'brevet grants --all --overdue', 'brevet grants --all --person ana --ended --json'],
    options: (command) => command
      .option('--all', 'those of everybody (administrators)')
      .option('--reviewed', 'those that you may revoke as a reviewer')
      .option('--ended', 'ended ones as well')
      .option('--overdue', 'only those whose removal is due and not yet verified')
      .option('--person <name>', 'only those of this principal')
      .option('--target <name>', 'only those on this target')
      .option('--limit <n>', 'how many at most (default: 50)'),
    act: list,
  });
  shell.leaf(program, {
    use: 'finish <grant>',
    about: 'Give your access back before its time',
    examples: ['brevet finish grt_01j...'],
    act: async (run, [id = '']) => {
      const grant = await (await run.client()).call('finishGrant', { params: { id } });
      run.answer(grant, () => renderGrant(run, grant));
    },
  });
  shell.leaf<{ for: string; reason: string; ticket?: string; wait?: true; timeout?: string }>(program, {
    use: 'extend <grant>',
    about: 'Ask for more time\nA new decision: policy and reviewers are asked again. Until they agree, the old deadline stands.',
    examples: ["brevet extend grt_01j... --for 30m --reason 'the import still runs'"],
    options: (command) => command
      .requiredOption('--for <duration>', 'how much more: 30m')
      .requiredOption('--reason <text>', 'why')
      .option('--ticket <id>', 'the ticket it belongs to')
      .option('--wait', 'wait for the decision')
      .option('--timeout <duration>', 'with --wait: give up waiting after this'),
    act: async (run, [id = ''], options) => {
      const body = { duration: options.for, reason: options.reason, ...(options.ticket === undefined ? {} : { ticket: options.ticket }) };
      const request = await (await run.client()).call('extendGrant', { params: { id }, body });
      if (!options.wait) return run.answer(request, () => renderRequest(run, request));
      run.note(`sent as ${escape(request.id)}`);
      const { decided, grant } = await waitThrough(run, request, patienceFor(request.id, options.timeout));
      run.answer(grant ?? decided, () => (grant ? renderGrant(run, grant) : renderRequest(run, decided)));
      return exitOf(decided, grant);
    },
  });
  shell.leaf<RevokeOptions>(program, {
    use: 'revoke [grant]',
    about: 'Take access away: one grant, or everything of a person or on a target\nEnds sessions, removes the privilege and reads the target back. Of a person or target, open requests are cancelled too.',
    examples: ["brevet revoke grt_01j... --reason 'incident 12'", "brevet revoke --person ana --reason 'left the team' --yes", "brevet revoke --target orders --reason 'breach'"],
    options: (command) => command
      .requiredOption('--reason <text>', 'why, for the log and for whoever held it')
      .option('--person <name>', 'everything that this principal holds or asks for (administrators)')
      .option('--target <name>', 'everything on this target (administrators)')
      .option('--yes', 'do not ask'),
    act: revoke,
  });
}

async function list(run: Run, _: readonly string[], options: ListOptions): Promise<void> {
  const client = await run.client();
  const view: 'all' | 'reviewed' | 'mine' = options.all ? 'all' : options.reviewed ? 'reviewed' : 'mine';
  const query = {
    view,
    ...(options.ended || options.overdue ? {} : { live: 'true' as const }),
    ...(options.overdue ? { overdue: 'true' as const } : {}),
    ...(options.person === undefined ? {} : { person: options.person }),
    ...(options.target === undefined ? {} : { target: options.target }),
  };
  const page = await collect(readLimit(options.limit), (paging) => client.call('grants', { query: { ...paging, ...query } }));
  const empty = options.overdue ? '■ nothing is overdue' : options.all ? 'nobody holds anything' : "you hold nothing now: brevet request NAME --reason '...'";
  run.answer(page, () => (page.items.length === 0 ? empty : renderGrants(run, page.items) + more(page)));
}

async function revoke(run: Run, [id]: readonly string[], { reason, person, target, yes }: RevokeOptions): Promise<void> {
  if ([id, person, target].filter((each) => each !== undefined).length !== 1) throw new Failure(EXIT.usage, 'name one: a grant, --person or --target');
  const client = await run.client();
  if (id !== undefined) {
    const grant = await client.call('revokeGrant', { params: { id }, body: { reason } });
    return run.answer(grant, () => renderGrant(run, grant));
  }
  const name = (person ?? target) as string;
  await demand(run, yes, `Take away everything ${person === undefined ? 'on' : 'of'} ${escape(name)}, and end its sessions?`);
  const taken = await client.call(person === undefined ? 'revokeOnTarget' : 'revokeOfPerson', { params: { name }, body: { reason } });
  run.answer(taken, () => renderRevoked(taken));
}

export function renderRevoked({ grants, requests, sessions }: Answer<'revokeOfPerson'>): string {
  const lines = [`${grants.length} grants are being taken away, ${requests.length} requests cancelled, ${sessions} sessions ended`, ...grants.map((id) => `  ◐ ${escape(id)}`), ...requests.map((id) => `  – ${escape(id)}`)];
  return grants.length > 0 ? `${lines.join('\n')}\nfollow it with: brevet grants --all` : lines.join('\n');
}

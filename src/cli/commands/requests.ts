import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { requestMark } from '../output/paint.ts';
import { table } from '../output/table.ts';
import { duration } from '../output/times.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import { collect, more, readLimit } from './pages.ts';
import { renderGrant } from './render-grant.ts';
import { actor, renderRequest, whoDecides } from './render-request.ts';
import { renderSession } from './sessions.ts';

const STATES = ['pending', 'approved', 'denied', 'cancelled', 'expired'] as const;
type State = (typeof STATES)[number];

interface ListOptions {
  readonly inbox?: true;
  readonly all?: true;
  readonly state?: string;
  readonly limit?: string;
}

export function addRequests(shell: Shell): void {
  shell.leaf<ListOptions>(shell.program, {
    use: 'requests',
    about: 'List requests: yours, those waiting for you, or all',
    examples: ['brevet requests', 'brevet requests --inbox', 'brevet requests --all --state denied --json'],
    options: (command) => command
      .option('--inbox', 'those that you may decide on')
      .option('--all', 'those of everybody (administrators)')
      .option('--state <state>', `only these: ${STATES.join(', ')}`)
      .option('--limit <n>', 'how many at most (default: 50)'),
    act: list,
  });
  shell.leaf(shell.program, {
    use: 'show <id>',
    about: 'Show one request (req_), grant (grt_) or session (ses_) in full',
    examples: ['brevet show req_01j...', 'brevet show grt_01j... --utc'],
    act: show,
  });
  shell.leaf(shell.program, {
    use: 'cancel <request>',
    about: 'Withdraw your pending request',
    examples: ['brevet cancel req_01j...'],
    act: async (run, [id = '']) => {
      const request = await (await run.client()).call('cancelRequest', { params: { id } });
      run.answer(request, () => renderRequest(run, request));
    },
  });
}

async function list(run: Run, _: readonly string[], options: ListOptions): Promise<void> {
  if (options.inbox && options.all) throw new Failure(EXIT.usage, '--inbox and --all are two different lists');
  const state = STATES.find((each) => each === options.state);
  if (options.state !== undefined && state === undefined) throw new Failure(EXIT.usage, `--state is one of ${STATES.join(', ')}`);
  const client = await run.client();
  const view = options.inbox ? 'inbox' : options.all ? 'all' : 'mine';
  const page = await collect(readLimit(options.limit), (paging) => client.call('requests', { query: { ...paging, view, ...(state ? { state: state satisfies State } : {}) } }));
  run.answer(page, () =>
    page.items.length === 0
      ? { inbox: 'nothing waits for you', mine: "you asked for nothing yet: brevet entitlements, then brevet request NAME --reason '...'", all: 'there are no such requests' }[view]
      : table(page.items, [
          { head: 'request', cell: (each) => each.id },
          { head: 'state', cell: (each) => requestMark(each.state) },
          { head: 'who', cell: (each) => actor(each.principal, each.onBehalfOf), flexible: true },
          { head: 'entitlement', cell: (each) => each.entitlement.name },
          { head: 'for', cell: (each) => duration(each.durationSeconds), align: 'right' },
          { head: 'asked', cell: (each) => run.times.away(each.createdAt) },
          { head: 'decided by', cell: (each) => (each.state === 'pending' ? whoDecides(each.stages) : null), flexible: true },
          { head: 'why', cell: (each) => each.reason, flexible: true },
        ], run.paint, run.columns) + more(page),
  );
}

async function show(run: Run, [id = '']: readonly string[]): Promise<void> {
  const client = await run.client();
  if (id.startsWith('req_')) {
    const request = await client.call('request', { params: { id } });
    return run.answer(request, () => renderRequest(run, request));
  }
  if (id.startsWith('grt_')) {
    const grant = await client.call('grant', { params: { id } });
    return run.answer(grant, () => renderGrant(run, grant));
  }
  if (!id.startsWith('ses_')) throw new Failure(EXIT.usage, `"${id}" is not an id of a request, grant or session`, 'They begin with req_, grt_ or ses_; brevet requests, grants and sessions list them.');
  // The contract has no single session: it is among those listed.
  const session = (await collect(10_000, (query) => client.call('sessions', { query: { ...query, view: 'mine' } }))).items.find((each) => each.id === id)
    ?? (await collect(10_000, (query) => client.call('sessions', { query: { ...query, view: 'all' } }))).items.find((each) => each.id === id);
  if (!session) throw new Failure(EXIT.notFound, `there is no session ${id}, or it is not yours to see`);
  run.answer(session, () => renderSession(run, session));
}

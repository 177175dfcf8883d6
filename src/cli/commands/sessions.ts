import type { Answer } from '#contract/routes.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape } from '../output/escape.ts';
import { facts } from '../output/facts.ts';
import { sessionMark } from '../output/paint.ts';
import { table } from '../output/table.ts';
import { demand } from '../session/prompt.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import { collect, more, readLimit } from './pages.ts';
import { named } from './render-request.ts';

type Session = Answer<'endSession'>;
interface ListOptions {
  readonly live?: true;
  readonly all?: true;
  readonly grant?: string;
  readonly limit?: string;
}
interface EndOptions {
  readonly person?: string;
  readonly target?: string;
  readonly yes?: true;
}

export function addSessions(shell: Shell): void {
  const sessions = shell.leaf<ListOptions>(shell.program, {
    use: 'sessions',
    about: 'List sessions, or end them',
    examples: ['brevet sessions --live', 'brevet sessions --all --live', 'brevet sessions end ses_01j...'],
    options: (command) => command
      .option('--live', 'only open ones')
      .option('--all', 'those of everybody (administrators)')
      .option('--grant <id>', 'only those of one grant')
      .option('--limit <n>', 'how many at most (default: 50)'),
    act: list,
  });
  shell.leaf<EndOptions>(sessions, {
    use: 'end [session]',
    about: 'End one session now, or every one of a person or on a target\nThe grant stays: see brevet revoke.',
    examples: ['brevet sessions end ses_01j...', 'brevet sessions end --target orders --yes'],
    options: (command) => command.option('--person <name>', 'all of this principal').option('--target <name>', 'all on this target').option('--yes', 'do not ask'),
    act: end,
  });
  shell.leaf<{ full?: true }>(shell.program, {
    use: 'statements <session>',
    about: 'Show what was done in a session',
    examples: ['brevet statements ses_01j...', 'brevet statements ses_01j... --full', 'brevet statements ses_01j... --json'],
    options: (command) => command.option('--full', 'each statement as a whole'),
    act: statements,
  });
}

async function list(run: Run, _: readonly string[], options: ListOptions): Promise<void> {
  const client = await run.client();
  const view: 'all' | 'mine' = options.all ? 'all' : 'mine';
  const query = { view, ...(options.live ? { live: 'true' as const } : {}), ...(options.grant === undefined ? {} : { grant: options.grant }) };
  const page = await collect(readLimit(options.limit), (paging) => client.call('sessions', { query: { ...paging, ...query } }));
  run.answer(page, () =>
    page.items.length === 0
      ? `there are no ${options.live ? 'open ' : ''}sessions`
      : table(page.items, [
          { head: 'session', cell: (each) => each.id },
          { head: 'state', cell: (each) => sessionMark(each.state) },
          { head: 'who', cell: (each) => named(each.principal), flexible: true },
          { head: 'on', cell: (each) => each.target.name },
          { head: 'opened', cell: (each) => run.times.both(each.openedAt) },
          { head: 'ended by', cell: (each) => each.endReason },
          { head: 'statements', cell: (each) => each.statements, align: 'right' },
          { head: 'from', cell: (each) => each.clientAddress },
          { head: 'with', cell: (each) => each.application, flexible: true },
        ], run.paint, run.columns) + more(page),
  );
}

export function renderSession(run: Run, session: Session): string {
  const mark = sessionMark(session.state);
  const { times } = run;
  return [
    `${escape(session.id)}  ${run.paint(mark.tone, mark.text)}`,
    facts([
      ['who', named(session.principal)],
      ['grant', `${session.grant} (${session.entitlement.name})`],
      ['on', `${session.target.name} (${session.protocol})`],
      ['opened', times.both(session.openedAt)],
      ['ended', session.endedAt ? `${times.both(session.endedAt)}: ${session.endReason ?? ''}` : null],
      ['from', session.application ? `${session.clientAddress}, ${session.application}` : session.clientAddress],
      ['statements', session.statements],
      ['bytes', `${session.bytesIn} in, ${session.bytesOut} out`],
      ['recording', session.recordingRoot],
    ], run.paint, run.columns),
    run.paint('dim', `\nnext: brevet statements ${escape(session.id)}`),
  ].join('\n');
}

async function end(run: Run, [id]: readonly string[], { person, target, yes }: EndOptions): Promise<void> {
  if ([id, person, target].filter((each) => each !== undefined).length !== 1) throw new Failure(EXIT.usage, 'name one: a session, --person or --target');
  const client = await run.client();
  if (id !== undefined) {
    const session = await client.call('endSession', { params: { id } });
    return run.answer(session, () => renderSession(run, session));
  }
  await demand(run, yes, `End every session ${person === undefined ? 'on' : 'of'} ${escape(person ?? target)}?`);
  const ended = await client.call('endSessions', { body: { ...(person === undefined ? {} : { person }), ...(target === undefined ? {} : { target }) } });
  run.answer(ended, () => `${ended.sessions} sessions ended`);
}

/** What stands in front of a text that is not shown whole. */
function incomplete({ truncated, long }: Answer<'recording'>['statements'][number], full = false): string {
  if (!truncated) return '';
  if (long === null) return '[not whole] ';
  return `[not whole: ${long.bytes} bytes${full ? `, SHA-256 ${long.sha256}` : ''}] `;
}

/** Page after page; only the last one knows whether it is complete. */
async function wholeRecording(run: Run, id: string): Promise<Answer<'recording'>> {
  const client = await run.client();
  const items: Answer<'recording'>['statements'] = [];
  for (let cursor: string | null = null; ; ) {
    const page: Answer<'recording'> = await client.call('recording', { params: { id }, query: cursor === null ? {} : { cursor } });
    for (const statement of page.statements) items.push(statement);
    if (page.next === null) return { ...page, statements: items };
    cursor = page.next;
  }
}

async function statements(run: Run, [id = '']: readonly string[], { full }: { full?: true }): Promise<void> {
  const recording = await wholeRecording(run, id);
  const columns = full ? undefined : run.columns;
  // A statement may have megabytes, of which a terminal shows a line.
  const oneLine = (text: string) => (full ? text : (columns === undefined ? text : text.slice(0, 10 * columns)).replace(/\s+/g, ' ').trim());
  run.answer(recording, () =>
    [
      recording.statements.length === 0
        ? 'nothing was done in it'
        : table(recording.statements, [
            { head: 'at', cell: (each) => run.times.exact(each.at) },
            { head: 'ms', cell: (each) => each.durationMs?.toFixed(1) ?? null, align: 'right' },
            { head: 'rows', cell: (each) => each.rows, align: 'right' },
            { head: 'outcome', cell: (each) => each.outcome, flexible: true },
            { head: 'statement', cell: (each) => `${incomplete(each, full)}${oneLine(each.text)}`, flexible: true },
          ], run.paint, columns),
      ...(recording.complete ? [] : [run.paint('dim', '◌ not complete yet: the session is open, or its end was not recorded')]),
    ].join('\n'),
  );
}

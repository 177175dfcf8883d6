import type { BodyIn } from '#contract/routes.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape } from '../output/escape.ts';
import { readOffset } from '../output/times.ts';
import type { Run } from '../session/run.ts';
import { type Patience, waitForDecision, waitForGrant } from '../session/wait.ts';
import type { Shell } from '../shell.ts';
import { ending, renderGrant, type Grant } from './render-grant.ts';
import { type AccessRequest, renderPreview, renderRequest } from './render-request.ts';

export interface AskOptions {
  readonly reason?: string;
  readonly ticket?: string;
  readonly for?: string;
  readonly start?: string;
  readonly onBehalfOf?: string;
  readonly wait?: true;
  readonly timeout?: string;
  readonly preview?: true;
}

export function addAsk(shell: Shell): void {
  shell.leaf<AskOptions>(shell.program, {
    use: 'request <entitlement>',
    about: 'Ask for access\nShows first what would happen and who decides. What policy refuses is not sent. The clock starts when the access becomes real, not when you ask.',
    examples: [
      "brevet request orders-read --reason 'why are invoices late?'",
      "brevet request orders-read --reason 'month end' --ticket OPS-114 --for 30m --wait",
      "brevet request orders-write --reason 'migration' --start 2026-12-01T22:00:00Z --for 1h",
      "brevet request orders-read --reason 'just looking' --preview",
    ],
    options: (command) => command
      .requiredOption('--reason <text>', 'why, for those who decide and for the log')
      .option('--ticket <id>', 'the ticket it belongs to')
      .option('--for <duration>', "how long: 45m, 1h30m (default: the entitlement's)")
      .option('--start <when>', 'not before: 2026-12-01T22:00:00Z, or +1h from now')
      .option('--on-behalf-of <name>', 'the person that a workload acts for')
      .option('--preview', 'only show what would happen')
      .option('--wait', 'wait for the decision and until the access is there; --json then prints the grant')
      .option('--timeout <duration>', 'with --wait: give up waiting after this, such as 10m'),
    act: ask,
  });
}

async function ask(run: Run, [entitlement = '']: readonly string[], options: AskOptions): Promise<ExitCode | void> {
  const body = readAsk(run, entitlement, options);
  const client = await run.client();
  const preview = await client.call('previewRequest', { body });
  if (options.preview || preview.outcome === 'refused') {
    run.answer(preview, () => renderPreview(run, preview));
    if (preview.outcome === 'refused') run.note('it was not sent; brevet entitlements lists what you may ask for');
    return preview.outcome === 'refused' ? EXIT.refused : EXIT.ok;
  }
  run.note(renderPreview(run, preview));
  const request = await client.call('submitRequest', { body });
  run.note(`\nsent as ${escape(request.id)}\n`);
  if (!options.wait) {
    run.answer(request, () => `${renderRequest(run, request)}${next(run, request)}`);
    return;
  }
  const { decided, grant } = await waitThrough(run, request, patienceFor(request.id, options.timeout));
  run.answer(grant ?? decided, () => (grant ? renderGrant(run, grant) : renderRequest(run, decided)));
  return exitOf(decided, grant);
}

export function readAsk(run: Run, entitlement: string, options: AskOptions): BodyIn<'submitRequest'> {
  if (options.reason === undefined) throw new Failure(EXIT.usage, 'why? Give --reason');
  return {
    entitlement,
    reason: options.reason,
    ...(options.ticket === undefined ? {} : { ticket: options.ticket }),
    ...(options.for === undefined ? {} : { duration: options.for }),
    ...(options.start === undefined ? {} : { startAt: readStart(run.deps.now(), options.start) }),
    ...(options.onBehalfOf === undefined ? {} : { onBehalfOf: options.onBehalfOf }),
  };
}

/** An instant with its zone, or an offset from now. A time without a zone means another moment elsewhere: refused. */
function readStart(now: Date, text: string): string {
  const offset = readOffset(text);
  if (offset !== null) return new Date(now.getTime() + offset * 1000).toISOString();
  const instant = new Date(text);
  if (!/T.*(?:Z|[+-]\d\d:?\d\d)$/i.test(text) || Number.isNaN(instant.getTime())) {
    throw new Failure(EXIT.usage, `"${text}" is not a moment`, 'Write it with its zone, like 2026-12-01T22:00:00Z or 2026-12-01T23:00:00+01:00, or as +1h.');
  }
  return instant.toISOString();
}

export function patienceFor(id: string, timeout: string | undefined): Patience {
  const limitSeconds = timeout === undefined ? null : readOffset(`+${timeout}`);
  if (timeout !== undefined && limitSeconds === null) throw new Failure(EXIT.usage, `"${timeout}" is not a duration`, 'Write it like 10m or 1h30m.');
  return { limitSeconds, hint: `The request stays open: brevet show ${id}. Withdraw it with: brevet cancel ${id}` };
}

/** Waits for the decision and then for the access itself. */
export async function waitThrough(run: Run, request: AccessRequest, patience: Patience): Promise<{ decided: AccessRequest; grant: Grant | null }> {
  const decided = request.state === 'pending' ? await waitForDecision(run, request, patience) : request;
  if (decided.state !== 'approved' || decided.grant === null) return { decided, grant: null };
  run.note(run.paint('good', `✓ approved as ${escape(decided.grant)}`));
  const grant = await waitForGrant(run, decided.grant, { ...patience, hint: `Look again with: brevet show ${decided.grant}` });
  if (grant.state === 'active') run.note(`${run.paint('live', `● active, ${escape(ending(run, grant))}`)}\n`);
  return { decided, grant };
}

export function exitOf(decided: AccessRequest, grant: Grant | null): ExitCode {
  if (decided.state === 'denied') return EXIT.refused;
  if (decided.state !== 'approved') return EXIT.state;
  return grant === null || grant.state === 'active' ? EXIT.ok : EXIT.state;
}

function next(run: Run, { id, state, grant }: AccessRequest): string {
  if (state === 'approved' && grant) return run.paint('dim', `\n\nnext: brevet psql ${escape(grant)}`);
  return state === 'pending' ? run.paint('dim', `\n\nnext: brevet show ${escape(id)}    withdraw: brevet cancel ${escape(id)}`) : '';
}

import { readFile } from 'node:fs/promises';
import type { BodyIn } from '#contract/routes.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape } from '../output/escape.ts';
import { facts } from '../output/facts.ts';
import { demand } from '../session/prompt.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import { type AccessRequest, renderRequest } from './render-request.ts';

interface ReviewOptions {
  readonly for?: string;
  readonly reason?: string;
  readonly scope?: string;
  readonly hash?: string;
  readonly yes?: true;
}
type Scopes = NonNullable<BodyIn<'reviewRequest'>['scopes']>;

export function addReview(shell: Shell): void {
  shell.leaf<ReviewOptions>(shell.program, {
    use: 'approve <request>',
    about: 'Approve a request\nShows who asks, for what, how long, how far it reaches and the hash, and asks. The approval binds to the hash that was shown: if the request changed, it is refused.',
    examples: [
      'brevet approve req_01j...',
      "brevet approve req_01j... --for 15m --reason 'enough for one report'",
      'brevet approve req_01j... --scope narrower.yaml',
      'brevet approve req_01j... --yes --hash 9f86d0...   # the hash you were shown elsewhere',
    ],
    options: (command) => command
      .option('--for <duration>', 'less time than asked for')
      .option('--scope <file>', 'a narrower scope, in YAML: one scope, or one for each part by its number')
      .option('--reason <text>', 'a remark for the requester and the log')
      .option('--hash <sha256>', 'approve only if the request still has this hash')
      .option('--yes', 'do not ask'),
    act: (run, [id = ''], options) => review(run, id, 'approve', options),
  });
  shell.leaf<ReviewOptions>(shell.program, {
    use: 'deny <request>',
    about: 'Deny a request, with the reason',
    examples: ["brevet deny req_01j... --reason 'the read-only entitlement is enough'"],
    options: (command) => command.requiredOption('--reason <text>', 'why not, for the requester and the log'),
    act: (run, [id = ''], options) => review(run, id, 'deny', { ...options, yes: true }),
  });
}

async function review(run: Run, id: string, decision: 'approve' | 'deny', options: ReviewOptions): Promise<void> {
  const scopes = options.scope === undefined ? null : await readScopes(options.scope);
  const client = await run.client();
  const request = await client.call('request', { params: { id } });
  if (options.hash !== undefined && options.hash !== request.hash) {
    throw new Failure(EXIT.state, `${id} has another hash than the one you name`, `It is ${request.hash}: look at it again with brevet show ${id}`);
  }
  const action = request.actions[decision];
  if (decision === 'approve') {
    run.note(renderRequest(run, request));
    const narrowed = facts([
      ['you shorten', options.for === undefined ? null : `to ${options.for}`],
      ['you narrow', scopes === null ? null : Object.entries(scopes).map(([part, scope]) => `part ${part} to ${JSON.stringify(scope)}`)],
    ], run.paint, run.columns);
    if (narrowed) run.note(narrowed);
  }
  // What cannot be done now is refused by the server, with its code; asking first would only waste an answer.
  if (decision === 'approve' && action.allowed) {
    await demand(run, options.yes, `\nApprove ${escape(id)}${request.stages.length > 1 ? ' at its current stage' : ''}?`);
  }
  const decided = await client.call('reviewRequest', {
    params: { id },
    body: {
      decision,
      hash: request.hash,
      ...(options.reason === undefined ? {} : { reason: options.reason }),
      ...(options.for === undefined ? {} : { duration: options.for }),
      ...(scopes === null ? {} : { scopes }),
    },
  });
  run.answer(decided, () => (decision === 'approve' ? approved(run, decided) : renderRequest(run, decided)));
}

function approved(run: Run, { id, state, grant, stages }: AccessRequest): string {
  if (state === 'approved') return run.paint('good', `✓ ${escape(id)} is approved${grant ? `; the grant is ${escape(grant)}` : ''}`);
  const open = stages.filter((stage) => stage.approved < stage.required).map((stage) => `${stage.required - stage.approved} more of ${stage.groups.join(' or ')}`);
  return `your approval counts; it still needs ${escape(open.join(', then '))}`;
}

async function readScopes(file: string): Promise<Scopes> {
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(await readFile(file, 'utf8'), { maxAliasCount: 0 });
  } catch (error) {
    throw new Failure(EXIT.usage, `${file} can not be read as YAML: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Failure(EXIT.usage, `${file} does not hold a scope`);
  const byPart = Object.keys(value).length > 0 && Object.keys(value).every((key) => /^\d$/.test(key));
  return (byPart ? value : { '0': value }) as Scopes;
}

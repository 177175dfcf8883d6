import { readFile } from 'node:fs/promises';
import type { Verification } from '../deps.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape, safeJson } from '../output/escape.ts';
import { table } from '../output/table.ts';
import type { Client } from '../session/client.ts';
import { readProfile } from '../session/profile.ts';
import type { Run } from '../session/run.ts';
import type { Shell } from '../shell.ts';
import { collect, more, readLimit } from './pages.ts';
import { named } from './render-request.ts';

interface ListOptions {
  readonly grant?: string;
  readonly request?: string;
  readonly type?: string;
  readonly limit?: string;
}

export function addLog(shell: Shell): void {
  const log = shell.group('log', 'Read the log, and check that nobody rewrote it');
  shell.leaf<ListOptions>(log, {
    use: 'list',
    about: 'List log entries',
    examples: ['brevet log list --grant grt_01j...', 'brevet log list --type grant.ended --limit 200'],
    options: (command) => command
      .option('--grant <id>', 'only those of one grant')
      .option('--request <id>', 'only those of one request')
      .option('--type <type>', 'only those of one type')
      .option('--limit <n>', 'how many at most (default: 50)'),
    act: list,
  });
  shell.leaf(log, {
    use: 'head',
    about: "Print the log's size, its signed checkpoint and its key",
    examples: ['brevet log head --json', 'brevet log head > checkpoint-of-today'],
    act: async (run) => {
      const head = await (await publicClient(run)).call('logHead');
      run.note(run.paint('dim', `${head.size} entries, key ${escape(head.verifier)}`));
      run.answer(head, () => (head.checkpoint ?? '').split('\n').map(escape).join('\n').trimEnd());
    },
  });
  shell.leaf<{ checkpoint?: string; key?: string }>(log, {
    use: 'verify <folder-or-url>',
    about: "Verify a whole log, without trust in the server\nEvery entry's hash, every tile, the signed root, and the history that the entries tell. With a checkpoint kept from before: that nothing of it was taken back. Works offline on a folder of files.",
    examples: ['brevet log verify ./log-files --key "$LOG_KEY"', 'brevet log verify https://brevet.example --checkpoint checkpoint-of-june'],
    options: (command) => command
      .option('--checkpoint <file>', 'a checkpoint that you kept from before')
      .option('--key <key>', "the log's key: name+hash+base64 (default: the one seen at your sign-in)"),
    act: verify,
  });
  shell.leaf(log, {
    use: 'evidence <grant>',
    about: 'Write the proof of the life of one grant, for somebody who trusts neither you nor Brevet',
    examples: ['brevet log evidence grt_01j... > evidence.json'],
    act: async (run, [id = '']) => run.print(safeJson(await (await run.client()).call('evidence', { params: { id } }))),
  });
  shell.leaf<{ key?: string }>(log, {
    use: 'verify-grant <file>',
    about: 'Verify such a proof, offline',
    examples: ['brevet log verify-grant evidence.json --key "$LOG_KEY"'],
    options: (command) => command.option('--key <key>', "the log's key: name+hash+base64 (default: the one seen at your sign-in)"),
    act: async (run, [file = ''], { key }) => {
      const trusted = key ?? (await readProfile(run.folder))?.logKey ?? undefined;
      return report(run, await run.deps.verifier.verifyGrant(await readInput(file), trusted === undefined ? {} : { key: trusted }), trusted);
    },
  });
}

async function list(run: Run, _: readonly string[], { limit, ...filters }: ListOptions & { json?: true }): Promise<void> {
  const client = await run.client();
  const { grant, request, type } = filters;
  const query = { ...(grant === undefined ? {} : { grant }), ...(request === undefined ? {} : { request }), ...(type === undefined ? {} : { type }) };
  const page = await collect(readLimit(limit), (paging) => client.call('logEntries', { query: { ...paging, ...query } }));
  run.answer(page, () =>
    page.items.length === 0
      ? 'there are no such entries'
      : table(page.items, [
          { head: '#', cell: (entry) => entry.index ?? { tone: 'dim', text: '◌' }, align: 'right' },
          { head: 'at', cell: (entry) => run.times.exact(entry.at) },
          { head: 'what', cell: (entry) => entry.type },
          { head: 'by', cell: (entry) => (entry.actor === 'system' ? { tone: 'dim', text: 'brevet' } : named(entry.actor)), flexible: true },
          { head: 'data', cell: (entry) => JSON.stringify(entry.data), flexible: true },
        ], run.paint, run.columns) + more(page),
  );
}

/** The log's head is public: no sign-in needed where a server is named. */
async function publicClient(run: Run) {
  return run.namedServer === null ? run.client() : run.clientAt(run.namedServer, null);
}

async function verify(run: Run, [source = '']: readonly string[], options: { checkpoint?: string; key?: string }): Promise<ExitCode> {
  const remote = /^https?:\/\//.test(source);
  const place = remote ? run.serverAt(source) : source;
  const profile = await readProfile(run.folder);
  const ours = !remote || profile?.server === place;
  const key = options.key ?? (ours ? profile?.logKey : undefined) ?? undefined;
  const checkpoint = options.checkpoint === undefined ? undefined : await readInput(options.checkpoint);
  const verification = await run.deps.verifier.verifyLog(remote ? { read: readServerLog(run.clientAt(place, ours ? profile : null), ours && profile !== null) } : { folder: place }, { ...(key === undefined ? {} : { key }), ...(checkpoint === undefined ? {} : { checkpoint }) });
  return report(run, verification, key);
}

/** Some servers show their log to whoever is signed in only; so it is asked for as whoever is signed in there. */
function readServerLog(client: Client, signedIn: boolean) {
  return async (path: string) => {
    try {
      return await client.file(`/log/${path}`);
    } catch (error) {
      if (!(error instanceof Failure) || error.exit !== EXIT.unauthenticated || signedIn) throw error;
      throw new Failure(error.exit, `${client.server} shows its log only to those who are signed in there`, `Sign in: brevet login 'LINK', with a link from an administrator there. Or ask for the log's files and verify their folder; with log.public: true anybody may read it.`, error.problem);
    }
  };
}

function report(run: Run, { ok, findings, facts }: Verification, key: string | undefined): ExitCode {
  // Nothing false, and yet something missing: a proof that ends a story too early must not pass for a whole one.
  const complete = findings.every((each) => each.ok);
  run.answer({ ok: ok && complete, ...facts, findings }, () =>
    [
      ...findings.map((each) => `${each.ok ? run.paint('good', '■') : run.paint('bad', '▲')} ${escape(each.text)}`),
      !ok ? run.paint('bad', 'THE LOG DOES NOT HOLD') : complete ? run.paint('good', 'the log holds') : run.paint('bad', 'the log holds what is here, and this is not all of it'),
      ...(key === undefined ? [run.paint('dim', "checked with the key that came along: that shows agreement, not who wrote it. Give the log's key with --key.")] : []),
    ].join('\n'),
  );
  return ok && complete ? EXIT.ok : EXIT.checkFailed;
}

async function readInput(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Failure(EXIT.usage, `${file} can not be read: ${(error as NodeJS.ErrnoException).code ?? ''}`);
  }
}

import { seeGrant, seeRequest } from '#app/visibility.ts';
import type { Answer } from '#contract/routes.ts';
import type { LogCursor, StoredEntry } from '#app/ports/entry-table.ts';
import type { GrantId, PrincipalId, RequestId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { HandlersFor, ServerDeps } from '../deps.ts';
import { Directory } from '../present/directory.ts';
import { viewing } from '../viewing.ts';

export function logHandlers(deps: ServerDeps): HandlersFor<'logEntries' | 'logHead' | 'evidence'> {
  const { app } = deps;
  return {
    logEntries: ({ actor, query }) =>
      viewing(app, actor, async (directory) => {
        const { tx, viewer } = directory;
        if (query.grant !== undefined) await seeGrant(tx, viewer, query.grant as GrantId);
        else if (query.request !== undefined) await seeRequest(tx, viewer, query.request as RequestId);
        else if (!viewer.principal.administrator) throw new Refusal('forbidden', 'only administrators read the whole log', { hint: 'Name a grant or a request of yours.' });
        const filter = {
          ...(query.grant === undefined ? {} : { grant: query.grant as GrantId }),
          ...(query.request === undefined ? {} : { request: query.request as RequestId }),
          ...(query.type === undefined ? {} : { type: query.type }),
        };
        const { entries, next } = await tx.entries.list(filter, query.limit, query.cursor === undefined ? null : readCursor(query.cursor));
        return { items: await Promise.all(entries.map((entry) => presentEntry(directory, entry))), next: next && writeCursor(next) };
      }),
    logHead: () =>
      app.store.transaction(async (tx) => {
        const { size, checkpoint } = await tx.entries.head();
        return { size, checkpoint, verifier: deps.log.verifier };
      }),
    async evidence({ actor, params }) {
      const { indexes, checkpoint } = await viewing(app, actor, async ({ tx, viewer }) => {
        const grant = await seeGrant(tx, viewer, params.id as GrantId);
        const { size, checkpoint } = await tx.entries.head();
        const requests = [grant.request, ...(await tx.requests.extending(grant))];
        return { checkpoint, indexes: await tx.entries.numbersOf(grant.id, requests, size, deps.log.mostEvidence + 1) };
      });
      if (indexes.length > deps.log.mostEvidence) {
        throw new Refusal('payload_too_large', `the grant has more than ${deps.log.mostEvidence} entries, too many for one proof`, { hint: 'Verify the whole log instead: brevet log verify' });
      }
      if (indexes.length === 0 || checkpoint === null) throw new Refusal('wrong_state', 'the log has not numbered these entries yet', { hint: 'Try again in a second.' });
      return (await deps.log.evidence(app, indexes, checkpoint)) as Answer<'evidence'>;
    },
  };
}

const CURSOR = /^(\d{1,15})(?:a(\d{1,15}))?$/;
const writeCursor = ({ below, arrivedBefore }: LogCursor) => (arrivedBefore === null ? `${below}` : `${below}a${arrivedBefore}`);

function readCursor(text: string): LogCursor {
  const [, below, arrived] = CURSOR.exec(text) ?? [];
  if (below === undefined) throw new Refusal('invalid_input', 'that is not a cursor of this list', { field: '/cursor' });
  return { below: Number(below), arrivedBefore: arrived === undefined ? null : Number(arrived) };
}

/** An entry without its sealed personal part. */
export async function presentEntry(directory: Directory, entry: StoredEntry): Promise<Answer<'logEntries'>['items'][number]> {
  const body = JSON.parse(entry.body) as { actor: PrincipalId | 'system'; data: Answer<'logEntries'>['items'][number]['data'] };
  return {
    index: entry.index,
    id: entry.id,
    at: entry.at.toISOString(),
    type: entry.type,
    actor: body.actor === 'system' ? 'system' : await directory.principal(body.actor),
    data: body.data,
  };
}

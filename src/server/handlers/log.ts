import { seeGrant, seeRequest } from '#app/visibility.ts';
import type { Answer } from '#contract/routes.ts';
import type { StoredEntry } from '#app/ports/store.ts';
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
        const before = query.cursor === undefined ? null : Number(query.cursor);
        if (before !== null && !Number.isSafeInteger(before)) throw new Refusal('invalid_input', 'that is not a cursor of this list', { field: '/cursor' });
        const filter = {
          ...(query.grant === undefined ? {} : { grant: query.grant as GrantId }),
          ...(query.request === undefined ? {} : { request: query.request as RequestId }),
          ...(query.type === undefined ? {} : { type: query.type }),
        };
        const rows = await tx.entries.list(filter, query.limit, before);
        const last = rows.at(-1);
        return {
          items: await Promise.all(rows.map((entry) => presentEntry(directory, entry))),
          next: rows.length < query.limit || last?.index === null || last === undefined ? null : String(last.index),
        };
      }),
    logHead: () =>
      app.store.transaction(async (tx) => {
        const { size, checkpoint } = await tx.entries.head();
        return { size, checkpoint, verifier: deps.log.verifier };
      }),
    async evidence({ actor, params }) {
      const indexes = await viewing(app, actor, async ({ tx, viewer }) => {
        const grant = await seeGrant(tx, viewer, params.id as GrantId);
        const { size } = await tx.entries.head();
        const entries = [...(await tx.entries.list({ request: grant.request }, 1000, null)), ...(await tx.entries.list({ grant: grant.id }, 1000, null))];
        return [...new Set(entries.flatMap(({ index }) => (index === null || index >= size ? [] : [index])))].sort((a, b) => a - b);
      });
      if (indexes.length === 0) throw new Refusal('wrong_state', 'the log has not numbered these entries yet', { hint: 'Try again in a second.' });
      return (await deps.log.evidence(app, indexes)) as Answer<'evidence'>;
    },
  };
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

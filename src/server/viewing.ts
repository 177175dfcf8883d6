import { knowActor, type Actor } from '#app/actor.ts';
import type { App } from '#app/app.ts';
import type { NamedPage, Page } from '#app/ports/store.ts';
import { Directory } from './present/directory.ts';

/** Reads in one transaction, as this actor. */
export function viewing<T>(app: App, actor: Actor, read: (directory: Directory) => Promise<T>): Promise<T> {
  return app.store.transaction(async (tx) => read(new Directory(app, tx, await knowActor(tx, actor.id))));
}

/** Cursors are the last id of the page before: ids sort by creation. */
export function pageOf(query: { limit: number; cursor?: string | undefined }): Page {
  return { before: query.cursor ?? null, limit: query.limit };
}

/** Lists of the catalogue are in order of the name, which nobody else ever gets. */
export function namedPageOf(query: { limit: number; cursor?: string | undefined }): NamedPage {
  return { after: query.cursor ?? null, limit: query.limit };
}

export function nextName(rows: readonly { readonly name: string }[], limit: number): string | null {
  return rows.length < limit ? null : (rows.at(-1)?.name ?? null);
}

export function nextOf(rows: readonly { readonly id: string }[], limit: number): string | null {
  return rows.length < limit ? null : (rows.at(-1)?.id ?? null);
}

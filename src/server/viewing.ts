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

/** Looks now, and again at each wake-up until `enough` or the time is over: long polling on the requests' topic. */
export async function lookUntil<T>(app: App, waitSeconds: number, signal: AbortSignal, look: () => Promise<T>, enough: (seen: T) => boolean): Promise<T> {
  let over = waitSeconds === 0;
  let wake: () => void = () => undefined;
  const timer = setTimeout(() => {
    over = true;
    wake();
  }, waitSeconds * 1000);
  const stop = app.store.listen('requests', () => wake());
  signal.addEventListener('abort', () => wake());
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      const seen = await look();
      if (over || signal.aborted || enough(seen)) return seen;
      // A lost wake-up costs a second, no more.
      await Promise.race([woken, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
    }
  } finally {
    clearTimeout(timer);
    stop();
  }
}

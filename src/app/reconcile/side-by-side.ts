import type { TargetId } from '#domain/id.ts';
import type { App } from '../app.ts';
import { whatWentWrong } from './attempt.ts';

/** Does something with each of many, at most `most` at a time, in their order. `work` must not reject. */
export async function atMost<T>(most: number, items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const waiting = items.values();
  const worker = async () => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
}

/**
 * Does something with each of many targets, at most `most` at a time. What one of them fails with is told under its id,
 * and holds up none of the others.
 */
export function sideBySide(app: App, what: string, targets: readonly TargetId[], most: number, work: (id: TargetId) => Promise<unknown>): Promise<void> {
  return atMost(most, targets, (id) => work(id).catch((error: unknown) => app.journal.warn(`${what} failed`, { target: id, ...whatWentWrong(error) })));
}

import type { TargetId } from '#domain/id.ts';
import type { App } from '../app.ts';
import { whatWentWrong } from './attempt.ts';

/**
 * Does something with each of many targets, at most `most` at a time. What one of them fails with is told under its id,
 * and holds up none of the others.
 */
export async function sideBySide(app: App, what: string, targets: readonly TargetId[], most: number, work: (id: TargetId) => Promise<unknown>): Promise<void> {
  const waiting = targets.values();
  const worker = async () => {
    for (const id of waiting) await work(id).catch((error: unknown) => app.journal.warn(`${what} failed`, { target: id, ...whatWentWrong(error) }));
  };
  await Promise.all(Array.from({ length: Math.min(most, targets.length) }, worker));
}

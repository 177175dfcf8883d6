import { sessionEnded } from '#domain/events/session-events.ts';
import { Refusal } from '#domain/refusal.ts';
import type { App } from '../app.ts';
import type { SessionEnd } from '../ports/gate.ts';

/** Ends per transaction: it takes some fifty milliseconds, and no lock is held longer. */
const MOST = 500;

interface Waiting {
  readonly end: SessionEnd;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Brokers tell that sessions are over. One that comes alone is written at once; those that come meanwhile are written
 * together, since a person's, a target's or a whole broker's sessions end in one instant. Each is answered when it is
 * written with its entry.
 */
export function noteEnds(app: App): (end: SessionEnd) => Promise<void> {
  const waiting: Waiting[] = [];
  let writing = false;
  const write = async () => {
    writing = true;
    while (waiting.length > 0) await writeSome(app, waiting.splice(0, MOST));
    writing = false;
  };
  return (end) => new Promise((done, failed) => {
    waiting.push({ end, done, failed });
    if (!writing) void write();
  });
}

/** Never rejects. What one stumbles over is not the others' fault; without the store each fails for itself. */
async function writeSome(app: App, some: readonly Waiting[]): Promise<void> {
  try {
    await sessionsAreOver(app, some.map(({ end }) => end));
    for (const { done } of some) done();
  } catch (error) {
    const alone = some.length === 1 || (error instanceof Refusal && error.code === 'unavailable');
    if (alone) for (const { failed } of some) failed(error);
    else for (const one of some) await writeSome(app, [one]);
  }
}

/** Told twice, an end counts once. */
async function sessionsAreOver(app: App, ends: readonly SessionEnd[]): Promise<void> {
  await app.store.transaction(async (tx) => {
    const ended = await tx.sessions.endAll(ends.map(({ session, reason, counters }) => ({ id: session, reason, ...counters })), tx.now);
    if (ended.length === 0) return;
    for (const session of ended) await tx.log(sessionEnded(session));
    // A removal may wait for its last session.
    await tx.notify('work', 'advance');
  });
}

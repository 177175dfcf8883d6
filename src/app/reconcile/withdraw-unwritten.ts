import type { GrantPart } from '#domain/grant.ts';
import type { GrantId } from '#domain/id.ts';
import type { App } from '../app.ts';
import type { ClaimedPart } from '../ports/store.ts';
import { openAttempt, whatWentWrong } from './attempt.ts';
import { atMost } from './side-by-side.ts';

const BATCH = 500;
/** Attempts at a time on one target. */
const PER_TARGET = 8;

/**
 * Fail open for less (I8, G06): while the log takes no entry no state moves, but what is due is taken away from its
 * target all the same. Answers whether it is gone. Nothing is written, so the ordinary removal still comes as soon as it can: it finds what it looks
 * for gone, which is success, and its entries stand in the log then. Until then what was taken away counts as due.
 */
export async function withdrawUnwritten(app: App, part: GrantPart): Promise<boolean> {
  const claimed: ClaimedPart = { part, sealedSecret: null };
  const { connector, plan } = await app.store.transaction((tx) => openAttempt(app, tx, claimed, part.deadline ?? tx.now));
  const { gone } = await connector.withdraw(plan);
  app.journal.error(gone ? 'the log takes no entry: a due removal was made without one, and will be written later' : 'the log takes no entry: a due removal without one is not finished, and is tried again', { grant: part.grant, part: part.id, fence: part.fence, gone });
  return gone;
}

/** Grants whose deadline has passed and whose end can't be written: each part until it is gone, for as long as the process lives. */
export class DueUnwritten {
  readonly #app: App;
  /** With the fence it had: whoever claimed the part since may have made it once more. */
  readonly #taken = new Map<GrantPart['id'], GrantPart['fence']>();
  #underWay = false;

  constructor(app: App) {
    this.#app = app;
  }

  /** Resolves never late: targets that hang hold up nothing but the next round of this. */
  start(): void {
    if (this.#underWay) return;
    this.#underWay = true;
    void this.#round().catch((error: unknown) => this.#app.journal.error('due removals could not be read', whatWentWrong(error))).finally(() => (this.#underWay = false));
  }

  async #round(): Promise<void> {
    const parts = await this.#due();
    // What brokers carry they have cut by their own clock; nothing else of it stands on the target.
    const left = parts.filter((part) => part.state !== 'absent' && part.kind !== 'brokered_session' && this.#taken.get(part.id) !== part.fence);
    const byTarget = [...Map.groupBy(left, ({ target }) => target).values()];
    await Promise.all(byTarget.map((there) => atMost(PER_TARGET, there, (part) => this.#take(part))));
  }

  /** All of it, a batch at a time: none of it moves, so that those behind the first batch would wait until the log is back. */
  async #due(): Promise<readonly GrantPart[]> {
    const parts: GrantPart[] = [];
    const seen: GrantId[] = [];
    for (;;) {
      const ids = await this.#app.store.transaction(async (tx) => {
        const due = (await tx.grants.lockDue(tx.now, BATCH, seen)).map(({ id }) => id);
        for (const each of (await tx.parts.ofGrants(due)).values()) parts.push(...each);
        return due;
      });
      seen.push(...ids);
      if (ids.length < BATCH) return parts;
    }
  }

  async #take(part: GrantPart): Promise<void> {
    try {
      if (await withdrawUnwritten(this.#app, part)) this.#taken.set(part.id, part.fence);
    } catch (error) {
      this.#app.journal.warn('a removal without the log failed; it is tried again', { grant: part.grant, part: part.id, ...whatWentWrong(error) });
    }
  }
}

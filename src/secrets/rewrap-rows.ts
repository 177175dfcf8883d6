import { SealBroken, type Secrets, type SecretIdentity } from '#app/ports/secrets.ts';

export interface SealedRow {
  readonly identity: SecretIdentity;
  readonly sealed: Uint8Array;
}

export interface RewrapOutcome {
  /** Already under the newest key. */
  readonly current: number;
  readonly rewrapped: number;
  /** Changed by somebody else in between: look again. */
  readonly raced: number;
  /** Rows that do not open. Old keys must be kept while there is one. */
  readonly broken: readonly SealBroken[];
  /** Nothing needs an old key any more. */
  readonly complete: boolean;
}

/**
 * Brings stored rows under the newest root key: the work behind `brevet keys rotate`. It may be stopped and run again
 * at any point, and several may run at once.
 *
 * @param save stores `next` only if the row still holds `row.sealed`, and says whether it did
 */
export async function rewrapRows(
  secrets: Secrets,
  rows: AsyncIterable<SealedRow> | Iterable<SealedRow>,
  save: (row: SealedRow, next: Uint8Array) => Promise<boolean>,
): Promise<RewrapOutcome> {
  let [current, rewrapped, raced] = [0, 0, 0];
  const broken: SealBroken[] = [];
  for await (const row of rows) {
    try {
      if (!secrets.needsRewrap(row.sealed, row.identity)) current += 1;
      else if (await save(row, secrets.rewrap(row.sealed, row.identity))) rewrapped += 1;
      else raced += 1;
    } catch (error) {
      if (!(error instanceof SealBroken)) throw error;
      broken.push(error);
    }
  }
  return { current, rewrapped, raced, broken, complete: raced === 0 && broken.length === 0 };
}

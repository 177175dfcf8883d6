import { createRequire } from 'node:module';
import type * as CedarModule from '@cedar-policy/cedar-wasm/nodejs';

export type Cedar = typeof CedarModule;
export type { Clause, DetailedError, EntityJson, Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';

/** Cedar's WebAssembly ran out of stack or memory on this input. Nothing was decided. */
export class CedarCrash extends Error {
  override readonly name = 'CedarCrash';
}

interface Instance {
  readonly cedar: Cedar;
  /** Grows with every fresh instance: what was pre-parsed into an older one is gone. */
  readonly generation: number;
}

const require = createRequire(import.meta.url);
const MODULE = '@cedar-policy/cedar-wasm/nodejs';
let current: Instance | null = null;
let generations = 0;

/**
 * Runs `work` with Cedar. The 4 MB of WebAssembly are loaded by the first call (about 30 ms), so that importing costs nothing.
 *
 * WebAssembly has no way back from a stack overflow: after one, every later call of that instance fails as well. Texts are
 * bounded before they get here (`source-text.ts`); should one still overflow, the instance is thrown away, so that one
 * poisonous policy does not stop all decisions of the process.
 * @throws CedarCrash
 */
export function withCedar<T>(work: (cedar: Cedar, generation: number) => T): T {
  current ??= load();
  try {
    return work(current.cedar, current.generation);
  } catch (error) {
    if (!(error instanceof Error && (error.name === 'RuntimeError' || error instanceof RangeError))) throw error;
    current = null;
    throw new CedarCrash('too complex for the policy engine', { cause: error });
  }
}

function load(): Instance {
  delete require.cache[require.resolve(MODULE)];
  generations += 1;
  return { cedar: require(MODULE) as Cedar, generation: generations };
}

import type { Json } from './json.ts';
import type { PrincipalId } from './id.ts';

/**
 * What a change of state tells the log. `data` is public to whoever may read the log: ids, instants, numbers, codes.
 * What names or describes a person (a reason, an address) goes into `personal`, which is sealed under that person's key.
 */
export interface LogEvent {
  readonly type: string;
  readonly data: { readonly [key: string]: Json };
  readonly personal?: { readonly subject: PrincipalId; readonly data: { readonly [key: string]: Json } };
  /** Who did it: a principal, or the system itself. */
  readonly actor: PrincipalId | 'system';
}

import type { LogEvent } from '../log-event.ts';

/** What happens to root keys is done on the host, by whoever may read them: no principal of Brevet's. Ids, never keys. */
export function rootKeyBroughtIn(id: string, before: string): LogEvent {
  return { type: 'root_key.brought_in', actor: 'system', data: { rootKey: id, before } };
}

/** Everything stands under it now. `values` were wrapped anew by the run that finished. */
export function rootKeyRotated(id: string, values: number): LogEvent {
  return { type: 'root_key.rotated', actor: 'system', data: { rootKey: id, values } };
}

export function rootKeyRetired(id: string): LogEvent {
  return { type: 'root_key.retired', actor: 'system', data: { rootKey: id } };
}

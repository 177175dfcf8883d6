import type { BrokerContext } from '../carried/context.ts';
import type { CancelKeys } from './cancel-keys.ts';

/** What every connection of a PostgreSQL broker shares. */
export interface PostgresContext extends BrokerContext {
  readonly keys: CancelKeys;
}

import type { Connector } from '#app/ports/connector.ts';
import type { PostgresUpstream } from '#app/ports/gate.ts';
import { Refusal } from '#domain/refusal.ts';
import { readConfig } from './config.ts';
import { plainText } from '../plain-text.ts';
import type { Scope } from './scope.ts';

/** Where and as whom a broker signs in. @throws Refusal `forbidden` for a database outside the scope */
export function upstream({ target, scope, user, password, within }: Parameters<Connector['upstream']>[0]): PostgresUpstream {
  const { host, port, tls, ca, database } = readConfig(target);
  const { database: granted, readOnly } = scope as unknown as Scope;
  if (granted !== null && within !== null && within !== granted) {
    throw new Refusal('forbidden', `this grant reaches database "${plainText(granted)}" only`, { hint: `Connect to database "${plainText(granted)}".` });
  }
  return {
    protocol: 'postgresql', host, port, tls, ca, database: granted ?? within ?? database, user, password,
    settings: readOnly ? { default_transaction_read_only: 'on' } : {},
  };
}

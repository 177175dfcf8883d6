import type { Connector } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { parseConfig } from './config.ts';
import { TIMEOUTS, type Timeouts } from './connect.ts';
import { prepareBrokered, provisionBrokered, withdrawBrokered } from './brokered.ts';
import { baseline } from './brokered-prior.ts';
import { prepareElevation, provisionElevation, withdrawElevation } from './elevation.ts';
import { listOwned, listStanding, probe } from './inspect.ts';
import { prepareAccount, reportLent } from './lent-roles.ts';
import { provisionAccount } from './provision.ts';
import { describe, within } from './scope-reach.ts';
import { parseScope, type Scope } from './scope.ts';
import type { Tools } from './tools.ts';
import { shortfalls } from './shortfalls.ts';
import { upstream } from './upstream.ts';
import { removeOwned, withdrawRole } from './withdraw.ts';

export interface PostgresConnectorOptions {
  /** Names this Brevet among others that administer the same server: lower-case letters and digits, the same for ever. */
  readonly installation: string;
  /** Cryptographically strong random bytes. */
  readonly random: (bytes: number) => Uint8Array;
  /** The wall clock, for measuring the target's skew. */
  readonly now: () => Date;
  readonly timeouts?: Partial<Timeouts>;
}

/** The connector for `postgresql`: PostgreSQL 13 to 18, signed in as a superuser or as a role with CREATEROLE. */
export function postgresConnector(options: PostgresConnectorOptions): Connector {
  const tools: Tools = { installation: options.installation, random: options.random, now: options.now, timeouts: { ...TIMEOUTS, ...options.timeouts } };
  return {
    type: 'postgresql',
    parseConfig,
    samePlace: (before, after) => before['host'] === after['host'] && before['port'] === after['port'],
    parseScope,
    within: (narrow, wide) => within(asScope(narrow), asScope(wide)),
    describe: (kind, scope) => describe(kind, asScope(scope)),
    probe: (target) => probe(target, tools),
    async prepare(plan) {
      if (plan.kind === 'temporary_elevation') return prepareElevation(plan, tools);
      return plan.kind === 'brokered_session' ? prepareBrokered(plan, tools) : prepareAccount(plan, tools);
    },
    baseline,
    provision(plan, stillMine) {
      if (plan.kind === 'ephemeral_account') return provisionAccount(plan, stillMine, tools);
      if (plan.kind === 'temporary_elevation') return provisionElevation(plan, stillMine, tools);
      return provisionBrokered(plan, tools);
    },
    async withdraw(plan) {
      if (plan.kind === 'brokered_session') return withdrawBrokered(plan, tools);
      const taken = await (plan.kind === 'ephemeral_account' ? withdrawRole(plan, null, tools) : withdrawElevation(plan, tools));
      return reportLent(plan, taken, tools);
    },
    listOwned: (target) => listOwned(target, tools),
    removeOwned: (target, name) => removeOwned(target, name, tools),
    upstream,
    shortfalls: (target, part) => shortfalls(target, part, tools),
    listStanding: (target) => listStanding(target, tools),
  };
}

/** A scope that `parseScope` has made: the store keeps it as plain JSON in between. */
function asScope(scope: JsonObject): Scope {
  return scope as unknown as Scope;
}

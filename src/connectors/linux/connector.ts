import type { Connector } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { baseline, prepareBrokered, provisionBrokered, withdrawBrokered } from './brokered.ts';
import { readConfig } from './config.ts';
import { TIMEOUTS, type Timeouts } from './connect.ts';
import { prepareElevation, provisionElevation, withdrawElevation } from './elevation.ts';
import { listStanding, probe } from './inspect.ts';
import { listOwned } from './owned.ts';
import { provisionAccount } from './provision.ts';
import { describe, within } from './scope-reach.ts';
import { parseScope, type Scope } from './scope.ts';
import { shortfalls } from './shortfalls.ts';
import type { Tools } from './tools.ts';
import { upstream } from './upstream.ts';
import { removeOwned, withdrawAccount } from './withdraw.ts';

export interface LinuxConnectorOptions {
  /** Names this Brevet among others that administer the same host: lower-case letters and digits, the same for ever. */
  readonly installation: string;
  /** Cryptographically strong random bytes. */
  readonly random: (bytes: number) => Uint8Array;
  /** The wall clock, for measuring the target's skew. */
  readonly now: () => Date;
  readonly timeouts?: Partial<Timeouts>;
}

/**
 * The connector for `ssh`: a Linux host, from outside, over SSH. A target's type says how people reach it, and this folder what is
 * changed there: accounts, groups and sudo are Linux's, and a router that speaks SSH has none of them.
 */
export function linuxConnector(options: LinuxConnectorOptions): Connector {
  if (!/^[0-9a-z]{1,40}$/.test(options.installation)) throw new RangeError('an installation is named by lower-case letters and digits');
  const tools: Tools = { installation: options.installation, random: options.random, now: options.now, timeouts: { ...TIMEOUTS, ...options.timeouts } };
  return {
    type: 'ssh',
    parseConfig: readConfig,
    samePlace: (before, after) => before['host'] === after['host'] && before['port'] === after['port'],
    parseScope,
    within: (narrow, wide) => within(asScope(narrow), asScope(wide)),
    describe: (kind, scope) => describe(kind, asScope(scope)),
    probe: (target) => probe(target, tools),
    async prepare(plan) {
      if (plan.kind === 'temporary_elevation') return prepareElevation(plan, tools);
      return plan.kind === 'brokered_session' ? prepareBrokered(plan, tools) : {};
    },
    baseline,
    provision(plan, stillMine) {
      if (plan.kind === 'ephemeral_account') return provisionAccount(plan, stillMine, tools);
      return plan.kind === 'temporary_elevation' ? provisionElevation(plan, stillMine, tools) : provisionBrokered(plan, tools);
    },
    withdraw(plan) {
      if (plan.kind === 'ephemeral_account') return withdrawAccount(plan, tools);
      return plan.kind === 'temporary_elevation' ? withdrawElevation(plan, tools) : withdrawBrokered(plan, tools);
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

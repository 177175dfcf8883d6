import type { App } from '#app/app.ts';
import type { Answer } from '#contract/routes.ts';
import { catalogueOf } from './policy-tools.ts';
import { lintPolicies } from '#policy/lint.ts';
import type { LoadedKeys } from '#secrets/loaded-keys.ts';
import type { ServerCertificate } from '#signin/certificate-authority.ts';
import type { Settings } from './settings.ts';
import { diagnoseEntitlements } from './diagnose-entitlements.ts';
import { diagnoseTargets } from './diagnose-targets.ts';

type Check = Answer<'doctor'>['checks'][number];

export interface Diagnosed {
  readonly app: App;
  readonly settings: Settings;
  readonly version: string;
  readonly store: { readonly description: string; readonly exposed: boolean };
  readonly rootKeys: LoadedKeys;
  /** Who hands calls on without being named in the settings. */
  readonly unnamedProxy: () => string | null;
  readonly broker: () => { readonly port: number; readonly processes: number; readonly certificate: Pick<ServerCertificate, 'notAfter' | 'renewAt'> | null } | null;
}

/** `brevet doctor`: what is in force and what is wrong, each with what to do. */
export async function diagnose(of: Diagnosed): Promise<Answer<'doctor'>> {
  const { app, settings } = of;
  const checks: Check[] = [];
  const say = (name: string, state: Check['state'], message: string, hint: string | null = null) => checks.push({ name, state, message, hint });
  if (of.store.exposed) say('store', 'warning', `${of.store.description}: whoever is on the way reads and changes what decides who gets what`, 'Turn TLS on there, and add sslmode=verify-full to DATABASE_URL, with sslrootcert=FILE for an authority of your own.');
  else say('store', 'ok', of.store.description);
  const { keys, provider } = of.rootKeys;
  say('root keys', 'ok', `${provider}, ${keys.ids.length} loaded; ${keys.sealsUnder} seals`);
  const counts = await app.store.transaction((tx) => tx.entries.counts());
  if (counts.overdue > 0) say('removals', 'error', `${counts.overdue} removals are overdue`, 'brevet grants --all --overdue tells which, and why.');
  else say('removals', 'ok', 'nothing is overdue');
  const [targets, entitlements] = await Promise.all([diagnoseTargets(app), diagnoseEntitlements(app)]);
  checks.push(...targets, ...entitlements);
  if (targets.length === 0) say('targets', 'warning', 'there are none', 'Describe one in YAML and run: brevet apply FOLDER');
  const policies = await app.store.transaction((tx) => tx.policies.current());
  const findings = policies ? lintPolicies(policies.sources, await catalogueOf(app)) : [];
  if (!policies) say('policies', 'error', 'none are published: nothing can be granted', 'brevet apply FOLDER');
  else if (findings.length > 0) say('policies', 'warning', `version ${policies.version}, with ${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}`, 'brevet policy lint tells which.');
  else say('policies', 'ok', `version ${policies.version}`);
  const proxy = of.unnamedProxy();
  if (proxy !== null) say('proxies', 'warning', `calls come with X-Forwarded-For, last from ${proxy}, and no proxy is configured: whoever comes through it has one address and shares its bounds`, `If a proxy of yours is there: BREVET_PROXIES=${proxy}. If not, somebody claims another address in vain.`);
  const broker = of.broker();
  if (broker) say('broker', 'ok', `${broker.processes} processes on port ${broker.port}`);
  if (broker?.certificate) checks.push(certificateCheck(broker.certificate, await app.store.transaction(async (tx) => tx.now)));
  if (!broker) say('broker', 'warning', 'no broker runs here', 'Set broker.processes to 1 or more.');
  const { rootKey, database, ...rest } = settings;
  return {
    version: of.version,
    checks,
    settings: { ...rest, rootKey: rootKey === null ? 'file beside the data' : 'given', database: database === null ? 'embedded' : 'given' } as Answer<'doctor'>['settings'],
  };
}

/** Looked at each hour: what is late by more than a day is not being renewed. */
export function certificateCheck({ notAfter, renewAt }: Pick<ServerCertificate, 'notAfter' | 'renewAt'>, now: Date): Check {
  const name = 'broker certificate';
  const until = notAfter.toISOString();
  const hint = "The server's journal tells why it is not renewed; a restart makes a new one.";
  if (now >= notAfter) return { name, state: 'error', message: `ran out at ${until}: clients refuse it`, hint };
  if (now.getTime() > renewAt.getTime() + 86_400_000) return { name, state: 'warning', message: `was due to be renewed at ${renewAt.toISOString()}, and runs out at ${until}`, hint };
  return { name, state: 'ok', message: `good until ${until}, renewed from ${renewAt.toISOString()} on`, hint: null };
}

import type { App } from '#app/app.ts';
import type { Answer } from '#contract/routes.ts';
import { catalogueOf } from './policy-tools.ts';
import { lintPolicies } from '#policy/lint.ts';
import type { ServerCertificate } from '#signin/certificate-authority.ts';
import type { Settings } from './settings.ts';

type Check = Answer<'doctor'>['checks'][number];

export interface Diagnosed {
  readonly app: App;
  readonly settings: Settings;
  readonly version: string;
  readonly store: string;
  readonly rootKeys: string;
  readonly broker: () => { readonly port: number; readonly processes: number; readonly certificate: Pick<ServerCertificate, 'notAfter' | 'renewAt'> | null } | null;
}

/** `brevet doctor`: what is in force and what is wrong, each with what to do. */
export async function diagnose(of: Diagnosed): Promise<Answer<'doctor'>> {
  const { app, settings } = of;
  const checks: Check[] = [];
  const say = (name: string, state: Check['state'], message: string, hint: string | null = null) => checks.push({ name, state, message, hint });
  say('store', 'ok', of.store);
  say('root keys', 'ok', of.rootKeys);
  const counts = await app.store.transaction((tx) => tx.entries.counts());
  if (counts.overdue > 0) say('removals', 'error', `${counts.overdue} removals are overdue`, 'brevet grants --all --overdue tells which, and why.');
  else say('removals', 'ok', 'nothing is overdue');
  const targets = await app.store.transaction(async (tx) => {
    const live = (await tx.catalogue.targets()).filter((target) => target.retiredAt === null);
    return Promise.all(live.map(async (target) => ({ name: target.name, health: await tx.catalogue.health(target.id), credential: (await tx.catalogue.credential(target.id)) !== null })));
  });
  for (const { name, health, credential } of targets) {
    if (!credential) say(`target ${name}`, 'error', 'Brevet has no credential for it', `brevet target credential ${name}`);
    else if (health?.unreachableSince) say(`target ${name}`, 'error', `does not answer since ${health.unreachableSince.toISOString()}: ${health.problem ?? ''}`, 'Its removals are tried every few seconds.');
    else if (health?.skewMs && Math.abs(health.skewMs) > app.limits.clockSkewMs) say(`target ${name}`, 'error', `its clock is ${health.skewMs} ms off`, 'Nothing new is granted on it until its clock is right.');
    // Answering is not letting in: a wrong password comes from a server that is up.
    else if (health?.problem) say(`target ${name}`, 'error', `at the last try: ${health.problem}`, `brevet target standing ${name} tries again.`);
    else if (!health?.checkedAt) say(`target ${name}`, 'warning', 'not tried yet', `brevet target standing ${name} signs in to it.`);
    else say(`target ${name}`, 'ok', `answered, version ${health.version ?? 'unknown'}`);
  }
  if (targets.length === 0) say('targets', 'warning', 'there are none', 'Describe one in YAML and run: brevet apply FOLDER');
  const policies = await app.store.transaction((tx) => tx.policies.current());
  const findings = policies ? lintPolicies(policies.sources, await catalogueOf(app)) : [];
  if (!policies) say('policies', 'error', 'none are published: nothing can be granted', 'brevet apply FOLDER');
  else if (findings.length > 0) say('policies', 'warning', `version ${policies.version}, with ${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}`, 'brevet policy lint tells which.');
  else say('policies', 'ok', `version ${policies.version}`);
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

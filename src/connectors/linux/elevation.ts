import { z } from 'zod';
import type { PartPlan, Provisioned, Withdrawn } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { openHost, type HostSession } from './connect.ts';
import { hostScript, type Values } from './host-script.ts';
import { partValues } from './marker.ts';
import { isLogin } from './names.ts';
import { digest, evidenceOf, linesOf, notAsPlanned } from './provision.ts';
import { parseScope } from './scope.ts';
import { sudoersFile, sudoTime } from './sudoers.ts';
import type { Tools } from './tools.ts';
import { withdrawn } from './withdraw.ts';

const PRIOR = z.object({
  /** The account's number: its name may change meanwhile. */
  uid: z.int().positive(),
  accountName: z.string().refine(isLogin),
  /** Groups of the scope that the account holds by itself, and keeps. */
  held: z.array(z.string().refine(isLogin)),
  readAt: z.string(),
});
type Prior = z.infer<typeof PRIOR>;

/** @throws Refusal `invalid_input` when it is not what `prepare` made */
function parsePrior(prior: JsonObject | null): Prior {
  const parsed = PRIOR.safeParse(prior);
  if (!parsed.success) throw new Refusal('invalid_input', 'the elevation has not been prepared', { field: '/prior' });
  return parsed.data;
}

/** Which account it is, and what of the scope it holds already. Changes nothing. */
export async function prepareElevation(plan: PartPlan, tools: Tools): Promise<Prior & JsonObject> {
  await using session = await openHost(plan.target, tools.timeouts);
  const name = accountOf(plan, session);
  const { facts } = await session.run(hostScript('prepare_elevation', valuesOf(plan, session, name, null, tools)));
  const held = (facts['held'] ?? '').split(' ').filter((group) => group !== '');
  return parsePrior({ uid: Number(facts['uid']), accountName: name, held, readAt: facts['readAt'] ?? '' }) as Prior & JsonObject;
}

export async function provisionElevation(plan: PartPlan, stillMine: () => Promise<boolean>, tools: Tools): Promise<Provisioned> {
  const scope = parseScope('temporary_elevation', plan.scope);
  const prior = parsePrior(plan.prior);
  await using session = await openHost(plan.target, tools.timeouts);
  const name = accountOf(plan, session);
  const values = valuesOf(plan, session, name, prior, tools);
  const read = await session.run(hostScript('raise', values), stillMine);
  const faults = [...read.problems];
  const rule = values.SUDOERS ?? '';
  if (read.facts['groups'] !== scope.groups.join(' ')) faults.push(`it is a member of ${read.facts['groups'] || 'none'} of the groups`);
  if (read.facts['rule'] !== (rule === '' ? undefined : digest(rule))) faults.push('its sudo rule is another');
  if (faults.length > 0) throw notAsPlanned(faults);
  return { secret: null, evidence: { ...evidenceOf(read, plan, session.server), raised: name } };
}

/** Takes away what was lent and ends what runs with it. What the account held before, or got beside it, is its own. */
export async function withdrawElevation(plan: PartPlan, tools: Tools): Promise<Withdrawn> {
  if (plan.prior === null) return { gone: true, residue: [], evidence: { found: false, nothingWasGiven: true } };
  const prior = parsePrior(plan.prior);
  await using session = await openHost(plan.target, tools.timeouts);
  const values = valuesOf(plan, session, prior.accountName, prior, tools);
  return withdrawn(await session.run(hostScript('lock; read_state "$STATE/$INSTALLATION/$OBJECT" || :; lower', values)));
}

function valuesOf(plan: PartPlan, session: HostSession, account: string, prior: Prior | null, tools: Tools): Values {
  const scope = parseScope('temporary_elevation', plan.scope);
  return {
    ...partValues(plan, session.config, tools), ACCOUNT: account, ACCOUNT_UID: prior === null ? '' : String(prior.uid), HELD: prior?.held.join(' ') ?? '',
    GROUPS_WANTED: scope.groups.join(' '), COMMANDS: linesOf(scope.sudo), SUDOERS: sudoersFile(plan, account, scope, tools.installation), NOTAFTER: sudoTime(plan.deadline),
  };
}

/** @throws Refusal `invalid_input`, and `dangerous_scope` for Brevet's own account */
export function accountOf(plan: PartPlan, session: HostSession): string {
  if (plan.account === null || !isLogin(plan.account)) throw new Refusal('invalid_input', 'the part names no account of the host', { field: '/account' });
  if (plan.account === session.config.user || plan.account === 'root') throw new Refusal('dangerous_scope', 'root and Brevet\'s own account are not for grants', { field: '/account' });
  return plan.account;
}

import { createHash } from 'node:crypto';
import type { PartPlan, Provisioned } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { plainText } from '../plain-text.ts';
import { keyLine, makeKey } from './account-key.ts';
import type { Answer } from './answer.ts';
import { openHost } from './connect.ts';
import { hostScript } from './host-script.ts';
import { partValues } from './marker.ts';
import { parseScope, type Scope } from './scope.ts';
import { sudoersFile, sudoTime } from './sudoers.ts';
import type { Tools } from './tools.ts';

const DAY_MS = 86_400_000;

/**
 * The account's expiry, in days since 1970: the first day on which it is over. Days are all that the host knows here; the key's own
 * `expiry-time` and sudo's `NOTAFTER` are to the second.
 */
export function expiryDay(deadline: Date): number {
  return Math.floor(deadline.getTime() / DAY_MS) + 1;
}

/** Makes the account of an `ephemeral_account` part, with a new key at each attempt, and compares what was read back with the plan. */
export async function provisionAccount(plan: PartPlan, stillMine: () => Promise<boolean>, tools: Tools): Promise<Provisioned> {
  const scope = parseScope('ephemeral_account', plan.scope);
  await using session = await openHost(plan.target, tools.timeouts);
  const values = partValues(plan, session.config, tools);
  const name = values.NAME ?? '';
  const key = makeKey(tools.random, plan.objectName);
  const line = keyLine(key.publicKey, scope, plan.deadline, plan.objectName, session.server);
  const rule = sudoersFile(plan, name, scope, tools.installation);
  const script = hostScript('make_account', {
    ...values, KEY_LINE: line, EXPIRES: String(expiryDay(plan.deadline)), GROUPS_WANTED: scope.groups.join(' '), COMMANDS: linesOf(scope.sudo), SUDOERS: rule, NOTAFTER: sudoTime(plan.deadline),
  });
  const read = await session.run(script, stillMine);
  const faults = [...read.problems, ...compare(read, name, plan, scope, { mark: values.MARK ?? '', keys: digest(`${line}\n`), rule: rule === '' ? undefined : digest(rule) })];
  if (faults.length > 0) throw notAsPlanned(faults);
  return { secret: key.privateKey, evidence: evidenceOf(read, plan, session.server) };
}

/** Too much is as wrong as too little. */
function compare({ facts }: Answer, name: string, plan: PartPlan, scope: Scope, wanted: { mark: string; keys: string; rule: string | undefined }): string[] {
  const faults: string[] = [];
  const groups = (facts['groups'] ?? '').trim();
  if (facts['account'] !== name || facts['uid'] === '0' || facts['uid'] !== facts['gid']) faults.push('it has another name or number');
  if (facts['mark'] !== wanted.mark) faults.push('it does not bear the mark');
  if (groups !== scope.groups.join(' ')) faults.push(`it is a member of ${groups || 'nothing'}`);
  if (facts['expires'] !== String(expiryDay(plan.deadline))) faults.push('its expiry is not the deadline');
  if (facts['password'] !== undefined) faults.push('it has a password');
  if (facts['keys'] !== wanted.keys) faults.push('its keys are others');
  if (facts['rule'] !== wanted.rule) faults.push('its sudo rule is another');
  return faults;
}

export function notAsPlanned(faults: readonly string[]): Refusal {
  return new Refusal('target_refused', plainText(`what was made is not as planned: ${faults.slice(0, 5).join('; ')}`), { hint: 'It is tried again. What the host lacks is shown by: brevet doctor' });
}

export function linesOf(commands: readonly string[]): string {
  return commands.map((command) => `${command}\n`).join('');
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function evidenceOf({ facts }: Answer, plan: PartPlan, server: string): JsonObject {
  const { keys: _, mark: __, ...shown } = facts;
  return { ...shown, validUntil: plan.deadline.toISOString(), server: plainText(server).slice(0, 80) };
}

import type { PartPlan } from '#app/ports/connector.ts';
import { isId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { TargetConfig } from './config.ts';
import { loginOf } from './names.ts';
import type { Values } from './host-script.ts';
import type { Tools } from './tools.ts';

/**
 * The truth about what was given stands in a file of root's on the host, one for each object, written before anything else and
 * deleted last (host/base.sh). The mark, in an account's GECOS field and on the first line of a sudo rule, is a hint: it finds
 * what is Brevet's when that file is lost, and is believed only in what takes away.
 */
export function markOf(plan: Pick<PartPlan, 'grant' | 'part'>, installation: string): string {
  return `brevet of=${installation} grant=${plan.grant} part=${plan.part}`;
}

/** Grant and part of a mark of this installation. */
export function parseMark(text: string, installation: string): { readonly grant: string; readonly part: string } | null {
  const [, of, grant, part] = /^brevet of=([0-9a-z]{1,40}) grant=(\S+) part=(\S+)$/.exec(text) ?? [];
  return of === installation && isId('grant', grant) && isId('part', part) ? { grant, part } : null;
}

/** What every script on the host needs to know. */
export function groundValues(config: TargetConfig, tools: Tools): Values {
  return {
    INSTALLATION: tools.installation, HOMES: config.homes, KEYS: config.keysFolder ?? '', UID_FROM: String(config.uids.from), UID_TO: String(config.uids.to),
    PATIENCE: String(Math.max(1, Math.round(tools.timeouts.lock / 1000))),
  };
}

/** The values of a part. @throws Refusal `invalid_input` for names that come from no grant */
export function partValues(plan: PartPlan, config: TargetConfig, tools: Tools): Values {
  const name = loginOf(plan.objectName);
  if (name === null) throw new Refusal('invalid_input', 'the account\'s name does not come from a grant', { field: '/objectName' });
  if (!isId('grant', plan.grant) || !isId('part', plan.part) || !Number.isSafeInteger(plan.fence)) throw new Refusal('invalid_input', 'the plan names no grant', { field: '/grant' });
  if (Number.isNaN(plan.deadline.getTime())) throw new Refusal('invalid_input', 'the deadline is no date', { field: '/deadline' });
  return {
    ...groundValues(config, tools), OBJECT: plan.objectName, NAME: name, GRANT: plan.grant, PART: plan.part, FENCE: String(plan.fence), KIND: plan.kind,
    MARK: markOf(plan, tools.installation), UNTIL: plan.deadline.toISOString(),
  };
}

import type { PartPlan, TargetAccess, Withdrawn } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import type { Answer } from './answer.ts';
import { openHost } from './connect.ts';
import { hostScript } from './host-script.ts';
import { groundValues, markOf, parseMark, partValues } from './marker.ts';
import { isObjectName, loginOf } from './names.ts';
import { listMarks } from './owned.ts';
import type { Tools } from './tools.ts';

const READ = 'read_state "$STATE/$INSTALLATION/$OBJECT" || :';

/** Removes the account of an `ephemeral_account` from whatever half state it is in (host/take-account.sh). */
export async function withdrawAccount(plan: PartPlan, tools: Tools): Promise<Withdrawn> {
  await using session = await openHost(plan.target, tools.timeouts);
  return withdrawn(await session.run(hostScript(`lock; ${READ}; take_account`, partValues(plan, session.config, tools))));
}

/** Removes an object of this Brevet's that no grant knows, by what the host has written down of it, or by its mark. */
export async function removeOwned(target: TargetAccess, name: string, tools: Tools): Promise<Withdrawn> {
  const login = loginOf(name);
  if (!isObjectName(name) || login === null) return { gone: false, residue: [], evidence: { problems: ['it bears no name of Brevet\'s'] } };
  await using session = await openHost(target, tools.timeouts);
  const marked = (await listMarks(session, tools)).find((one) => one.login === login);
  const mark = marked === undefined ? null : parseMark(marked.mark, tools.installation);
  const values = {
    ...groundValues(session.config, tools), OBJECT: name, NAME: login,
    // A mark that is none matches no account; one that was written down is found by its number.
    MARK: mark === null ? `brevet of=${tools.installation} nobody` : markOf(mark as Pick<PartPlan, 'grant' | 'part'>, tools.installation),
  };
  const call = `lock; ${READ}
  if [ "$S_kind" = temporary_elevation ]; then ACCOUNT=$S_name ACCOUNT_UID=$S_uid; lower; else take_account; fi`;
  return withdrawn(await session.run(hostScript(call, values)));
}

export function withdrawn(read: Answer): Withdrawn {
  const { ended, found, readAt } = read.facts;
  const evidence: JsonObject = {
    found: found === 'yes', processesEnded: Number(ended ?? 0), left: read.left, ...(read.problems.length > 0 ? { problems: read.problems } : {}), readAt: readAt ?? '',
  };
  return { gone: read.gone, residue: read.residue, evidence };
}

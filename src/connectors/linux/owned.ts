import type { OwnedObject, TargetAccess } from '#app/ports/connector.ts';
import { openHost, type HostSession } from './connect.ts';
import { hostScript } from './host-script.ts';
import { groundValues, parseMark } from './marker.ts';
import { isObjectName, objectOf } from './names.ts';
import type { Tools } from './tools.ts';

/** Everything of this Brevet's on the host: what is written down there, and what bears its mark without that. */
export async function listOwned(target: TargetAccess, tools: Tools): Promise<readonly OwnedObject[]> {
  await using session = await openHost(target, tools.timeouts);
  const { rows } = await session.run(hostScript('list_owned', groundValues(session.config, tools)));
  const owned = new Map<string, OwnedObject>();
  for (const [kind, first, second] of rows) {
    const name = kind === 'owned' ? first : kind === 'marked' && parseMark(second, tools.installation) !== null ? objectOf(first) : null;
    if (name === null || !isObjectName(name)) continue;
    const until = new Date(kind === 'owned' ? second : '');
    owned.set(name, { name, validUntil: Number.isNaN(until.getTime()) ? (owned.get(name)?.validUntil ?? null) : until });
  }
  return [...owned.values()];
}

/** Accounts with this installation's mark, by the name that they have now. */
export async function listMarks(session: HostSession, tools: Tools): Promise<readonly { readonly login: string; readonly mark: string }[]> {
  const { rows } = await session.run(hostScript('list_owned', groundValues(session.config, tools)));
  return rows.filter(([kind]) => kind === 'marked').map(([, login, mark]) => ({ login, mark }));
}

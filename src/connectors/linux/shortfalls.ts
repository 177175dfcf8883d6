import type { Shortfall, TargetAccess } from '#app/ports/connector.ts';
import type { GrantKind } from '#domain/entitlement.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowsUtc } from './account-key.ts';
import { openHost } from './connect.ts';
import { hostScript } from './host-script.ts';
import { groundValues } from './marker.ts';
import { isLogin } from './names.ts';
import { linesOf } from './provision.ts';
import { parseScope } from './scope.ts';
import type { Tools } from './tools.ts';

interface Part {
  readonly kind: GrantKind;
  readonly account: string | null;
  readonly scope: JsonObject;
}

/** Asks the host, as root, whether everything is there that making the part would use. */
export async function shortfalls(target: TargetAccess, { kind, account, scope }: Part, tools: Tools): Promise<readonly Shortfall[]> {
  try {
    const wanted = parseScope(kind, scope);
    await using session = await openHost(target, tools.timeouts);
    const named = account !== null && isLogin(account) ? account : '';
    const { rows } = await session.run(hostScript('find_shortfalls', {
      ...groundValues(session.config, tools), KIND: kind, ACCOUNT: named, GROUPS_WANTED: wanted.groups.join(' '), COMMANDS: linesOf(wanted.sudo), SUDOERS: wanted.sudo.length === 0 ? '' : 'wanted',
    }));
    const found = rows.flatMap(([what, first, second]): Shortfall[] => {
      if (what === 'lack') return [{ message: first, sql: null, hint: second || null }];
      return what === 'refused' ? [{ message: second, sql: null, hint: null }] : [];
    });
    if (kind === 'ephemeral_account' && !knowsUtc(session.server)) {
      found.push({ message: `${session.server || 'sshd'} knows no end of a key in UTC: by itself the host ends an account at the end of a day only`, sql: null, hint: 'OpenSSH 9.1 or later does; without it the scheduled removal and the sweep end the account.' });
    }
    return found;
  } catch (error) {
    if (!(error instanceof Refusal) || error.code === 'target_unreachable') throw error;
    return [{ message: error.message, sql: null, hint: error.details.hint ?? null }];
  }
}

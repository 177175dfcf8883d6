import { CompactRange, leafHash } from '#log/merkle-tree.ts';
import { parseEntry } from '#log/entry.ts';
import { History } from '#log/history.ts';
import { isAnyOurs } from '../ground-truth.ts';
import type { World } from '../world.ts';

/** What is not at its end yet, in words; `null` when everything is. */
export function everythingIsOver({ memory: { tables }, targets }: World): string | null {
  for (const id of tables.requests.live) return `${id} is pending`;
  for (const id of tables.grants.live) return `${id} is ${tables.grants.rows.get(id)?.state}`;
  for (const id of tables.parts.live) return `${id} is ${tables.parts.rows.get(id)?.part.state}`;
  for (const id of tables.sessions.live) return `${id} is ${tables.sessions.rows.get(id)?.state}`;
  for (const id of tables.entries.live) return `${id} has no number`;
  for (const target of targets) {
    for (const account of target.accounts.values()) if (isAnyOurs(account)) return `${account.name} is on ${target.name}`;
    for (const { pid } of target.backends.values()) return `connection ${pid} stands on ${target.name}`;
  }
  return null;
}

/** The log is dense, is what its checkpoint says, and tells a history that the state tables allow. */
export function logIsWhole({ memory: { tables } }: World): string | null {
  const entries = [...tables.entries.rows.values()].sort((a, b) => (a.index ?? Infinity) - (b.index ?? Infinity));
  const range = CompactRange.restore({ size: 0, hashes: [] });
  const history = new History('whole');
  for (const [at, { index, body }] of entries.entries()) {
    if (index !== at) return `entry ${at} has the number ${index}`;
    const bytes = Buffer.from(body);
    range.append(leafHash(bytes));
    const impossible = history.apply(parseEntry(bytes));
    if (impossible !== null) return `entry ${at}: ${impossible}`;
  }
  const head = tables.logState.rows.get('one');
  const expected = entries.length === 0 ? head?.checkpoint : `${entries.length} ${Buffer.from(range.root()).toString('hex')}`;
  return head?.size === entries.length && head.checkpoint === expected ? null : `the checkpoint is ${head?.checkpoint}, the entries say ${expected}`;
}

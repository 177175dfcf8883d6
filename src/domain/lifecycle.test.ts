import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  GRANT_STATES, GRANT_TRANSITIONS, mayBecome, PART_STATES, PART_TRANSITIONS, REQUEST_STATES, REQUEST_TRANSITIONS, SESSION_STATES, SESSION_TRANSITIONS,
} from './lifecycle.ts';

type Table = Readonly<Record<string, readonly string[]>>;
const MACHINES: readonly { name: string; states: readonly string[]; table: Table; first: string; last: readonly string[] }[] = [
  { name: 'request', states: REQUEST_STATES, table: REQUEST_TRANSITIONS, first: 'pending', last: ['approved', 'denied', 'cancelled', 'expired'] },
  { name: 'grant', states: GRANT_STATES, table: GRANT_TRANSITIONS, first: 'scheduled', last: ['ended'] },
  { name: 'part', states: PART_STATES, table: PART_TRANSITIONS, first: 'planned', last: ['absent'] },
  { name: 'session', states: SESSION_STATES, table: SESSION_TRANSITIONS, first: 'pending', last: ['ended'] },
];

/** Every state that can come after `from`, however many steps later. */
function after(table: Table, from: string): ReadonlySet<string> {
  const seen = new Set<string>();
  for (const open = [from]; open.length > 0; ) {
    for (const next of table[open.pop() as string] ?? []) {
      if (!seen.has(next)) open.push(next);
      seen.add(next);
    }
  }
  return seen;
}

for (const { name, states, table, first, last } of MACHINES) {
  test(`${name}: the table knows every state, all of them can be reached, and only the last ones are final`, () => {
    assert.deepEqual(Object.keys(table), states);
    for (const targets of Object.values(table)) for (const target of targets) assert.ok(states.includes(target), target);
    assert.deepEqual([first, ...after(table, first)].sort(), [...states].sort());
    assert.deepEqual(states.filter((state) => table[state]?.length === 0), last);
  });

  test(`${name}: nothing comes back to a state that it has left, and everything can come to an end`, () => {
    for (const state of states) {
      const later = after(table, state);
      assert.ok(!later.has(state), state);
      assert.ok(last.includes(state) || last.some((end) => later.has(end)), state);
    }
  });
}

test('invariant 5: once it is being taken away, a grant can only end', () => {
  assert.deepEqual([...after(GRANT_TRANSITIONS, 'revoking')], ['ended']);
  for (const state of ['scheduled', 'activating', 'active'] as const) assert.ok(mayBecome(GRANT_TRANSITIONS, state, 'revoking'), state);
  assert.ok(!mayBecome(GRANT_TRANSITIONS, 'active', 'ended'), 'ended without having been read back');
  assert.ok(!mayBecome(GRANT_TRANSITIONS, 'scheduled', 'active'), 'active without having been made real');
  assert.ok(!mayBecome(REQUEST_TRANSITIONS, 'denied', 'approved'));
});

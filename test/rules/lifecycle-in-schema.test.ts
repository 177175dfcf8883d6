import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  END_REASONS, GRANT_STATES, GRANT_TRANSITIONS, PART_STATES, PART_TRANSITIONS, REQUEST_STATES, SESSION_STATES,
} from '#domain/lifecycle.ts';
import { END_MODES, GRANT_KINDS } from '#domain/entitlement.ts';

/** The state machines stand in the domain; the schema's constraints repeat them, and may not drift. */
const schema = readFileSync(new URL('../../src/store/schema.sql', import.meta.url), 'utf8');
const migration = readFileSync(new URL('../../src/store/migrations/0001-foundation.sql', import.meta.url), 'utf8');

function table(name: string): string {
  const found = new RegExp(`create table brevet\\.${name} \\(([\\s\\S]*?)\\n\\);`).exec(migration)?.[1];
  assert.ok(found, `there is no table ${name}`);
  return found;
}

function listed(of: string, column: string): readonly string[] {
  const list = new RegExp(`\\b${column}\\s+text[^,]*?check \\(${column} in \\(([^)]*)\\)`).exec(table(of))?.[1];
  assert.ok(list, `${of}.${column} has no list`);
  return [...list.matchAll(/'(\w+)'/g)].map((match) => match[1] as string);
}

test('the schema lists the states, kinds and reasons of the domain', () => {
  assert.deepEqual(listed('requests', 'state'), REQUEST_STATES);
  assert.deepEqual(listed('grants', 'state'), GRANT_STATES);
  assert.deepEqual(listed('grants', 'end_reason'), END_REASONS);
  assert.deepEqual(listed('grant_parts', 'state'), PART_STATES);
  assert.deepEqual(listed('grant_parts', 'kind'), GRANT_KINDS);
  assert.deepEqual(listed('sessions', 'state'), SESSION_STATES);
  assert.equal(new Set(END_MODES).size, 3);
});

/** Pairs of states that a trigger lets pass, as the schema has them. */
function heldBy(trigger: string): readonly string[] {
  const pairs = new RegExp(`OR REPLACE FUNCTION brevet\\.${trigger}[\\s\\S]*?not in \\(([\\s\\S]*?)\\)\\) then`).exec(schema)?.[1] ?? '';
  return [...pairs.matchAll(/\('(\w+)', '(\w+)'/g)].map(([, from, to]) => `${from} -> ${to}`).toSorted();
}

test('the triggers let grants and parts move as the domain does, and no other way', () => {
  const meant = GRANT_STATES.flatMap((from) => GRANT_TRANSITIONS[from].map((to) => `${from} -> ${to}`));
  assert.deepEqual(heldBy('grants_move_forward'), meant.toSorted());
  const ofParts = PART_STATES.flatMap((from) => PART_TRANSITIONS[from].map((to) => `${from} -> ${to}`));
  assert.deepEqual(heldBy('parts_move_forward'), ofParts.toSorted());
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GRANT_STATES, PART_STATES, REQUEST_STATES, SESSION_STATES } from '#domain/lifecycle.ts';
import { entriesOfLog, entryOf, lifeOfGrant, numberedId } from '#test/worlds/log-world.ts';
import type { LogEntry } from './entry.ts';
import { type Coverage, History, stepOf } from './history.ts';

/** The faults in a sequence, each with its position. */
function faults(entries: readonly LogEntry[], coverage: Coverage = 'whole'): string[] {
  const history = new History(coverage);
  return entries.flatMap((entry, i) => {
    const fault = history.apply(entry);
    return fault === null ? [] : [`${i}: ${fault}`];
  });
}
const life = lifeOfGrant(1);
const at = (type: string): number => life.findIndex((entry) => entry.type === type);
const without = (...types: string[]): LogEntry[] => life.filter((entry) => !types.includes(entry.type));
const [request, grant, session] = [numberedId('request', 1), numberedId('grant', 1), numberedId('session', 1)];

test('every state of the tables has its event', () => {
  for (const state of REQUEST_STATES) assert.ok(stepOf(state === 'pending' ? 'request.submitted' : `request.${state}`), state);
  for (const state of GRANT_STATES) assert.ok(stepOf(`grant.${state}`), state);
  for (const state of PART_STATES.slice(1)) assert.ok(stepOf(`grant.part_${state}`), state);
  for (const state of SESSION_STATES) assert.ok(stepOf(state === 'pending' ? 'session.opened' : `session.${state}`), state);
});

test('whole lives have no fault, however they interleave', () => {
  assert.deepEqual(faults(entriesOfLog(2000)), []);
});

test('a step that is left out, repeated or turned round is noticed', () => {
  assert.match(faults(without('request.submitted')).join('\n'), /a review of request .*, which nobody submitted/);
  assert.match(faults(without('request.approved')).join('\n'), /2: grant .* begins while its request .* is pending/);
  assert.deepEqual(faults(without('grant.active'))[0], `5: session ${session} begins while its grant ${grant} is activating`);
  assert.deepEqual(faults(without('grant.revoking')), [`8: grant ${grant} goes from active to ended`]);
  assert.deepEqual(faults([...life, life[at('grant.active')] as LogEntry]), [`10: grant ${grant} goes from ended to active`]);
  assert.deepEqual(faults([...life, ...lifeOfGrant(1).slice(0, 1)]), [`10: request ${request} goes from approved to pending`]);
});

test('a grant is not ended while a session of it lives, and a session needs a live grant', () => {
  assert.deepEqual(faults(without('session.ended')), [`8: grant ${grant} is ended while 1 of its sessions are not`]);
  const late = entryOf('session.opened', { session: numberedId('session', 2), grant });
  assert.match(faults([...life, late]).join(), /10: session .* begins while its grant .* is ended/);
});

/** A life with two parts, told as the product tells it. */
const [one, two] = [numberedId('part', 1), numberedId('part', 2)];
const told = (type: string, part: string): LogEntry => entryOf(type, { grant, part });
const parted: LogEntry[] = life.flatMap((entry) => {
  if (entry.type === 'grant.scheduled') return [{ ...entry, data: { ...entry.data, parts: [{ part: one }, { part: two }] } }];
  if (entry.type === 'grant.activating') return [entry, told('grant.part_present', one), told('grant.part_present', two)];
  if (entry.type === 'grant.ended') return [told('grant.part_removing', one), told('grant.part_absent', one), told('grant.part_removing', two), told('grant.part_absent', two), entry];
  return [entry];
});
const leftOut = (type: string, part: string): LogEntry[] => parted.filter((entry) => entry.type !== type || entry.data['part'] !== part);

test('invariant 6: a grant is not ended before every part was read back and is absent, nor active before each is present', () => {
  for (const coverage of ['whole', 'selection'] as const) {
    assert.deepEqual(faults(parted, coverage), []);
    assert.deepEqual(faults(leftOut('grant.part_absent', two), coverage), [`14: grant ${grant} is ended while its part ${two} is removing`]);
    assert.deepEqual(faults(leftOut('grant.part_present', two), coverage), [`6: grant ${grant} is active while its part ${two} is planned`]);
  }
  assert.deepEqual(faults(leftOut('grant.part_removing', one)), [`11: part ${one} goes from present to absent`]);
  assert.deepEqual(faults([...parted, told('grant.part_present', one)]), [`16: part ${one} goes from absent to present`]);
  assert.deepEqual(faults([...parted, told('grant.part_present', numberedId('part', 9))]), [`16: part ${numberedId('part', 9)} becomes present without ever having begun`]);
});

test('whoever asked, or for whom, does not review', () => {
  const asked = life[0] as LogEntry;
  for (const reviewer of [asked.actor, asked.data['principal']]) {
    const own = [asked, { ...(life[1] as LogEntry), actor: reviewer as LogEntry['actor'] }];
    assert.deepEqual(faults(own), [`1: request ${request} is reviewed by the one who asked`]);
  }
  assert.match(faults([...life.slice(0, 3), life[1] as LogEntry]).join(), /3: a review of request .*, which is approved/);
});

test('unknown types are passed over, and ids that are missing are noticed', () => {
  assert.deepEqual(faults([entryOf('grant.overdue', {}), entryOf('policy.published', {}), entryOf('grant.part_extended', { grant })]), []);
  assert.deepEqual(faults([entryOf('grant.active', {})]), ['0: grant.active does not say which grant']);
  assert.match(faults([entryOf('grant.scheduled', { grant })]).join(), /names no request/);
});

test('a selection is judged by what it holds', () => {
  const some = life.filter((entry) => entry.type.startsWith('grant.'));
  assert.deepEqual(faults(some, 'selection'), []);
  assert.deepEqual(faults(some.slice(2), 'selection'), []);
  assert.deepEqual(faults(some.filter(({ type }) => type !== 'grant.revoking'), 'selection'), [`3: grant ${grant} goes from active to ended`]);
});

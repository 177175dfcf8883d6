import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission, ADMISSION } from './admission.ts';

function door(limits: { perAddress: number; total: number }) {
  const admission = new Admission({ ...ADMISSION, ...limits });
  const dropped: string[] = [];
  const enter = (address: string, name = address) => admission.enter(address, 0, () => dropped.push(name));
  return { admission, dropped, enter };
}

test('H01 the surplus of one address or network is refused', () => {
  const { admission, dropped, enter } = door({ perAddress: 2, total: 100 });
  const first = enter('2001:db8::1');
  assert.ok(first && enter('2001:db8::2') && !enter('2001:db8::3') && enter('2001:db8:0:1::1'));
  first.leave();
  first.leave();
  assert.ok(enter('2001:db8::3') && !enter('2001:db8::4'));
  assert.equal(admission.waiting, 3);
  assert.equal(admission.enter('10.0.0.1', ADMISSION.sessions, () => undefined), null);
  assert.deepEqual(dropped, []);
});

test('H01 when all places are taken, the busiest address gives one up, a silent one first', () => {
  const { admission, dropped, enter } = door({ perAddress: 4, total: 6 });
  enter('10.0.0.9', 'honest')?.spoke();
  for (const name of ['a1', 'a2', 'a3']) enter('10.0.0.1', name)?.spoke();
  enter('10.0.0.2', 'b1');
  enter('10.0.0.2', 'b2');
  assert.ok(enter('10.0.0.8', 'late'));
  assert.deepEqual(dropped, ['a1'], 'the oldest of the address that holds most');
  assert.ok(enter('10.0.0.2', 'b3'));
  assert.deepEqual(dropped, ['a1', 'b1'], 'of two that hold as many, the one that held them first, though it be the newcomer');
  enter('10.0.0.1', 'a4');
  assert.deepEqual(dropped, ['a1', 'b1', 'a2'], 'spoken ones, too, when there are no others');
  enter('10.0.0.7', 'more');
  assert.deepEqual(dropped.slice(3), ['b2']);
  enter('10.0.0.6', 'more');
  assert.deepEqual(dropped.slice(4), ['a4'], 'silent, though younger than one that has spoken');
  assert.equal(admission.waiting, 6);
});

test('H01 whoever holds one place keeps it while others hold more, and else the longest', () => {
  const { admission, dropped, enter } = door({ perAddress: 64, total: 1024 });
  for (let n = 0; n < 1024; n++) enter(`10.0.0.${n % 18}`, 'flood');
  const honest = enter('10.0.1.1', 'honest');
  for (let n = 0; n < 20_000; n++) enter(`10.0.0.${n % 18}`, 'flood');
  assert.ok(dropped.length > 1000 && !dropped.includes('honest'));
  honest?.leave();
  // From so many that nobody holds two: the oldest goes, and no place lasts for less than all of them are taken anew.
  const place = enter('10.0.1.1', 'honest');
  for (let n = 0; n < 1000; n++) enter(`10.1.${n >> 8}.${n & 255}`, 'flood');
  assert.ok(!dropped.includes('honest'));
  for (let n = 0; n < 3000; n++) enter(`10.2.${n >> 8}.${n & 255}`, 'flood');
  assert.ok(dropped.includes('honest'));
  place?.leave();
  assert.equal(admission.waiting, 1024, 'what was dropped is counted out once');
});

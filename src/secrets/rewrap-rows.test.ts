import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { KeyRing, rootKeyOf } from './root-key.ts';
import { rewrapRows, type SealedRow } from './rewrap-rows.ts';
import { makeSecrets } from './sealer.ts';

const random = { bytes: (count: number) => randomBytes(count) };

test('a rotation rewraps what is old, leaves what is current, tells what is broken, and loses no race', async () => {
  const [old, next] = [rootKeyOf(randomBytes(32)), rootKeyOf(randomBytes(32))];
  const ring = new KeyRing([old]);
  const secrets = makeSecrets(ring, random);
  const table = new Map(['a', 'b', 'raced', 'broken'].map((name) => [name, secrets.seal(name, name)]));
  table.get('broken')?.fill(0, 40);
  ring.replace([next, old]);
  table.set('new', secrets.seal('new', 'new'));
  const rows = () => [...table].map(([identity, sealed]): SealedRow => ({ identity, sealed }));
  const save = async (row: SealedRow, sealed: Uint8Array) => {
    if (table.get(row.identity) !== row.sealed) return false;
    table.set(row.identity, sealed);
    return true;
  };

  const snapshot = rows();
  table.set('raced', secrets.seal('raced again', 'raced'));
  const first = await rewrapRows(secrets, snapshot, save);
  assert.deepEqual({ ...first, broken: first.broken.map((error) => error.identity) }, { current: 1, rewrapped: 2, raced: 1, broken: ['broken'], complete: false });
  table.delete('broken');
  assert.deepEqual(await rewrapRows(secrets, rows(), save), { current: 4, rewrapped: 0, raced: 0, broken: [], complete: true });

  ring.replace([next]);
  assert.deepEqual([...table].map(([name, sealed]) => secrets.openText(sealed, name)), ['a', 'b', 'raced again', 'new']);
});

test('a store that fails stops the rotation', async () => {
  const ring = new KeyRing([rootKeyOf(randomBytes(32))]);
  const secrets = makeSecrets(ring, random);
  const row = { identity: 'a', sealed: secrets.seal('a', 'a') };
  ring.replace([rootKeyOf(randomBytes(32)), ring.newest]);
  await assert.rejects(rewrapRows(secrets, [row], () => Promise.reject(new Error('store down'))), /store down/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { entryOf, numberedId } from '#test/worlds/log-world.ts';
import type { JsonObject } from '#domain/json.ts';
import { encodeEntry, type LogEntry, MAX_ENTRY_BYTES, parseEntry } from './entry.ts';
import { Malformed } from './malformed.ts';

const grant = numberedId('grant', 1);
const person = numberedId('person', 1);
const sample = entryOf('grant.active', { grant }, { actor: person, personal: { subject: person, alg: 'A256GCM', sealed: 'c2VhbGVk' } });

test('an entry is read back as it was written', () => {
  const bytes = encodeEntry(sample);
  assert.deepEqual(parseEntry(bytes), sample);
  assert.deepEqual(encodeEntry(parseEntry(bytes)), bytes);
  assert.ok(bytes.toString().startsWith(`{"actor":"${person}","at":"`));
});

test('G05: no data, whatever a target or an attacker put into it, makes an entry that shows or hides more than text', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('\r', '\n', '\u001b', '\u009b', '\u202e', '\u2028', '\u0000', '\u007f', '\ud800', '"', '\\', 'n', '\ufeff', '}') }));
  const data = fc.dictionary(text, fc.oneof(text, fc.double(), fc.boolean(), fc.constant(null), fc.array(text), fc.dictionary(text, text)));
  fc.assert(
    fc.property(data, (data) => {
      const bytes = encodeEntry({ ...sample, data: data as JsonObject });
      // oxlint-disable-next-line no-control-regex -- these are what must not be there
      assert.doesNotMatch(bytes.toString(), /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/);
      assert.deepEqual(encodeEntry(parseEntry(bytes)), bytes);
    }),
    { numRuns: 500 },
  );
  const { data: shown } = parseEntry(encodeEntry({ ...sample, data: { note: 'a\r\n\u001b[2J","admin":true,"x":"' } }));
  assert.deepEqual(shown, { note: 'a{U+D}{U+A}{U+1B}[2J","admin":true,"x":"' });
});

test('G05: what is named or looks like a secret is withheld; ids of secrets are not', () => {
  const token = numberedId('session', 1);
  const data = {
    token,
    access_token: 'eyJhbGciOi',
    password: 'hunter2',
    nested: [{ clientSecret: ['a', { deeper: 1 }] }],
    message: 'could not connect to postgresql://admin:hunter2@db/orders',
    pem: '-----BEGIN PRIVATE KEY-----\nMC4C',
    authentication: { method: 'link' },
    credentialAgeSeconds: 3,
  };
  assert.deepEqual(parseEntry(encodeEntry({ ...sample, data })).data, {
    token,
    access_token: '[withheld]',
    password: '[withheld]',
    nested: [{ clientSecret: ['[withheld]', { deeper: 1 }] }],
    message: '[withheld]',
    pem: '[withheld]',
    authentication: { method: 'link' },
    credentialAgeSeconds: 3,
  });
});

test('data that would burst an entry gives way to its hash, largest first', () => {
  const residue = Array.from({ length: 3000 }, (_, i) => `table public.orders_${i} still owned`);
  const bytes = encodeEntry({ ...sample, data: { grant, residue, small: [1, 2] } });
  assert.ok(bytes.length < MAX_ENTRY_BYTES);
  const { data } = parseEntry(bytes);
  assert.deepEqual([data['grant'], data['small']], [grant, [1, 2]]);
  assert.match(JSON.stringify(data['residue']), /^\{"omittedBytes":\d+,"sha256":"[0-9a-f]{64}"\}$/);
  const long = parseEntry(encodeEntry({ ...sample, data: { text: '\u{1f600}'.repeat(5000) } })).data['text'];
  assert.ok(typeof long === 'string' && long.length < 2100 && long.isWellFormed());
});

test('fields that are not what they must be are refused, when written and when read', () => {
  const bad: Record<string, unknown>[] = [
    { v: 2 }, { id: 'evt_1' }, { id: grant }, { at: '2026-03-01T09:30:00Z' }, { at: '2026-13-01T09:30:00.000Z' }, { type: 'active' }, { type: 'Grant.active' }, { type: 'grant.active\n' }, { actor: 'root' }, { actor: null }, { actor: grant }, { data: [] }, { data: null }, { personal: {} }, { extra: 1 },
    { personal: { subject: grant, alg: 'A256GCM', sealed: 'AAAA' } }, { personal: { subject: person, alg: 'none', sealed: 'AAAA' } }, { personal: { subject: person, alg: 'A256GCM', sealed: 'a b' } }, { personal: { subject: person, alg: 'A256GCM', sealed: 'A'.repeat(32_004) } }, { personal: { subject: person, alg: 'A256GCM', sealed: 'AAAA', x: 1 } },
  ];
  for (const change of bad) {
    const entry = { ...sample, ...change } as unknown as LogEntry;
    assert.throws(() => encodeEntry({ ...entry, data: entry.data ?? null }), /./, JSON.stringify(change));
    const written = JSON.stringify(Object.fromEntries(Object.entries(entry).toSorted(([a], [b]) => (a < b ? -1 : 1))));
    assert.throws(() => parseEntry(Buffer.from(written)), Malformed, JSON.stringify(change));
  }
});

test('other bytes for the same entry are refused', () => {
  const text = encodeEntry(sample).toString();
  const bad = [text.replace('{', '{ '), `${text}\n`, text.replace('"v":1', '"v":1.0'), text.replace('"v":1', '"v":1,"v":1'), text.replace('grant.active', '\\u0067rant.active'), text.replace('"data":{', '"data":{"a":"\\n",'), text.replace('"data":{', '"data":{"a":"\u202e",'), '', 'null', '[]'];
  for (const each of bad) assert.throws(() => parseEntry(Buffer.from(each)), Malformed, each);
  const broken = Buffer.from(text.replace('grant.active', 'grant.actiXe'));
  broken[broken.indexOf('X')] = 0xc3;
  assert.throws(() => parseEntry(broken), /UTF-8/);
  assert.throws(() => parseEntry(Buffer.alloc(MAX_ENTRY_BYTES + 1, '[')), Malformed);
  assert.throws(() => parseEntry(Buffer.alloc(MAX_ENTRY_BYTES, '[')), Malformed);
});

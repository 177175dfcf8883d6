import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Json } from '#domain/json.ts';
import { compareStates } from './compare.ts';

const pem = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
const print = (body: string) => createHash('sha256').update(Buffer.from(body, 'base64')).digest('hex');

function linesOf(before: Readonly<Record<string, Json>> | null, after: Readonly<Record<string, Json>>): readonly string[] {
  const current = new Map(before === null ? [] : [['target/orders', { value: before, retired: false }]]);
  return compareStates(current, new Map([['target/orders', after]])).flatMap(({ lines }) => lines);
}

test('only what differs is shown, named by its way from the object', () => {
  const config = { host: 'db1', port: 55433, ca: pem('AAAA') };
  assert.deepEqual(linesOf({ config }, { config: { ...config, port: 55434 } }), ['config.port: 55433 -> 55434']);
  assert.deepEqual(linesOf({ config }, { config: { host: 'db1', port: 55433 } }), [`config.ca: (certificate SHA-256 ${print('AAAA')}) -> nothing`]);
  assert.deepEqual(linesOf({ title: 'a', config }, { title: 'b', config }), ['title: a -> b']);
});

test('a certificate is shown by its fingerprint, also in a whole new object', () => {
  const config = { ca: pem('AAAA') + pem('BBBB') };
  assert.deepEqual(linesOf({ config: { ca: pem('AAAA') } }, { config: { ca: pem('BBBB') } }), [`config.ca: (certificate SHA-256 ${print('AAAA')}) -> (certificate SHA-256 ${print('BBBB')})`]);
  assert.deepEqual(linesOf(null, { config }), [`config: {"ca":"(certificate SHA-256 ${print('AAAA')}, certificate SHA-256 ${print('BBBB')})"}`]);
});

test('within lists of parts and stages by their place; lists of names as a whole', () => {
  const part = { target: 'orders', scope: { database: 'orders', tables: ['shop.orders'] } };
  const wider = { ...part, scope: { ...part.scope, tables: ['shop.orders', 'shop.lines'] } };
  assert.deepEqual(linesOf({ parts: [part] }, { parts: [wider] }), ['parts.0.scope.tables: ["shop.orders"] -> ["shop.orders","shop.lines"]']);
  assert.deepEqual(linesOf({ stages: [{ required: 1 }] }, { stages: [{ required: 2 }, { required: 1 }] }), ['stages.0.required: 1 -> 2', 'stages.1: nothing -> {"required":1}']);
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { makeAuthority } from '#test/worlds/certificates.ts';
import { readStoreAddress } from './store-address.ts';

const folder = mkdtempSync(join(tmpdir(), 'brevet-address-'));
after(() => rmSync(folder, { recursive: true }));
const BASE = 'postgresql://brevet:S3cret@db.example:5432/brevet';

function refusal(query: string): string {
  try {
    readStoreAddress(`${BASE}?${query}`);
  } catch (error) {
    assert.ok(error instanceof Refusal && error.code === 'invalid_configuration' && error.details.hint, String(error));
    assert.doesNotMatch(error.message + error.details.hint, /S3cret/);
    return error.message;
  }
  throw new Error(`accepted: ${query}`);
}

test('each sslmode checks the certificate or is no TLS; what stands beside it goes to the driver', async () => {
  await using authority = await makeAuthority();
  const ssl = (query: string) => readStoreAddress(`${BASE}?${query}`).connection.ssl;
  for (const mode of ['prefer', 'require', 'verify-full']) assert.deepEqual(ssl(`sslmode=${mode}`), { rejectUnauthorized: true });
  for (const query of ['sslmode=require&', 'sslmode=verify-full&', '']) assert.deepEqual(ssl(`${query}sslrootcert=${authority.caFile}`), { rejectUnauthorized: true, ca: authority.ca });
  const byAuthority = ssl(`sslmode=verify-ca&sslrootcert=${authority.caFile}`);
  assert.ok(typeof byAuthority === 'object' && byAuthority.rejectUnauthorized === true && byAuthority.ca === authority.ca && byAuthority.checkServerIdentity);
  assert.deepEqual(ssl('sslmode=require&sslrootcert=system'), { rejectUnauthorized: true });
  assert.equal(ssl('sslmode=disable'), false);
  assert.equal(readStoreAddress(`${BASE}?options=-c%20jit%3Doff&sslmode=require&application_name=a`).connection.connectionString, `${BASE}?options=-c+jit%3Doff&application_name=a`);
});

test('what would not be checked, or not be read, is refused', () => {
  const file = join(folder, 'no.pem');
  writeFileSync(file, 'not a certificate');
  assert.match(refusal('sslmode=no-verify'), /sslmode=no-verify, which Brevet does not know/);
  assert.match(refusal('sslmode=allow'), /sslmode=allow, which/);
  assert.match(refusal('sslmode=verify-ca'), /verify-ca without an authority/);
  assert.match(refusal('sslmode=verify-ca&sslrootcert=system'), /verify-ca without an authority/);
  assert.match(refusal(`sslmode=disable&sslrootcert=${file}`), /nothing is checked by it/);
  assert.match(refusal('sslmode=require&sslrootcert=/nowhere/ca.pem'), /\/nowhere\/ca\.pem as sslrootcert, which can't be read \(ENOENT\)/);
  assert.match(refusal(`sslmode=require&sslrootcert=${file}`), /holds no X\.509 certificate/);
  for (const name of ['ssl', 'uselibpqcompat', 'sslnegotiation', 'sslcrl']) assert.match(refusal(`${name}=true&sslmode=require`), new RegExp(`the parameter ${name}, which`));
});

test('in clear text only over a network is it exposed', () => {
  const exposed = (url: string) => readStoreAddress(url).exposed;
  for (const url of [BASE, `${BASE}?sslmode=disable`, 'postgres://u@10.0.0.5/b', 'postgres://u@[2001:db8::1]:5432/b', 'postgres://u@/b?host=db.example', 'postgres://u@localhost.example/b']) assert.equal(exposed(url), true, url);
  for (const url of ['postgres://u@localhost/b', 'postgres://u:p@127.0.0.1:5432/b', 'postgres://u@[::1]/b', 'postgres://u@/b?host=/run', 'postgres://u@%2Frun%2Fpg/b', `${BASE}?sslmode=require`]) assert.equal(exposed(url), false, url);
});

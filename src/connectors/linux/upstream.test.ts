import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import { makeKey } from './account-key.ts';
import { readConfig } from './config.ts';
import { parseScope } from './scope.ts';
import { upstream } from './upstream.ts';

const hostKeys = [ssh2.utils.generateKeyPairSync('ed25519').public.trim()];
const target = readConfig({ host: 'web1.example.com', user: 'brevet', hostKeys });
const OBJECT = 'brevet_01m80qatxrpbws6e566v9k764n';

test('a broker signs in as the account of the grant, with its key, for what the scope names', () => {
  const key = makeKey((n) => randomBytes(n), OBJECT);
  const scope = parseScope('ephemeral_account', { allow: ['sftp'], localForward: ['db:5432'] });
  const ticket = upstream({ target, scope, user: OBJECT, password: key.privateKey, within: null });
  assert.deepEqual(ticket, {
    protocol: 'ssh', host: 'web1.example.com', port: 22, hostKeys, user: 'bv01m80qatxrpbws6e566v9k764n', auth: { by: 'key', privateKey: key.privateKey },
    permits: { shell: false, exec: false, sftp: true, localForward: ['db:5432'], remoteForward: [] },
  });
  const parsed = ssh2.utils.parseKey(key.privateKey);
  assert.ok(!(parsed instanceof Error) && Buffer.from(key.publicKey).equals(parsed.getPublicSSH()), 'the private key is the public one\'s');
});

test('a stored password is a password; another account than the grant\'s is refused', () => {
  const scope = parseScope('brokered_session', {});
  const ask = { target, scope, user: 'app', password: 'of-app', within: null };
  const ticket = upstream({ ...ask, within: 'app' });
  assert.ok(ticket.protocol === 'ssh');
  assert.deepEqual([ticket.user, ticket.auth], ['app', { by: 'password', password: 'of-app' }]);
  assert.throws(() => upstream({ ...ask, within: 'root' }), { code: 'forbidden' });
});

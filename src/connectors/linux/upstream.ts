import type { Connector } from '#app/ports/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { plainText } from '../plain-text.ts';
import { readConfig } from './config.ts';
import { loginOf } from './names.ts';
import type { Scope } from './scope.ts';

/** Where and as whom a broker signs in. @throws Refusal `forbidden` for another account than the grant's */
export const upstream: Connector['upstream'] = ({ target, scope, user, password, within }) => {
  const { host, port, hostKeys } = readConfig(target);
  const { allow, localForward, remoteForward } = scope as unknown as Scope;
  const login = loginOf(user) ?? user;
  if (within !== null && within !== login && within !== user) {
    throw new Refusal('forbidden', `this grant signs in as ${plainText(login)} only`, { hint: 'Leave the account out: the grant says which.' });
  }
  return {
    protocol: 'ssh', host, port, hostKeys, user: login,
    auth: /^\s*-----BEGIN/.test(password) ? { by: 'key', privateKey: password } : { by: 'password', password },
    permits: { shell: allow.includes('shell'), exec: allow.includes('exec'), sftp: allow.includes('sftp'), localForward, remoteForward },
  };
};

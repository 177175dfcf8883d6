import { once } from 'node:events';
import ssh2, { type ConnectConfig, type ParsedKey } from 'ssh2';
import { CLIENT_ALGORITHMS } from '#brokers/ssh/algorithms.ts';
import { string } from '#contract/ssh/wire.ts';

/**
 * ssh2 as a client that shows a certificate and signs with a key, whether they belong together or not, and that asks for what OpenSSH's
 * client does not. @throws ssh2's error when it is not let in
 */
export async function signsAs(port: number, privateKey: string, certificateLine: string): Promise<ssh2.Client> {
  const key = ssh2.utils.parseKey(privateKey) as ParsedKey;
  const [type = '', base64 = ''] = certificateLine.split(' ');
  const certified = Object.assign(Object.create(key) as object, { type, getPublicSSH: () => Buffer.from(base64, 'base64') });
  const agent = Object.assign(Object.create(ssh2.BaseAgent.prototype) as object, {
    getIdentities: (done: (error: null, keys: readonly object[]) => void) => done(null, [certified]),
    sign: (_shown: object, data: Buffer, _options: object, done: (error: null, signature: Buffer) => void) => done(null, Buffer.concat([string('ssh-ed25519'), string(key.sign(data))])),
  });
  const client = new ssh2.Client();
  const config = { host: '127.0.0.1', port, username: 'orders-host', agent, algorithms: CLIENT_ALGORITHMS, hostVerifier: () => true, strictVendor: false };
  client.connect(config as unknown as ConnectConfig);
  await once(client, 'ready');
  return client.on('error', () => undefined);
}

/** A throw-away certificate authority for tests, made with Debian's openssl. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Issued {
  readonly cert: string;
  readonly key: string;
  /** Where both are as files, for programs: `cert.pem` and `key.pem`. */
  readonly folder: string;
}

export interface TestAuthority extends AsyncDisposable {
  readonly ca: string;
  readonly caFile: string;
  /** A server's certificate for `localhost` and `127.0.0.1`, or a client's for the subject `CN=<name>`. */
  issue(use: 'server' | 'client', name: string): Promise<Issued>;
}

export async function makeAuthority(name = 'Test authority'): Promise<TestAuthority> {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-ca-'));
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const caFile = join(folder, 'ca.pem');
  await run('openssl', ['req', '-x509', ...ec, '-keyout', join(folder, 'ca.key'), '-out', caFile, '-subj', `/CN=${name}`, '-days', '2']);
  let serial = 0;
  return {
    ca: await readFile(caFile, 'utf8'),
    caFile,
    async issue(use, cn) {
      const own = await mkdtemp(join(folder, `${use}-`));
      const [key, cert, csr, extensions] = ['key.pem', 'cert.pem', 'csr.pem', 'ext'].map((file) => join(own, file)) as [string, string, string, string];
      await run('openssl', ['req', ...ec, '-keyout', key, '-out', csr, '-subj', `/CN=${cn}`]);
      const lines = use === 'server' ? 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' : 'extendedKeyUsage=clientAuth\n';
      await writeFile(extensions, lines);
      await run('openssl', ['x509', '-req', '-in', csr, '-CA', caFile, '-CAkey', join(folder, 'ca.key'), '-set_serial', String(++serial), '-days', '2', '-extfile', extensions, '-out', cert]);
      return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8'), folder: own };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

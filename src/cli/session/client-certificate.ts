/** A short-lived client certificate for the broker, as files that libpq and most database tools take. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Answer } from '#contract/routes.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import type { Grant } from '../commands/render-grant.ts';
import type { Run } from './run.ts';

export type ConnectInfo = NonNullable<Grant['connect']>;

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  readonly authority: string;
  readonly notAfter: string;
}

/** Writes a fresh P-256 key, its certificate bound to the grant, and the authority's, all of mode 0600, into `folder`. */
export async function fetchCertificate(run: Run, grant: Grant, folder: string): Promise<CertificateFiles> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const client = await run.client();
  const spki = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const issued: Answer<'issueCertificate'> = await client.call('issueCertificate', { body: { publicKey: spki, grant: grant.id } });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const write = async (name: string, text: string) => {
    const path = join(folder, name);
    await rm(path, { force: true });
    await writeFile(path, text, { mode: 0o600, flag: 'wx' });
    return path;
  };
  return {
    key: await write('key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
    cert: await write('cert.pem', issued.certificate),
    authority: await write('authority.pem', issued.authority),
    notAfter: issued.notAfter,
  };
}

/** A private folder that goes when it is disposed; in memory where the system has such a place for each user. */
export async function privateFolder({ deps: { env } }: Run): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(env['XDG_RUNTIME_DIR'] || env['TMPDIR'] || '/tmp', 'brevet-')); // mkdtemp makes it 0700
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/**
 * What the server said about where to connect, held to be what it claims: it goes into environment variables, connection
 * strings and shell lines. @throws Failure
 */
export function connectInfo(grant: Grant): ConnectInfo {
  const { connect } = grant;
  const own = grant.parts.find((part) => part.kind === 'temporary_elevation' && part.state === 'present');
  if (connect === null && own) {
    const account = own.account === null ? '' : ` ${own.account}`;
    throw new Failure(EXIT.state, `${grant.id} raises your own account: sign in to the target ${own.target.name} with your own account${account}`, 'Not through Brevet: psql with the address, and the password, that you always use. What it may do is more until the grant ends.');
  }
  if (connect === null) throw new Failure(EXIT.state, `${grant.id} has nothing to connect to`, `brevet show ${grant.id}`);
  const fine = /^[A-Za-z0-9.:-]{1,253}$/.test(connect.host) && !connect.host.startsWith('-') && connect.port > 0 && connect.port < 65_536;
  if (!fine || [connect.database, connect.user].some((each) => each === '' || /[\p{Cc}\p{Cf}]/u.test(each))) {
    throw new Failure(EXIT.internal, 'the server gave a malformed place to connect to');
  }
  return connect;
}

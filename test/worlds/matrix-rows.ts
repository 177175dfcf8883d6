/**
 * Who x what: for each route a call with input that is valid, about things of Ada's, made afresh where the call would
 * use them up. `test/rules/authorization-matrix.test.ts` makes each call as everybody.
 */
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { issueLinkIn } from '#app/signin/issue-link.ts';
import type { RouteName } from '#contract/routes.ts';
import type { Answer } from '#contract/routes.ts';
import type { KeyId, PersonId } from '#domain/id.ts';
import { demoFiles } from '#main/demo/world.ts';
import { ask, changed, done } from './asking.ts';
import type { BrevetWorld, Caller } from './brevet-world.ts';

const run = promisify(execFile);

/** What to send: method and target, and a body if there is one. Made anew for each caller. */
export interface Call {
  readonly method: string;
  readonly target: string;
  readonly body?: unknown;
}
export type Rows = Readonly<Record<string, () => Promise<Call> | Call>>;

const get = (target: string) => (): Call => ({ method: 'GET', target });
const send = (method: string, target: string, body?: unknown): Call => ({ method, target, ...(body === undefined ? {} : { body }) });
const post = (target: string, body?: unknown) => (): Call => send('POST', target, body);
const pem = (type: 'ed25519' | 'ec'): string => {
  const { publicKey } = type === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
};
const fresh = () => `x${randomBytes(6).toString('hex')}`;
const PASSWORD = 'a password of some length';

export interface Prepared {
  /** Keyed by route name, for those of the contract. */
  readonly routes: Readonly<Record<RouteName, () => Promise<Call> | Call>>;
  /** Further ones, keyed by what they are: other views of a list, and what is served besides the API. */
  readonly more: Rows;
  readonly files: readonly { path: string; text: string }[];
}

export async function prepareRows(world: BrevetWorld): Promise<Prepared> {
  const [ada, sam] = [await world.as('ada'), await world.as('sam')];
  const files = changed(world, 'entitlements:\n', `  spare: { type: postgresql, config: { host: 127.0.0.1, port: 1, database: x, user: y, tls: disable } }\n\nentitlements:\n`);
  await world.apply(files);
  done(await ada.call('PUT', '/api/v1/me/password', { password: PASSWORD }));
  const grant = await world.grant('ada', 'orders-read', { seconds: 1200 });
  await run('psql', ['-Atc', 'select 1'], { env: await world.clientEnv('ada') });
  const { items: [session] } = done(await ada.get<Answer<'sessions'>>('/api/v1/sessions'));
  for (const name of ['temp', 'gone']) done(await sam.post('/api/v1/principals', { kind: 'person', name, displayName: name }));
  done(await sam.post('/api/v1/principals/gone/disable'));

  const pending = async (): Promise<string> => {
    // The one before may still be there: no more than one at a time, for the quota's sake.
    const { items } = done(await ada.get<Answer<'requests'>>('/api/v1/requests?state=pending'));
    for (const one of items) done(await ada.post(`/api/v1/requests/${one.id}/cancel`));
    return (await ask(ada, { inHours: 1 })).id;
  };
  const scheduled = async (): Promise<string> => {
    const { items } = done(await ada.get<Answer<'grants'>>('/api/v1/grants?live=true'));
    for (const one of items) if (one.state === 'scheduled') done(await ada.post(`/api/v1/grants/${one.id}/finish`));
    return (await ask(ada, { entitlement: 'orders-read', ticket: 'T', duration: 600, inHours: 1 })).grant as string;
  };
  const wish = { entitlement: 'orders-read', reason: 'r', ticket: 'T', duration: 600, startAt: new Date(Date.now() + 3_600_000).toISOString() };
  return {
    files,
    routes: {
      ...askingRows(ada, pending, wish), ...holdingRows(grant.id, session?.id ?? '', scheduled), ...identityRows(world, ada), ...administrationRows(world, files),
    } as Prepared['routes'],
    more: moreRows(grant.id, session?.id ?? ''),
  };
}

function askingRows(ada: Caller, pending: () => Promise<string>, wish: object): Rows {
  return {
    entitlements: get('/api/v1/entitlements'),
    previewRequest: post('/api/v1/requests/preview', wish),
    submitRequest: post('/api/v1/requests', wish),
    requests: get('/api/v1/requests'),
    request: async () => send('GET', `/api/v1/requests/${await pending()}`),
    cancelRequest: async () => send('POST', `/api/v1/requests/${await pending()}/cancel`),
    reviewRequest: async () => {
      const id = await pending();
      const { hash } = done(await ada.get<Answer<'request'>>(`/api/v1/requests/${id}`));
      return send('POST', `/api/v1/requests/${id}/reviews`, { decision: 'approve', hash });
    },
  };
}

function holdingRows(grant: string, session: string, scheduled: () => Promise<string>): Rows {
  return {
    grants: get('/api/v1/grants'),
    grant: get(`/api/v1/grants/${grant}`),
    extendGrant: post(`/api/v1/grants/${grant}/extend`, { duration: '1m', reason: 'r', ticket: 'T' }),
    finishGrant: async () => send('POST', `/api/v1/grants/${await scheduled()}/finish`),
    revokeGrant: async () => send('POST', `/api/v1/grants/${await scheduled()}/revoke`, { reason: 'r' }),
    connectionToken: post(`/api/v1/grants/${grant}/connection-token`),
    issueCertificate: () => send('POST', '/api/v1/certificates', { publicKey: pem('ec') }),
    authority: get('/api/v1/authority'),
    sessions: get('/api/v1/sessions'),
    endSession: post(`/api/v1/sessions/${session}/end`),
    endSessions: post('/api/v1/sessions/end', { target: 'spare' }),
    recording: get(`/api/v1/sessions/${session}/recording`),
    logEntries: get(`/api/v1/log/entries?grant=${grant}`),
    logHead: get('/api/v1/log'),
    evidence: get(`/api/v1/grants/${grant}/evidence`),
  };
}

function identityRows(world: BrevetWorld, ada: Caller): Rows {
  const { app, identity } = world.server;
  const enrolment = () => ({ publicKey: pem('ed25519'), label: 'matrix' });
  const keyOfAda = () => app.store.transaction(async (tx): Promise<KeyId> => {
    const owner = await tx.credentials.key(ada.keyId as KeyId);
    const id = app.newId('key', tx.now);
    await tx.credentials.insertKey({ id, principal: owner?.principal as PersonId, label: 'matrix', publicKey: pem('ed25519'), createdAt: tx.now, signedInAt: tx.now, signInMethod: 'link', issuedBy: null, lastUsedAt: null, revokedAt: null });
    return id;
  });
  return {
    signInByLink: async () => send('POST', '/api/v1/sign-in/link', { link: (await app.store.transaction((tx) => issueLinkIn(tx, identity, 'temp', 'system'))).secret, ...enrolment() }),
    signInByPassword: () => send('POST', '/api/v1/sign-in/password', { name: 'ada', password: PASSWORD, ...enrolment() }),
    me: get('/api/v1/me'),
    setPassword: () => send('PUT', '/api/v1/me/password', { password: PASSWORD }),
    keys: get('/api/v1/me/keys'),
    revokeKey: async () => send('DELETE', `/api/v1/me/keys/${await keyOfAda()}`),
    principals: get('/api/v1/principals'),
    createPrincipal: () => send('POST', '/api/v1/principals', { kind: 'person', name: fresh(), displayName: 'X' }),
    disablePrincipal: post('/api/v1/principals/gone/disable'),
    enablePrincipal: post('/api/v1/principals/temp/enable'),
    issueLink: post('/api/v1/principals/temp/sign-in-link'),
    enrolWorkloadKey: () => send('POST', '/api/v1/principals/report-bot/keys', enrolment()),
    erasePrincipal: post('/api/v1/principals/gone/erase'),
    revokeOfPerson: post('/api/v1/principals/temp/revoke', { reason: 'r' }),
  };
}

function administrationRows(world: BrevetWorld, files: readonly { path: string; text: string }[]): Rows {
  const tests = demoFiles(world.target.port).length > 0 ? [{ file: 'x.test.yaml', text: 'tests: []\n' }] : [];
  return {
    targets: get('/api/v1/targets'),
    setCredential: () => send('PUT', '/api/v1/targets/spare/credential', { credential: 'x' }),
    standingPrivileges: get('/api/v1/targets/orders/standing'),
    revokeOnTarget: post('/api/v1/targets/spare/revoke', { reason: 'r' }),
    planConfiguration: post('/api/v1/configuration/plan', { files }),
    applyConfiguration: post('/api/v1/configuration/apply', { files }),
    policies: get('/api/v1/policies'),
    lintPolicies: post('/api/v1/policies/lint', {}),
    testPolicies: post('/api/v1/policies/test', { tests }),
    simulatePolicies: post('/api/v1/policies/simulate', { action: 'request', principal: 'ada', entitlement: 'orders-read' }),
    doctor: get('/api/v1/doctor'),
  };
}

function moreRows(grant: string, session: string): Rows {
  return {
    'requests, view=inbox': get('/api/v1/requests?view=inbox'),
    'requests, view=all': get('/api/v1/requests?view=all'),
    'grants, view=reviewed': get('/api/v1/grants?view=reviewed'),
    'grants, view=all': get('/api/v1/grants?view=all'),
    'sessions, view=all': get('/api/v1/sessions?view=all'),
    'logEntries, all': get('/api/v1/log/entries'),
    'issueCertificate, for the grant': () => send('POST', '/api/v1/certificates', { publicKey: pem('ec'), grant }),
    'endSession, of nobody': post(`/api/v1/sessions/${session.slice(0, 4)}${'0'.repeat(26)}/end`),
    'events': get('/api/v1/events'),
    'openapi.json': get('/api/v1/openapi.json'),
    'healthz': get('/healthz'),
    'readyz': get('/readyz'),
    'metrics, from this machine': get('/metrics'),
    'log/checkpoint': get('/log/checkpoint'),
    'log/log.vkey': get('/log/log.vkey'),
    'log/tile': get('/log/tile/0/000.p/1'),
    'the front page': get('/'),
    'sign-in': get('/sign-in'),
    'no such endpoint': get('/api/v1/nowhere'),
  };
}

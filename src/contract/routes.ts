import { z } from 'zod';
import * as access from './access.ts';
import * as administration from './administration.ts';
import * as identity from './identity.ts';
import { GrantId, KeyId, Name, NamedPageQuery, PageQuery, RequestId, SessionId, page } from './primitives.ts';

/**
 * Every endpoint, as data. The server registers each and refuses to start without a handler for one; the OpenAPI
 * description, the command line's client and the table of who may do what are made from here.
 *
 * `access` is the first classification, checked before the handler runs:
 * - `public`: no sign-in; only what an anonymous reader may know, or a sign-in itself;
 * - `signed_in`: any enabled principal; the use case then narrows to what is theirs to see;
 * - `person`: people only, never a workload;
 * - `administrator`: administrators only.
 */
export type RouteAccess = 'public' | 'signed_in' | 'person' | 'administrator';

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly access: RouteAccess;
  readonly summary: string;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  readonly answer: z.ZodType;
}

const route = <const R extends Route>(definition: R): R => definition;
const ById = <T extends z.ZodType>(id: T) => z.strictObject({ id });
const Named = z.strictObject({ name: Name });

export const ROUTES = {
  // Signing in
  signInByLink: route({ method: 'POST', path: '/api/v1/sign-in/link', access: 'public', summary: 'Enrol a key by a one-time link', body: identity.SignInByLink, answer: identity.SignedIn }),
  signInByPassword: route({ method: 'POST', path: '/api/v1/sign-in/password', access: 'public', summary: 'Enrol a key by name and password', body: identity.SignInByPassword, answer: identity.SignedIn }),
  me: route({ method: 'GET', path: '/api/v1/me', access: 'signed_in', summary: 'Who I am', answer: identity.Me }),
  setPassword: route({ method: 'PUT', path: '/api/v1/me/password', access: 'person', summary: 'Set my password', body: identity.SetPassword, answer: z.strictObject({}) }),
  keys: route({ method: 'GET', path: '/api/v1/me/keys', access: 'signed_in', summary: 'My enrolled keys', answer: z.strictObject({ items: z.array(identity.EnrolledKey) }) }),
  revokeKey: route({ method: 'DELETE', path: '/api/v1/me/keys/:id', access: 'signed_in', summary: 'Revoke one of my keys', params: ById(KeyId), answer: z.strictObject({}) }),

  // Asking
  entitlements: route({ method: 'GET', path: '/api/v1/entitlements', access: 'signed_in', summary: 'What may be requested, and what is locked and why', query: NamedPageQuery, answer: page(access.Entitlement) }),
  previewRequest: route({ method: 'POST', path: '/api/v1/requests/preview', access: 'signed_in', summary: 'What would happen to this request', body: access.NewRequest, answer: access.RequestPreview }),
  submitRequest: route({ method: 'POST', path: '/api/v1/requests', access: 'signed_in', summary: 'Ask for access', body: access.NewRequest, answer: access.AccessRequest }),
  requests: route({ method: 'GET', path: '/api/v1/requests', access: 'signed_in', summary: 'Requests: mine, those I may decide on, or all for administrators', query: z.strictObject({ ...PageQuery.shape, state: z.enum(['pending', 'approved', 'denied', 'cancelled', 'expired']).optional(), view: z.enum(['mine', 'inbox', 'all']).default('mine') }), answer: page(access.AccessRequest) }),
  request: route({ method: 'GET', path: '/api/v1/requests/:id', access: 'signed_in', summary: 'One request', params: ById(RequestId), query: z.strictObject({ waitSeconds: z.coerce.number().int().min(0).max(60).default(0) }), answer: access.AccessRequest }),
  cancelRequest: route({ method: 'POST', path: '/api/v1/requests/:id/cancel', access: 'signed_in', summary: 'Withdraw my pending request', params: ById(RequestId), answer: access.AccessRequest }),
  reviewRequest: route({ method: 'POST', path: '/api/v1/requests/:id/reviews', access: 'person', summary: 'Approve or deny a request', params: ById(RequestId), body: access.NewReview, answer: access.AccessRequest }),

  // Holding
  grants: route({ method: 'GET', path: '/api/v1/grants', access: 'signed_in', summary: 'Grants: mine, live ones that I may revoke as a reviewer, or all for administrators', query: z.strictObject({ ...PageQuery.shape, view: z.enum(['mine', 'reviewed', 'all']).default('mine'), live: z.enum(['true']).optional(), overdue: z.enum(['true']).optional(), person: Name.optional(), target: Name.optional() }), answer: page(access.Grant) }),
  grant: route({ method: 'GET', path: '/api/v1/grants/:id', access: 'signed_in', summary: 'One grant', params: ById(GrantId), query: z.strictObject({ waitSeconds: z.coerce.number().int().min(0).max(60).default(0) }), answer: access.Grant }),
  extendGrant: route({ method: 'POST', path: '/api/v1/grants/:id/extend', access: 'signed_in', summary: 'Ask for more time: a new decision', params: ById(GrantId), body: access.Extension, answer: access.AccessRequest }),
  finishGrant: route({ method: 'POST', path: '/api/v1/grants/:id/finish', access: 'signed_in', summary: 'Give my access back', params: ById(GrantId), answer: access.Grant }),
  revokeGrant: route({ method: 'POST', path: '/api/v1/grants/:id/revoke', access: 'person', summary: 'Take access away', params: ById(GrantId), body: access.Revocation, answer: access.Grant }),
  connectionToken: route({ method: 'POST', path: '/api/v1/grants/:id/connection-token', access: 'signed_in', summary: 'A one-time secret for one connection', params: ById(GrantId), answer: access.ConnectionToken }),
  issueCertificate: route({ method: 'POST', path: '/api/v1/certificates', access: 'signed_in', summary: 'A short-lived client certificate for the broker', body: identity.NewCertificate, answer: identity.Certificate }),
  authority: route({ method: 'GET', path: '/api/v1/authority', access: 'public', summary: "The certificate of Brevet's authority", answer: z.strictObject({ certificate: z.string() }) }),

  // Sessions
  sessions: route({ method: 'GET', path: '/api/v1/sessions', access: 'signed_in', summary: 'Sessions: mine, or all for administrators', query: z.strictObject({ ...PageQuery.shape, view: z.enum(['mine', 'all']).default('mine'), live: z.enum(['true']).optional(), grant: GrantId.optional() }), answer: page(access.Session) }),
  endSession: route({ method: 'POST', path: '/api/v1/sessions/:id/end', access: 'signed_in', summary: 'End a session now', params: ById(SessionId), answer: access.Session }),
  endSessions: route({ method: 'POST', path: '/api/v1/sessions/end', access: 'administrator', summary: 'End every session of a person, or on a target', body: z.strictObject({ person: Name.optional(), target: Name.optional() }), answer: z.strictObject({ sessions: z.int() }) }),
  recording: route({ method: 'GET', path: '/api/v1/sessions/:id/recording', access: 'signed_in', summary: 'What was done in a session', params: ById(SessionId), query: access.RecordingQuery, answer: access.SessionRecording }),

  // The log
  logEntries: route({ method: 'GET', path: '/api/v1/log/entries', access: 'signed_in', summary: 'Log entries: of one grant or request that is mine to see, or all for administrators', query: z.strictObject({ ...PageQuery.shape, grant: GrantId.optional(), request: RequestId.optional(), type: z.string().max(60).optional() }), answer: page(administration.LogEntry) }),
  logHead: route({ method: 'GET', path: '/api/v1/log', access: 'public', summary: 'Size, checkpoint and verifier key of the log', answer: administration.LogHead }),
  evidence: route({ method: 'GET', path: '/api/v1/grants/:id/evidence', access: 'signed_in', summary: 'A bundle that proves the life of one grant offline', params: ById(GrantId), answer: z.json() }),

  // Administering
  principals: route({ method: 'GET', path: '/api/v1/principals', access: 'administrator', summary: 'People and workloads', query: NamedPageQuery, answer: page(identity.Principal) }),
  createPrincipal: route({ method: 'POST', path: '/api/v1/principals', access: 'administrator', summary: 'Add a person or a workload', body: identity.NewPrincipal, answer: identity.Principal }),
  disablePrincipal: route({ method: 'POST', path: '/api/v1/principals/:name/disable', access: 'administrator', summary: 'Disable, and end everything they hold', params: Named, answer: access.Revoked }),
  enablePrincipal: route({ method: 'POST', path: '/api/v1/principals/:name/enable', access: 'administrator', summary: 'Enable again', params: Named, answer: identity.Principal }),
  issueLink: route({ method: 'POST', path: '/api/v1/principals/:name/sign-in-link', access: 'administrator', summary: 'A one-time link to sign in with', params: Named, answer: identity.SignInLink }),
  enrolWorkloadKey: route({ method: 'POST', path: '/api/v1/principals/:name/keys', access: 'administrator', summary: "Enrol a workload's public key", params: Named, body: identity.NewWorkloadKey, answer: identity.SignedIn }),
  erasePrincipal: route({ method: 'POST', path: '/api/v1/principals/:name/erase', access: 'administrator', summary: 'Erase what names or describes somebody who is disabled', params: Named, answer: z.strictObject({}) }),
  revokeOfPerson: route({ method: 'POST', path: '/api/v1/principals/:name/revoke', access: 'administrator', summary: 'Take away everything that somebody holds', params: Named, body: access.Revocation, answer: access.Revoked }),
  targets: route({ method: 'GET', path: '/api/v1/targets', access: 'signed_in', summary: 'Targets that I may request something on, or all for administrators', query: NamedPageQuery, answer: page(administration.Target) }),
  setCredential: route({ method: 'PUT', path: '/api/v1/targets/:name/credential', access: 'administrator', summary: "Set Brevet's own credential for a target", params: Named, body: administration.NewCredential, answer: z.strictObject({}) }),
  standingPrivileges: route({ method: 'GET', path: '/api/v1/targets/:name/standing', access: 'administrator', summary: 'Who holds what on a target with no grant', params: Named, answer: z.strictObject({ items: z.array(administration.StandingPrivilege) }) }),
  revokeOnTarget: route({ method: 'POST', path: '/api/v1/targets/:name/revoke', access: 'administrator', summary: 'Take away everything on a target', params: Named, body: access.Revocation, answer: access.Revoked }),
  planConfiguration: route({ method: 'POST', path: '/api/v1/configuration/plan', access: 'administrator', summary: 'What applying these files would change', body: administration.ConfigurationFiles, answer: administration.ConfigurationPlan }),
  applyConfiguration: route({ method: 'POST', path: '/api/v1/configuration/apply', access: 'administrator', summary: 'Make these files true', body: administration.ApplyConfiguration, answer: administration.ConfigurationPlan }),
  policies: route({ method: 'GET', path: '/api/v1/policies', access: 'person', summary: 'The published policies', answer: administration.PolicySet }),
  lintPolicies: route({ method: 'POST', path: '/api/v1/policies/lint', access: 'administrator', summary: 'Find mistakes in policies', body: administration.LintPolicies, answer: administration.Findings }),
  testPolicies: route({ method: 'POST', path: '/api/v1/policies/test', access: 'administrator', summary: 'Run policy tests', body: administration.TestPolicies, answer: administration.PolicyTestResults }),
  simulatePolicies: route({ method: 'POST', path: '/api/v1/policies/simulate', access: 'administrator', summary: 'What policy would say', body: administration.SimulatePolicies, answer: administration.Simulation }),
  doctor: route({ method: 'GET', path: '/api/v1/doctor', access: 'administrator', summary: 'What is in force and what is wrong', answer: administration.Diagnosis }),
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof ROUTES;
type Part<N extends RouteName, K extends string> = K extends keyof (typeof ROUTES)[N] ? (typeof ROUTES)[N][K] : never;
/** What a caller writes and what a handler reads differ where a field has a default. */
export type BodyIn<N extends RouteName> = Part<N, 'body'> extends z.ZodType ? z.input<Part<N, 'body'>> : undefined;
export type Body<N extends RouteName> = Part<N, 'body'> extends z.ZodType ? z.output<Part<N, 'body'>> : undefined;
export type QueryIn<N extends RouteName> = Part<N, 'query'> extends z.ZodType ? z.input<Part<N, 'query'>> : undefined;
export type Query<N extends RouteName> = Part<N, 'query'> extends z.ZodType ? z.output<Part<N, 'query'>> : undefined;
export type Params<N extends RouteName> = Part<N, 'params'> extends z.ZodType ? z.output<Part<N, 'params'>> : undefined;
export type Answer<N extends RouteName> = z.output<(typeof ROUTES)[N]['answer']>;

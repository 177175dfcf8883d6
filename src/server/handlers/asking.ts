import { cancelRequest } from '#app/cancel-request.ts';
import { judgeOffers } from '#app/judge-offers.ts';
import { judgeRequest, type Judgement, type RequestInput } from '#app/judge-request.ts';
import { untilSettled } from '#app/request-changes.ts';
import { reviewRequest } from '#app/review-request.ts';
import { submitRequest } from '#app/submit-request.ts';
import { concerning, seeRequest } from '#app/visibility.ts';
import type { Body } from '#contract/routes.ts';
import { parseDuration } from '#domain/duration.ts';
import type { Entitlement } from '#domain/entitlement.ts';
import type { RequestId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { AccessRequest } from '#domain/request.ts';
import { analyzeReview, type Narrowing } from '#domain/review.ts';
import type { Actor } from '#app/actor.ts';
import type { HandlersFor, ServerDeps } from '../deps.ts';
import { Directory, entitlementRef } from '../present/directory.ts';
import { presentRequest, presentStages, wireVerdict } from '../present/present-request.ts';
import { namedPageOf, nextName, nextOf, pageOf, viewing } from '../viewing.ts';

export function askingHandlers(deps: ServerDeps): HandlersFor<'entitlements' | 'previewRequest' | 'submitRequest' | 'requests' | 'request' | 'cancelRequest' | 'reviewRequest'> {
  const { app, wording } = deps;
  const show = (actor: Actor, id: RequestId) =>
    viewing(app, actor, async (directory) => presentRequest(directory, wording, await seeRequest(directory.tx, directory.viewer, id)));
  return {
    entitlements: ({ actor, query }) =>
      viewing(app, actor, async (directory) => {
        const rows = await directory.tx.catalogue.entitlementPage(namedPageOf(query));
        const judged = await (await judgeOffers(app, directory.tx, actor))(rows);
        const items = await Promise.all(rows.map((one) => presentEntitlement(deps, directory, actor, one, judged.get(one.id) as Judgement)));
        return { items, next: nextName(rows, query.limit) };
      }),
    previewRequest: ({ actor, body }) => viewing(app, actor, (directory) => preview(deps, directory, actor, inputOf(body))),
    async submitRequest({ actor, body }) {
      const sent = await submitRequest(app, actor, inputOf(body));
      return await show(actor, sent.id);
    },
    requests: ({ actor, query }) =>
      viewing(app, actor, async (directory) => {
        const { tx, viewer } = directory;
        if (query.view === 'all' && !viewer.principal.administrator) throw new Refusal('forbidden', 'only administrators see all requests');
        const filter = { ...(query.state ? { state: query.state } : {}), ...(query.view === 'mine' ? { concerning: await concerning(tx, viewer) } : {}) };
        const plain = async () => {
          const rows = await tx.requests.list(filter, pageOf(query));
          return { rows, next: nextOf(rows, query.limit) };
        };
        const { rows, next } = query.view === 'inbox' ? await inbox(directory, query.cursor ?? null, query.limit) : await plain();
        return { items: await Promise.all(rows.map((request) => presentRequest(directory, wording, request))), next };
      }),
    async request({ actor, params, query, signal }) {
      const id = params.id as RequestId;
      if (query.waitSeconds > 0) {
        // Whoever may not know of it is told so at once.
        await viewing(app, actor, ({ tx, viewer }) => seeRequest(tx, viewer, id));
        await untilSettled(app, id, query.waitSeconds, signal, async () => (await app.store.transaction((tx) => tx.requests.byId(id)))?.state !== 'pending');
      }
      return await show(actor, id);
    },
    async cancelRequest({ actor, params }) {
      await cancelRequest(app, actor, params.id as RequestId);
      return await show(actor, params.id as RequestId);
    },
    async reviewRequest({ actor, params, body }) {
      const id = params.id as RequestId;
      // Whoever may not know of the request learns nothing by deciding on it (A09).
      await viewing(app, actor, (directory) => seeRequest(directory.tx, directory.viewer, id));
      await reviewRequest(app, actor, id, {
        decision: body.decision,
        hash: body.hash,
        reason: body.reason ?? null,
        durationSeconds: body.duration === undefined ? null : parseDuration(body.duration),
        scopes: (body.scopes ?? null) as NonNullable<Narrowing['scopes']> | null,
      });
      return await show(actor, id);
    },
  };
}

export function inputOf(body: Body<'submitRequest'>): RequestInput {
  return {
    entitlement: body.entitlement,
    reason: body.reason,
    ticket: body.ticket ?? null,
    duration: body.duration ?? null,
    startAt: body.startAt === undefined ? null : new Date(body.startAt),
    onBehalfOf: body.onBehalfOf ?? null,
    extends: null,
  };
}

async function presentEntitlement(deps: ServerDeps, directory: Directory, actor: Actor, one: Entitlement, judged: Judgement) {
  const reason = judged.outcome !== 'refused' ? null : judged.request.allowed ? 'nobody could approve it: it has no approval stage' : (deps.wording.explain(judged.request)[0] ?? 'policy does not permit it');
  return {
    ...entitlementRef(one),
    targets: await Promise.all(one.parts.map((part) => directory.targetRef(part.target))),
    kinds: [...new Set(one.parts.map((part) => part.kind))],
    reach: (await Promise.all(one.parts.map((part) => directory.reach(part.target, part.kind, part.scope)))).flat(),
    defaultDurationSeconds: one.defaultDuration,
    maxDurationSeconds: one.maxDuration,
    endMode: one.endMode,
    stages: await presentStages(directory, one, [], [actor.id, directory.viewer.principal.owner], directory.tx.now),
    request: { allowed: judged.outcome !== 'refused', reason },
  };
}

async function preview(deps: ServerDeps, directory: Directory, actor: Actor, input: RequestInput) {
  const judged = await judgeRequest(deps.app, directory.tx, actor, input);
  const { entitlement } = judged;
  const explanation = judged.outcome === 'approved_by_policy' ? deps.wording.explain(judged.autoApprove) : deps.wording.explain(judged.request);
  return {
    entitlement: entitlementRef(entitlement),
    durationSeconds: judged.durationSeconds,
    reach: (await Promise.all(entitlement.parts.map((part) => directory.reach(part.target, part.kind, part.scope)))).flat(),
    request: wireVerdict(judged.request),
    autoApprove: wireVerdict(judged.autoApprove),
    explanation: [...explanation],
    stages: await presentStages(directory, entitlement, [], [actor.id, judged.onBehalfOf, directory.viewer.principal.owner], directory.tx.now),
    outcome: judged.outcome,
  };
}

/** Pending requests that are read at once, and that one page looks through at most. */
const BATCH = 100;
const MOST_LOOKED_AT = 1000;

/**
 * A page of what waits for this viewer's decision, oldest first. A page may be short and have a next one: most of what
 * was looked through was for others to decide.
 */
async function inbox(directory: Directory, cursor: string | null, limit: number): Promise<{ readonly rows: readonly AccessRequest[]; readonly next: string | null }> {
  const rows: AccessRequest[] = [];
  let last = cursor;
  for (let looked = 0; looked < MOST_LOOKED_AT; looked += BATCH) {
    const pending = await directory.tx.requests.pending(last, BATCH);
    // Asked for together, so that the directory reads what it needs of all of them at once.
    const mine = await Promise.all(pending.map((request) => mayDecide(directory, request)));
    for (const [at, request] of pending.entries()) {
      last = request.id;
      if (mine[at]) rows.push(request);
      if (rows.length === limit) return { rows, next: last };
    }
    if (pending.length < BATCH) return { rows, next: null };
  }
  return { rows, next: last };
}

async function mayDecide(directory: Directory, request: AccessRequest): Promise<boolean> {
  const { tx, viewer } = directory;
  const requester = await directory.known(request.principal);
  if (!requester) return false;
  const facts = { reviewer: viewer.principal, memberships: viewer.memberships, requester: requester.principal };
  return analyzeReview(request, (await directory.reviews(request.id)) ?? [], facts, tx.now).allowed;
}

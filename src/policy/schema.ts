const FACTS = `
  "now": datetime, "hourUtc": Long, "weekdayUtc": Long, "startAt"?: datetime, "reason"?: String, "ticket"?: String,
  "clientIp"?: ipaddr, "authentication"?: Authentication, "onBehalfOf"?: String`;

/**
 * The world that policies speak about, in Cedar's schema language (Cedar 4).
 *
 * Entities are named by their NAMES (`Group::"developers"`), not by their random ids, so that a policy can be read. That is
 * safe only because of a rule kept elsewhere: a name in Brevet belongs to one object for ever. Removing an object retires
 * it, its name is never handed out again, and names are lower-case ASCII. A recreated object can therefore never inherit
 * what a policy gave to its predecessor. The random id is there as the attribute `id`, for whoever wants to pin it.
 *
 * - `resource in Target::"orders"` holds for every entitlement with a part on that target, `resource in Folder::"finance"`
 *   for those in the folder or with a target in it. An entitlement with parts on several targets is judged once for each
 *   target and must be allowed for every one: a permit for a sandbox does not open the production system beside it.
 * - A fact that is not known is absent. Optional attributes (`?`) must be tested (`context has ticket && ...`);
 *   validation refuses a policy that forgets to.
 * - `hourUtc` (0-23) and `weekdayUtc` (1 Monday - 7 Sunday, ISO 8601) are read off `now`, in UTC.
 * - `onBehalfOf` and `requester` are names; compare them with `principal.name`.
 */
export const SCHEMA = `
entity Group;
entity Folder;
entity Target in [Folder] = { "name": String, "type": String };
entity Person in [Group] = { "name": String, "id": String, "administrator": Bool };
entity Workload in [Group] = { "name": String, "id": String, "administrator": Bool, "owner"?: Person };
entity Entitlement in [Folder, Target] = {
  "name": String, "id": String, "kinds": Set<String>, "targets": Set<Target>, "targetTypes": Set<String>
};
entity System;

type Authentication = { "method": String, "ageSeconds": Long, "phishingResistant": Bool };
type Moment = { ${FACTS}, "durationSeconds"?: Long, "requester"?: String };
type Ask = { ${FACTS}, "durationSeconds": Long, "requester"?: String };
type Judgement = { ${FACTS}, "durationSeconds": Long, "requester": String };

action "request", "autoApprove", "extend" appliesTo { principal: [Person, Workload], resource: [Entitlement], context: Ask };
action "review" appliesTo { principal: [Person], resource: [Entitlement], context: Judgement };
action "activate", "connect" appliesTo { principal: [Person, Workload], resource: [Entitlement], context: Moment };
action "breakGlass" appliesTo { principal: [Person], resource: [Entitlement], context: Ask };
action "replay" appliesTo { principal: [Person, Workload], resource: [Entitlement, System], context: Moment };
action "administer" appliesTo { principal: [Person, Workload], resource: [Entitlement, System], context: Moment };
`;

/** The one `System` entity: what a question is about when it names no entitlement. */
export const SYSTEM = 'brevet';

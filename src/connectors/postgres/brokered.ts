import type { PartPlan, Provisioned, Withdrawn } from '#app/ports/connector.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { putPasswordBack, readPassword, type PasswordNow } from './account-password.ts';
import { putSettingsBack, readSettings } from './account-settings.ts';
import { changeAccount } from './account-change.ts';
import { countTraces, moreTraces } from './account-traces.ts';
import { parsePrior, parseRemoval, type Prior, type Removal } from './brokered-prior.ts';
import { openSomewhere, openTarget, type TargetSession } from './connect.ts';
import { roleByName, roleByOid, type Role } from './marker.ts';
import { plainText } from '../plain-text.ts';
import { parseScope } from './scope.ts';
import { checkMayEnd, checkMayRestore, endSessions } from './sessions.ts';
import type { Tools } from './tools.ts';
import { clock } from './withdraw.ts';

/** Reads what a session as the stored account could change of that account. Changes nothing. */
export async function prepareBrokered(plan: PartPlan, tools: Tools): Promise<Prior & JsonObject> {
  const { database } = parseScope('brokered_session', plan.scope);
  await using session = await openTarget(plan.target, database, tools.timeouts);
  const account = await storedAccount(session, plan);
  const { now, form } = await readPassword(session, plan, account, tools);
  refuseUnlessRight(now, account);
  const settings = await readSettings(session, account.oid);
  if (settings === null) throw new Refusal('target_refused', `the account ${plainText(account.name)} has more settings of its own than could be put back`);
  return {
    account: account.oid, accountName: account.name, password: form, settings,
    traces: await countTraces(session, account.oid), readAt: await clock(session),
  };
}

/** What can't be told from a change could not be put back either. */
function refuseUnlessRight(now: PasswordNow, account: Role): void {
  if (now === 'stored' || now === 'none') return;
  const name = plainText(account.name);
  if (now === 'expired') throw new Refusal('target_refused', `the account ${name} has expired on the target`);
  if (now === 'another') {
    throw new Refusal('target_refused', `the password that is stored for ${name} is not the one that it has on the target`, {
      hint: 'brevet target credential TARGET --account NAME. If a session of another grant changed it, it is put back when that grant ends.',
    });
  }
  throw new Refusal('target_refused', `the password that is stored for ${name} could not be tried: the target lets Brevet in without, or not at all`, {
    hint: 'As a superuser of the target: grant select (rolpassword) on pg_authid to Brevet\'s role; or see pg_hba.conf.',
  });
}

/** Nothing changes on the target. */
export async function provisionBrokered(plan: PartPlan, tools: Tools): Promise<Provisioned> {
  const { database } = parseScope('brokered_session', plan.scope);
  const prior = parsePrior(plan.prior);
  await using session = await openTarget(plan.target, database, tools.timeouts);
  const account = await storedAccount(session, plan);
  if (account.oid !== prior.account) throw new Refusal('target_refused', 'the account is another one than when it was prepared');
  return { secret: null, evidence: { account: plainText(account.name), oid: account.oid, changed: false, readAt: await clock(session) } };
}

/** The account, if it exists, may sign in, is no administrator, and Brevet may undo what is done to it. */
async function storedAccount(session: TargetSession, plan: PartPlan): Promise<Role> {
  if (plan.account === null) throw new Refusal('invalid_input', 'a brokered session names the stored account', { field: '/account' });
  const role = await roleByName(session, plan.account);
  const [more] = await session.rows('select rolcanlogin, rolcreaterole or rolreplication or rolbypassrls as powerful from pg_roles where rolname = $1', [plan.account]);
  if (!role || more?.['rolcanlogin'] !== true) throw new Refusal('target_refused', `${plainText(plan.account)} does not exist on the target, or may not sign in`);
  if (role.superuser || role.self || role.marker || more['powerful'] !== false) {
    throw new Refusal('dangerous_scope', 'the stored account is a superuser, an administrator of roles, or one of Brevet\'s own', { field: '/account' });
  }
  await checkMayEnd(session, role.oid);
  await checkMayRestore(session, role.oid);
  return role;
}

/**
 * Ends the backends that were recorded, then puts password and settings back, in this order: a session that goes on could
 * change them again. The account's other sessions are left alone, unless the password was another: then somebody may
 * have signed in past the broker, and every session goes that began since the password was last known to be right and
 * that no live grant's broker made (docs/decisions/0014).
 */
export async function withdrawBrokered(plan: PartPlan, tools: Tools): Promise<Withdrawn> {
  const { database } = parseScope('brokered_session', plan.scope);
  if (plan.prior === null) return { gone: true, residue: [], evidence: { nothingWasLent: true } };
  const removal = parseRemoval(plan.prior);
  await using session = await openSomewhere(plan.target, database, tools.timeouts);
  const ours = await endRecorded(session, removal, tools);
  const evidence = { account: plainText(removal.accountName), recorded: removal.backends.length, sessionsSpared: removal.spared.length, sessionsEnded: ours.seen, sessionsLeft: ours.left };
  const account = await roleByOid(session, removal.account);
  if (!account) return { gone: ours.left === 0, residue: [], evidence: { ...evidence, accountFound: false, readAt: await clock(session) } };
  const residue: JsonObject[] = [];
  try {
    const problems = await putBack(session, plan, removal, account, residue, tools);
    const after = await readBack(session, plan, { ...removal, found: [...removal.found, ...residue] }, account, tools);
    const gone = ours.left === 0 && after.gone && problems.length === 0;
    const left = problems.length === 0 ? {} : { settingsLeft: problems.slice(0, 10) };
    return { gone, residue: gone ? [...residue, ...after.traces] : residue, evidence: { ...evidence, accountFound: true, ...left, ...after.evidence } };
  } catch (error) {
    // What was put right is right at the next attempt: it must be told now.
    if (!(error instanceof Refusal) || residue.length === 0) throw error;
    return { gone: false, residue, evidence: { ...evidence, problem: error.message } };
  }
}

/** Ends who came in past the broker, and looks at everything again. */
async function readBack(session: TargetSession, plan: PartPlan, removal: Removal, account: Role, tools: Tools): Promise<{ gone: boolean; traces: readonly Json[]; evidence: JsonObject }> {
  const changedAt = removal.found.filter(({ kind }) => kind === 'password_changed').map((one) => String(one['at']));
  const past = changedAt.length === 0 ? { seen: 0, left: 0 } : await endPast(session, removal, tools);
  const { now } = await readPassword(session, plan, account, tools);
  // An account that has expired meanwhile can't be tried. It has been given the stored password all the same.
  const right = isRight(now, removal) || now === 'expired';
  const settled = await signInsAreOver(session, changedAt);
  const waiting = settled ? {} : { waitsFor: 'the end of sign-ins that began before the password was put back' };
  return {
    gone: past.left === 0 && right && settled, traces: moreTraces(removal.traces, await countTraces(session, account.oid)),
    evidence: { passwordAsBefore: right, sessionsPastTheBroker: past.seen, sessionsPastTheBrokerLeft: past.left, ...waiting, readAt: await clock(session) },
  };
}

function isRight(now: PasswordNow, { password }: Prior): boolean {
  return now === (password === 'none' ? 'none' : 'stored');
}

function endPast(session: TargetSession, { account, readAt, spared }: Removal, tools: Tools): Promise<{ seen: number; left: number }> {
  return endSessions(session, { of: account, since: readAt, except: pidsOf(spared) }, tools.timeouts.sessions);
}

function pidsOf(backends: Removal['backends']): readonly number[] {
  return backends.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
}

/** Numbers are used again: one that another live grant's session has now is not meant. */
async function endRecorded(session: TargetSession, { account, backends, spared }: Removal, tools: Tools): Promise<{ seen: number; left: number }> {
  const sum = { seen: 0, left: 0 };
  const others = pidsOf(spared);
  for (const { pid, backendStart } of backends) {
    if (pid === undefined || others.includes(pid)) continue;
    const { seen, left } = await endSessions(session, { of: account, pid, start: backendStart ?? null }, tools.timeouts.sessions);
    sum.seen += seen;
    sum.left += left;
  }
  return sum;
}

/**
 * The password first and by itself, then the end of who may have come in with it, then the settings: nothing that a session
 * did to those keeps the password from being put back. Adds to `residue` what was put right as soon as it is. Done by
 * several grants of one account, in any order, it comes out the same. Answers what of the settings is left to do.
 */
async function putBack(session: TargetSession, plan: PartPlan, removal: Removal, account: Role, residue: JsonObject[], tools: Tools): Promise<readonly string[]> {
  const name = plainText(account.name);
  const { now } = await readPassword(session, plan, account, tools);
  if (!isRight(now, removal)) {
    // Before as well as after: should we get no further than the change, the next attempt would not know of them.
    await endPast(session, removal, tools);
    await putPasswordBack(session, plan, account, removal.password, tools);
    // Also when the target would not tell: somebody may have seen to that. Said once; a change that is certain, each time.
    const certain = now === 'another' || now === 'none';
    if (certain || !removal.found.some((one) => one['certain'] === false)) {
      residue.push({ kind: 'password_changed', name, certain, putBack: true, at: await clock(session) });
    }
    await endPast(session, removal, tools);
  }
  const { changed, problems } = await putSettingsBack(session, account, removal.settings, (sql) => changeAccount(session, plan, account, sql, tools));
  if (changed === 'all') residue.push({ kind: 'settings_changed', name, settings: ['more than can be told; all were reset, and those from before set again'], putBack: true });
  else if (changed.length > 0) residue.push({ kind: 'settings_changed', name, settings: changed.slice(0, 50).map(wordsOf), putBack: true });
  return problems;
}

/** Names only: a value may be anything. */
function wordsOf({ database, name }: { database: string; name: string }): Json {
  return plainText(database === '' ? name : `${name} in database ${database}`);
}

/**
 * A sign-in reads the verifier when it begins, and may take until `authentication_timeout` to finish, unseen in
 * `pg_stat_activity` before PostgreSQL 18: one begun with the changed password could come in after our look.
 * Not read from `pg_settings`: everybody may update that view, and so may lock it against us (B10).
 */
async function signInsAreOver(session: TargetSession, changedAt: readonly string[]): Promise<boolean> {
  if (changedAt.length === 0) return true;
  const [row] = await session.rows(
    `select clock_timestamp() > max(at::timestamptz) + current_setting('authentication_timeout')::interval + interval '1 second' as over
     from unnest($1::text[]) at`, [changedAt],
  );
  return row?.['over'] === true;
}

import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, test as declare } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PartPlan, Withdrawn } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { startPostgresTarget, yes, type OpenSession, type PostgresTarget } from '#test/worlds/postgres-target.ts';

/** A session that is not ended as it should would wait for ever. */
const test = (name: string, work: () => Promise<void>) => declare(name, { timeout: 30_000 }, work);

let world: PostgresTarget;
before(async () => {
  world = await startPostgresTarget({ conf: ['authentication_timeout = 3s', 'max_prepared_transactions = 5'] });
  await world.sql(`create role app login password 'of-app'; grant usage, create on schema sales to app; grant select on sales.orders to app;
    alter role app set search_path = sales, "odd, one", public; alter role app set work_mem = '8MB'; alter role app in database orders set "my.word" = 'it''s'`);
});
after(() => world[Symbol.asyncDispose]());

async function lend(more: Partial<PartPlan> = {}): Promise<PartPlan> {
  const bare = world.plan({ database: 'orders' }, { kind: 'brokered_session', account: 'app', accountCredential: 'of-app', ...more });
  const plan = { ...bare, prior: JSON.parse(JSON.stringify(await world.connector.prepare(bare))) as JsonObject };
  await world.connector.provision(plan, yes);
  return plan;
}
const backend = async (session: OpenSession) =>
  (await session.query('select pg_backend_pid() as pid, backend_start::text as "backendStart" from pg_stat_activity where pid = pg_backend_pid()'))[0] as JsonObject;
const ending = (plan: PartPlan, more: JsonObject) => world.connector.withdraw({ ...plan, prior: { ...plan.prior, ...more } });
/** As the reconciler does: again, with what was found. */
async function untilGone(plan: PartPlan, more: JsonObject): Promise<Withdrawn & { found: readonly JsonObject[] }> {
  const found: JsonObject[] = [];
  for (let tries = 0; ; tries++) {
    const taken = await ending(plan, { ...more, found });
    found.push(...(taken.residue as JsonObject[]));
    if (taken.gone || tries > 40) return { ...taken, found };
    await sleep(250);
  }
}
const kinds = (found: readonly JsonObject[]) => found.map(({ kind }) => kind);
const signsIn = async (password: string) => (await world.psql('app', password, 'select 1')).ok;

test('a brokered session changes nothing, wants a modest account with the stored password, and ends only its own backends', async () => {
  await world.sql('create role strong login superuser; create role nologin_role');
  const before = await world.fingerprint();
  const plan = await lend();
  for (const account of ['strong', 'nologin_role', 'nobody', 'postgres']) {
    await assert.rejects(world.connector.prepare({ ...plan, account }), (error) => error instanceof Refusal && ['dangerous_scope', 'target_refused'].includes(error.code));
  }
  await assert.rejects(world.connector.prepare({ ...plan, accountCredential: 'another' }), /is not the one that it has/);
  await assert.rejects(world.connector.prepare({ ...plan, accountCredential: null }), (error) => error instanceof Refusal && error.code === 'unavailable');
  await using ours = await world.session('app', 'of-app');
  await using theirs = await world.session('app', 'of-app');
  // The other's number with another start: a number used again.
  const backends = [await backend(ours), { ...(await backend(theirs)), backendStart: '2020-01-01 00:00:00+00' }, {}];
  const taken = await ending(plan, { backends });
  assert.deepEqual([taken.gone, taken.evidence['sessionsEnded'], taken.residue], [true, 1, []]);
  await ours.lost;
  await theirs.query('select 1');
  assert.equal((await ending(plan, { backends })).gone, true);
  assert.equal((await world.connector.withdraw({ ...plan, prior: null })).gone, true);
  assert.equal(await world.fingerprint(), before);
});

test('A12, B15: password and settings that a session changed are put back, who came in past the broker is ended, and it is told', async () => {
  const before = await world.fingerprint();
  const plan = await lend();
  await using old = await world.session('app', 'of-app');
  const mine = await backend(old);
  await old.query(`alter role current_user password 'mine-now'; alter role app set search_path = hr; alter role app reset work_mem;
    alter role app in database orders reset all; alter role app in database orders set statement_timeout = 7; create table sales.app_left (n int);
    create function sales.app_door() returns int security definer language sql as 'select 1'; alter default privileges grant select on tables to public`);
  assert.deepEqual([await signsIn('of-app'), await signsIn('mine-now')], [false, true]);
  await using past = await world.session('app', 'mine-now');
  const taken = await untilGone(plan, { backends: [mine] });
  assert.equal(taken.gone, true, JSON.stringify(taken));
  await Promise.all([old.lost, past.lost]);
  assert.deepEqual([await signsIn('of-app'), await signsIn('mine-now')], [true, false]);
  assert.deepEqual(kinds(taken.found).slice(0, 2), ['password_changed', 'settings_changed']);
  assert.deepEqual(taken.found.filter(({ kind }) => kind === 'left_by_account').map(({ what, before: was, after: is }) => [what, was, is]), [
    ['owned objects on the server', 0, 3], ['security definer functions', 0, 1], ['default privileges', 0, 1],
  ]);
  assert.doesNotMatch(JSON.stringify([taken, plan.prior]), /mine-now|of-app|SCRAM/);
  await world.sql('drop owned by app; grant usage, create on schema sales to app; grant select on sales.orders to app');
  assert.equal(await world.fingerprint(), before, 'settings are what they were, lists and quotes included');
});

test('A12, B08: an interrupted removal, or one that finds it changed again, is finished by the next; sign-ins held open do not outlast it', async () => {
  const plan = await lend();
  await using old = await world.session('app', 'of-app');
  await old.query("alter role app password 'mine-now'");
  // The verifier is read when a sign-in begins: these have begun, and wait.
  await using late = await halfSignedIn('app', 'mine-now');
  await using stalled = await halfSignedIn('app', 'mine-now');
  const first = await ending(plan, { backends: [await backend(old)] });
  assert.equal(await late.finish(), 'Z', 'it comes in with a password that nobody can use any more');
  assert.deepEqual([first.gone, first.evidence['waitsFor'] !== undefined, await signsIn('of-app')], [false, true, true]);
  const second = await ending(plan, { found: first.residue as JsonObject[] });
  assert.equal(second.evidence['sessionsPastTheBroker'], 1, 'and is found by the next look, though the password is right again');
  await world.sql("alter role app password 'mine-again'");
  const taken = await untilGone(plan, { backends: [], found: first.residue as JsonObject[] });
  assert.deepEqual([taken.gone, kinds(taken.found), await signsIn('of-app'), await signsIn('mine-again')], [true, ['password_changed'], true, false]);
  assert.deepEqual([late.closed(), stalled.closed()], [true, true], 'the one was ended, the other the server has given up by then');
});

test('B12: two grants on one account: the end of one spares the other\'s session, and what the other changed is not taken for what was', async () => {
  const before = await world.fingerprint();
  const one = await lend();
  await using first = await world.session('app', 'of-app');
  await using second = await world.session('app', 'of-app');
  await first.query("alter role app set work_mem = '1GB'");
  const late = await lend();
  const other = { ...late, prior: world.connector.baseline(late.prior as JsonObject, one.prior as JsonObject) };
  await second.query("alter role app password 'mine-now'");
  await using past = await world.session('app', 'mine-now');
  const [firstOne, secondOne] = [await backend(first), await backend(second)];
  const taken = await untilGone(one, { backends: [firstOne, { pid: secondOne['pid'] as number }], spared: [secondOne] });
  assert.deepEqual([taken.gone, kinds(taken.found)], [true, ['password_changed', 'settings_changed']]);
  await Promise.all([first.lost, past.lost]);
  await second.query("select 1; alter role app set work_mem = '2GB'");
  const last = await ending(other, { backends: [secondOne] });
  assert.deepEqual([last.gone, kinds(last.residue as JsonObject[])], [true, ['settings_changed']]);
  assert.equal(await world.fingerprint(), before);
  const another = { ...(one.prior as JsonObject), account: 1 };
  assert.deepEqual(world.connector.baseline(late.prior as JsonObject, another), late.prior, 'another account of that name tells nothing');
});

test('accounts with an md5 password, one that is not ASCII, and none: each is put back as it was', async () => {
  for (const [account, password, setting] of [['old', 'of-old', 'md5'], ['wide', 'p\u00e4ss\u00a0w\u00f6rd', 'scram-sha-256']] as const) {
    await world.sql(`set password_encryption = '${setting}'; create role ${account} login password '${password}'`);
    const plan = await lend({ account, accountCredential: password });
    await world.sql(`alter role ${account} password 'mine-now'`);
    assert.equal((await untilGone(plan, {})).gone, true);
    const [now] = await world.sql('select left(rolpassword, 3) as form from pg_authid where rolname = $1', [account]);
    assert.deepEqual([now?.['form'], (await world.psql(account, 'mine-now', 'select 1')).ok], [setting === 'md5' ? 'md5' : 'SCR', false]);
    // This server's pg_hba.conf asks for SCRAM, for which an md5 verifier is of no use.
    if (setting !== 'md5') assert.ok((await world.psql(account, password, 'select 1')).ok);
    else assert.equal((await world.sql("select rolpassword = 'md5' || md5('of-oldold') as yes from pg_authid where rolname = 'old'"))[0]?.['yes'], true);
  }
  await world.sql('create role bare login');
  const plan = await lend({ account: 'bare', accountCredential: 'for another way of signing in' });
  await world.sql("alter role bare password 'mine-now'");
  assert.equal((await untilGone(plan, {})).gone, true);
  assert.deepEqual(await world.sql("select rolpassword from pg_authid where rolname = 'bare'"), [{ rolpassword: null }]);
  await world.sql('drop role old, wide, bare');
});

/** Begins to sign in with SCRAM (RFC 5802) and gets the server's challenge; `finish` proves the password, and answers how that ended: `Z` is ready. */
async function halfSignedIn(user: string, password: string): Promise<{ closed(): boolean; finish(): Promise<string> } & AsyncDisposable> {
  const socket = connect(world.server.port, world.server.host);
  socket.on('error', () => undefined);
  const send = (type: string, ...body: (Buffer | string)[]) => {
    const bytes = Buffer.concat(body.map((each) => Buffer.from(each)));
    socket.write(Buffer.concat([Buffer.from(type), int32(bytes.length + 4), bytes]));
  };
  const answer = () => new Promise<Buffer>((resolve) => socket.once('data', resolve));
  send('', int32(196_608), `user\0${user}\0database\0orders\0\0`);
  await answer();
  const bare = 'n=,r=0123456789abcdefghij';
  send('p', 'SCRAM-SHA-256\0', int32(bare.length + 3), `n,,${bare}`);
  const challenge = (await answer()).toString('latin1', 9);
  return {
    closed: () => socket.closed,
    async finish() {
      const [, nonce = '', salt = '', iterations = ''] = /^r=(.*),s=(.*),i=(\d+)$/.exec(challenge) ?? [];
      const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
      const clientKey = hmac(pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256'), 'Client Key');
      const without = `c=biws,r=${nonce}`;
      const signature = hmac(createHash('sha256').update(clientKey).digest(), `${bare},${challenge},${without}`);
      send('p', `${without},p=${Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))).toString('base64')}`);
      const said = await answer();
      return said[0] === 0x45 ? said.toString('latin1') : String.fromCharCode(said.at(-6) ?? 0);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(void socket.destroy()),
  };
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

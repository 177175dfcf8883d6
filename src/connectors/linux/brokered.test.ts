import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linuxHost, noHost, until, yes } from '#test/worlds/linux-host.ts';

const APP = 'brevet-app';

test('B03 processes of a brokered session end, of this grant and of no other; what it planted is told', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const key = await host.account(APP);
  const before = await host.fingerprint();
  const bare = host.plan({}, { kind: 'brokered_session', account: APP, accountCredential: key });
  const prior = await host.connector.prepare(bare);
  const plan = { ...bare, prior };
  const { secret } = await host.connector.provision(plan, yes);
  assert.equal(secret, null);
  assert.equal(await host.fingerprint(), before, 'nothing changes on the target');

  const session = (mark: string) => host.session(APP, key, `export LC_BREVET=${mark}; echo $SSH_CONNECTION > ~/${mark}; setsid sleep 1001 & sleep 1002`);
  const [ours, theirs] = [await session('ses_00000001'), await session('ses_00000002')];
  await until(host, `test -s /home/${APP}/ses_00000001 -a -s /home/${APP}/ses_00000002`);
  await host.ssh(APP, key, `echo "* * * * * true" | crontab -; echo ssh-ed25519 AAAA >> ~/.ssh/authorized_keys`);
  const port = async (mark: string) => Number((await host.root(`cut -d ' ' -f 2 /home/${APP}/${mark}`)).trim());
  const backends = [{ sourcePort: await port('ses_00000001') }];
  const taken = await host.connector.withdraw({ ...plan, prior: { ...prior, backends, spared: [{ sourcePort: await port('ses_00000002') }] } });
  assert.equal(taken.gone, true, JSON.stringify(taken));
  await ours.ended;
  assert.equal(theirs.child.exitCode, null, 'another grant\'s session goes on');
  assert.deepEqual(taken.residue.map((one) => (one as { what: string }).what).toSorted(), ['authorized_keys', 'crontab']);
  assert.equal(await host.root(`pgrep -u ${APP} -f "^sleep 1001" | wc -l`), '1');

  const second = await host.connector.withdraw({ ...plan, prior: { ...prior, backends: [{ mark: 'ses_00000002' }], spared: [] } });
  assert.equal(second.gone, true);
  await theirs.ended;
  assert.equal(await host.root(`ps -o stat=,args= -u ${APP} | grep sleep | grep -v ^Z || true`), '');
  await host.root(`crontab -r -u ${APP}`);
});

test('C03 what a broker noted goes to no shell', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  await host.account(APP);
  const bare = host.plan({}, { kind: 'brokered_session', account: APP });
  const prior = await host.connector.prepare(bare);
  for (const mark of ["'; touch /tmp/x; '", '$(id)', 'a\nport 22', '']) {
    await assert.rejects(host.connector.withdraw({ ...bare, prior: { ...prior, backends: [{ mark }], spared: [] } }), { code: 'invalid_input' }, mark);
  }
  for (const account of [null, 'root', 'nobody-at-all', '-h', 'a b']) await assert.rejects(host.connector.prepare({ ...bare, account }), `${account}`);
});

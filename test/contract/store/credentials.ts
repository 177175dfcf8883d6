/** Of the store's contract: keys, tokens, links, certificates, answers that are given again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EnrolledKey } from '#app/ports/credential-table.ts';
import type { Tx } from '#app/ports/store.ts';
import { held, later, newId, person, sealedLike, textIn } from '#test/worlds/store-world.ts';
import { refused, same, type OpenStore } from './under-test.ts';

export function credentialContract(name: string, open: OpenStore): void {
  test(`${name}: keys, their nonces, and a key that two hold`, async () => {
    await using use = await open();
    const { store } = use;
    const key = await store.transaction(async (tx) => {
      const holder = person();
      await tx.principals.insert(holder);
      const key: EnrolledKey = { id: newId('key', tx.now), principal: holder.id, label: 'laptop', publicKey: 'PEM', createdAt: tx.now, signedInAt: tx.now, signInMethod: 'link', issuedBy: holder.id, lastUsedAt: null, revokedAt: null };
      await tx.credentials.insertKey(key);
      same(await tx.credentials.key(key.id), key);
      same(await tx.credentials.keyByPublicKey('PEM'), key);
      same(await tx.credentials.keysOf(holder.id), [key]);
      await tx.credentials.touchKey(key.id, later(tx.now, 5));
      await tx.credentials.touchKey(key.id, tx.now);
      same((await tx.credentials.key(key.id))?.lastUsedAt, later(tx.now, 5));
      assert.equal(await tx.credentials.revokeKey(key.id, tx.now), true);
      assert.equal(await tx.credentials.revokeKey(key.id, tx.now), false);
      same((await tx.credentials.key(key.id))?.revokedAt, tx.now);
      return key;
    });
    const spent = await Promise.all(Array.from({ length: 5 }, () => store.transaction((tx) => tx.credentials.spendNonce(key.id, 'n', tx.now))));
    same(spent.filter(Boolean).length, 1);
    await assert.rejects(store.transaction((tx) => tx.credentials.insertKey({ ...key, id: newId('key', tx.now) })), refused('already_exists'));
  });

  test(`${name}: of any number of racers one spends a token or a link`, async () => {
    await using use = await open();
    const { store } = use;
    const { has, token } = await store.transaction(async (tx) => {
      const has = await held(tx);
      const verifier = { iterations: 4096, salt: 'c2FsdA==', storedKey: 'a', serverKey: 'b' };
      const token = { handle: 'h1', grant: has.grant.id, principal: has.principal.id, verifier, createdAt: tx.now, expiresAt: later(tx.now, 60_000) };
      await tx.credentials.insertToken(token);
      await tx.credentials.insertLink(Buffer.from('link'), has.principal.id, null, tx.now, later(tx.now, 60_000));
      same(await tx.credentials.token('h1', tx.now), token);
      assert.equal(await tx.credentials.token('h1', token.expiresAt), null, 'over at its end');
      assert.equal(await tx.credentials.spendToken('h1', token.expiresAt), null);
      assert.equal(await tx.credentials.countTokens(has.principal.id, tx.now), 1);
      return { has, token };
    });
    const race = <T>(work: (tx: Tx) => Promise<T>) => Promise.all(Array.from({ length: 6 }, () => store.transaction(work)));
    same((await race((tx) => tx.credentials.spendToken('h1', tx.now))).filter((t) => t !== null), [token]);
    same((await race((tx) => tx.credentials.spendLink(Buffer.from('link'), tx.now))).filter((p) => p !== null), [{ principal: has.principal.id, issuedBy: null }]);
    await store.transaction(async (tx) => {
      assert.equal(await tx.credentials.token('h1', tx.now), null);
      assert.equal(await tx.credentials.countTokens(has.principal.id, tx.now), 0);
    });
  });

  test(`${name}: certificates until they run out`, async () => {
    await using use = await open();
    await use.store.transaction(async (tx) => {
      const has = await held(tx);
      await tx.credentials.insertCertificate({ fingerprint: 'f', principal: has.principal.id, grant: null, createdAt: tx.now, notAfter: later(tx.now, 1000) });
      same(await tx.credentials.certificate('f', tx.now), { principal: has.principal.id, grant: null });
      assert.equal(await tx.credentials.certificate('f', later(tx.now, 1000)), null);
      assert.equal(await tx.credentials.certificate('g', tx.now), null);
    });
  });

  test(`${name}: what ran out is dropped, and stays refused; what holds is kept`, async () => {
    await using use = await open();
    const has = await use.store.transaction((tx) => held(tx));
    const verifier = { iterations: 4096, salt: 'c2FsdA==', storedKey: 'a', serverKey: 'b' };
    const now = await use.store.transaction(async (tx) => {
      for (const [which, until] of [['old', later(tx.now, -1000)], ['new', later(tx.now, 60_000)]] as const) {
        const issued = { principal: has.principal.id, createdAt: later(tx.now, -5000) };
        await tx.credentials.insertCertificate({ ...issued, fingerprint: which, grant: null, notAfter: until });
        await tx.credentials.insertToken({ ...issued, handle: which, grant: has.grant.id, verifier, expiresAt: until });
      }
      return tx.now;
    });
    await use.store.transaction((tx) => tx.credentials.purge(now));
    // Asked as of a time at which both held: what is still refused is gone.
    const then = later(now, -2000);
    await use.store.transaction(async (tx) => {
      same([await tx.credentials.certificate('old', then), await tx.credentials.token('old', then)], [null, null]);
      same(await tx.credentials.certificate('new', then), { principal: has.principal.id, grant: null });
      same((await tx.credentials.token('new', then))?.handle, 'new');
      same(await tx.credentials.countTokens(has.principal.id, then), 1);
    });
  });

  test(`${name}: what was issued to a principal ends at once, and nobody else's`, async () => {
    await using use = await open();
    await use.store.transaction(async (tx) => {
      const has = await held(tx);
      const other = person();
      await tx.principals.insert(other);
      const [until, certificate] = [later(tx.now, 1000), { grant: null, createdAt: tx.now, notAfter: later(tx.now, 1000) }];
      await tx.credentials.insertCertificate({ ...certificate, fingerprint: 'f', principal: has.principal.id });
      await tx.credentials.insertCertificate({ ...certificate, fingerprint: 'g', principal: other.id });
      const verifier = { iterations: 4096, salt: 'c2FsdA==', storedKey: 'a', serverKey: 'b' };
      await tx.credentials.insertToken({ handle: 'h', grant: has.grant.id, principal: has.principal.id, verifier, createdAt: tx.now, expiresAt: until });
      await tx.credentials.revokeIssued(has.principal.id, tx.now);
      assert.deepEqual([await tx.credentials.certificate('f', tx.now), await tx.credentials.token('h', tx.now)], [null, null]);
      same(await tx.credentials.certificate('g', tx.now), { principal: other.id, grant: null });
    });
  });

  test(`${name}: an idempotency key answers the same again, and nothing to another body`, async () => {
    await using use = await open();
    const { store } = use;
    const holder = person();
    await store.transaction((tx) => tx.principals.insert(holder));
    const ask = (body: string) => store.transaction((tx) => tx.credentials.openIdempotency(holder.id, 'k', body, tx.now));
    const racers = await Promise.all([ask('h'), ask('h'), ask('h')]);
    same(racers.filter((answer) => answer === 'new').length, 1);
    same(racers.filter((answer) => answer === null).length, 2, 'it still runs');
    await store.transaction((tx) => tx.credentials.forgetIdempotency(holder.id, 'k'));
    same(await ask('h'), 'new', 'forgotten');
    await store.transaction((tx) => tx.credentials.closeIdempotency(holder.id, 'k', 201, sealedLike('{"id":1}')));
    await store.transaction((tx) => tx.credentials.forgetIdempotency(holder.id, 'k'));
    const again = await ask('h');
    assert.ok(again !== null && again !== 'new');
    same([again.status, textIn(again.response)], [201, '{"id":1}']);
    assert.equal(await ask('other'), null);
    await store.transaction((tx) => tx.credentials.purge(later(tx.now, 1)));
    same(await ask('other'), 'new');
  });

  test(`${name}: the first of Brevet's own keys stays`, async () => {
    await using use = await open();
    const keep = (word: string) => use.store.transaction((tx) => tx.credentials.keepOwnKey('log', sealedLike(word), word, tx.now));
    assert.equal(await use.store.transaction((tx) => tx.credentials.ownKey('log')), null);
    const kept = await Promise.all(['a', 'b', 'c'].map(keep));
    same(new Set(kept.map((key) => key.public)).size, 1);
    const now = await use.store.transaction((tx) => tx.credentials.ownKey('log'));
    same([now?.public, textIn(now?.sealed ?? null)], [kept[0]?.public, kept[0]?.public]);
  });
}

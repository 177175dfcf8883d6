import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeAll, entriesOfLog, entryOf, lifeOfGrant, numberedId, publish, reader, SIGNER } from '#test/worlds/log-world.ts';
import { buildEvidence, type Evidence, type EvidenceReport, verifyGrant } from './evidence.ts';
import { formatSignerKey, parseSignerKey } from './signed-note.ts';

const life = entriesOfLog(700);
const { files, checkpoints } = publish(encodeAll(life), 300);
const grant = numberedId('grant', 12);
const request = numberedId('request', 12);
const indexesOf = (id: string, own: string): number[] =>
  life.flatMap(({ data }, i) => (data['grant'] === id || data['request'] === own ? [i] : []));
const source = { read: reader(files), vkey: SIGNER.vkey, checkpoint: checkpoints.at(-1) as string };
const evidence = await buildEvidence({ ...source, indexes: indexesOf(grant, request) });
const verify = (changed: unknown, known = { vkey: SIGNER.vkey, grant: grant as string }): EvidenceReport =>
  verifyGrant(Buffer.from(typeof changed === 'string' ? changed : JSON.stringify(changed)), known);
const kinds = (report: EvidenceReport): string[] => report.findings.map(({ kind }) => kind);
const change = (at: number, to: Partial<Evidence['entries'][number]>): Evidence => ({
  ...evidence,
  entries: evidence.entries.map((each, i) => (i === at ? { ...each, ...to } : each)),
});

test('the entries of one grant verify by themselves', () => {
  const report = verify(evidence);
  assert.deepEqual([report.ok, report.checked, report.size, report.trust, report.findings], [true, 10, 700, 'given', []]);
  assert.deepEqual(report.entries.map(({ entry }) => entry.type).slice(0, 2), ['request.submitted', 'review.given']);
  assert.equal(verifyGrant(Buffer.from(JSON.stringify(evidence)), {}).trust, 'found');
});

test('evidence under an older checkpoint is built from the same files', async () => {
  const older = await buildEvidence({ ...source, checkpoint: checkpoints[0] as string, indexes: [3, 299] });
  assert.deepEqual([verifyGrant(Buffer.from(JSON.stringify(older)), { vkey: SIGNER.vkey }).checked], [2]);
  await assert.rejects(buildEvidence({ ...source, checkpoint: checkpoints[0] as string, indexes: [300] }), RangeError);
});

test('what was changed, moved, left out or belongs to others is named', () => {
  const [first, second] = evidence.entries as [Evidence['entries'][number], Evidence['entries'][number]];
  assert.deepEqual(kinds(verify(change(3, { entry: first.entry }))), ['proof']);
  const edited = verify(change(9, { entry: (evidence.entries[9]?.entry ?? '').replace('expired', 'revoked') }));
  assert.deepEqual([kinds(edited), edited.firstBad], [['proof'], evidence.entries[9]?.index]);
  assert.deepEqual(kinds(verify(change(9, { proof: [] }))), ['proof']);
  assert.deepEqual(kinds(verify(change(9, { proof: ['!'] }))), ['entry']);
  assert.deepEqual(kinds(verify(change(0, { index: second.index }))), ['evidence']);
  assert.deepEqual(kinds(verify({ ...evidence, entries: evidence.entries.filter((_, i) => i !== 8) })), ['history']);
  assert.deepEqual(kinds(verify(evidence, { vkey: SIGNER.vkey, grant: numberedId('grant', 13) })).slice(0, 2), ['evidence', 'evidence']);
});

test('evidence under another key than the one that is known is refused', () => {
  const stranger = parseSignerKey(formatSignerKey(SIGNER.name, Buffer.alloc(32, 8)));
  assert.deepEqual(kinds(verify(evidence, { vkey: stranger.vkey, grant })), ['evidence']);
  assert.equal(verify({ ...evidence, vkey: 'garbage' }).ok, true);
  assert.deepEqual(kinds(verifyGrant(Buffer.from(JSON.stringify({ ...evidence, vkey: 'garbage' })), {})), ['evidence']);
});

test('malformed evidence is a finding, not an exception', () => {
  const bad = ['', 'null', '[]', '{}', JSON.stringify({ ...evidence, extra: 1 }), JSON.stringify({ ...evidence, format: 'v2' }), JSON.stringify({ ...evidence, entries: {} }), JSON.stringify(change(0, { index: -1 })), JSON.stringify(change(0, { index: 0.5 })), JSON.stringify(change(0, { entry: 'x'.repeat(60_001) })), JSON.stringify(change(0, { proof: Array.from({ length: 60 }, () => '') })), JSON.stringify({ ...evidence, checkpoint: 'x' })];
  for (const text of bad) assert.deepEqual(kinds(verify(text)), ['evidence'], text.slice(0, 60));
  assert.deepEqual(kinds(verifyGrant(Buffer.of(0xff, 0xfe), {})), ['evidence']);
});

test('what the entries themselves show to be missing is said, whichever end it was left out at', () => {
  const without = (...types: string[]): EvidenceReport =>
    verify({ ...evidence, entries: evidence.entries.filter(({ entry }) => !types.includes((JSON.parse(entry) as { type: string }).type)) }, { vkey: SIGNER.vkey } as never);
  assert.deepEqual([without().gaps, [...without().open]], [[], []]);
  assert.deepEqual(without('request.submitted', 'review.given', 'request.approved').gaps.map((gap) => gap.replace(/.*its /, '')), ['request.submitted is not here', 'request.approved is not here']);
  assert.deepEqual(without('session.opened').gaps, [`session ${numberedId('session', 12)} of grant ${grant}: its session.opened is not here`]);
  const live = without('grant.revoking', 'grant.ended');
  assert.deepEqual([live.ok, live.gaps, [...live.open]], [true, [], [[grant, 'active']]]);
});

test("an extension's request and approval belong to the grant, and may not be missing", async () => {
  const [extension, reviewer] = [numberedId('request', 900), numberedId('person', 1001)];
  const principal = numberedId('person', 12);
  const [own, after] = [lifeOfGrant(12).slice(0, 6), lifeOfGrant(12).slice(8)];
  const asked = { request: extension, principal };
  const story = [
    ...own,
    entryOf('request.submitted', { ...asked, extendsGrant: grant }, { actor: principal }),
    entryOf('review.given', { ...asked, reviewer, decision: 'approve' }, { actor: reviewer }),
    entryOf('request.approved', { ...asked, by: 'reviewers' }, { actor: reviewer }),
    entryOf('grant.extended', { grant, request, principal, extension }),
    ...after,
  ];
  const published = publish(encodeAll(story));
  const bundle = (indexes: number[]) => buildEvidence({ read: reader(published.files), vkey: SIGNER.vkey, checkpoint: published.checkpoints[0] as string, indexes });
  const all = story.map((_, i) => i);
  assert.deepEqual(verify(await bundle(all)).findings, []);
  const bare = verify(await bundle(all.filter((i) => story[i]?.data['request'] !== extension)));
  assert.deepEqual(bare.findings.map(({ message }) => message), ['request.submitted', 'request.approved'].map((type) => `request ${extension}, which extended grant ${grant}: its ${type} is not here`));
});

/** Logs for tests: a plausible life of requests, grants and sessions, published as the files of a tiled log. */
import { signCheckpoint } from '#log/checkpoint.ts';
import { encodeEntry, type LogEntry } from '#log/entry.ts';
import { leafHash } from '#log/merkle-tree.ts';
import { formatSignerKey, type NoteSigner, parseSignerKey } from '#log/signed-note.ts';
import { TileEdge } from '#log/tile-edge.ts';
import { encodeBundle, entriesPath, newTiles, type ReadFile, TILE_WIDTH, tilePath } from '#log/tiles.ts';
import { type IdKind, makeId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';

/** The same key in every run. */
export const SIGNER: NoteSigner = parseSignerKey(formatSignerKey('brevet.example/log', Buffer.alloc(32, 7)));

const START = Date.UTC(2026, 2, 1, 9);

/** Ids that are the same in every run: the n-th of its kind. */
export function numberedId<K extends IdKind>(kind: K, n: number): ReturnType<typeof makeId<K>> {
  const tail = Buffer.alloc(10);
  tail.writeUInt32BE(n, 6);
  return makeId(kind, START, tail);
}

let events = 0;

export function entryOf(type: string, data: JsonObject, more: Partial<LogEntry> = {}): LogEntry {
  events += 1;
  const at = new Date(START + events * 250).toISOString();
  return { v: 1, id: numberedId('event', events), at, type, actor: 'system', data, personal: null, ...more };
}

/** The ten entries of the n-th grant, from the request to the end. */
export function lifeOfGrant(n: number): LogEntry[] {
  const [request, grant, session] = [numberedId('request', n), numberedId('grant', n), numberedId('session', n)];
  const [principal, reviewer] = [numberedId('person', n % 50), numberedId('person', 1000 + (n % 5))];
  const about = { grant, request, principal };
  const deadline = new Date(START + n * 1000 + 3_600_000).toISOString();
  const sealed = Buffer.alloc(129, n % 251).toString('base64');
  return [
    entryOf('request.submitted', { request, principal, onBehalfOf: null, durationSeconds: 3600 }, { actor: principal, personal: { subject: principal, alg: 'A256GCM', sealed } }),
    entryOf('review.given', { request, principal, reviewer, decision: 'approve' }, { actor: reviewer }),
    entryOf('request.approved', { request, principal, by: 'reviewers' }, { actor: reviewer }),
    entryOf('grant.scheduled', { ...about, durationSeconds: 3600 }),
    entryOf('grant.activating', about),
    entryOf('grant.active', { ...about, deadline }),
    entryOf('session.opened', { session, grant, principal, protocol: 'postgresql' }, { actor: principal }),
    entryOf('session.ended', { session, grant, principal, reason: 'deadline', statements: 12 }),
    entryOf('grant.revoking', { ...about, reason: 'expired' }),
    entryOf('grant.ended', { ...about, reason: 'expired', verified: true }),
  ];
}

/** `size` entries out of lives that go on beside each other. */
export function entriesOfLog(size: number): LogEntry[] {
  const lives = Array.from({ length: Math.ceil(size / 10) + 1 }, (_, n) => lifeOfGrant(n));
  const entries: LogEntry[] = [];
  for (let step = 0; entries.length < size; step++) {
    for (let n = Math.max(0, step - 9); n <= step && n < lives.length; n++) {
      const entry = lives[n]?.[step - n];
      if (entry !== undefined && entries.length < size) entries.push(entry);
    }
  }
  return entries;
}

export type LogFiles = Map<string, Uint8Array>;

export interface PublishedLog {
  readonly files: LogFiles;
  /** The checkpoint after each batch. */
  readonly checkpoints: readonly string[];
}

/** Publishes entries in batches, as the sequencer does: tiles, bundles, then the checkpoint. */
export function publish(entries: readonly Uint8Array[], batch = entries.length, signer: NoteSigner = SIGNER): PublishedLog {
  const files: LogFiles = new Map([['log.vkey', Buffer.from(`${signer.vkey}\n`)]]);
  const checkpoints: string[] = [];
  const edge = new TileEdge();
  do {
    const older = edge.size;
    for (const tile of edge.append(entries.slice(older, older + batch).map(leafHash))) files.set(tilePath(tile), tile.bytes);
    for (const tile of edge.partials()) files.set(tilePath(tile), tile.bytes);
    for (const { level, index, width } of newTiles(older, edge.size)) {
      if (level === 0) files.set(entriesPath({ index, width }), encodeBundle(entries.slice(index * TILE_WIDTH, index * TILE_WIDTH + width)));
    }
    checkpoints.push(signCheckpoint({ origin: signer.name, size: edge.size, root: edge.root() }, signer));
  } while (edge.size < entries.length);
  files.set('checkpoint', Buffer.from(checkpoints.at(-1) as string));
  return { files, checkpoints };
}

export const encodeAll = (entries: readonly LogEntry[]): Buffer[] => entries.map(encodeEntry);
export const reader = (files: LogFiles): ReadFile => (path) => Promise.resolve(files.get(path) ?? null);

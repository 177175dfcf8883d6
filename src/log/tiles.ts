/**
 * The static files of a log: c2sp.org/tlog-tiles. Tiles hold 256 hashes (height 8), entry bundles 256 entries; the ones
 * at the right edge are partial and named by their width.
 */
import { HASH_BYTES } from './merkle-tree.ts';
import { Malformed } from './malformed.ts';

export const TILE_WIDTH = 256;
export const MAX_TILE_LEVEL = 63;

/** Reads a file of the log by its path (`checkpoint`, `tile/0/000` ...); `null` when there is none. */
export type ReadFile = (path: string) => Promise<Uint8Array | null>;

export interface TileAddress {
  readonly level: number;
  readonly index: number;
  /** 1 to 256 hashes; below 256 the tile is partial. */
  readonly width: number;
}

export interface BundleAddress {
  readonly index: number;
  readonly width: number;
}

/** `1234067` becomes `x001/x234/067`: folders and files never collide. */
function formatIndex(index: number): string {
  let text = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    text = `x${String(rest % 1000).padStart(3, '0')}/${text}`;
  }
  return text;
}

function checkAddress(index: number, width: number): string {
  if (!Number.isSafeInteger(index) || index < 0) throw new RangeError('a tile index is a safe integer');
  if (!Number.isInteger(width) || width < 1 || width > TILE_WIDTH) throw new RangeError('a tile is 1 to 256 wide');
  return `${formatIndex(index)}${width < TILE_WIDTH ? `.p/${width}` : ''}`;
}

export function tilePath({ level, index, width }: TileAddress): string {
  if (!Number.isInteger(level) || level < 0 || level > MAX_TILE_LEVEL) throw new RangeError('a tile level is 0 to 63');
  return `tile/${level}/${checkAddress(index, width)}`;
}

export function entriesPath({ index, width }: BundleAddress): string {
  return `tile/entries/${checkAddress(index, width)}`;
}

export type LogPath = ({ readonly kind: 'tile' } & TileAddress) | ({ readonly kind: 'entries' } & BundleAddress);

const PATH = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** Reads a path back, or answers `null` for every other spelling: what a server serves is exactly what is specified. */
export function parseLogPath(path: string): LogPath | null {
  const [, level, coded, partial] = PATH.exec(path) ?? [];
  if (level === undefined || coded === undefined) return null;
  const index = Number(coded.replaceAll(/[x/]/g, ''));
  const width = partial === undefined ? TILE_WIDTH : Number(partial);
  if (!Number.isSafeInteger(index) || formatIndex(index) !== coded) return null;
  if (partial !== undefined && width >= TILE_WIDTH) return null;
  if (level === 'entries') return { kind: 'entries', index, width };
  return Number(level) > MAX_TILE_LEVEL ? null : { kind: 'tile', level: Number(level), index, width };
}

/** How many hashes stand at this tile level in a tree of `size` leaves: `floor(size / 256^level)`. */
export function hashesAtLevel(size: number, level: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/**
 * The tiles that a tree of `newer` leaves has and one of `older` leaves had not: what to publish after a batch. A full
 * tile that was partial before is among them.
 */
export function newTiles(older: number, newer: number): TileAddress[] {
  const tiles: TileAddress[] = [];
  for (let level = 0; hashesAtLevel(newer, level) > 0; level++) {
    const [before, now] = [hashesAtLevel(older, level), hashesAtLevel(newer, level)];
    if (before === now) continue;
    for (let index = Math.floor(before / TILE_WIDTH); index * TILE_WIDTH < now; index++) {
      tiles.push({ level, index, width: Math.min(TILE_WIDTH, now - index * TILE_WIDTH) });
    }
  }
  return tiles;
}

/** An entry's length is written in 16 bits; `entry.ts` sets the lower limit that Brevet keeps. */
const MAX_LENGTH = 0xffff;

/** An entry bundle: each entry after its length as a big-endian uint16. @throws RangeError for an entry above 65,535 bytes. */
export function encodeBundle(entries: readonly Uint8Array[]): Buffer {
  const bundle = Buffer.allocUnsafe(entries.reduce((sum, entry) => sum + 2 + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    if (entry.length > MAX_LENGTH) throw new RangeError('an entry in a bundle has at most 65,535 bytes');
    at = bundle.writeUInt16BE(entry.length, at);
    bundle.set(entry, at);
    at += entry.length;
  }
  return bundle;
}

/**
 * Takes a bundle apart as far as it goes. `whole` is false when it holds fewer or more than `width` entries, or ends
 * inside one; the entries before the fault are still given, so that a verifier can name the first bad one.
 */
export function splitBundle(bundle: Uint8Array, width: number): { entries: Uint8Array[]; whole: boolean } {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (entries.length < width && at + 2 <= bundle.length) {
    const end = at + 2 + (bundle[at] as number) * 256 + (bundle[at + 1] as number);
    if (end > bundle.length) break;
    entries.push(bundle.subarray(at + 2, end));
    at = end;
  }
  return { entries, whole: entries.length === width && at === bundle.length };
}

/** @throws Malformed unless the bundle holds exactly `width` entries. */
export function decodeBundle(bundle: Uint8Array, width: number): Uint8Array[] {
  const { entries, whole } = splitBundle(bundle, width);
  if (!whole) throw new Malformed(`the bundle does not hold exactly ${width} entries`);
  return entries;
}

/** The narrower partial tile inside a wider one: partial tiles need not be kept once the wider one is. */
export function narrowTile(tile: Uint8Array, width: number): Uint8Array | null {
  return tile.length >= width * HASH_BYTES ? tile.subarray(0, width * HASH_BYTES) : null;
}

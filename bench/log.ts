/**
 * The log: appending (leaf hashes, tiles, root and a signed checkpoint for each batch of 5,000) and verifying a folder.
 * `node bench/log.ts [entries]`, by default 1,000,000; needs about 550 bytes of disk for each. JSON on standard output.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, release, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { signCheckpoint } from '#log/checkpoint.ts';
import { encodeEntry } from '#log/entry.ts';
import { leafHash } from '#log/merkle-tree.ts';
import { readLogFolder } from '#log/log-folder.ts';
import { TileEdge } from '#log/tile-edge.ts';
import { encodeBundle, entriesPath, TILE_WIDTH, tilePath } from '#log/tiles.ts';
import { verifyLog } from '#log/verifier.ts';
import { lifeOfGrant, SIGNER } from '#test/worlds/log-world.ts';

const BATCH = 5_000;
const count = Number(process.argv[2] ?? 1_000_000);
const folder = mkdtempSync(join(tmpdir(), 'brevet-bench-log-'));
const made = new Set<string>();

function write(path: string, bytes: Uint8Array | string): void {
  const file = join(folder, path);
  const parent = dirname(file);
  if (!made.has(parent)) mkdirSync(parent, { recursive: true });
  made.add(parent);
  writeFileSync(file, bytes);
}

/** Lives of grants in the order of the log, ten grants beside each other. */
function* rows(): Generator<Buffer> {
  for (let group = 0, made = 0; made < count; group++) {
    const lives = Array.from({ length: 10 }, (_, i) => lifeOfGrant(group * 10 + i));
    for (let step = 0; step < 10; step++) {
      for (const life of lives) if (made++ < count) yield encodeEntry(life[step] as (typeof life)[number]);
    }
  }
}

/** Publishes the log; answers the milliseconds spent on the tree and the signatures alone. */
function publish(): { treeMs: number; bytes: number } {
  const edge = new TileEdge();
  let [treeMs, bytes] = [0, 0];
  let batch: Buffer[] = [];
  let bundle: Buffer[] = [];
  const seal = (): void => {
    const began = performance.now();
    const tiles = [...edge.append(batch.map(leafHash)), ...edge.partials()];
    const note = signCheckpoint({ origin: SIGNER.name, size: edge.size, root: edge.root() }, SIGNER);
    treeMs += performance.now() - began;
    for (const tile of tiles) if (tile.width === TILE_WIDTH || edge.size === count) write(tilePath(tile), tile.bytes);
    write('checkpoint', note);
    batch = [];
  };
  let n = 0;
  for (const row of rows()) {
    n += 1;
    bytes += row.length;
    batch.push(row);
    bundle.push(row);
    if (bundle.length === TILE_WIDTH || n === count) {
      write(entriesPath({ index: Math.floor((n - 1) / TILE_WIDTH), width: bundle.length }), encodeBundle(bundle));
      bundle = [];
    }
    if (batch.length === BATCH || n === count) seal();
  }
  write('log.vkey', `${SIGNER.vkey}\n`);
  return { treeMs, bytes };
}

try {
  const { treeMs, bytes } = publish();
  const began = performance.now();
  const cpu = process.cpuUsage();
  const report = await verifyLog({
    read: readLogFolder(folder),
    vkey: SIGNER.vkey,
    onProgress: (done, total) => process.stderr.write(`\r${done}/${total}`),
  });
  const verifyMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  process.stderr.write('\n');
  if (!report.ok) throw new Error(`the log does not verify: ${JSON.stringify(report.findings[0])}`);
  const environment = { node: process.version, platform: `${platform()} ${release()} ${arch()}`, cpu: cpus()[0]?.model, cores: cpus().length, memoryMb: Math.round(totalmem() / 2 ** 20) };
  console.log(JSON.stringify({
    environment,
    entries: count,
    bytesPerEntry: Math.round(bytes / count),
    append: { entriesPerSecond: Math.round(count / (treeMs / 1000)), batch: BATCH },
    verify: { seconds: Number((verifyMs / 1000).toFixed(2)), secondsPerMillion: Number((verifyMs / 1000 / (count / 1e6)).toFixed(2)), cpuSecondsPerMillion: Number(((user + system) / count).toFixed(2)), maxRssMb: Math.round(process.resourceUsage().maxRSS / 1024) },
  }, null, 2));
} finally {
  rmSync(folder, { recursive: true });
}

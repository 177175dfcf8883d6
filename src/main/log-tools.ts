import type { App } from '#app/app.ts';
import type { LogTree, SignCheckpoint } from '#app/ports/tree.ts';
import { signCheckpoint } from '#log/checkpoint.ts';
import { buildEvidence, MAX_EVIDENCE_ENTRIES } from '#log/evidence.ts';
import type { NoteSigner } from '#log/signed-note.ts';
import { TileEdge } from '#log/tile-edge.ts';
import { encodeBundle, hashesAtLevel, parseLogPath, TILE_WIDTH } from '#log/tiles.ts';
import type { LogTools } from '#server/deps.ts';

export const tree: LogTree = {
  append(state, leaves) {
    const edge = TileEdge.restore(state);
    const full = edge.append(leaves);
    return { size: edge.size, root: edge.root(), tiles: [...full, ...edge.partials()] };
  },
};

export function checkpointSigner(signer: NoteSigner): SignCheckpoint {
  return (size, root) => signCheckpoint({ origin: signer.name, size, root }, signer);
}

/** The log as static files, made from the store. */
export function logTools(signer: NoteSigner): LogTools {
  const tools: LogTools = {
    verifier: signer.vkey,
    file: (app, path) => readFile(app, signer.vkey, path),
    mostEvidence: MAX_EVIDENCE_ENTRIES,
    evidence: (app, indexes, checkpoint) => buildEvidence({ read: async (path) => (await tools.file(app, path))?.bytes ?? null, vkey: signer.vkey, checkpoint, indexes }),
  };
  return tools;
}

async function readFile(app: App, vkey: string, path: string): Promise<{ bytes: Uint8Array; immutable: boolean } | null> {
  if (path === 'log.vkey') return { bytes: Buffer.from(`${vkey}\n`), immutable: false };
  if (path === 'checkpoint') {
    const { checkpoint } = await app.store.transaction((tx) => tx.entries.head());
    return checkpoint === null ? null : { bytes: Buffer.from(checkpoint), immutable: false };
  }
  const asked = parseLogPath(path);
  if (!asked) return null;
  return await app.store.transaction(async (tx) => {
    const { size } = await tx.entries.head();
    // A partial tile is a prefix of what the tile has become: whatever was signed stays readable.
    const held = Math.min(TILE_WIDTH, hashesAtLevel(size, asked.kind === 'tile' ? asked.level : 0) - asked.index * TILE_WIDTH);
    if (asked.width > held) return null;
    if (asked.kind === 'entries') {
      const entries = await tx.entries.from(asked.index * TILE_WIDTH, asked.width);
      return { bytes: encodeBundle(entries.map((entry) => Buffer.from(entry.body))), immutable: true };
    }
    const tile = await tx.entries.tile(asked.level, asked.index);
    return tile ? { bytes: tile.subarray(0, asked.width * 32), immutable: true } : null;
  });
}

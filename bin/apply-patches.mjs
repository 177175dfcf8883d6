/**
 * Applies `patches/NAME-VERSION.patch` to `node_modules/NAME`. Unified diffs, read by this file alone: neither git nor
 * patch(1) need be there, and nothing is guessed. Every line has to stand exactly where the patch says; a package that is
 * neither the published one nor the patched one is an error. Applying twice changes nothing.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function applyPatches(root) {
  const folder = join(root, 'patches');
  for (const name of existsSync(folder) ? readdirSync(folder).sort() : []) {
    const [, packageName, version] = /^(.+)-(\d+\.\d+\.\d+)\.patch$/.exec(name) ?? [];
    if (packageName === undefined) continue;
    const home = join(root, 'node_modules', packageName);
    const installed = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')).version;
    if (installed !== version) throw new Error(`patches/${name} is not for ${packageName} ${installed}, which is installed`);
    // All are worked out before the first is written.
    const results = parsePatch(readFileSync(join(folder, name), 'utf8')).map((file) => patched(home, file, name));
    for (const { path, before, after } of results) if (after !== before) replace(path, after);
  }
}

/** The files of a unified diff, each with its hunks. What stands before the first file is explanation. */
function parsePatch(text) {
  const files = [];
  for (const line of text.trimEnd().split('\n')) {
    const hunk = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(line);
    if (line.startsWith('+++ b/')) files.push({ path: line.slice('+++ b/'.length), hunks: [] });
    else if (hunk) files.at(-1).hunks.push({ oldStart: Number(hunk[1]), newStart: Number(hunk[2]), oldLines: [], newLines: [] });
    else if (files.length > 0 && !line.startsWith('--- a/')) {
      const { oldLines, newLines } = files.at(-1).hunks.at(-1);
      if (line[0] !== '+') oldLines.push(line.slice(1));
      if (line[0] !== '-') newLines.push(line.slice(1));
    }
  }
  return files;
}

function patched(home, { path: inside, hunks }, name) {
  const path = join(home, inside);
  const before = readFileSync(path, 'utf8');
  const lines = before.split('\n');
  const holds = (start, wanted) => wanted.every((line, at) => lines[start - 1 + at] === line);
  if (hunks.every(({ newStart, newLines }) => holds(newStart, newLines))) return { path, before, after: before };
  if (!hunks.every(({ oldStart, oldLines }) => holds(oldStart, oldLines))) throw new Error(`${path} is not what patches/${name} was made for`);
  // From the end, so that the numbers of the hunks before stay true.
  for (const { oldStart, oldLines, newLines } of hunks.toReversed()) lines.splice(oldStart - 1, oldLines.length, ...newLines);
  return { path, before, after: lines.join('\n') };
}

/** A new file in the old one's place: the old one may be linked to from another folder of packages, or be read right now. */
function replace(path, text) {
  const fresh = `${path}.${process.pid}`;
  try {
    writeFileSync(fresh, text, { mode: statSync(path).mode });
    renameSync(fresh, path);
  } finally {
    rmSync(fresh, { force: true });
  }
}

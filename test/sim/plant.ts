import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { relative } from 'node:path';
import type { Patch } from './planted/bugs.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * From here on the files that these patches name are loaded with their text changed. The product knows nothing of it; a
 * patch whose text is not found exactly once is an error, so that a planted bug does not go stale unseen.
 */
export function plant(patches: readonly Patch[]): void {
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      const path = url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : '';
      const mine = patches.filter(({ file }) => file === path);
      if (mine.length === 0) return loaded;
      return { ...loaded, source: mine.reduce((text, patch) => patched(text, patch), String(loaded.source)) };
    },
  });
}

export function patched(text: string, { file, find, replace }: Patch): string {
  const found = text.split(find).length - 1;
  if (found !== 1) throw new Error(`${file} holds ${found} times, not once: ${find}`);
  return text.replace(find, () => replace);
}

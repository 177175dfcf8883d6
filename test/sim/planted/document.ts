import { readFileSync, writeFileSync } from 'node:fs';
import type { Found } from './find.ts';

const DOCUMENT = new URL('../../../docs/simulation.md', import.meta.url);
const TABLE = /<!-- planted -->\n[\s\S]*?<!-- end of planted -->/;

/** Puts the table into docs/simulation.md. */
export function writeTable(found: readonly Found[], seeds: number): void {
  const rows = found.map(({ bug, seeds: taken, invariant, steps }) => `| ${bug.name} | ${bug.wrong} | ${taken === 'script' ? `its kept script; not in ${seeds}` : (taken ?? `not in ${seeds}`)} | ${invariant === null ? '' : `\`${invariant}\``} | ${steps ?? ''} |`);
  const table = ['| planted bug | what is wrong | seeds to find | found by | steps of the shortest script |', '|---|---|---|---|---|', ...rows].join('\n');
  const killed = found.filter((one) => one.seeds !== null).length;
  const bySeeds = found.filter((one) => typeof one.seeds === 'number').length;
  const text = readFileSync(DOCUMENT, 'utf8');
  writeFileSync(DOCUMENT, text.replace(TABLE, () => `<!-- planted -->\n${table}\n\n${killed} of ${found.length} were found, ${bySeeds} of them within ${seeds} seeds.\n<!-- end of planted -->`));
}

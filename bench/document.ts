import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { meets } from './benchmark.ts';
import type { Outcome } from './run.ts';
import { aimOf, shown } from './table.ts';

const DOCS = join(import.meta.dirname, '../docs');
const BEGIN = '<!-- made by `npm run bench -- --doc` -->';
const END = '<!-- until here -->';

/** Puts the figures into docs/benchmarks.md. What was not run this time keeps its row, as docs/benchmarks.json remembers it. */
export async function writeDocument(outcomes: readonly Outcome[]): Promise<void> {
  const kept = join(DOCS, 'benchmarks.json');
  const before = JSON.parse(await readFile(kept, 'utf8').catch(() => '[]')) as Outcome[];
  const measured = outcomes.filter((outcome) => outcome.measured !== null);
  const all = [...before.filter((old) => !measured.some(({ name }) => name === old.name)), ...measured].sort((a, b) => (a.name < b.name ? -1 : 1));
  await writeFile(kept, `${JSON.stringify(all, null, 2)}\n`);

  const page = join(DOCS, 'benchmarks.md');
  const text = await readFile(page, 'utf8');
  const [head, rest] = text.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`${page} has lost the marks between which the table stands`);
  await writeFile(page, `${head}${BEGIN}\n\n${tableOf(all)}\n\n${END}${tail}`);
}

function tableOf(outcomes: readonly Outcome[]): string {
  const rows = outcomes.flatMap((outcome) => {
    const figures = outcome.measured?.figures ?? [];
    return figures.map((figure, at) => {
      const held = meets(figure);
      const first = at === 0;
      return `| ${[first ? outcome.title : '', figure.what, aimOf(figure), held === false ? `**${shown(figure)}**` : shown(figure), first ? `\`npm run bench -- ${outcome.name}\`` : ''].join(' | ')} |`;
    });
  });
  const machines = outcomes.map(({ name, environment: e }) =>
    `| ${name} | ${e.at.slice(0, 16)}Z | \`${e.commit}\`${e.changed > 0 ? ` + ${e.changed} changed files` : ''} | ${e.loadAtStart} | ${e.quick ? 'quick: not to be quoted' : 'full'} | ${e.cpu}, ${e.cores} cores, ${e.memoryGb} GB | ${e.node} | ${e.postgresql.store}, ${e.postgresql.target} |`);
  return [
    '| what | figure | aim | measured | command |', '|---|---|---|---|---|', ...rows, '',
    'A measured value in bold misses its aim. Where and when each row was made:', '',
    '| benchmark | at | commit | load before | run | machine | Node | PostgreSQL: store, target |', '|---|---|---|---|---|---|---|---|', ...machines,
  ].join('\n');
}

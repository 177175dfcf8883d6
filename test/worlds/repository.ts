import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The repository as text, for the tests that hold its rules (test/rules/). Paths are relative to its root, with `/`. */
const root = fileURLToPath(new URL('../../', import.meta.url));

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** `src/app/app.ts` lies in `app`, `test/run.ts` in `test`. */
  readonly folder: string;
  readonly isTest: boolean;
}

export function find(pattern: string): readonly string[] {
  return globSync(pattern, { cwd: root, exclude: (path) => /(?:^|\/)(?:node_modules|\.git|data)$/.test(path) })
    .map((path) => path.replaceAll('\\', '/'))
    .sort();
}

export function read(path: string): string {
  return readFileSync(`${root}${path}`, 'utf8');
}

/** Every TypeScript file of these top folders. */
export function sources(...tops: readonly string[]): readonly SourceFile[] {
  return tops.flatMap((top) => find(`${top}/**/*.{ts,mjs}`)).map((path) => {
    const [top = '', below = ''] = path.split('/');
    return { path, text: read(path), folder: top === 'src' ? below : top, isTest: path.endsWith('.test.ts') };
  });
}

/** The code without comments and without what stands in strings, line by line as it was: what runs, not what is said. */
export function codeOf(text: string): string {
  const blank = (all: string) => all.replace(/[^\n]/g, ' ');
  return text.replaceAll(/\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|(?<!:)\/\/[^\n]*/g, (match) => {
    const quote = match[0] ?? '';
    return quote === '/' ? blank(match) : `${quote}${blank(match.slice(1, -1))}${quote}`;
  });
}

export interface Import {
  readonly from: SourceFile;
  readonly specifier: string;
  readonly line: number;
}

/** What a file imports, in any form: `import`, `export ... from`, `import()`; of types as well. */
export function importsOf(from: SourceFile): readonly Import[] {
  const found = from.text.matchAll(/^(?:import|export)\b(?:[^'";]*?\bfrom\s*|(?<=import)\s+)['"]([^'"\n]+)['"];|\bimport\('([^'\n]+)'\)/gm);
  return [...found].map((match) => ({
    from,
    specifier: match[1] ?? match[2] ?? '',
    line: from.text.slice(0, match.index).split('\n').length,
  }));
}

/** The path of the file that a specifier of ours names, or `null` for a package or a module of Node's. */
export function resolveImport({ from, specifier }: Import): string | null {
  if (specifier.startsWith('#test/')) return specifier.slice(1);
  if (specifier.startsWith('#')) return `src/${specifier.slice(1)}`;
  if (!specifier.startsWith('.')) return null;
  return new URL(specifier, `file:///${from.path}`).pathname.slice(1);
}

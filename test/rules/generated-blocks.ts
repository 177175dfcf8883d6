import { stringify } from 'yaml';
import { EXIT_OF_PROBLEM } from '#cli/exit-codes.ts';
import { ROUTES } from '#contract/routes.ts';
import { GRANT_TRANSITIONS, PART_TRANSITIONS, REQUEST_TRANSITIONS, SESSION_TRANSITIONS } from '#domain/lifecycle.ts';
import { Refusal, REFUSAL_CODES } from '#domain/refusal.ts';
import { readSettings, VARIABLES } from '#main/settings.ts';
import { SCHEMA } from '#policy/schema.ts';
import { problemOf } from '#server/problem-of.ts';
import { find, read, sources } from '#test/worlds/repository.ts';
import { ATTACK_ID, ATTACKS, UNTRIED } from './attacks.ts';

/**
 * What stands in the documents and is made from the code: between `<!-- made: NAME -->` and `<!-- end: NAME -->`.
 * `UPDATE_DOCS=1 node --test test/rules/documents.test.ts` writes it anew.
 */
export const BLOCKS: Readonly<Record<string, () => string>> = {
  'request states': () => diagram(REQUEST_TRANSITIONS),
  'grant states': () => diagram(GRANT_TRANSITIONS),
  'part states': () => diagram(PART_TRANSITIONS),
  'session states': () => diagram(SESSION_TRANSITIONS),
  settings,
  'problem codes': problemCodes,
  endpoints: () => table(['call', 'who', 'what'], Object.values(ROUTES).map(({ method, path, access, summary }) => [`\`${method} ${path}\``, access.replace('_', ' '), summary])),
  'log events': logEvents,
  'policy schema': () => fenced('cedarschema', SCHEMA.trim()),
  'default policies': () => fenced('cedar', read('src/policy/default.cedar').trim()),
  attacks,
};

const fenced = (language: string, text: string) => `\`\`\`${language}\n${text}\n\`\`\``;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

/** The first state of a table is where everything begins; those that lead nowhere are ends. */
function diagram(transitions: Readonly<Record<string, readonly string[]>>): string {
  const states = Object.keys(transitions);
  const lines = states.flatMap((from) => {
    const next = transitions[from] ?? [];
    return next.length === 0 ? [`${from} --> [*]`] : next.map((to) => `${from} --> ${to}`);
  });
  return fenced('mermaid', ['stateDiagram-v2', '    direction LR', ...[`[*] --> ${states[0]}`, ...lines].map((line) => `    ${line}`)].join('\n'));
}

function settings(): string {
  const { data: _, ...defaults } = readSettings({}, 'test/rules/no-settings.yaml') as unknown as Record<string, unknown>;
  const rows = Object.entries(VARIABLES).map(([variable, [section, key, meaning]]) => {
    const held = section === null ? defaults[key] : (defaults[section] as Record<string, unknown>)[key];
    const value = key === 'data' ? 'data' : held === null || held === '' ? '' : stringify(held).trim();
    return [`\`${section === null ? key : `${section}.${key}`}\``, `\`${variable}\``, value === '' ? '' : `\`${value}\``, meaning];
  });
  return table(['in brevet.yaml', 'as a variable', 'default', 'meaning'], rows);
}

function problemCodes(): string {
  const notes = new Map([...read('src/domain/refusal.ts').matchAll(/^ {2}'(\w+)',(?: \/\/ (.*))?$/gm)].map(([, code = '', note = '']) => [code, note]));
  return table(['code', 'HTTP', 'exit code', 'meaning'], REFUSAL_CODES.map((code) => {
    const { status, title } = problemOf(new Refusal(code, ''), '');
    return [`\`${code}\``, String(status), String(EXIT_OF_PROBLEM[code]), notes.get(code) || title];
  }));
}

/** Each event has one function in src/domain/events/; its `type` is what the log says. */
function logEvents(): string {
  return table(['noun', 'events', 'made in'], find('src/domain/events/*.ts').map((path) => {
    const types = [...read(path).matchAll(/\btype: '([\w.]+)'/g)].map((match) => match[1] as string);
    const nouns = [...new Set(types.map((type) => type.split('.')[0] as string))];
    return [nouns.join(', '), types.map((type) => `\`${type}\``).join(' '), `\`${path}\``];
  }));
}

export interface AttackTest {
  readonly ids: readonly string[];
  readonly name: string;
  readonly path: string;
}

/** Every test, or group of tests, whose name holds the id of an attack. */
export function attackTests(): readonly AttackTest[] {
  const named = /\b(?:test|it|describe|suite)\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g;
  return sources('src', 'test').filter(({ isTest }) => isTest).flatMap(({ path, text }) =>
    [...text.matchAll(named)].flatMap((match) => {
      const name = (match[2] ?? '').replaceAll(/\\(.)/g, '$1').replaceAll(/\$\{(\w+)[^}]*\}/g, '<$1>');
      const ids = [...new Set(name.match(ATTACK_ID) ?? [])];
      return ids.length === 0 ? [] : [{ ids, name: name.replaceAll(/^(?:[A-H]\d\d[,:]? )+/g, ''), path }];
    }),
  );
}

function attacks(): string {
  const tests = attackTests();
  const rows = Object.entries(ATTACKS).map(([id, what]) => {
    const mine = tests.filter(({ ids }) => ids.includes(id));
    const files = Map.groupBy(mine, ({ path }) => path);
    if (mine.length === 0) return [id, what, `*not tried: ${UNTRIED[id] ?? 'the test is missing'}*`];
    return [id, what, [...files].map(([path, of]) => `[${path}](../${path}): ${of.map(({ name }) => name.replaceAll(/[<>]/g, (bracket) => (bracket === '<' ? '&lt;' : '&gt;'))).join('; ')}`).join('<br>')];
  });
  return table(['id', 'what is tried', 'where'], rows);
}

import type { Json } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { plainText } from '../plain-text.ts';

/** What a script on the host has said. All of it may come from a hostile host: it is text, escaped and cut short. */
export interface Answer {
  readonly facts: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
  readonly residue: readonly Json[];
  /** What was found after the last change, counted; all zero when everything is gone. */
  readonly left: Readonly<Record<string, number>>;
  readonly traces: Readonly<Record<string, string>>;
  readonly gone: boolean;
  /** All other lines: kind and two fields. */
  readonly rows: readonly (readonly [kind: string, first: string, second: string])[];
}

const MOST_LINES = 20_000;

/** @throws Refusal for what the script refused, and when it did not come to its end */
export function readAnswer(text: string, complaint: string): Answer {
  const lines = text.split('\n').slice(0, MOST_LINES).map((line) => line.split('\t').map((field) => plainText(field)));
  const rows = lines.map(([kind = '', first = '', second = '']) => [kind, first, second] as const);
  if (!rows.some(([kind]) => kind === 'done')) throw unfinished(rows, complaint);
  const of = (wanted: string) => rows.filter(([kind]) => kind === wanted);
  const table = (wanted: string) => Object.fromEntries(of(wanted).map(([, key, value]) => [key, value]));
  return {
    facts: table('fact'), traces: table('trace'), rows, problems: of('problem').map(([, what]) => what).slice(0, 20),
    left: Object.fromEntries(of('left').map(([, what, count]) => [what, Number(count)])),
    residue: [...new Map(of('residue').map((row) => [row.join('\t'), { kind: row[1], name: row[2] }])).values()].slice(0, 200),
    gone: of('gone').some(([, value]) => value === 'yes') && of('left').every(([, , count]) => count === '0'),
  };
}

function unfinished(rows: Answer['rows'], complaint: string): Refusal {
  const [, code = '', message = ''] = rows.find(([kind]) => kind === 'refused') ?? [];
  if (code === 'busy') return new Refusal('target_refused', message, { hint: 'It is tried again.' });
  if (code === 'conflict' || code === 'unclaimed') return new Refusal('conflict', message);
  if (code === 'dangerous') return new Refusal('dangerous_scope', message, { field: '/account' });
  if (code === 'stranger') return new Refusal('target_refused', message, { hint: 'Somebody else made it, or took Brevet\'s mark away.' });
  if (code !== '') return new Refusal('target_refused', `the host refused: ${message}`);
  const why = plainText(complaint.trim().split('\n')[0] ?? '');
  if (/sudo: /.test(why)) {
    return new Refusal('target_refused', `Brevet's account may not act as root on the host: ${why}`, { hint: 'It must be root, or have sudo for everything without a password: docs/how-to/linux-target.md.' });
  }
  return new Refusal('target_refused', `the work on the host did not come to its end${why === '' ? '' : `: ${why}`}`, { hint: 'It is tried again.' });
}

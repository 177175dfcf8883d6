/** Puts together what runs on the host: the parts in `host/`, in POSIX's shell, with values set in front of them. */
import { readFileSync } from 'node:fs';
import { Refusal } from '#domain/refusal.ts';

const PARTS = ['base', 'processes', 'rights', 'account', 'take-account', 'elevation', 'session', 'inspect'] as const;
const LIBRARY = PARTS.map((part) => readFileSync(new URL(`host/${part}.sh`, import.meta.url), 'utf8')).join('\n');

/** The values that any of the functions may read; those not given are empty. */
const VARIABLES = [
  'INSTALLATION', 'OBJECT', 'GRANT', 'PART', 'FENCE', 'KIND', 'NAME', 'MARK', 'UNTIL', 'PATIENCE', 'HOMES', 'UID_FROM', 'UID_TO', 'KEYS', 'KEY_LINE', 'EXPIRES',
  'GROUPS_WANTED', 'COMMANDS', 'SUDOERS', 'NOTAFTER', 'ACCOUNT', 'ACCOUNT_UID', 'HELD', 'MARKS', 'SPARED', 'POWERFUL',
] as const;
export type Values = Partial<Readonly<Record<(typeof VARIABLES)[number], string>>>;

/**
 * A script that calls one function. Functions come before the call, so that a script cut short does nothing. Its standard input
 * becomes descriptor 3: no program that it starts reads what is meant for the shell. The call is the last line, as a whole: a shell
 * that reads byte by byte (bash) leaves what follows a line to be read, where the answer to `ask` is to come.
 */
export function hostScript(call: string, values: Values): string {
  const given = VARIABLES.map((name) => `${name}=${quote(values[name] ?? '')}`).join('\n');
  return `${given}\n${LIBRARY}\nbrevet() {\n  ${call}\n  say done\n}\n{ brevet 3<&0 </dev/null; exit; }\n`;
}

/**
 * A literal of the shell: between single quotes nothing means anything but the quote itself.
 * @throws Refusal `invalid_input` for what is in no name, path, command or key: only printable ASCII and line breaks are let through
 */
export function quote(text: string): string {
  if (!/^[\x20-\x7e\n]*$/.test(text)) throw new Refusal('invalid_input', 'a value for the host holds characters that are in no name or path');
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

import type { GateRefusal } from '#app/ports/gate.ts';
import type { RefusalCode } from '#domain/refusal.ts';
import { HINTS as COMMON_HINTS, type Words } from '../carried/words.ts';

/** What a client is told when its session does not come about. */
export function refusalWords(refusal: GateRefusal): Words {
  return { message: `Brevet: ${refusal.message}`, hint: refusal.hint ?? HINTS[refusal.refused] ?? null };
}

const HINTS: { readonly [Code in RefusalCode]?: string } = {
  ...COMMON_HINTS,
  unauthenticated: 'Get a new certificate, and connect again.',
  no_active_grant: 'Ask for it: brevet request ENTITLEMENT --reason "..."; or connect as TARGET+wait and have it waited for.',
};

/** Lines for a terminal, whatever its mode. A control character in them would be the terminal's to carry out. */
export function linesOf({ message, hint }: Words): string {
  return [message, hint].flatMap((line) => (line === null ? [] : [`${printable(line)}\r\n`])).join('');
}

/** One line, for the message with which a connection ends. */
export function lineOf({ message, hint }: Words): string {
  return printable(hint === null ? message : `${message}. ${hint}`);
}

function printable(line: string): string {
  return line.replaceAll(/\p{Cc}/gu, '?');
}

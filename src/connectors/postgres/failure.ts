import { DatabaseError } from 'pg';
import { Refusal } from '#domain/refusal.ts';
import { plainText } from './plain-text.ts';

/** SQLSTATE classes and codes with which a server says that it is not there: connection lost, shutting down, starting. */
const ABSENT = /^(?:08|57P0[1-5]|58030|53300)/;
const BUSY = /^(?:55P03|40P01|40001|57014)$/;
/** How Node and `pg` say that nothing, or nothing more, came back. */
const SILENT = /timeout|terminated|Connection ended|not queryable|connection error|closed|socket|SSL|stream|EPIPE/i;

/**
 * An error from the driver as the `Refusal` it means: `target_unreachable` when nothing is known about what happened,
 * `target_refused` when the target answered no. Defects of ours pass through unchanged.
 */
export function failureOf(error: unknown, secrets: readonly (string | null)[]): unknown {
  if (error instanceof Refusal || !(error instanceof Error)) return error;
  if (error instanceof DatabaseError) {
    const code = /^[0-9A-Z]{5}$/.test(error.code ?? '') ? (error.code ?? '') : 'XX000';
    const said = plainText(error.message, secrets);
    if (ABSENT.test(code)) return new Refusal('target_unreachable', `the target does not serve: ${said}`, { facts: { sqlstate: code } });
    const busy = BUSY.test(code) ? { hint: 'Something on the target holds a lock; it is tried again.' } : {};
    return new Refusal('target_refused', `the target refused: ${said}`, { ...busy, facts: { sqlstate: code } });
  }
  const code = 'code' in error ? String(error.code) : '';
  const untrusted = /^(?:CERT_|DEPTH_|SELF_|UNABLE_|ERR_TLS_CERT)/.test(code) || /SASL|password|does not support SSL/i.test(error.message);
  if (untrusted) return new Refusal('target_refused', `the target could not be trusted: ${plainText(error.message, secrets)}`);
  if (/^E[A-Z_]+$/.test(code) || SILENT.test(error.message)) {
    return new Refusal('target_unreachable', `the target does not answer: ${plainText(error.message || code, secrets)}`);
  }
  return error;
}

export function sqlstateOf(error: unknown): string | null {
  const state = error instanceof Refusal ? error.details.facts?.['sqlstate'] : null;
  return typeof state === 'string' ? state : null;
}

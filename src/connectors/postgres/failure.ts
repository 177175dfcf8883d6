import { DatabaseError } from 'pg';
import { Refusal } from '#domain/refusal.ts';
import { plainText } from '../plain-text.ts';

/** SQLSTATE classes and codes with which a server says that it is not there: connection lost, shutting down, starting. */
const ABSENT = /^(?:08|57P0[1-5]|58030|53300)/;
const BUSY = /^(?:55P03|40P01|40001|57014)$/;
/** How Node and `pg` say that nothing, or nothing more, came back. */
const SILENT = /timeout|terminated|Connection ended|not queryable|connection error|closed|socket|SSL|stream|EPIPE/i;

/** What to do when the server says no at the door, by SQLSTATE: password, pg_hba.conf or role, database, right to connect. */
const HINTS: Readonly<Record<string, string>> = {
  '28P01': 'The role or its password is wrong: set the right one with brevet target credential NAME.',
  '28000': 'The server lets this role or address in by no line of its pg_hba.conf, or the role may not log in.',
  '3D000': "Name a database that exists in the target's config.",
  '42501': "Brevet's role on the target may not do this: see what the role needs in docs/how-to/postgresql-target.md.",
  '54000': 'A limit of PostgreSQL itself. Often: the access list of one table has room for some 2,400 roles. Where more accounts stand at a time, let the scope lend a role that holds the privileges (roles).',
};

/** What to do when the connection came to nothing, by what Node or the driver says. */
function hintOf(code: string, message: string): string {
  if (code === 'ECONNREFUSED') return 'Nothing listens there: check host and port, and that the server runs.';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return "The host name is not known here: check it in the target's config, and this machine's name service.";
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return "The certificate is for another name: the target's host has to be one that it names.";
  if (code === 'CERT_HAS_EXPIRED') return "The server's certificate has expired: renew it there.";
  if (/^(?:CERT_|DEPTH_|SELF_|UNABLE_)/.test(code)) return "Give the certificate of the authority that signed the server's as ca in the target's config.";
  if (/does not support SSL/.test(message)) return "Turn TLS on in the server; or, on a network that you trust, say tls: disable in the target's config.";
  if (/none is stored/.test(message)) return 'Set the password with brevet target credential NAME.';
  if (/timeout/i.test(message) || code === 'ETIMEDOUT') return 'A firewall may drop what is sent there, or the server hangs: try psql from this machine.';
  return 'Check that the server runs, and the network between.';
}

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
    const hint = BUSY.test(code) ? 'Something on the target holds a lock; it is tried again.' : HINTS[code];
    return new Refusal('target_refused', `the target refused: ${said}`, { ...(hint === undefined ? {} : { hint }), facts: { sqlstate: code } });
  }
  const code = 'code' in error ? String(error.code) : '';
  const untrusted = /^(?:CERT_|DEPTH_|SELF_|UNABLE_|ERR_TLS_CERT)/.test(code) || /SASL|password|does not support SSL/i.test(error.message);
  if (untrusted) return new Refusal('target_refused', `the target could not be trusted: ${plainText(error.message, secrets)}`, { hint: hintOf(code, error.message) });
  if (/^E[A-Z_]+$/.test(code) || SILENT.test(error.message)) {
    return new Refusal('target_unreachable', `the target does not answer: ${plainText(error.message || code, secrets)}`, { hint: hintOf(code, error.message) });
  }
  return error;
}

export function sqlstateOf(error: unknown): string | null {
  const state = error instanceof Refusal ? error.details.facts?.['sqlstate'] : null;
  return typeof state === 'string' ? state : null;
}

/** Keeps a refusal as a line of evidence. What tells that the target went away, or a defect of ours, goes on up. */
export function collect(problems: string[], where = ''): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof Refusal) || error.code === 'target_unreachable') throw error;
    problems.push(where + error.message);
  };
}

/** PostgreSQL fails one of two concurrent changes of a catalogue's row, when the other was committed, instead of doing it after. */
export function metAnother(error: unknown): boolean {
  return error instanceof Refusal && sqlstateOf(error) === 'XX000' && /concurrently (?:updated|deleted)/.test(error.message);
}

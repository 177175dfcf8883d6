import type { Journal, Monotonic } from '#app/ports/runtime.ts';
import type { Brokers } from '#brokers/start-brokers.ts';
import type { ServerCertificate } from '#signin/certificate-authority.ts';

const HOUR = 3_600_000;

/** Issues at an instant. */
export type Issue = (now: Date) => ServerCertificate;

/** What the brokers show to clients now. It changes under whoever holds this. */
export interface ShownCertificate {
  current: ServerCertificate;
}

export interface Renewing {
  readonly issue: Issue;
  readonly brokers: Pick<Brokers, 'renewTls'>;
  readonly authority: string;
  /** The store's clock. */
  readonly now: () => Promise<Date>;
  readonly monotonic: Monotonic;
  readonly journal: Journal;
  readonly everyMs?: number;
}

/**
 * Keeps the brokers' certificate from running out under a server that runs for months: looks each hour, since a timer
 * of 60 days neither fits into 32 bits nor survives a machine's sleep. Connections that stand are untouched. What goes
 * wrong is tried again an hour later; a third of the certificate's life is left for it. Runs until `signal` aborts.
 */
export async function renewCertificate(shown: ShownCertificate, of: Renewing, signal: AbortSignal): Promise<void> {
  const { issue, brokers, authority, now, monotonic, journal, everyMs = HOUR } = of;
  while (!signal.aborted) {
    await monotonic.sleep(everyMs, signal);
    if (signal.aborted) return;
    try {
      const instant = await now();
      if (instant < shown.current.renewAt) continue;
      const made = issue(instant);
      brokers.renewTls({ cert: made.certificate, key: made.privateKey, ca: [authority] });
      shown.current = made;
      journal.info("the brokers' certificate was renewed", { notAfter: made.notAfter.toISOString() });
    } catch (error) {
      journal.error("the brokers' certificate could not be renewed", { message: String(error).slice(0, 200), notAfter: shown.current.notAfter.toISOString() });
    }
  }
}

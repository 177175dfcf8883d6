import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { App } from '#app/app.ts';

/** Prometheus text. What counts is read from the store at each scrape: every replica tells the same. */
export function metrics(app: App): () => Promise<string> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'brevet_' });
  const live = new Gauge({ name: 'brevet_grants_live', help: 'Grants that have not ended, by state', labelNames: ['state'], registers: [registry] });
  const overdue = new Gauge({ name: 'brevet_removals_overdue', help: 'Removals that are due and not verified', registers: [registry] });
  const sessions = new Gauge({ name: 'brevet_sessions_live', help: 'Sessions that have not ended', registers: [registry] });
  const entries = new Gauge({ name: 'brevet_log_size', help: 'Entries that the newest checkpoint covers', registers: [registry] });
  const unreachable = new Gauge({ name: 'brevet_targets_unreachable', help: 'Targets that do not answer', registers: [registry] });
  return async () => {
    const counts = await app.store.transaction((tx) => tx.entries.counts());
    for (const state of ['scheduled', 'activating', 'active', 'revoking'] as const) live.set({ state }, counts.grants[state] ?? 0);
    overdue.set(counts.overdue);
    sessions.set(counts.sessions);
    entries.set(counts.logSize);
    unreachable.set(counts.unreachableTargets);
    return await registry.metrics();
  };
}

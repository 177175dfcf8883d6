import type { PolicyTable } from '#app/ports/store.ts';
import type { Transaction } from './transaction.ts';

export function policyTable(tx: Transaction): PolicyTable {
  const { policies } = tx.tables;
  return {
    current: () => tx.run('policies.current', () => tx.all(policies).sort((a, b) => b.version - a.version)[0] ?? null),
    version: (version) => tx.run('policies.version', () => {
      const row = tx.get(policies, String(version));
      return row && { version: row.version, sources: row.sources };
    }),
    publish: (version, sources, publishedBy) => tx.run('policies.publish', () => tx.insert(policies, String(version), { version, sources, publishedBy })),
  };
}

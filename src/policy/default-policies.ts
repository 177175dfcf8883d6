import { readFileSync } from 'node:fs';
import type { PolicySource } from '#app/ports/policy.ts';

/** The policies of a fresh installation. Published as version 1, and from then on the installation's own. */
export function defaultPolicies(): readonly PolicySource[] {
  return [{ file: 'default.cedar', text: readFileSync(new URL('default.cedar', import.meta.url), 'utf8') }];
}

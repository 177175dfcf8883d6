import { z } from 'zod';
import { EntitlementRef, Instant, JsonObject, Name, PrincipalRef, TargetRef } from './primitives.ts';
import { Verdict } from './access.ts';

export const Target = z.strictObject({
  ...TargetRef.shape,
  folder: z.string().nullable(),
  config: JsonObject,
  hasCredential: z.boolean(),
  retiredAt: Instant.nullable(),
  health: z.strictObject({
    state: z.enum(['unknown', 'reachable', 'unreachable']),
    checkedAt: Instant.nullable(),
    unreachableSince: Instant.nullable(),
    problem: z.string().nullable(),
    skewMs: z.int().nullable(),
    version: z.string().nullable(),
  }),
  entitlements: z.array(EntitlementRef),
});
/** Brevet's own secret for the target, or, with `account`, the one that a brokered session signs in with. */
export const NewCredential = z.strictObject({ credential: z.string().min(1).max(10_000), account: z.string().min(1).max(63).optional() });
export const StandingPrivilege = z.strictObject({ account: z.string(), privilege: z.string(), on: z.string() });

/** Access as code: the files of a folder, as they stand. YAML for objects, `.cedar` for policies, `*.test.yaml` for policy tests. */
export const ConfigurationFiles = z.strictObject({
  files: z.array(z.strictObject({ path: z.string().min(1).max(300), text: z.string().max(1_000_000) })).max(500),
});
export const Change = z.strictObject({
  kind: z.enum(['group', 'folder', 'target', 'entitlement', 'policy', 'person', 'workload']),
  name: z.string(),
  change: z.enum(['create', 'update', 'retire', 'restore']),
  /** What differs, a line each: `maxDuration: 1h -> 30m`. */
  lines: z.array(z.string()),
});
export const Finding = z.strictObject({
  severity: z.enum(['error', 'warning']),
  code: z.string(),
  message: z.string(),
  file: z.string().nullable(),
  line: z.int().nullable(),
  column: z.int().nullable(),
  policy: z.string().nullable(),
});
export const ConfigurationPlan = z.strictObject({
  changes: z.array(Change),
  findings: z.array(Finding),
  /** Names what the plan was made against; `apply` refuses when that has moved. */
  base: z.string(),
});
export const ApplyConfiguration = z.strictObject({ ...ConfigurationFiles.shape, base: z.string().max(100).optional() });

export const PolicySet = z.strictObject({
  version: z.int(),
  sources: z.array(z.strictObject({ file: z.string(), text: z.string() })),
});
/** Sources to judge instead of the published ones. */
const Draft = z.array(z.strictObject({ file: z.string().max(300), text: z.string().max(1_000_000) })).max(200).optional();
/** With a folder's files, names are looked up among what they describe instead of what there is. */
export const LintPolicies = z.strictObject({ sources: Draft, files: ConfigurationFiles.shape.files.optional() });
export const Findings = z.strictObject({ findings: z.array(Finding) });
export const TestPolicies = z.strictObject({
  sources: Draft,
  tests: z.array(z.strictObject({ file: z.string().max(300), text: z.string().max(1_000_000) })).min(1).max(50),
});
export const PolicyTestResults = z.strictObject({
  passed: z.int(),
  failed: z.int(),
  cases: z.array(z.strictObject({
    name: z.string(), file: z.string(), line: z.int().nullable(), passed: z.boolean(), explanation: z.array(z.string()),
  })),
});
export const SimulatePolicies = z.strictObject({
  sources: Draft,
  action: z.enum(['request', 'autoApprove', 'review', 'activate', 'connect', 'extend', 'breakGlass', 'replay', 'administer']),
  principal: Name,
  entitlement: Name.optional(),
  /** Facts that replace those of the moment; null takes one away. */
  context: z.record(z.string(), z.json()).default({}),
});
export const Simulation = z.strictObject({ verdict: Verdict, explanation: z.array(z.string()) });

export const LogEntry = z.strictObject({
  index: z.int().nullable(),
  id: z.string(),
  at: Instant,
  type: z.string(),
  actor: z.union([PrincipalRef, z.literal('system')]),
  data: JsonObject,
});
export const LogHead = z.strictObject({ size: z.int(), checkpoint: z.string().nullable(), verifier: z.string() });

export const Check = z.strictObject({
  name: z.string(),
  state: z.enum(['ok', 'warning', 'error']),
  message: z.string(),
  hint: z.string().nullable(),
});
export const Diagnosis = z.strictObject({ version: z.string(), checks: z.array(Check), settings: JsonObject });

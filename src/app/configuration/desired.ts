import { z } from 'zod';
import { END_MODES, GRANT_KINDS } from '#domain/entitlement.ts';
import { NAME } from '#domain/principal.ts';

/**
 * Access as code: what the YAML files of a folder may say. The files of one folder are read as one; what a folder does
 * not name any more is retired. Durations are written like 45m; scopes belong to the target's connector.
 */
const Name = z.string().regex(NAME, 'a name holds lower-case letters, digits, dots and dashes');
const Duration = z.union([z.int(), z.string()]).describe('a duration, such as 45m or 1h30m');
const Title = z.string().min(1).max(200).describe('a text of 1 to 200 characters');
const named = <T extends z.ZodType>(value: T) => z.record(Name, value).default({});

const Person = z.strictObject({ name: Title, administrator: z.boolean().default(false) });
const Workload = z.strictObject({ name: Title, owner: Name });
const Group = z.strictObject({ title: Title.optional(), members: z.array(Name).max(10_000).default([]) });
const Folder = z.strictObject({
  title: Title.optional(),
  // Whoever wrote it would believe that somebody is in charge.
  administrators: z.undefined({ error: 'folders have no administrators of their own yet: take it out' }).optional(),
});
const Target = z.strictObject({ type: z.string(), folder: Name.optional(), config: z.record(z.string(), z.json()) });

const Stage = z.strictObject({ name: Title.optional(), groups: z.array(Name).min(1).max(20), required: z.int().min(1).max(20).default(1) });
const Part = z.strictObject({
  target: Name,
  kind: z.enum(GRANT_KINDS),
  account: z.string().min(1).max(63).optional(),
  scope: z.record(z.string(), z.json()),
});
const Entitlement = z.strictObject({
  title: Title,
  folder: Name.optional(),
  parts: z.array(Part).min(1).max(8),
  stages: z.array(Stage).max(5).default([]),
  maximum: Duration,
  default: Duration.optional(),
  end: z.enum(END_MODES).default('warn_then_cut'),
  warn: Duration.default('30s'),
  grace: Duration.default('30s'),
  maskLiterals: z.boolean().default(false),
});

export const ConfigurationFile = z.strictObject({
  people: named(Person),
  workloads: named(Workload),
  groups: named(Group),
  folders: named(Folder),
  targets: named(Target),
  entitlements: named(Entitlement),
});
export type ConfigurationFile = z.infer<typeof ConfigurationFile>;

/** All files of a folder as one; each name knows where it stands, for errors that point there. */
export interface Desired extends ConfigurationFile {
  readonly policies: readonly { readonly file: string; readonly text: string }[];
  /** `path`: where in the object; what is missing there is found where its nearest parent stands. */
  readonly whereIs: (kind: keyof ConfigurationFile, name: string, path?: readonly string[]) => Place;
}

export interface Place {
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

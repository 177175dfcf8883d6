import type { Journal, NewId } from '#app/ports/runtime.ts';
import type { Secrets } from '#app/ports/secrets.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import type { LogEvent } from '#domain/log-event.ts';
import type { Id, PrincipalId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Sql } from './sql.ts';

/** A log entry before it becomes text: the members that `src/log/entry.ts` reads back. */
export interface LogRecord {
  readonly v: 1;
  readonly id: Id<'event'>;
  readonly at: string;
  readonly type: string;
  readonly actor: PrincipalId | 'system';
  readonly data: JsonObject;
  readonly personal: null | { readonly subject: PrincipalId; readonly alg: 'A256GCM'; readonly sealed: string };
}

/** UTF-8 text, in bytes. */
export type EncodeEntry = (record: LogRecord) => Uint8Array;

/** An entry as it is kept: the text that is hashed, and what it can be found by. */
export interface WrittenEntry {
  readonly id: string;
  readonly at: Date;
  readonly type: string;
  readonly body: string;
  /** The id that the entry's data holds under this name, or `null`. */
  about(name: 'grant' | 'request' | 'session' | 'principal'): string | null;
}

export interface LogWriter {
  add(event: LogEvent): void;
  /** Writes what was added, in its order, in one statement; answers whether there was anything. */
  flush(): Promise<boolean>;
}

/** Where entries are kept: SQL here, the simulator's tables there. */
export interface EntryKeeper {
  /** The sealed keys of those subjects who were not erased. */
  subjectKeys(subjects: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>>;
  /** Keeps entries in their order. */
  insert(entries: readonly WrittenEntry[]): Promise<void>;
}

interface Options {
  readonly newId: NewId;
  readonly secrets: Pick<Secrets, 'sealPersonal'>;
  readonly journal: Journal;
  readonly encodeEntry: EncodeEntry;
}

/**
 * Entries are collected and written at the end of the transaction: ending a thousand grants at once then costs one
 * statement for all their entries. The sequencer of this process is nudged after the commit, those of others poll:
 * a `notify` in every transaction would make PostgreSQL commit them one after another.
 */
export function logWriter(keeper: EntryKeeper, now: Date, options: Options): LogWriter {
  const events: LogEvent[] = [];
  return {
    add: (event) => void events.push(event),
    flush: async () => {
      if (events.length === 0) return false;
      const subjects = new Set(events.flatMap(({ personal }) => personal?.subject ?? []));
      const keys = subjects.size === 0 ? new Map<string, Uint8Array>() : await keeper.subjectKeys([...subjects]);
      await keeper.insert(events.map((event) => entryOf(event, now, keys, options)));
      return true;
    },
  };
}

/** For these less access must not wait for a key: they are written without their personal part. */
const TAKES_AWAY = /^(?:grant\.(?:revoking|ended|overdue|part_\w+)|session\.ended)$/;

function entryOf(event: LogEvent, now: Date, keys: ReadonlyMap<string, Uint8Array>, options: Options): WrittenEntry {
  const id = options.newId('event', now);
  const body = options.encodeEntry({
    v: 1,
    id,
    at: now.toISOString(),
    type: event.type,
    actor: event.actor,
    data: event.data,
    personal: personalPart(event, id, keys, options),
  });
  return { id, at: now, type: event.type, body: Buffer.from(body).toString('utf8'), about: (name) => textOf(event.data[name]) };
}

/** `null` also for a subject who was erased: what is not written need not be forgotten. */
function personalPart(event: LogEvent, id: string, keys: ReadonlyMap<string, Uint8Array>, { secrets, journal }: Options): LogRecord['personal'] {
  const { personal } = event;
  const key = personal && keys.get(personal.subject);
  if (!personal || !key) return null;
  try {
    const sealed = secrets.sealPersonal(personal.subject, key, personal.data, id);
    return { subject: personal.subject, alg: 'A256GCM', sealed: Buffer.from(sealed).toString('base64') };
  } catch (error) {
    journal.error('a personal part could not be sealed', { entry: id, type: event.type, error: String(error) });
    if (TAKES_AWAY.test(event.type)) return null;
    throw new Refusal('unavailable', 'the key provider cannot seal what the log must keep');
  }
}

const textOf = (value: Json | undefined): string | null => (typeof value === 'string' ? value : null);

export function sqlKeeper(sql: Sql): EntryKeeper {
  return {
    async subjectKeys(subjects) {
      const rows = await sql.rows<{ subject: string; sealed: Uint8Array }>(
        'select principal_id as subject, sealed from brevet.subject_keys where principal_id = any($1) and sealed is not null', [subjects]);
      return new Map(rows.map(({ subject, sealed }) => [subject, sealed]));
    },
    insert: (entries) => insertEntries(sql, entries),
  };
}

async function insertEntries(sql: Sql, entries: readonly WrittenEntry[]): Promise<void> {
  const column = (name: Parameters<WrittenEntry['about']>[0]) => entries.map((entry) => entry.about(name));
  await sql.run(
    `insert into brevet.log_entries (id, at, type, body, grant_id, request_id, session_id, principal_id)
     select e.id, $1, e.type, e.body, e.grant_id, e.request_id, e.session_id, e.principal_id
       from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[]) with ordinality
            as e (id, type, body, grant_id, request_id, session_id, principal_id, ordinal)
      order by e.ordinal`,
    [entries[0]?.at, entries.map((e) => e.id), entries.map((e) => e.type), entries.map((e) => e.body),
      column('grant'), column('request'), column('session'), column('principal')],
  );
}

import type { Json } from '#domain/json.ts';
import * as sftp from './sftp-packets.ts';
import type { SftpFields } from './sftp-packets.ts';

export type EventDraft = Record<string, Json>;

/** A request that waits for its answer, and what is to be recorded then; `event` is `null` for one that is not recorded. */
export interface Asked {
  readonly type: number;
  readonly event: EventDraft | null;
  readonly handle: string | null;
  /** Of a READ: where the data of its answer belong. */
  readonly offset: number;
}

const ONE_PATH: Readonly<Record<number, string>> = {
  [sftp.OPENDIR]: 'opendir', [sftp.REMOVE]: 'remove', [sftp.RMDIR]: 'rmdir', [sftp.REALPATH]: 'realpath',
};
/** Bits of an OPEN's flags, as words of the event. */
const OPEN_FLAGS = [[4, 'append'], [8, 'create'], [16, 'truncate'], [32, 'exclusive']] as const;

/** What a request asks for. `openssh`: the server takes a SYMLINK's names the other way round than the draft says. */
export function readRequest(type: number, fields: SftpFields, openssh: boolean): Asked {
  const ask = (event: EventDraft | null, handle: string | null = null, offset = 0): Asked => ({ type, event, handle, offset });
  const one = ONE_PATH[type];
  if (one !== undefined) return ask({ op: one, path: fields.name() });
  switch (type) {
    case sftp.OPEN:
      return ask(openEvent(fields));
    case sftp.CLOSE:
    case sftp.READDIR:
    case sftp.WRITE:
      return ask(null, fields.handle());
    case sftp.READ:
      return ask(null, fields.handle(), fields.u64());
    case sftp.SETSTAT:
    case sftp.MKDIR:
      return ask({ op: type === sftp.MKDIR ? 'mkdir' : 'setstat', path: fields.name(), ...attributes(fields) });
    case sftp.FSETSTAT: {
      const handle = fields.handle();
      return ask({ op: 'setstat', ...attributes(fields) }, handle);
    }
    case sftp.RENAME:
      return ask({ op: 'rename', path: fields.name(), to: fields.name() });
    case sftp.SYMLINK: {
      const names = [fields.name(), fields.name()];
      if (openssh) names.reverse();
      return ask({ op: 'symlink', path: names[0] ?? '', to: names[1] ?? '' });
    }
    case sftp.EXTENDED:
      return extended(type, fields);
    default:
      return ask(null);
  }
}

function openEvent(fields: SftpFields): EventDraft {
  const path = fields.name();
  const flags = fields.u32();
  const mode = ['none', 'read', 'write', 'read and write'][flags & 3] ?? 'none';
  const said = OPEN_FLAGS.filter(([bit]) => flags & bit).map(([, word]) => [word, true]);
  return { op: 'open', path, mode, ...(Object.fromEntries(said) as EventDraft), ...attributes(fields) };
}

/** Permissions as they are written, `0644`. */
function attributes(fields: SftpFields): EventDraft {
  if (!fields.more) return {};
  const flags = fields.u32();
  const found: EventDraft = {};
  if (flags & 1) found['size'] = fields.u64();
  if (flags & 2) [found['uid'], found['gid']] = [fields.u32(), fields.u32()];
  if (flags & 4) found['permissions'] = (fields.u32() & 0o7777).toString(8).padStart(4, '0');
  if (flags & 8) [found['accessed'], found['modified']] = [fields.u32(), fields.u32()];
  return found;
}

/** Extensions of OpenSSH (its PROTOCOL file, section 4) that change something, by what they do; others by their name. */
function extended(type: number, fields: SftpFields): Asked {
  const name = fields.name();
  const ask = (event: EventDraft | null, handle: string | null = null): Asked => ({ type, event, handle, offset: 0 });
  switch (name) {
    case 'posix-rename@openssh.com':
      return ask({ op: 'rename', path: fields.name(), to: fields.name() });
    case 'hardlink@openssh.com':
      return ask({ op: 'hardlink', path: fields.name(), to: fields.name() });
    case 'lsetstat@openssh.com':
      return ask({ op: 'setstat', path: fields.name(), ...attributes(fields) });
    case 'copy-data': {
      const [from, , bytes, to] = [fields.handle(), fields.u64(), fields.u64(), fields.handle()];
      return ask({ op: 'copy', from, to, bytes: bytes === 0 ? 'to the end' : bytes }, to);
    }
    // They tell, and change nothing.
    case 'statvfs@openssh.com':
    case 'fstatvfs@openssh.com':
    case 'fsync@openssh.com':
    case 'limits@openssh.com':
    case 'expand-path@openssh.com':
    case 'home-directory':
    case 'users-groups-by-id@openssh.com':
      return ask(null);
    default:
      return ask({ op: 'extension', name });
  }
}

import type { JsonObject } from '#domain/json.ts';
import { execKind } from './exec-kind.ts';
import { ScpReader } from './scp-reader.ts';
import { SftpReader } from './sftp-reader.ts';

/** Reads along on a channel that carries files, and tells what is done to them. */
export interface FileReading {
  fromClient(bytes: Uint8Array): void;
  fromTarget(bytes: Uint8Array): void;
  /** Why it can't be read any more. */
  readonly broken: string | null;
  end(): void;
}

type Emit = (event: JsonObject) => void;

export function readSftp(emit: Emit): FileReading {
  const reader = new SftpReader(emit);
  return {
    fromClient: (bytes) => reader.fromClient(bytes),
    fromTarget: (bytes) => reader.fromServer(bytes),
    get broken() {
      return reader.broken;
    },
    end: () => reader.end(),
  };
}

/** Of a command, scp in its old form. What it says is a hint: the command's output is recorded as that of any other. */
export function readCommand(command: string, emit: Emit): FileReading | null {
  const kind = execKind(command);
  if (kind.program !== 'scp') return null;
  const reader = new ScpReader(emit);
  const [sender, receiver] = [(bytes: Uint8Array) => reader.fromSender(bytes), (bytes: Uint8Array) => reader.fromReceiver(bytes)];
  const [fromClient, fromTarget] = kind.way === 'to target' ? [sender, receiver] : [receiver, sender];
  return { fromClient, fromTarget, broken: null, end: () => reader.end() };
}

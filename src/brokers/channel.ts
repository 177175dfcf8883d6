/** A two-way line to another process. Messages arrive whole and in order, or the line closes. */
export interface Channel {
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once when the other side is gone. */
  onClose(listener: () => void): void;
}

/** What `node:child_process` gives on either side; `serialization: 'advanced'` carries bytes as they are. */
interface IpcEnd {
  readonly connected?: boolean;
  send?(message: unknown, callback?: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

export function ipcChannel(end: IpcEnd): Channel {
  return {
    send(message) {
      // A line that has just closed says so by `onClose`; a message into it is lost.
      if (end.connected) end.send?.(message, () => undefined);
    },
    onMessage: (listener) => void end.on('message', listener),
    onClose: (listener) => void end.on('disconnect', listener),
  };
}

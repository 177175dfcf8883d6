/**
 * The marks of the recording format; docs/recording-format-ssh.md describes it. Numbers are unsigned LEB128, times in microseconds,
 * texts a length and their bytes. CLOCK is the one of the PostgreSQL format: the same writer of bytes makes both.
 */
export const VERSION = 1;

export const HEADER = 1;
export const CLOCK = 2;
export const OPENED = 3;
export const OUTPUT = 4;
export const ERROR_OUTPUT = 5;
export const INPUT = 6;
/** Something was typed, and how often Enter: 0 when a line was begun. */
export const TYPED = 7;
export const RESIZE = 8;
export const SIGNAL = 9;
export const EXIT = 10;
export const FILE = 11;
/** What became of a stream. */
export const STREAM = 12;
export const CLOSED = 13;
export const END = 14;

/** In the order of their numbers in the format, from 0. */
export const CHANNEL_KINDS = ['shell', 'exec', 'sftp', 'forward', 'listen', 'refused'] as const;
export type ChannelKind = (typeof CHANNEL_KINDS)[number];
export const STREAMS = ['out', 'err'] as const;
export type StreamName = (typeof STREAMS)[number];

/** How the records of a chunk are packed. */
export const STORED = 0;
export const ZSTD = 1;

/** Of the records of one chunk, unpacked. A broker takes a chunk at 64 KB; a reader takes no more memory than this for one. */
export const LARGEST_CHUNK = 1024 * 1024;

/** Gives the command line the log's verifier: over a folder, or over a server's static files. */
import type { LogVerifier, Verification } from '#cli/deps.ts';
import { EXIT } from '#cli/exit-codes.ts';
import { Failure } from '#cli/failure.ts';
import { verifyGrant } from '#log/evidence.ts';
import { readLogFolder } from '#log/log-folder.ts';
import type { Report } from '#log/report.ts';
import { parseLogPath, type ReadFile } from '#log/tiles.ts';
import { verifyLog } from '#log/verifier.ts';

/** Where a server serves the log's files, below its origin. */
const LOG_PATH = '/log';
const LARGEST_FILE = 64 * 1024 * 1024;

export const verifyLogAt: LogVerifier['verifyLog'] = async (source, { key, checkpoint }) => {
  const read = /^https?:\/\//.test(source) ? readLogServer(source) : readLogFolder(source);
  const report = await verifyLog({
    read,
    ...(key === undefined ? {} : { vkey: key }),
    ...(checkpoint === undefined ? {} : { kept: [Buffer.from(checkpoint)] }),
  });
  return asVerification(report, checkpoint === undefined ? [] : ['it begins with everything that the kept checkpoint covers']);
};

export const verifyGrantBundle: LogVerifier['verifyGrant'] = async (bundle, { key }) => {
  const report = verifyGrant(Buffer.from(bundle), key === undefined ? {} : { vkey: key });
  const shown = report.entries.map(({ index, entry }) => `entry ${index}: ${entry.at} ${entry.type}`);
  return asVerification(report, report.ok ? shown : []);
};

/** Reads the log's static files over HTTP; a missing file is null, everything else that is not there fails. */
export function readLogServer(origin: string): ReadFile {
  return async (path) => {
    if (path !== 'checkpoint' && path !== 'log.vkey' && parseLogPath(path) === null) return null;
    let response;
    try {
      response = await fetch(`${origin}${LOG_PATH}/${path}`, { redirect: 'manual', signal: AbortSignal.timeout(30_000) });
      if (response.status === 404) return null;
      if (response.ok) {
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (bytes.length <= LARGEST_FILE) return bytes;
      }
    } catch {
      // Told below, as every other answer that is no file.
    }
    throw new Failure(EXIT.unavailable, `${origin}${LOG_PATH}/${path} can not be read${response ? ` (HTTP ${response.status})` : ''}`);
  };
}

function asVerification(report: Report, shown: readonly string[]): Verification {
  const { ok, origin, size, root, checked, trust, firstBad, misbehaviour } = report;
  const good = [
    ...(origin === null ? [] : [`log ${origin}, key ${trust === 'given' ? 'known before' : 'as it came with the data'}`]),
    ...(size === null || !ok ? [] : [`${checked} entries hash to the signed root of size ${size}`]),
    ...(ok ? shown : []),
  ];
  const place = (index: number | null, through?: number) => (index === null ? '' : through === undefined ? `entry ${index}: ` : `entries ${index} to ${through - 1}: `);
  return {
    ok,
    findings: [
      ...good.map((text) => ({ ok: true, text })),
      ...report.findings.map(({ index, through, message }) => ({ ok: false, text: place(index, through) + message })),
      ...misbehaviour.map(() => ({ ok: false, text: 'the log signed two histories: publish both checkpoints (--json holds them)' })),
    ],
    facts: { origin, size, root, checked, trust, firstBad, misbehaviour },
  };
}

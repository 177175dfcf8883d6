/** Gives the command line the log's verifier. */
import type { LogVerifier, Verification } from '#cli/deps.ts';
import { verifyGrant } from '#log/evidence.ts';
import { EXIT } from '#cli/exit-codes.ts';
import { Failure } from '#cli/failure.ts';
import { Malformed } from '#log/malformed.ts';
import { parseVerifierKey } from '#log/signed-note.ts';
import type { ReadFile } from '#log/tiles.ts';
import { readLogFolder } from '#log/log-folder.ts';
import type { Report } from '#log/report.ts';
import { verifyLog } from '#log/verifier.ts';

export const verifyLogAt: LogVerifier['verifyLog'] = async (source, { key, checkpoint }) => {
  if (key !== undefined) demandKey(key);
  const read = 'folder' in source ? readLogFolder(source.folder) : (path: string) => source.read(path);
  if ('folder' in source) await demandLog(source.folder, read, key);
  const report = await verifyLog({
    read,
    ...(key === undefined ? {} : { vkey: key }),
    ...(checkpoint === undefined ? {} : { kept: [Buffer.from(checkpoint)] }),
  });
  return asVerification(report, checkpoint === undefined ? [] : ['it begins with everything that the kept checkpoint covers']);
};

export const verifyGrantBundle: LogVerifier['verifyGrant'] = async (bundle, { key }) => {
  if (key !== undefined) demandKey(key);
  const report = verifyGrant(Buffer.from(bundle), key === undefined ? {} : { vkey: key });
  const shown = report.entries.map(({ index, entry }) => `entry ${index}: ${entry.at} ${entry.type}`);
  const open = [...report.open].map(([grant, state]) => `grant ${grant} is ${state} in the last entry here: what came later, only the log shows`);
  const verification = asVerification(report, report.ok ? [...shown, ...open] : []);
  return {
    ok: report.ok,
    findings: [...verification.findings, ...report.gaps.map((text) => ({ ok: false, text }))],
    facts: { ...verification.facts, complete: report.gaps.length === 0 },
  };
};

/** A slip of the hand is no verdict on the log: it is told before anything is verified. @throws Failure */
function demandKey(key: string): void {
  try {
    parseVerifierKey(key.trim());
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw new Failure(EXIT.usage, `--key is no key of a log: ${error.message}`, 'It looks like brevet.local/log+1a2b3c4d+AQ...; brevet log head shows it.');
  }
}

async function demandLog(folder: string, read: ReadFile, key: string | undefined): Promise<void> {
  const keyless = (await read('log.vkey')) === null;
  // A log whose checkpoint was taken away is judged, not passed over.
  if (keyless && (await read('checkpoint')) === null) throw new Failure(EXIT.usage, `${folder} holds no log: there is neither checkpoint nor log.vkey in it`, 'A folder of a log holds checkpoint, tile/... and log.vkey, as they stand below /log/ of a server.');
  if (key === undefined && keyless) throw new Failure(EXIT.usage, `there is no log.vkey in ${folder}, and no key was given`, "Give the log's key with --key.");
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
      ...report.findings.map(({ kind, index, through, message }) => ({ ok: false, text: `${place(index, through)}${message} (${kind})` })),
      // A smaller log may be a restored one, and is for its operator to explain; two histories are not.
      ...(report.findings.some(({ kind }) => kind === 'split_view') ? [{ ok: false, text: 'the log signed two histories: publish both checkpoints (--json holds them)' }] : []),
    ],
    facts: { origin, size, root, checked, trust, firstBad, misbehaviour },
  };
}

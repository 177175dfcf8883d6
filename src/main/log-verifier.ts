/** Gives the command line the log's verifier. */
import type { LogVerifier, Verification } from '#cli/deps.ts';
import { verifyGrant } from '#log/evidence.ts';
import { readLogFolder } from '#log/log-folder.ts';
import type { Report } from '#log/report.ts';
import { verifyLog } from '#log/verifier.ts';

export const verifyLogAt: LogVerifier['verifyLog'] = async (source, { key, checkpoint }) => {
  const read = 'folder' in source ? readLogFolder(source.folder) : (path: string) => source.read(path);
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
  const open = [...report.open].map(([grant, state]) => `grant ${grant} is ${state} in the last entry here: what came later, only the log shows`);
  const verification = asVerification(report, report.ok ? [...shown, ...open] : []);
  return {
    ok: report.ok,
    findings: [...verification.findings, ...report.gaps.map((text) => ({ ok: false, text }))],
    facts: { ...verification.facts, complete: report.gaps.length === 0 },
  };
};

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

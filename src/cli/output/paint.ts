/**
 * Colour carries meaning, and never alone: each mark has a shape of its own. Brass is a live privilege, a green square a
 * removal that was read back, a red triangle something overdue, a dim ring something that waits.
 */
export type Tone = 'live' | 'good' | 'bad' | 'dim' | 'bold' | 'plain';

const SGR: { readonly [T in Tone]: string } = { live: '33', good: '32', bad: '31', dim: '2', bold: '1', plain: '' };

export type Paint = (tone: Tone, text: string) => string;

/** @param colours off when the output is no terminal, or NO_COLOR is set (no-color.org) */
export function painter(colours: boolean): Paint {
  return (tone, text) => (colours && SGR[tone] !== '' && text !== '' ? `\u001b[${SGR[tone]}m${text}\u001b[0m` : text);
}

export interface Mark {
  readonly tone: Tone;
  readonly text: string;
}

type Overdue = { readonly overdueAt: string | null; readonly state: string };

/** The mark of a grant. `overdue` counts until the removal is verified. */
export function grantMark({ state, overdueAt }: Overdue): Mark {
  if (state === 'ended') return { tone: 'good', text: '■ ended' };
  if (overdueAt !== null) return { tone: 'bad', text: '▲ overdue' };
  if (state === 'active') return { tone: 'live', text: '● active' };
  if (state === 'revoking') return { tone: 'live', text: '◐ revoking' };
  return { tone: 'dim', text: `◌ ${state}` };
}

export function requestMark(state: string): Mark {
  if (state === 'pending') return { tone: 'dim', text: '◌ pending' };
  if (state === 'approved') return { tone: 'good', text: '✓ approved' };
  if (state === 'denied') return { tone: 'bad', text: '✕ denied' };
  return { tone: 'dim', text: `– ${state}` };
}

export function sessionMark(state: string): Mark {
  if (state === 'active') return { tone: 'live', text: '● active' };
  return { tone: 'dim', text: state === 'pending' ? '◌ pending' : `· ${state}` };
}

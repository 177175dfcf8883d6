import { Refusal } from '#domain/refusal.ts';
import { plainText } from '../plain-text.ts';

/** What to do when the connection came to nothing, by what Node says. */
function hintOf(code: string, message: string): string {
  if (code === 'ECONNREFUSED') return 'Nothing listens there: check host and port, and that sshd runs.';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return "The host name is not known here: check it in the target's config, and this machine's name service.";
  if (/time/i.test(message) || code === 'ETIMEDOUT') return 'A firewall may drop what is sent there, or the host hangs: try ssh from this machine.';
  return 'Check that sshd runs, and the network between.';
}

/**
 * An error of ssh2 or of a socket as the `Refusal` it means: `target_unreachable` when nothing is known about what
 * happened, `target_refused` when the host answered no, or is not the host it should be.
 */
export function failureOf(error: unknown, secrets: readonly (string | null)[]): unknown {
  if (error instanceof Refusal || !(error instanceof Error)) return error;
  const { level = '', code = '' } = error as { level?: string; code?: string };
  const said = plainText(error.message || code, secrets);
  if (level === 'client-authentication') {
    return new Refusal('target_refused', `the host does not let Brevet's account in: ${said}`, {
      hint: 'Set its key or password with brevet target credential NAME; sshd has to let it in by that (PermitRootLogin, PasswordAuthentication).',
    });
  }
  if (/handshake failed|no matching|unsupported|bad signature/i.test(error.message) && level === 'handshake') {
    return new Refusal('target_refused', `the host could not be trusted: ${said}`, { hint: 'It has no host key of a pinned type, or no modern algorithm in common.' });
  }
  return new Refusal('target_unreachable', `the host does not answer: ${said}`, { hint: hintOf(String(code), error.message) });
}

/** Somebody else answers, or the host was set up anew. Nothing was sent to it. */
export function changedHostKey(shown: string): Refusal {
  return new Refusal('target_refused', `the host shows a key that is not pinned (${shown}); nothing was sent to it`, {
    hint: "Somebody may be in between. If the host has a new key, put that into hostKeys of the target's config.",
    facts: { hostKey: 'changed', shown },
  });
}

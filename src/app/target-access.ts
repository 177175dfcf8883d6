import type { TargetId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { App } from './app.ts';
import type { TargetAccess } from './ports/connector.ts';
import { credentialIdentity } from './ports/sealed-identity.ts';
import type { Tx } from './ports/store.ts';

/** A target's secrets: Brevet's own, and those of accounts that brokered sessions sign in as. Sealed as one. */
export interface TargetSecrets {
  readonly own: string | null;
  readonly accounts: Readonly<Record<string, string>>;
}

export async function targetSecrets(app: App, tx: Tx, id: TargetId): Promise<TargetSecrets> {
  const sealed = await tx.catalogue.credential(id);
  return sealed ? (JSON.parse(app.secrets.openText(sealed, credentialIdentity(id))) as TargetSecrets) : { own: null, accounts: {} };
}

/** What a brokered session signs in with as a stored account. */
export async function accountCredential(app: App, tx: Tx, id: TargetId, account: string): Promise<string | null> {
  const { accounts } = await targetSecrets(app, tx, id);
  return Object.hasOwn(accounts, account) ? (accounts[account] ?? null) : null;
}

/** A target with its type and opened credential: for the connector's eyes only. */
export async function openTarget(app: App, tx: Tx, id: TargetId): Promise<{ readonly type: string; readonly access: TargetAccess }> {
  const target = await tx.catalogue.target(id);
  if (!target) throw new Refusal('not_found', 'there is no such target');
  const { own } = await targetSecrets(app, tx, id);
  return { type: target.type, access: { id, name: target.name, config: target.config, credential: own } };
}

/** Sets a target's own secret, or that of one of its accounts. */
export async function setTargetSecret(app: App, tx: Tx, id: TargetId, account: string | null, secret: string): Promise<void> {
  const before = await targetSecrets(app, tx, id);
  const after: TargetSecrets = account === null ? { ...before, own: secret } : { ...before, accounts: { ...before.accounts, [account]: secret } };
  await tx.catalogue.setCredential(id, app.secrets.seal(JSON.stringify(after), credentialIdentity(id)));
}

import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';

/** RFC 7677 asks for at least 4,096; the passwords are 192 random bits, so that more would only cost time. */
const ITERATIONS = 4096;

/**
 * What the server keeps of a password (RFC 5803 in PostgreSQL's spelling). Made here, so that the password itself
 * never crosses the wire in an SQL statement and never stands in the server's log. `salt` is 16 random bytes.
 * The password must be ASCII: SASLprep is the identity there.
 */
export async function scramVerifier(password: string, salt: Uint8Array): Promise<string> {
  const salted = await promisify(pbkdf2)(password, salt, ITERATIONS, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`;
}

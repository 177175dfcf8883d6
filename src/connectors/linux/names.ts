/** The names that go to the host: each in a grammar that leaves nothing to quote, and none that begins like an option (C03). */

/** Lower case only: in sudoers a word in capitals is an alias, and ALL is everybody. */
const LOGIN = /^[a-z_][a-z0-9_.-]{0,31}$/;
/** The names of what Brevet makes: the body of the grant's id, and the part's number from the second on. */
const OBJECT_NAME = /^brevet_([0-7][0-9a-hjkmnp-tv-z]{25}(?:_[1-9]\d{0,2})?)$/;
const OWN_LOGIN = /^bv([0-7][0-9a-hjkmnp-tv-z]{25}(?:_[1-9]\d{0,2})?)$/;

/** Of accounts and of groups. */
export function isLogin(name: string): boolean {
  return LOGIN.test(name);
}

export function isObjectName(name: string): boolean {
  return OBJECT_NAME.test(name);
}

/**
 * Linux takes 32 characters for the name of an account, and an object's name has up to 37: the account's is `bv` and the rest of
 * it, one for one (C02).
 */
export function loginOf(objectName: string): string | null {
  const body = OBJECT_NAME.exec(objectName)?.[1];
  return body === undefined ? null : `bv${body}`;
}

export function objectOf(login: string): string | null {
  const body = OWN_LOGIN.exec(login)?.[1];
  return body === undefined ? null : `brevet_${body}`;
}

/** An absolute path of plain words, without `.` and `..`. */
export function isPath(path: string): boolean {
  return /^(?:\/[A-Za-z0-9_+@][A-Za-z0-9._+@-]*)+$/.test(path) && path.length <= 200;
}

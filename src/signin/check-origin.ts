/** What a browser's request says about where it comes from. Headers as received; `undefined` when absent. */
export interface BrowserRequest {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly secFetchSite: string | undefined;
  readonly contentType: string | undefined;
  /** Whether this is the start of a WebSocket: a GET with effects, which no same-origin policy guards. */
  readonly upgrade: boolean;
}

export type OriginVerdict = { readonly allowed: true } | { readonly allowed: false; readonly why: string };

/**
 * Whether a request that is carried by a cookie may be acted upon (attack F01). Signed requests need no such rule: no
 * foreign page can sign.
 *
 * Reading (GET, HEAD) is let through from anywhere - it has no effects, `SameSite=Strict` leaves the cookie at home,
 * and without CORS headers nobody else reads the answer - but only under one of our own names, so that a name
 * rebound to our address gets nothing. Whatever has effects must come from a page of ours: `Origin` is there and is
 * ours, `Sec-Fetch-Site` agrees where the browser sends it, and a body is JSON, which no form can send.
 *
 * @param origins ours, as browsers write them: `https://brevet.example`, `http://localhost:4000`
 */
export function checkOrigin(request: BrowserRequest, origins: readonly string[]): OriginVerdict {
  const no = (why: string): OriginVerdict => ({ allowed: false, why });
  const { method, host, origin, secFetchSite: site, contentType, upgrade } = request;
  if (host === undefined || !origins.some((own) => new URL(own).host === host.toLowerCase())) return no('the host is not one of this server');
  if (!upgrade && (method === 'GET' || method === 'HEAD')) return { allowed: true };
  if (origin === undefined || !origins.includes(origin)) return no('the request does not come from a page of this server');
  if (new URL(origin).host !== host.toLowerCase()) return no('the request comes from a page of another host of this server');
  if (site !== undefined && site !== 'same-origin') return no('the browser says that another site sent the request');
  if (contentType !== undefined && !/^application\/json(?:; ?charset=utf-8)?$/i.test(contentType)) return no('a body must be application/json');
  return { allowed: true };
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOrigin, type BrowserRequest } from './check-origin.ts';

const OURS = ['https://brevet.example', 'http://localhost:4000'];
const approve: BrowserRequest = { method: 'POST', host: 'brevet.example', origin: 'https://brevet.example', secFetchSite: 'same-origin', contentType: 'application/json', upgrade: false };
const allowed = (change: Partial<Record<keyof BrowserRequest, string | boolean | undefined>>) => checkOrigin({ ...approve, ...change } as BrowserRequest, OURS).allowed;

test('F01: our own pages may act, with and without Sec-Fetch-Site, with and without a body', () => {
  assert.ok(allowed({}));
  assert.ok(allowed({ secFetchSite: undefined }), 'plain HTTP on a private network sends none');
  assert.ok(allowed({ contentType: undefined }));
  assert.ok(allowed({ contentType: 'application/json; charset=utf-8' }));
  assert.ok(allowed({ host: 'localhost:4000', origin: 'http://localhost:4000' }));
  assert.ok(allowed({ method: 'DELETE', contentType: undefined }));
});

test('F01: a form, a script or a frame of another site may not', () => {
  const attacks: Parameters<typeof allowed>[0][] = [
    { origin: 'https://evil.example', secFetchSite: 'cross-site' },
    { origin: 'https://evil.example', secFetchSite: undefined },
    { origin: 'https://evil.example' },
    { origin: 'https://sub.brevet.example', secFetchSite: 'same-site' },
    { origin: 'http://brevet.example' },
    { origin: 'https://brevet.example:8443' },
    { origin: 'https://brevet.example.evil.example' },
    { origin: 'https://BREVET.example' },
    { origin: 'null' },
    { origin: '' },
    { origin: undefined },
    { origin: undefined, secFetchSite: 'same-origin' },
    { secFetchSite: 'none' },
    { secFetchSite: 'same-site' },
    { secFetchSite: '' },
    { origin: 'http://localhost:4000' },
  ];
  for (const attack of attacks) {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'post', 'get', 'TRACE', 'X']) assert.ok(!allowed({ ...attack, method }), `${method} ${JSON.stringify(attack)}`);
  }
});

test('F01: what a form can send without asking is no body of ours', () => {
  for (const contentType of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain; application/json', 'application/jsonp', 'application/json, text/plain', '']) {
    assert.ok(!allowed({ contentType }), contentType);
  }
});

test('F01: a WebSocket is not a harmless GET', () => {
  const socket = { method: 'GET', upgrade: true, contentType: undefined };
  assert.ok(allowed({ ...socket, secFetchSite: undefined }));
  assert.ok(!allowed({ ...socket, origin: 'https://evil.example', secFetchSite: undefined }));
  assert.ok(!allowed({ ...socket, origin: undefined, secFetchSite: undefined }));
  assert.ok(!allowed({ ...socket, secFetchSite: 'cross-site' }));
});

test('a link from a mail may be followed; a name rebound to our address gets nothing', () => {
  assert.ok(allowed({ method: 'GET', origin: undefined, secFetchSite: 'cross-site', contentType: undefined }));
  for (const host of ['evil.example', 'brevet.example.', 'brevet.example:80', '127.0.0.1', '', undefined]) assert.ok(!allowed({ method: 'GET', host }), String(host));
  assert.ok(allowed({ method: 'GET', host: 'BREVET.example' }));
});

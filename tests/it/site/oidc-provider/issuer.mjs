// An issuer that shares nothing with us: the certified npm package `oidc-provider` on a free loopback port.
//
// Asks "who are you?" on a page of links; needs no consent. The first line on stdout is `issuer URL`.
// Environment: ISSUER_CLIENT (client metadata as JSON), ISSUER_CLAIMS (`id_token`: the profile's claims stand in the
// ID token, as with Google; `userinfo`: only there, as the specification prefers).
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const people = {
  ada: { email: 'ada@independent.example', email_verified: true, name: 'Ada Lovelace', hd: 'independent.example' },
  rashid: { email: 'rashid@independent.example', email_verified: true, name: 'رشيد الخوارزمي' },
  mallory: { email: 'mallory@independent.example', email_verified: false, name: 'Mallory' },
};

function build(issuer) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const provider = new Provider(issuer, {
    clients: [JSON.parse(process.env.ISSUER_CLIENT)],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'independent', alg: 'RS256', use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    claims: { openid: ['sub', 'hd'], email: ['email', 'email_verified'], profile: ['name', 'picture'] },
    conformIdTokenClaims: process.env.ISSUER_CLAIMS !== 'id_token',
    responseTypes: ['code'],
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, { uid }) => `/who/${uid}` },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id, ...people[id.split('|')[1]] }) }),
    async loadExistingGrant({ oidc: { client, session } }) {
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope('openid email profile');
      await grant.save();
      return grant;
    },
  });
  for (const event of ['server_error', 'authorization.error', 'grant.error', 'userinfo.error']) {
    provider.on(event, (_, error) => console.error(event, error.message, error.error_description ?? ''));
  }
  return provider;
}

function page(uid) {
  const links = Object.keys(people).map((who) => `<li><a href="/who/${uid}/${who}">${who}</a></li>`);
  return `<!doctype html><html lang="en"><title>Who are you?</title><ul>${links.join('')}</ul></html>`;
}

let provider;
const server = createServer(async (request, response) => {
  const [, uid, who] = /^\/who\/([\w-]+)(?:\/(\w+))?$/.exec(request.url) ?? [];
  if (!uid) return provider.callback()(request, response);
  try {
    if (!who) return response.setHeader('content-type', 'text/html; charset=utf-8').end(page(uid));
    const result = people[who]
      ? { login: { accountId: `independent|${who}` } }
      : { error: 'access_denied', error_description: 'nobody was chosen' };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  } catch (error) {
    response.writeHead(400).end(String(error.message));
  }
});
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = build(issuer);
  console.log(`issuer ${issuer}`);
});
// Whoever started us holds the other end of stdin: when they are gone, so are we.
process.stdin.on('end', () => process.exit(0)).resume();

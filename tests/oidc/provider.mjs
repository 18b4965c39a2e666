// An identity provider as others run it: oidc-provider with its own pages for development, which take any password.
//
// Arguments: the port, and where it sends people back to. It prints a line when it listens.

import Provider from 'oidc-provider';

const [port, callback] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

/** Everybody is in the group `ops` whose name says so. */
const account = (id) => ({
  accountId: id,
  claims: () => ({
    sub: id,
    email: `${id}@example.net`,
    email_verified: true,
    name: id,
    groups: id.startsWith('ops-') ? ['ops', 'all'] : ['all'],
  }),
});

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'roadstead',
      client_secret: 'a secret: of 30% & more+ signs',
      redirect_uris: [callback],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
  ],
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name'],
    groups: ['groups'],
  },
  pkce: { required: () => true },
  cookies: { keys: ['only for tests'] },
  findAccount: (_context, id) => account(id),
});

provider.listen(Number(port), '127.0.0.1', () => console.log(`listening on ${issuer}`));

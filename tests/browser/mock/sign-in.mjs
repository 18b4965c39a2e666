// How people show who they are on the mock: second factors, passkeys, providers, a lost password, and the step-up.
import { randomBytes } from 'node:crypto';
import { conflict, HttpError, invalid, notFound } from './answers.mjs';
import { iso, uuid } from './data.mjs';

/** What ten minutes after the last proof asks again. */
const DANGEROUS = /^(POST|PUT|PATCH|DELETE) \/v1\/(team|api-keys|workspace$|account\/passkeys|account\/identities|outgoing-webhooks|audit\/)/;
export const CODE = '123456';
export const RECOVERY = 'abcd-efgh-ijkl';

export class SignIn {
  constructor(mock) {
    this.mock = mock;
    this.methods = { password: true, passkeys: true, password_reset: false, providers: [] };
    /** Whether the last proof is older than ten minutes. */
    this.isStale = false;
    this.ceremonies = new Map();
    this.resets = new Map();
    /** Of links to other addresses: the account and the address. */
    this.emailChanges = new Map();
    this.mailedTo = [];
    /** What the provider's answer comes to: null, or a code of the sign-in page. */
    this.providerAnswer = null;
    this.begun = 0;
  }

  /** Of the owner: the account whose pages tests look at. */
  get owner() {
    return this.mock.people.owner;
  }

  factorsOf(member) {
    member.passkeys ??= [];
    member.identities ??= [];
    return member;
  }

  ceremony(kind, member, host) {
    this.begun += 1;
    const challenge = randomBytes(32).toString('base64url');
    const ceremony_id = uuid(20, this.begun);
    const id = host.replace(/:\d+$/, '');
    const allowCredentials = kind === 'second' ? member.passkeys.map((one) => ({ id: one.credential, type: 'public-key' })) : [];
    const options =
      kind === 'create'
        ? {
            challenge, rp: { id, name: 'Roadstead' }, user: { id: Buffer.from(member.id).toString('base64url'), name: member.email, displayName: member.name },
            pubKeyCredParams: [{ type: 'public-key', alg: -7 }, { type: 'public-key', alg: -257 }], timeout: 300_000, attestation: 'none',
            excludeCredentials: member.passkeys.map((one) => ({ id: one.credential, type: 'public-key' })),
            authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
          }
        : { challenge, rpId: id, allowCredentials, userVerification: 'required', timeout: 300_000 };
    this.ceremonies.set(ceremony_id, { kind, challenge, member });
    return { ceremony_id, options };
  }

  /** Whose passkey answered; signatures are for the real hub. */
  answered({ ceremony_id, credential }, type) {
    const ceremony = this.ceremonies.get(ceremony_id);
    this.ceremonies.delete(ceremony_id);
    const client = JSON.parse(Buffer.from(credential.response.clientDataJSON, 'base64url'));
    if (!ceremony || client.challenge !== ceremony.challenge || client.type !== type) throw new HttpError(401, 'invalid_credentials', 'the passkey was not accepted');
    return { ...ceremony, client };
  }

  byPasskey(proof) {
    this.answered(proof, 'webauthn.get');
    for (const member of this.mock.people.members) {
      const passkey = this.factorsOf(member).passkeys.find((one) => one.credential === proof.credential.id);
      if (passkey) {
        const count = Buffer.from(proof.credential.response.authenticatorData, 'base64url').readUInt32BE(33);
        if (count <= passkey.count) break;
        passkey.count = count;
        passkey.last_used_at = iso(Date.now());
        return member;
      }
    }
    throw new HttpError(401, 'invalid_credentials', 'the passkey was not accepted');
  }

  /** Refuses until a second factor was given, where the account has one. */
  demandFactor(member, body, host) {
    const { totp, passkeys } = this.factorsOf(member);
    if (!totp && passkeys.length === 0) return;
    if (body.passkey) {
      if (this.byPasskey(body.passkey) !== member) throw new HttpError(401, 'invalid_credentials', 'the passkey was not accepted');
      return;
    }
    if (body.totp === undefined) {
      const methods = [...(totp ? ['totp'] : []), 'recovery', ...(passkeys.length > 0 ? ['passkey'] : [])];
      throw new HttpError(401, 'totp_required', 'a second factor is needed as well', { methods, ...(passkeys.length > 0 ? { passkey: this.ceremony('second', member, host) } : {}) });
    }
    if (![...(totp ? [CODE] : []), RECOVERY].includes(body.totp)) throw new HttpError(401, 'invalid_credentials', 'e-mail, password or code is wrong');
  }

  publicRoute(key, body, response, request) {
    const { people } = this.mock;
    const { host } = request.headers;
    const url = new URL(request.url, 'http://mock');
    switch (key) {
      case 'GET /v1/auth/methods':
        return this.methods;
      case 'POST /v1/auth/login':
      case 'POST /v1/invites/accept': {
        const email = body.email ?? people.invites.find((one) => one.token === body.token)?.email;
        const everybody = [...people.members, ...people.strangers];
        const member = everybody.find((one) => one.email === email && one.password === body.password);
        if (member) this.demandFactor(member, body, host);
        return undefined;
      }
      case 'POST /v1/auth/passkey/begin':
        return this.ceremony('sole', null, host);
      case 'POST /v1/auth/passkey':
        return this.enter(this.byPasskey(body), response);
      case 'POST /v1/auth/password-reset':
        if (!this.methods.password_reset) throw conflict('this hub sends no mail');
        this.mailedTo.push(body.email);
        return [202, {}];
      case 'POST /v1/auth/password-reset/complete': {
        const member = this.resets.get(body.token);
        if (!member) throw new HttpError(410, 'gone', 'this link was used or has expired; ask for another one');
        if (body.password.length < 12) throw invalid('password', 'must have at least 12 characters');
        this.demandFactor(member, body, host);
        this.resets.delete(body.token);
        member.password = body.password;
        this.mock.signedIn = false;
        return {};
      }
      case 'POST /v1/auth/email-change/complete': {
        const change = this.emailChanges.get(body.token);
        if (!change) throw new HttpError(410, 'gone', 'this link was used or has expired; ask for another one under Account');
        this.emailChanges.delete(body.token);
        change.member.email = change.email;
        return {};
      }
      case 'POST /v1/auth/oidc/complete':
        if (!this.pending) throw new HttpError(401, 'unauthenticated', 'sign in with the provider first');
        this.demandFactor(this.pending, body, host);
        return this.enter(this.pending, response);
      case 'GET /v1/auth/oidc/company/start':
        return this.atProvider(url.searchParams, response);
    }
    return undefined;
  }

  enter(member, response) {
    this.isStale = false;
    if (member !== this.owner) return this.mock.people.signIn(member, response);
    this.mock.signedIn = true;
    return this.mock.people.session(member);
  }

  /** The provider's page and the way back, in one. */
  atProvider(query, response) {
    const go = (location) => response.writeHead(303, { location }).end();
    if (this.providerAnswer === 'oidc_second_factor') this.pending = this.owner;
    const isInside = query.get('link') === 'true' || query.get('step_up') === 'true';
    if (this.providerAnswer && isInside) go(`${query.get('return_to')}#error=${this.providerAnswer}`);
    else if (this.providerAnswer) go(`/sign-in#error=${this.providerAnswer}&return_to=${encodeURIComponent(query.get('return_to'))}`);
    else {
      if (query.get('link') === 'true') this.owner.identities.push({ id: uuid(21, this.owner.identities.length + 1), provider: this.methods.providers[0], subject_hint: 'ada@company.example', created_at: iso(Date.now()), last_used_at: null });
      this.enter(this.owner, response);
      go(query.get('return_to'));
    }
    return null;
  }

  route(key, id, body, { member }, request) {
    if (this.isStale && DANGEROUS.test(key)) throw new HttpError(403, 'step_up_required', 'show again who you are, then repeat the request');
    if (!member) return undefined;
    const { host } = request.headers;
    const own = this.factorsOf(member);
    switch (key) {
      case 'GET /v1/account':
        return { id: own.id, email: own.email, name: own.name, has_password: own.password !== null, has_passkeys: own.passkeys.length > 0 };
      case 'POST /v1/account/email':
        if (own.password !== null && body.password !== own.password) throw invalid('password', 'is not your password');
        if (this.methods.password_reset) {
          this.mailedTo.push(body.email);
          this.emailChanges.set(`rsec_${this.mailedTo.length}`, { member: own, email: body.email });
          return [202, { pending: body.email }];
        }
        own.email = body.email;
        return { id: own.id, email: own.email, name: own.name };
      case 'POST /v1/auth/step-up/begin':
        return this.ceremony('second', own, host);
      case 'POST /v1/auth/step-up':
        if (body.passkey && !body.password) this.demandFactor(own, body, host);
        else if (!body.password && this.pending) this.demandFactor(own, body, host);
        else if (body.password !== own.password) throw invalid('password', 'is not your password');
        else this.demandFactor(own, body, host);
        this.isStale = false;
        return { verified_until: iso(Date.now() + 600_000) };
      case 'GET /v1/account/totp':
        return { enabled: Boolean(own.totp), since: own.totp ? iso(Date.now() - 9 * 86_400_000) : null, recovery_codes_left: own.totp ? 9 : own.passkeys.length > 0 ? 10 : 0 };
      case 'POST /v1/account/totp/recovery-codes':
        if (own.password !== null && body.password !== own.password) throw invalid('password', 'is not your password');
        this.demandFactor(own, body, host);
        return { recovery_codes: recoveryCodes() };
      case 'GET /v1/account/passkeys':
        return { data: own.passkeys.map(({ credential: _, count: __, ...passkey }) => passkey), next_cursor: null };
      case 'POST /v1/account/passkeys/begin':
        return this.ceremony('create', own, host);
      case 'POST /v1/account/passkeys': {
        this.answered(body, 'webauthn.create');
        const passkey = { id: uuid(22, own.passkeys.length + 1), name: body.name ?? 'Passkey', created_at: iso(Date.now()), last_used_at: null, backed_up: false, credential: body.credential.id, count: 0 };
        const isFirst = !own.totp && own.passkeys.length === 0;
        own.passkeys.push(passkey);
        return [201, { ...passkey, recovery_codes: isFirst ? recoveryCodes() : null }];
      }
      case 'PATCH /v1/account/passkeys/{id}':
        return Object.assign(this.passkey(own, id), { name: body.name });
      case 'DELETE /v1/account/passkeys/{id}':
        this.passkey(own, id);
        if (this.mock.tenancy.workspace.require_totp && !own.totp && own.passkeys.length === 1) throw conflict('a workspace of yours requires a second factor, and this is the last one');
        own.passkeys = own.passkeys.filter((one) => one.id !== id);
        return [204];
      case 'GET /v1/account/identities':
        return { data: own.identities, next_cursor: null };
      case 'POST /v1/account/identities/company/link':
        return { location: `http://${host}/v1/auth/oidc/company/start?link=true&return_to=/account` };
      case 'DELETE /v1/account/identities/{id}':
        if (own.password === null && own.passkeys.length === 0) throw conflict('this is the only way into your account; add a passkey first');
        own.identities = own.identities.filter((one) => one.id !== id);
        return [204];
      case 'DELETE /v1/account/sessions':
        this.mock.otherSessions = false;
        return [204];
    }
    return undefined;
  }

  passkey(own, id) {
    const found = own.passkeys.find((one) => one.id === id);
    if (!found) throw notFound();
    return found;
  }
}

function recoveryCodes() {
  return Array.from({ length: 10 }, (_, n) => `${String(n).repeat(4)}-efgh-ijkl`);
}

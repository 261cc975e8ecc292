// Mints one handoff assertion with `jose` and prints it. The sending side of Unified Login, see docs/handoff.md.
//
//   node sender.mjs --key private.jwk.json --issuer https://secure.example.net --audience https://connect.example.org \
//     --provider-code SUNRISE-IL --login-name amina --sub person-4711 [--target /activity] [--amr pwd,otp]
//
// The private JWK (with `kid` and `alg`) is read from the file that --key or the variable HANDOFF_KEY_FILE names.

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
// --- shown in docs/handoff.md ---
import { randomBytes } from 'node:crypto';
import { importJWK, SignJWT } from 'jose';

/** One handoff assertion. Call it at the click, on your server; `key` is your private JWK with `kid` and `alg`. */
export async function assertion({
  key, issuer, audience, providerCode, loginName, sub, target, amr, clickedAt = Date.now(),
}) {
  const iat = Math.floor(clickedAt / 1000); // whole seconds
  const claims = {
    iss: issuer,
    aud: audience,
    sub,
    provider_code: providerCode,
    login_name: loginName,
    iat,
    exp: iat + 30,
    jti: randomBytes(16).toString('base64url'), // 128 random bits in 22 characters, new each time
    target, // `undefined` is left out
    amr,
  };
  return new SignJWT(claims)
    .setProtectedHeader({ typ: 'therap-handoff+jwt', alg: key.alg, kid: key.kid })
    .sign(await importJWK(key, key.alg));
}
// --- end ---

async function main() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: {
      key: { type: 'string', default: process.env.HANDOFF_KEY_FILE },
      issuer: text, audience: text, 'provider-code': text, 'login-name': text, sub: text, target: text, amr: text,
    },
  });
  for (const name of ['key', 'issuer', 'audience', 'provider-code', 'login-name', 'sub']) {
    if (values[name] === undefined) throw new Error(`give --${name}`);
  }
  console.log(await assertion({
    key: JSON.parse(readFileSync(values.key, 'utf8')),
    issuer: values.issuer,
    audience: values.audience,
    providerCode: values['provider-code'],
    loginName: values['login-name'],
    sub: values.sub,
    target: values.target,
    amr: values.amr?.split(','),
  }));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error) => {
    console.error(`sender.mjs: ${error.message}`);
    process.exitCode = 1;
  });
}

// An app that signs its users in with `passport-openidconnect`, as the strategy's own documentation sets it up: every
// endpoint by hand, nothing discovered, the secret in the form, `scope` with `openid` twice.
//
//   ISSUER=https://connect.example.org CLIENT_ID=portal CLIENT_SECRET=… APP_URL=http://127.0.0.1:3000 node app.mjs
import { randomBytes } from 'node:crypto';
import express from 'express';
import session from 'express-session';
import passport from 'passport';
import OpenIDConnectStrategy from 'passport-openidconnect';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, APP_URL } = process.env;

passport.use(
  new OpenIDConnectStrategy(
    {
      issuer: ISSUER,
      authorizationURL: `${ISSUER}/oauth2/authorize`,
      tokenURL: `${ISSUER}/oauth2/token`,
      userInfoURL: `${ISSUER}/oauth2/userinfo`,
      clientID: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
      callbackURL: `${APP_URL}/callback`,
      scope: ['openid', 'profile', 'email'],
    },
    (issuer, profile, done) => done(null, { issuer, ...profile }),
  ),
);
passport.serializeUser((user, done) => done(null, user));
passport.deserializeUser((user, done) => done(null, user));

const app = express();
app.use(session({ secret: randomBytes(32).toString('hex'), resave: false, saveUninitialized: false }));
app.use(passport.session());
app.get('/sign-in', passport.authenticate('openidconnect'));
app.get('/callback', passport.authenticate('openidconnect', { failureRedirect: '/', successRedirect: '/' }));
app.post('/sign-out', (request, response, next) =>
  request.logout((error) => (error ? next(error) : response.redirect(303, '/'))),
);
app.get('/', ({ user }, response) => {
  const shown = JSON.stringify(user, null, 2)?.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const body = user
    ? `<pre id="who">${shown}</pre><form method="post" action="/sign-out"><button id="sign-out">Sign out</button></form>`
    : '<a id="sign-in" href="/sign-in">Sign in</a>';
  response.send(`<!doctype html><html lang="en"><title>Passport</title><body>${body}</body></html>`);
});
app.listen(new URL(APP_URL).port, '127.0.0.1');

//! What is measured: each journey takes fresh material, sends its requests and looks at what is answered.

#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "all of them are rows of one table: each takes its material, and may fail"
)]

use std::collections::BTreeMap;

use connect_idp::crypto::jws::Algorithm;

use crate::http::{Http, Request};
use crate::raw::HASH;
use crate::sender::PROVIDER;
use crate::site::{Members, PASSWORD, SECRET, Site, USERS, algorithm_of, post_assertion};

/// So much of what may be used again is there at most: an access token, a family of refresh tokens.
const POOL: usize = 1500;

/// What one journey needs: used up, or given back.
#[derive(Clone, Default)]
pub struct Item {
    pub text: String,
    pub cookie: String,
}

type Made = Result<Vec<Item>, String>;
/// What is there for the next one, if anything.
type Done = Result<Option<Item>, String>;

/// The part of a journey that is cryptography, whatever the program.
#[derive(Clone, Copy)]
enum Raw {
    Nothing,
    /// A row of [`crate::raw::measure`].
    Is(&'static str),
    /// What signs access tokens in JWT form.
    AccessToken,
}

/// One row of the table.
#[derive(Clone, Copy)]
pub struct Journey {
    pub name: &'static str,
    raw: Raw,
    /// Other providers have it too.
    pub standard: bool,
    /// What it needs is used again, by turns.
    pub pooled: bool,
    /// A text that a bare route could answer as well.
    pub is_document: bool,
    make: fn(&Site, usize) -> Made,
    step: fn(&Site, &mut Http, Item) -> Done,
}

impl Journey {
    const fn new(name: &'static str, make: fn(&Site, usize) -> Made, step: fn(&Site, &mut Http, Item) -> Done) -> Self {
        Self { name, raw: Raw::Nothing, standard: true, pooled: true, is_document: false, make, step }
    }

    const fn document(mut self) -> Self {
        self.is_document = true;
        self
    }

    const fn raw(mut self, raw: &'static str) -> Self {
        self.raw = Raw::Is(raw);
        self
    }

    const fn signs_access_token(mut self) -> Self {
        self.raw = Raw::AccessToken;
        self
    }

    const fn spends(mut self) -> Self {
        self.pooled = false;
        self
    }

    const fn ours(mut self) -> Self {
        self.standard = false;
        self
    }

    /// So much of what it needs; of what is used again, at most [`POOL`].
    pub fn make(&self, site: &Site, count: usize) -> Made {
        (self.make)(site, if self.pooled { count.min(POOL) } else { count })
    }

    pub fn step(&self, site: &Site, http: &mut Http, item: Item) -> Done {
        (self.step)(site, http, item)
    }

    /// Which cryptography is in it, and what that costs alone (µs).
    pub fn raw_cost(&self, site: &Site, costs: &BTreeMap<String, f64>) -> Option<(String, f64)> {
        let name = match self.raw {
            Raw::Nothing => return None,
            Raw::Is(name) => name.to_owned(),
            Raw::AccessToken => format!("sign {}", site.access_token_algorithm.as_ref()?.name()),
        };
        costs.get(&name).map(|cost| (name, *cost))
    }
}

/// All of them.
pub const JOURNEYS: [Journey; 18] = [
    Journey::new("discovery", nothing, discovery).document(),
    Journey::new("jwks", nothing, jwks).document(),
    Journey::new("userinfo", access_tokens, userinfo),
    Journey::new("introspection", access_tokens, introspection),
    Journey::new("client_credentials opaque", nothing, |s, h, i| own_token(s, h, i, false)),
    Journey::new("client_credentials jwt", nothing, |s, h, i| own_token(s, h, i, true)).signs_access_token(),
    Journey::new("authorize with a session", sessions, authorize),
    Journey::new("code exchange RS256", |s, n| codes(s, "RS256", n), exchange_rs256).raw("sign RS256").spends(),
    Journey::new("code exchange ES256", |s, n| codes(s, "ES256", n), exchange_es256).raw("sign ES256").spends(),
    Journey::new("refresh RS256 confidential", |s, n| families(s, "RS256", n), refresh).raw("sign RS256"),
    Journey::new("refresh ES256 confidential", |s, n| families(s, "ES256", n), refresh).raw("sign ES256"),
    Journey::new("refresh RS256 public", |s, n| families(s, "public-RS256", n), refresh).raw("sign RS256"),
    Journey::new("refresh ES256 public", |s, n| families(s, "public-ES256", n), refresh).raw("sign ES256"),
    Journey::new("handoff", assertions, hand_off).raw("verify ES256").spends().ours(),
    Journey::new("handoff, its POST", assertions, post).raw("verify ES256").spends().ours(),
    Journey::new("handoff, its completion", posted, complete).spends().ours(),
    Journey::new("handoff, its Dashboard", sessions, dashboard).ours(),
    Journey::new("password login", users, log_in).raw(HASH).ours(),
];

fn nothing(_: &Site, count: usize) -> Made {
    Ok(vec![Item::default(); count])
}

fn discovery(site: &Site, http: &mut Http, item: Item) -> Done {
    let members = Members::of(http.send(&Request::get("/.well-known/openid-configuration"))?)?;
    holds(members.issuer == site.issuer, "another issuer", item)
}

fn jwks(site: &Site, http: &mut Http, item: Item) -> Done {
    let members = Members::of(http.send(&Request::get(&site.jwks_uri))?)?;
    holds(members.keys.len() >= 2, "keys are missing", item)
}

/// Each of a sign-in of its own.
fn access_tokens(site: &Site, count: usize) -> Made {
    grants(site, "ES256", count, |members| members.access_token)
}

fn userinfo(site: &Site, http: &mut Http, item: Item) -> Done {
    let request = Request::get(&site.userinfo_endpoint).with("authorization", &format!("Bearer {}", item.text));
    let members = Members::of(http.send(&request)?)?;
    holds(!members.sub.is_empty(), "no sub", item)
}

fn introspection(site: &Site, http: &mut Http, item: Item) -> Done {
    let request = Request::post(&site.introspection_endpoint, &[("token", &item.text)]).basic("ES256", SECRET);
    let members = Members::of(http.send(&request)?)?;
    holds(members.active, "not active", item)
}

fn own_token(site: &Site, http: &mut Http, item: Item, jwt: bool) -> Done {
    let client = if jwt { "machine-jwt" } else { "machine" };
    let members = site.token(http, client, &[("grant_type", "client_credentials")])?;
    let right = !members.access_token.is_empty() && algorithm_of(&members.access_token).is_some() == jwt;
    holds(right, "not the token that was asked for", item)
}

fn sessions(site: &Site, count: usize) -> Made {
    Ok(site.sessions()?.into_iter().take(count).map(|cookie| Item { cookie, ..Item::default() }).collect())
}

fn authorize(site: &Site, http: &mut Http, item: Item) -> Done {
    site.code(http, "RS256", &item.cookie)?;
    Ok(Some(item))
}

fn codes(site: &Site, client: &str, count: usize) -> Made {
    let sessions = site.sessions()?;
    let codes = site.many(count, |http, number| site.code(http, client, &sessions[number % sessions.len()]))?;
    Ok(codes.into_iter().map(|text| Item { text, ..Item::default() }).collect())
}

fn exchange_rs256(site: &Site, http: &mut Http, item: Item) -> Done {
    signed_by(Algorithm::Rs256, &site.exchange(http, "RS256", &item.text)?.id_token)
}

fn exchange_es256(site: &Site, http: &mut Http, item: Item) -> Done {
    signed_by(Algorithm::Es256, &site.exchange(http, "ES256", &item.text)?.id_token)
}

fn signed_by(algorithm: Algorithm, id_token: &str) -> Done {
    if algorithm_of(id_token) == Some(algorithm) { Ok(None) } else { Err("not the ID token that was asked for".into()) }
}

/// What an app has after a sign-in.
fn grants(site: &Site, client: &str, count: usize, of: impl Fn(Members) -> String + Sync) -> Made {
    let codes = codes(site, client, count)?;
    let made = site.many(codes.len(), |http, number| Ok(of(site.exchange(http, client, &codes[number].text)?)))?;
    Ok(made.into_iter().map(|text| Item { text, cookie: client.to_owned() }).collect())
}

fn families(site: &Site, client: &str, count: usize) -> Made {
    grants(site, client, count, |members| members.refresh_token)
}

/// Of the client whose name stands in the place of the cookie. A public one gets another refresh token each time.
fn refresh(site: &Site, http: &mut Http, item: Item) -> Done {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", item.text.as_str())];
    let members = site.token(http, &item.cookie, &fields)?;
    let algorithm = item.cookie.trim_start_matches("public-");
    let signed = algorithm_of(&members.id_token).is_some_and(|its| its.name() == algorithm);
    let replaced = !members.refresh_token.is_empty() && members.refresh_token != item.text;
    if !signed || (algorithm.len() < item.cookie.len() && !replaced) {
        return Err("not the tokens that were asked for".into());
    }
    Ok(Some(if replaced { Item { text: members.refresh_token, ..item } } else { item }))
}

fn assertions(site: &Site, count: usize) -> Made {
    let made = site.many(count, |_, number| Ok(site.assertion(number)))?;
    Ok(made.into_iter().map(|text| Item { text, ..Item::default() }).collect())
}

fn hand_off(site: &Site, http: &mut Http, item: Item) -> Done {
    let (text, cookie) = post_assertion(http, &item.text)?;
    let answer = http.send(&Request::get(&text).with("cookie", &cookie))?.expect(303)?;
    let home = Item { text: String::new(), cookie: answer.cookies() };
    dashboard(site, http, home).map(|_| None)
}

fn post(_: &Site, http: &mut Http, item: Item) -> Done {
    let (target, _) = post_assertion(http, &item.text)?;
    if target.starts_with("/unified-login/complete?h=") { Ok(None) } else { Err(format!("not accepted: {target}")) }
}

fn posted(site: &Site, count: usize) -> Made {
    site.many(count, |http, number| {
        let (text, cookie) = post_assertion(http, &site.assertion(number))?;
        Ok(Item { text, cookie })
    })
}

fn complete(_: &Site, http: &mut Http, item: Item) -> Done {
    let answer = http.send(&Request::get(&item.text).with("cookie", &item.cookie))?.expect(303)?;
    holds(is_signed_in(&answer.cookies()), "no session", item).map(|_| None)
}

fn dashboard(_: &Site, http: &mut Http, item: Item) -> Done {
    let answer = http.send(&Request::get("/").with("cookie", &item.cookie))?.expect(200)?;
    holds(String::from_utf8_lossy(&answer.body).contains("Bench User"), "not this user's Dashboard", item)
}

fn users(_: &Site, count: usize) -> Made {
    Ok((0..count.min(USERS)).map(|number| Item { text: Site::user(number), ..Item::default() }).collect())
}

fn log_in(site: &Site, http: &mut Http, item: Item) -> Done {
    let form = [("login_name", item.text.as_str()), ("password", PASSWORD), ("provider_code", PROVIDER)];
    let answer = http.send(&Request::post("/login", &form).with("origin", &site.issuer))?.expect(303)?;
    holds(is_signed_in(&answer.cookies()), "no session", item)
}

fn is_signed_in(cookies: &str) -> bool {
    cookies.contains("connect-session")
}

fn holds(right: bool, otherwise: &str, item: Item) -> Done {
    if right { Ok(Some(item)) } else { Err(otherwise.to_owned()) }
}

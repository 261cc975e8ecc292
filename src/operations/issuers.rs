//! What an operator does to a trusted issuer and its ties (U12, U13): each one transaction with exactly one record, and
//! none when nothing changed. Functions that take a `Tx` are the same actions as parts of a larger one (`apply`).

use std::collections::BTreeMap;

use url::Url;

use super::admin_context::{AdminContext, Changed, Edited, Switched, ValidationError, in_act};
use super::providers::replace;
use crate::config::Config;
use crate::crypto::key_set::VerifyingKeys;
use crate::model::activity::Kind;
use crate::model::address::is_loopback;
use crate::model::issuer::{TrustedIssuer, is_origin};
use crate::model::text::check_line;
use crate::model::user::Account;
use crate::store::{Error, Tx, activity, issuers};

/// What an operator may set on a trusted issuer. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// What people call it.
    pub display_name: Option<String>,
    /// The origins its pages send from.
    pub origins: Option<Vec<String>>,
    /// Its keys, inline; takes the place of `jwks_uri`.
    pub jwks: Option<String>,
    /// Where its keys are published; takes the place of `jwks`.
    pub jwks_uri: Option<String>,
    /// Its own client here; an empty text takes it away.
    pub client_id: Option<String>,
    /// Its `acr` values and what they become here.
    pub acr: Option<BTreeMap<String, String>>,
}

impl Draft {
    /// Checks every value that is given.
    ///
    /// # Errors
    /// The first key whose value is not accepted.
    pub fn check(&self, config: &Config) -> Result<(), ValidationError> {
        if let Some(name) = &self.display_name {
            check_line(name, 200).map_err(|why| ValidationError::new("display_name", why))?;
        }
        if let Some(origins) = &self.origins {
            check_origins(origins, config)?;
        }
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            return Err(ValidationError::new("jwks_uri", "stands beside jwks: give one of the two"));
        }
        if let Some(jwks) = &self.jwks {
            read_keys(jwks, config).map_err(|why| ValidationError::new("jwks", why))?;
        }
        if let Some(address) = &self.jwks_uri {
            check_address(address, config).map_err(|why| ValidationError::new("jwks_uri", why))?;
        }
        if let Some(client_id) = self.client_id.as_deref().filter(|id| !id.is_empty()) {
            check_line(client_id, 255).map_err(|why| ValidationError::new("client_id", why))?;
        }
        for (theirs, ours) in self.acr.iter().flatten() {
            let line = check_line(theirs, 255).and_then(|()| check_line(ours, 255));
            line.map_err(|why| ValidationError::new("acr", format!("each value and what it becomes {why}")))?;
        }
        Ok(())
    }

    /// What is taken all the same: keys of the given set that are passed over (RFC 7517 §5).
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let keys = self.jwks.as_deref().and_then(|jwks| VerifyingKeys::parse(jwks).ok());
        keys.map(|keys| keys.skipped().to_vec()).unwrap_or_default()
    }

    /// Checks whether this is enough to make a trusted issuer.
    ///
    /// # Errors
    /// The first key that is missing or whose value is not accepted.
    pub fn check_new(&self, issuer: &str, config: &Config) -> Result<(), ValidationError> {
        check_issuer(issuer, config)?;
        if self.origins.is_none() {
            return Err(ValidationError::new(
                "origins",
                "is missing: list the origins that the issuer's pages send from",
            ));
        }
        if self.jwks.is_none() && self.jwks_uri.is_none() {
            return Err(ValidationError::new("jwks_uri", "is missing, and so is jwks: give one of the two"));
        }
        self.check(config)
    }

    /// Writes the given values over an issuer; the keys whose values are new.
    fn write_over(&self, issuer: &mut TrustedIssuer) -> Vec<&'static str> {
        let mut keys = Vec::new();
        let mut set = |key: &'static str, changed: bool| {
            if changed {
                keys.push(key);
            }
        };
        set("display_name", replace(&mut issuer.display_name, self.display_name.clone()));
        set("origins", replace(&mut issuer.origins, self.origins.clone()));
        if let Some(jwks) = &self.jwks {
            set("jwks", replace(&mut issuer.jwks, Some(Some(jwks.clone()))));
            issuer.jwks_uri = None;
        }
        if let Some(address) = &self.jwks_uri {
            set("jwks_uri", replace(&mut issuer.jwks_uri, Some(Some(address.clone()))));
            issuer.jwks = None;
        }
        let client_id = self.client_id.as_ref().map(|id| Some(id.clone()).filter(|id| !id.is_empty()));
        set("client_id", replace(&mut issuer.client_id, client_id));
        set("acr", replace(&mut issuer.acr, self.acr.clone()));
        keys
    }
}

/// An https address; http for loopback hosts where the configuration allows it.
fn check_address(text: &str, config: &Config) -> Result<(), String> {
    let allowed = |url: &Url| match url.scheme() {
        "https" => true,
        "http" => config.allows_loopback_http() && is_loopback(url),
        _ => false,
    };
    let url =
        Url::parse(text).ok().filter(|url| url.has_host() && text.len() <= 255 && !text.contains(char::is_whitespace));
    match url {
        Some(url) if !allowed(&url) => Err(format!("{text:?} must be an https address")),
        Some(url) if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() => {
            Err(format!("{text:?} must be an address without user name, password and fragment"))
        }
        Some(_) => Ok(()),
        None => Err(format!("{text:?} is not an https address of at most 255 characters")),
    }
}

fn check_origins(origins: &[String], config: &Config) -> Result<(), ValidationError> {
    if origins.is_empty() {
        return Err(ValidationError::new("origins", "is empty: list the origins that the issuer's pages send from"));
    }
    for origin in origins {
        if !is_origin(origin) {
            let spelling = Url::parse(origin)
                .map_or_else(|_| "https://secure.example.net".into(), |u| u.origin().ascii_serialization());
            let why = format!(
                "{origin:?} is not an origin as browsers write it: scheme, host and port alone, such as {spelling:?}"
            );
            return Err(ValidationError::new("origins", why));
        }
        check_address(origin, config).map_err(|why| ValidationError::new("origins", why))?;
    }
    Ok(())
}

/// Parses an issuer's key set under the rules of this service: beside those of [`VerifyingKeys::parse`], the published
/// test keys are refused in production (G21).
///
/// # Errors
/// One sentence that names the key and what to change.
pub fn read_keys(jwks: &str, config: &Config) -> Result<VerifyingKeys, String> {
    let keys = VerifyingKeys::parse(jwks)?;
    let test_key = keys.names().into_iter().find(|(kid, _)| kid.starts_with("TEST-ONLY"));
    match test_key {
        Some((kid, _)) if !config.may_weaken() => Err(format!(
            "key \"{kid}\" is a published test key, whose private half everybody knows: use a key of the issuer's own"
        )),
        _ => Ok(keys),
    }
}

/// The keys that an issuer's handoffs are verified by at present, and what its set holds beside them.
#[must_use]
pub fn keys_in_force(issuer: &TrustedIssuer) -> VerifyingKeys {
    let jwks = issuer.jwks.as_deref().or(issuer.last_good_jwks.as_deref());
    jwks.and_then(|jwks| VerifyingKeys::parse(jwks).ok()).unwrap_or_default()
}

/// A trusted issuer that is not stored yet. The draft was checked by [`Draft::check_new`].
#[must_use]
pub fn build(act: &AdminContext, issuer: &str, draft: &Draft, enabled: bool) -> TrustedIssuer {
    let mut new = TrustedIssuer {
        id: act.app.random.id(act.now),
        issuer: issuer.to_owned(),
        display_name: issuer.to_owned(),
        origins: Vec::new(),
        jwks: None,
        jwks_uri: None,
        last_good_jwks: None,
        client_id: None,
        acr: BTreeMap::new(),
        enabled,
        epoch: 1,
        revision: 1,
    };
    draft.write_over(&mut new);
    new
}

/// Makes a trusted issuer; `false` when there is one of that name.
pub async fn create(act: &AdminContext, issuer: &str, draft: &Draft) -> Result<bool, Error> {
    let new = build(act, issuer, draft, true);
    let added = in_act!(act, [new], |tx| add(tx, &act, &new).await)?;
    act.app.issuers.forget();
    Ok(added)
}

/// Adds a trusted issuer; `false` when there is one of that name.
pub async fn add(tx: &mut Tx, act: &AdminContext, issuer: &TrustedIssuer) -> Result<bool, Error> {
    if !issuers::insert(tx, issuer, act.now).await? {
        return Ok(false);
    }
    let note = format!("{}{}", issuer.issuer, if issuer.enabled { "" } else { "; disabled" });
    activity::record(tx, &act.event(Kind::IssuerCreated).noting(note)).await?;
    Ok(true)
}

/// Changes a trusted issuer.
pub async fn set(act: &AdminContext, issuer: &str, draft: &Draft) -> Result<Changed, Error> {
    let issuer = issuer.to_owned();
    let changed = in_act!(act, [issuer, draft], |tx| {
        match issuers::lock_for_update(tx, &issuer).await? {
            Some(held) => change(tx, &act, held, &draft).await.map(Changed::Keys),
            None => Ok(Changed::NotFound),
        }
    })?;
    act.app.issuers.forget();
    Ok(changed)
}

/// Writes an operator's form over a trusted issuer, unless somebody else wrote since it was read.
pub async fn edit(act: &AdminContext, issuer: &str, revision: i64, draft: &Draft) -> Result<Edited<Changed>, Error> {
    let issuer = issuer.to_owned();
    let edited = in_act!(act, [issuer, draft], |tx| {
        match issuers::lock_for_update(tx, &issuer).await? {
            Some(held) if held.revision != revision => Ok(Edited::Stale),
            Some(held) => Ok(Edited::Changed(Changed::Keys(change(tx, &act, held, &draft).await?))),
            None => Ok(Edited::Changed(Changed::NotFound)),
        }
    })?;
    act.app.issuers.forget();
    Ok(edited)
}

/// Changes a trusted issuer whose row is held; the keys whose values are new.
pub async fn change(
    tx: &mut Tx,
    act: &AdminContext,
    mut issuer: TrustedIssuer,
    draft: &Draft,
) -> Result<Vec<&'static str>, Error> {
    let keys = draft.write_over(&mut issuer);
    if !keys.is_empty() {
        issuers::update(tx, &issuer).await?;
        let note = format!("{}: {}", issuer.issuer, keys.join(", "));
        activity::record(tx, &act.event(Kind::IssuerChanged).noting(note)).await?;
    }
    Ok(keys)
}

/// Switches a trusted issuer off, at once; its sessions live on unless they are ended too.
pub async fn disable(act: &AdminContext, issuer: &str, end_sessions: bool) -> Result<Switched, Error> {
    let issuer = issuer.to_owned();
    let switched = in_act!(act, [issuer], |tx| {
        let Some(held) = issuers::lock_for_update(tx, &issuer).await? else {
            return Ok(Switched::NotFound);
        };
        if act.is_stale(held.version()) {
            return Ok(Switched::Stale);
        }
        if !end_sessions {
            return switch_enabled(tx, &act, &held, false).await;
        }
        let switched = issuers::set_enabled(tx, &held.id, false).await?;
        issuers::bump_epoch(tx, &held.id).await?;
        let (kind, note) = if switched {
            (Kind::IssuerDisabled, format!("{}; its sessions were ended", held.issuer))
        } else {
            (Kind::SessionEnded, format!("every session from {}", held.issuer))
        };
        activity::record(tx, &act.event(kind).noting(note)).await?;
        Ok(Switched::Done)
    })?;
    act.app.issuers.forget();
    Ok(switched)
}

/// Switches a trusted issuer on again.
pub async fn enable(act: &AdminContext, issuer: &str) -> Result<Switched, Error> {
    let issuer = issuer.to_owned();
    let switched = in_act!(act, [issuer], |tx| {
        match issuers::lock_for_update(tx, &issuer).await? {
            Some(held) if act.is_stale(held.version()) => Ok(Switched::Stale),
            Some(held) => switch_enabled(tx, &act, &held, true).await,
            None => Ok(Switched::NotFound),
        }
    })?;
    act.app.issuers.forget();
    Ok(switched)
}

/// Switches a trusted issuer whose row is held on or off; its sessions live on.
pub async fn switch_enabled(
    tx: &mut Tx,
    act: &AdminContext,
    held: &TrustedIssuer,
    enabled: bool,
) -> Result<Switched, Error> {
    if !issuers::set_enabled(tx, &held.id, enabled).await? {
        return Ok(Switched::Already);
    }
    let kind = if enabled { Kind::IssuerEnabled } else { Kind::IssuerDisabled };
    activity::record(tx, &act.event(kind).noting(&held.issuer)).await?;
    Ok(Switched::Done)
}

/// Ends every session that came from an issuer.
pub async fn end_sessions(act: &AdminContext, issuer: &str) -> Result<Switched, Error> {
    let issuer = issuer.to_owned();
    let ended = in_act!(act, [issuer], |tx| {
        let Some(held) = issuers::lock_for_update(tx, &issuer).await? else {
            return Ok(Switched::NotFound);
        };
        if act.is_stale(held.version()) {
            return Ok(Switched::Stale);
        }
        issuers::bump_epoch(tx, &held.id).await?;
        let note = format!("every session from {}", held.issuer);
        activity::record(tx, &act.event(Kind::SessionEnded).noting(note)).await?;
        Ok(Switched::Done)
    })?;
    act.app.issuers.forget();
    Ok(ended)
}

/// Removes every tie of an issuer, which makes another revision of it; how many there were, `None` when there is no such
/// issuer.
pub async fn untie_all(act: &AdminContext, issuer: &str) -> Result<Edited<Option<u64>>, Error> {
    let issuer = issuer.to_owned();
    in_act!(act, [issuer], |tx| {
        let Some(held) = issuers::lock_for_update(tx, &issuer).await? else {
            return Ok(Edited::Changed(None));
        };
        if act.is_stale(held.version()) {
            return Ok(Edited::Stale);
        }
        let count = issuers::untie(tx, Some(&held.id), None).await?;
        if count > 0 {
            issuers::bump_revision(tx, &held.id).await?;
            let note = format!("all {count} ties of {}", held.issuer);
            activity::record(tx, &act.event(Kind::HandoffUntied).noting(note)).await?;
        }
        Ok(Edited::Changed(Some(count)))
    })
}

/// Checks the name of an issuer.
///
/// # Errors
/// Why it is none.
pub fn check_issuer(issuer: &str, config: &Config) -> Result<(), ValidationError> {
    check_address(issuer, config).map_err(|why| ValidationError::new("issuer", why))
}

/// Checks an issuer's stable id for a user.
///
/// # Errors
/// What it must be.
pub fn check_sub(sub: &str) -> Result<(), String> {
    let good = (1..=255).contains(&sub.chars().count()) && !sub.chars().any(char::is_control);
    good.then_some(()).ok_or_else(|| "must be 1 to 255 characters without control characters".into())
}

/// Ties an issuer's `sub` to a user, or says what stands in the way.
pub async fn tie(
    tx: &mut Tx,
    act: &AdminContext,
    issuer: &TrustedIssuer,
    user: &Account,
    sub: &str,
) -> Result<issuers::Tied, Error> {
    let found = issuers::tied(tx, &issuer.id, &user.provider_id, sub, &user.id).await?;
    if found != issuers::Tied::No {
        return Ok(found);
    }
    if !issuers::tie(tx, &issuer.id, &user.provider_id, sub, &user.id, act.now).await? {
        // A handoff was quicker: what it tied is there to be read now.
        return issuers::tied(tx, &issuer.id, &user.provider_id, sub, &user.id).await;
    }
    let note = format!("{} to {sub}", issuer.issuer);
    activity::record(tx, &act.event(Kind::HandoffTied).about(user).noting(note)).await?;
    Ok(issuers::Tied::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST_KEY: &str = r#"{"keys":[{"kid":"TEST-ONLY-es256","kty":"EC","crv":"P-256",
        "x":"QlZDrGpOH98XOLEUquJsBwwJTenqECunjDu3eiRqSVU","y":"I9eXDYJ2LsxDePSy9IewZ9UbptxSRTHbtA2lcGIfKL0"}]}"#;

    fn production() -> Config {
        Config { issuer: "https://connect.example.org".into(), ..Config::default() }
    }

    fn good() -> Draft {
        Draft {
            origins: Some(vec!["https://secure.example.net".into()]),
            jwks_uri: Some("https://secure.example.net/keys".into()),
            ..Draft::default()
        }
    }

    fn refused(draft: &Draft, key: &str) {
        let invalid = draft.check_new("https://secure.example.net", &production()).unwrap_err();
        assert_eq!(invalid.key, key, "{invalid}");
    }

    #[test]
    fn an_issuer_needs_origins_and_keys_by_https() {
        assert_eq!(good().check_new("https://secure.example.net", &production()), Ok(()));
        refused(&Draft { origins: None, ..good() }, "origins");
        refused(&Draft { origins: Some(Vec::new()), ..good() }, "origins");
        refused(&Draft { origins: Some(vec!["https://secure.example.net/".into()]), ..good() }, "origins");
        refused(&Draft { origins: Some(vec!["http://localhost:4000".into()]), ..good() }, "origins");
        refused(&Draft { jwks_uri: None, ..good() }, "jwks_uri");
        refused(&Draft { jwks_uri: Some("http://secure.example.net/keys".into()), ..good() }, "jwks_uri");
        refused(&Draft { jwks: Some("{}".into()), jwks_uri: None, ..good() }, "jwks");
        refused(&Draft { jwks: Some("{}".into()), ..good() }, "jwks_uri");
        refused(&Draft { acr: Some(BTreeMap::from([("a".into(), String::new())])), ..good() }, "acr");
        let loopback = Draft { origins: Some(vec!["http://localhost:4000".into()]), ..good() };
        assert_eq!(loopback.check_new("http://localhost:4000", &Config::default()), Ok(()));
        for issuer in [
            "http://secure.example.net",
            "secure",
            "https://a.example/#x",
            "https://u:p@a.example",
            "https://a b.example",
        ] {
            assert_eq!(good().check_new(issuer, &production()).unwrap_err().key, "issuer", "{issuer}");
        }
    }

    #[test]
    fn published_test_keys_are_never_trusted_by_a_real_site() {
        assert!(read_keys(TEST_KEY, &Config::default()).is_ok());
        assert!(read_keys(TEST_KEY, &production()).unwrap_err().contains("published test key"));
    }
}

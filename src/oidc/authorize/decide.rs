//! *Decide*: what a good request comes to in the browser it came from. A pure rule; every interaction comes back to it.

use crate::model::authorization::AuthorizationRequest;
use crate::model::client::Client;
use crate::model::scope::Scope;
use crate::model::session::{ACR_PASSWORD, Session};
use crate::store::interactions::Interaction;
use crate::time::Timestamp;

/// What the request meets.
#[derive(Clone, Copy, Debug)]
pub struct Present<'a> {
    /// Who is signed in.
    pub session: Option<&'a Session>,
    /// What that user allowed this client before.
    pub consented: Option<&'a Scope>,
    /// The request's own waiting, once it waited for a person.
    pub interaction: Option<&'a Interaction>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A code, for this scope.
    Issue(Scope),
    /// The login page.
    SignIn,
    /// The consent page.
    Consent,
    /// This error, to the client.
    Refuse(&'static str, &'static str),
}

/// Decides what a valid request comes to (OpenID Connect Core §3.1.2.1 to §3.1.2.4): who must sign in signs in first,
/// then consent is looked at; with `prompt=none` either is an error to the client instead of a page.
#[must_use]
pub fn decide(request: &AuthorizationRequest, client: &Client, present: Present<'_>, now: Timestamp) -> Decision {
    let ask = |page: Decision, code, why| if request.prompt.none { Decision::Refuse(code, why) } else { page };
    let Some(session) = present.session else {
        return ask(Decision::SignIn, "login_required", "nobody is signed in");
    };
    // Ids sort by birth: whoever signed in after the request was made has signed in for it.
    let fresh = present.interaction.is_some_and(|waited| session.id > waited.id);
    if !fresh && request.prompt.asks_for_sign_in() {
        return Decision::SignIn;
    }
    if !fresh && is_too_old(request, session, now) {
        return ask(Decision::SignIn, "login_required", "the sign-in is older than max_age");
    }
    if request.hinted_sub.as_ref().is_some_and(|sub| *sub != session.user_id) {
        let why = "another user than the one of id_token_hint is signed in";
        return if fresh {
            Decision::Refuse("login_required", why)
        } else {
            ask(Decision::SignIn, "login_required", why)
        };
    }
    let essential = request.claims.essential_acr();
    if !essential.is_empty() && !essential.contains(&session.acr.as_str()) {
        let why = "the acr that was asked for cannot be met";
        let unmet = Decision::Refuse("unmet_authentication_requirements", why);
        let helps = essential.contains(&ACR_PASSWORD) && !fresh && !request.prompt.none;
        return if helps { Decision::SignIn } else { unmet };
    }
    if needs_consent(request, client, session, present) {
        return ask(Decision::Consent, "consent_required", "the user has not allowed this yet");
    }
    Decision::Issue(request.scope())
}

fn is_too_old(request: &AuthorizationRequest, session: &Session, now: Timestamp) -> bool {
    request.max_age.is_some_and(|seconds| {
        let age = now.seconds().saturating_sub(Timestamp(session.auth_time).seconds());
        // max_age=0 is prompt=login (OpenID Connect Core §3.1.2.1).
        seconds == 0 || age > i64::try_from(seconds).unwrap_or(i64::MAX)
    })
}

fn needs_consent(request: &AuthorizationRequest, client: &Client, session: &Session, present: Present<'_>) -> bool {
    let just_now = present
        .interaction
        .and_then(|waited| waited.consented_by.as_ref())
        .is_some_and(|user| *user == session.user_id);
    if just_now {
        return false;
    }
    let remembered = present.consented.is_some_and(|scope| request.asks_for().is_within(scope));
    request.prompt.consent || !(client.metadata.first_party || remembered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::authorization::{ClaimsRequest, Prompt, ResponseMode};
    use crate::model::client::Metadata;
    use crate::model::session::Method;
    use crate::model::user::UserType;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn request(change: impl FnOnce(&mut AuthorizationRequest)) -> AuthorizationRequest {
        let mut request = AuthorizationRequest {
            client_id: "app".into(),
            redirect_uri: "https://app.example/cb".into(),
            response_mode: ResponseMode::Query,
            state: None,
            scope: "openid profile".into(),
            nonce: None,
            code_challenge: None,
            prompt: Prompt::default(),
            max_age: None,
            login_hint: None,
            hinted_sub: None,
            acr_values: Vec::new(),
            claims: ClaimsRequest::default(),
            resources: Vec::new(),
        };
        change(&mut request);
        request
    }

    fn client(first_party: bool) -> Client {
        let metadata = Metadata { first_party, ..Metadata::default() };
        let (id, client_id) = ("1".into(), "app".into());
        Client { id, client_id, metadata, enabled: true, epoch: 1, revision: 1, created_at: 0 }
    }

    /// Signed in a minute ago.
    fn session(id: &str) -> Session {
        Session {
            id: id.into(),
            sid: "sid".into(),
            user_id: "amina".into(),
            provider_id: "p".into(),
            provider_code: "SUNRISE-IL".into(),
            provider_name: "Sunrise".into(),
            time_zone: "America/Chicago".into(),
            idle_minutes: None,
            login_name: "amina".into(),
            name: "Amina".into(),
            user_type: UserType::Regular,
            method: Method::Password,
            acr: ACR_PASSWORD.into(),
            auth_time: NOW.0 - 60_000,
            created_at: NOW.0 - 60_000,
            used_at: None,
            idle_until: NOW.0 + 60_000,
            expires_at: NOW.0 + 60_000,
        }
    }

    fn interaction(consented_by: Option<&str>) -> Interaction {
        Interaction {
            id: "2".into(),
            browser_hash: None,
            client: "1".into(),
            request: request(|_| {}),
            consented_by: consented_by.map(str::to_owned),
            user_id: None,
            answered_at: None,
        }
    }

    fn decided(request: &AuthorizationRequest, first_party: bool, present: Present<'_>) -> Decision {
        decide(request, &client(first_party), present, NOW)
    }

    const NOBODY: Present<'static> = Present { session: None, consented: None, interaction: None };

    fn refused(decision: &Decision) -> &'static str {
        let Decision::Refuse(code, _) = decision else { panic!("not refused: {decision:?}") };
        code
    }

    /// OpenID Connect Core §3.1.2.6: with prompt=none no page is ever shown.
    #[test]
    fn prompt_none_shows_no_page() {
        let quiet = request(|r| r.prompt.none = true);
        assert_eq!(refused(&decided(&quiet, true, NOBODY)), "login_required");
        let amina = session("1");
        let here = Present { session: Some(&amina), ..NOBODY };
        assert_eq!(decided(&quiet, true, here), Decision::Issue(quiet.scope()));
        assert_eq!(refused(&decided(&quiet, false, here)), "consent_required");
        let old = request(|r| (r.prompt.none, r.max_age) = (true, Some(59)));
        assert_eq!(refused(&decided(&old, true, here)), "login_required");
        let other = request(|r| (r.prompt.none, r.hinted_sub) = (true, Some("bruno".into())));
        assert_eq!(refused(&decided(&other, true, here)), "login_required");
    }

    #[test]
    fn who_must_sign_in_again_is_satisfied_by_any_sign_in_after_the_request() {
        let (before, after, waited) = (session("1"), session("3"), interaction(None));
        for again in [
            request(|r| r.prompt.login = true),
            request(|r| r.prompt.select_account = true),
            request(|r| r.max_age = Some(0)),
            request(|r| r.max_age = Some(10)),
        ] {
            let old = Present { session: Some(&before), ..NOBODY };
            assert_eq!(decided(&again, true, old), Decision::SignIn);
            assert_eq!(decided(&again, true, Present { interaction: Some(&waited), ..old }), Decision::SignIn);
            let new = Present { session: Some(&after), interaction: Some(&waited), ..NOBODY };
            assert_eq!(decided(&again, true, new), Decision::Issue(again.scope()));
        }
        let within = request(|r| r.max_age = Some(60));
        assert_eq!(
            decided(&within, true, Present { session: Some(&before), ..NOBODY }),
            Decision::Issue(within.scope())
        );
    }

    #[test]
    fn consent_is_asked_once_and_again_for_more() {
        let amina = session("1");
        let here = Present { session: Some(&amina), ..NOBODY };
        let plain = request(|_| {});
        assert_eq!(decided(&plain, false, here), Decision::Consent);
        let (all, less) = (Scope::parse("openid profile email").unwrap(), Scope::parse("openid").unwrap());
        assert_eq!(decided(&plain, false, Present { consented: Some(&all), ..here }), Decision::Issue(plain.scope()));
        assert_eq!(decided(&plain, false, Present { consented: Some(&less), ..here }), Decision::Consent);
        let again = request(|r| r.prompt.consent = true);
        assert_eq!(decided(&again, true, Present { consented: Some(&all), ..here }), Decision::Consent);
        let waited = interaction(Some("amina"));
        assert_eq!(
            decided(&again, true, Present { interaction: Some(&waited), ..here }),
            Decision::Issue(again.scope())
        );
        let others = interaction(Some("bruno"));
        assert_eq!(decided(&again, true, Present { interaction: Some(&others), ..here }), Decision::Consent);
    }

    #[test]
    fn an_essential_acr_is_met_or_refused() {
        let text = |acr: &str| format!(r#"{{"id_token":{{"acr":{{"essential":true,"value":"{acr}"}}}}}}"#);
        let (amina, waited) = (session("1"), interaction(None));
        let here = Present { session: Some(&amina), ..NOBODY };
        let met = request(|r| r.claims = ClaimsRequest::parse(&text(ACR_PASSWORD)).unwrap());
        assert_eq!(decided(&met, true, here), Decision::Issue(met.scope()));
        let unmet = request(|r| r.claims = ClaimsRequest::parse(&text("urn:x:gold")).unwrap());
        assert_eq!(refused(&decided(&unmet, true, here)), "unmet_authentication_requirements");
        let by_handoff = Session { acr: "urn:x:handoff".into(), ..session("1") };
        assert_eq!(decided(&met, true, Present { session: Some(&by_handoff), ..NOBODY }), Decision::SignIn);
        let still = Session { acr: "urn:x:handoff".into(), ..session("3") };
        let present = Present { session: Some(&still), interaction: Some(&waited), ..NOBODY };
        assert_eq!(refused(&decided(&met, true, present)), "unmet_authentication_requirements");
    }

    #[test]
    fn another_user_than_the_hinted_one_signs_in_or_is_refused() {
        let hinted = request(|r| r.hinted_sub = Some("bruno".into()));
        let (before, after, waited) = (session("1"), session("3"), interaction(None));
        assert_eq!(decided(&hinted, true, Present { session: Some(&before), ..NOBODY }), Decision::SignIn);
        let present = Present { session: Some(&after), interaction: Some(&waited), ..NOBODY };
        assert_eq!(refused(&decided(&hinted, true, present)), "login_required");
    }
}

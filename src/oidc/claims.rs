//! What is known of a user, by claim (OpenID Connect Core §5.1; R3): which claims a scope or the `claims` parameter
//! brings, and their values. What is not known is left out; an e-mail address or a phone number that is not known to be
//! verified is said to be not verified.

use serde_json::{Map, Value};

use crate::model::authorization::{ClaimsRequest, Wish};
use crate::model::claims::Claims;
use crate::model::scope::{OPENID, Scope, USER_SCOPES};

/// A user as apps may see one.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The person's name.
    pub name: &'a str,
    /// Login Name.
    pub login_name: &'a str,
    /// User Type's word.
    pub user_type: &'a str,
    /// The provider's code.
    pub provider_code: &'a str,
    /// The provider's name.
    pub provider_name: &'a str,
    /// Standard claims, JSON.
    pub claims: &'a str,
}

/// Every claim that the service itself can give, beside those of its protocol.
pub fn all_names() -> impl Iterator<Item = &'static str> {
    USER_SCOPES.iter().flat_map(|(_, _, claims)| claims.iter().copied())
}

impl Subject<'_> {
    /// The claims of these scopes.
    #[must_use]
    pub fn of_scope(&self, scope: &Scope) -> Map<String, Value> {
        let wanted = |name: &&str| scope.has(name) && *name != OPENID;
        let scopes = USER_SCOPES.iter().filter(|(name, ..)| wanted(name));
        self.pick(scopes.flat_map(|(_, _, claims)| claims.iter().copied()))
    }

    /// The claims that are asked for one by one, as far as the client may have their scopes.
    #[must_use]
    pub fn wished<'a>(
        &self,
        wishes: impl IntoIterator<Item = (&'a String, &'a Wish)>,
        allowed: &Scope,
    ) -> Map<String, Value> {
        let may =
            |name: &str| USER_SCOPES.iter().any(|(scope, _, claims)| allowed.has(scope) && claims.contains(&name));
        self.pick(wishes.into_iter().map(|(name, _)| name.as_str()).filter(|name| *name != "sub" && may(name)))
    }

    fn pick<'a>(&self, names: impl Iterator<Item = &'a str>) -> Map<String, Value> {
        // Stored claims were checked when they were stored.
        let stored = Claims::from_json(self.claims).unwrap_or_default();
        let value = |name: &str| match name {
            "name" => Some(self.name.into()),
            "preferred_username" => Some(self.login_name.into()),
            "provider_code" => Some(self.provider_code.into()),
            "provider_name" => Some(self.provider_name.into()),
            "user_type" => Some(self.user_type.into()),
            other => stored.members().get(other).cloned(),
        };
        let mut picked: Map<_, _> = names.filter_map(|name| Some((name.to_owned(), value(name)?))).collect();
        // An app that finds no word about an address must not take it for proved.
        for (name, flag) in [("email", "email_verified"), ("phone_number", "phone_number_verified")] {
            if picked.contains_key(name) {
                picked.insert(flag.to_owned(), value(flag).unwrap_or(false.into()));
            }
        }
        picked
    }
}

/// The stored `claims` parameter.
#[must_use]
pub fn wishes(stored: Option<&str>) -> ClaimsRequest {
    stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMINA: Subject<'static> = Subject {
        name: "Amina Diallo",
        login_name: "amina",
        user_type: "Regular User",
        provider_code: "SUNRISE-IL",
        provider_name: "Sunrise Homes",
        claims: r#"{"email":"amina@example.org","email_verified":true,"given_name":"Amina"}"#,
    };

    /// OpenID Connect Core §5.4.
    #[test]
    fn a_scope_brings_its_claims_and_no_others() {
        let claims = AMINA.of_scope(&Scope::parse("openid email provider").unwrap());
        let names: Vec<_> = claims.keys().map(String::as_str).collect();
        assert_eq!(names, ["email", "email_verified", "provider_code", "provider_name", "user_type"]);
        let profile = AMINA.of_scope(&Scope::parse("profile").unwrap());
        assert_eq!(profile["preferred_username"], "amina");
        assert!(!profile.contains_key("birthdate"), "what is unknown is left out");
    }

    /// OpenID Connect Core §5.5.
    #[test]
    fn single_claims_need_a_scope_that_the_client_may_have() {
        let asked =
            ClaimsRequest::parse(r#"{"userinfo":{"email":null,"given_name":{"essential":true},"sub":null,"x":null}}"#)
                .unwrap();
        let claims = AMINA.wished(&asked.userinfo, &Scope::parse("openid profile").unwrap());
        assert_eq!(claims.keys().collect::<Vec<_>>(), ["given_name"]);
    }

    /// OpenID Connect Core §5.1.
    #[test]
    fn an_address_never_goes_without_its_flag() {
        let asked = ClaimsRequest::parse(r#"{"userinfo":{"email":null,"phone_number":null}}"#).unwrap();
        let scope = Scope::parse("openid email phone").unwrap();
        let unproved = Subject { claims: r#"{"email":"amina@example.org","phone_number":"+1 312 555 0100"}"#, ..AMINA };
        for claims in [unproved.wished(&asked.userinfo, &scope), unproved.of_scope(&scope)] {
            assert_eq!((&claims["email_verified"], &claims["phone_number_verified"]), (&false.into(), &false.into()));
        }
        let proved = AMINA.wished(&asked.userinfo, &scope);
        assert_eq!(proved["email_verified"], true);
        assert!(!proved.contains_key("phone_number_verified"), "without a number there is nothing to verify");
    }
}

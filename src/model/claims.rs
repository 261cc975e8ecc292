//! The OpenID Connect standard claims that are known of a user (OpenID Connect Core §5.1).

use serde_json::{Map, Value};
use url::Url;

use super::email::is_same;

/// Standard claims with values of the right types. `sub` is never among them: it is ours to give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims(Map<String, Value>);

/// All claims of one user together are at most this long as JSON.
const MAX_BYTES: usize = 8192;

impl Claims {
    /// Takes standard claims, each of its type.
    ///
    /// # Errors
    /// One sentence that names the claim.
    pub fn parse(members: Map<String, Value>) -> Result<Self, String> {
        for (name, value) in &members {
            check_claim(name, value).map_err(|why| format!("the claim \"{name}\" {why}"))?;
        }
        let claims = Self(members);
        if claims.to_json().len() > MAX_BYTES {
            return Err(format!("the claims together must be at most {MAX_BYTES} bytes of JSON"));
        }
        Ok(claims)
    }

    /// Reads what [`Claims::to_json`] wrote, or what an administrator typed.
    ///
    /// # Errors
    /// One sentence that says what it must be.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let members = crate::crypto::strict_json::parse_object(text.as_bytes())
            .map_err(|fault| format!("the claims must be one JSON object: {fault}"))?;
        Self::parse(members)
    }

    /// These claims with another e-mail address, or none; a new address is not verified.
    ///
    /// # Errors
    /// What it must be, as the end of a sentence.
    pub fn with_email(mut self, email: &str) -> Result<Self, &'static str> {
        if self.email() == email {
            return Ok(self);
        }
        if !is_same(self.email(), email) {
            self.0.remove("email_verified");
        }
        if email.is_empty() {
            self.0.remove("email");
            return Ok(self);
        }
        let value = Value::from(email);
        check_claim("email", &value)?;
        let plain = email.chars().count() <= 254 && !email.chars().any(|c| c.is_whitespace() || c.is_control());
        if !plain {
            return Err("must be an e-mail address");
        }
        self.0.insert("email".into(), value);
        Ok(self)
    }

    /// These claims in place of `before`: what says nothing of the same address leaves it verified.
    #[must_use]
    pub fn in_place_of(mut self, before: &Self) -> Self {
        let same = before.verified_email().is_some_and(|verified| is_same(verified, self.email()));
        if same && !self.0.contains_key("email_verified") {
            self.0.insert("email_verified".into(), true.into());
        }
        self
    }

    /// These claims with their address verified, if there is one.
    #[must_use]
    pub fn verified(mut self) -> Self {
        if !self.email().is_empty() {
            self.0.insert("email_verified".into(), true.into());
        }
        self
    }

    /// The e-mail address, or nothing.
    #[must_use]
    pub fn email(&self) -> &str {
        self.0.get("email").and_then(Value::as_str).unwrap_or_default()
    }

    /// The e-mail address, when it is verified.
    #[must_use]
    pub fn verified_email(&self) -> Option<&str> {
        let verified = self.0.get("email_verified").and_then(Value::as_bool) == Some(true);
        Some(self.email()).filter(|email| verified && !email.is_empty())
    }

    /// One JSON object, members in alphabetical order: equal claims are equal texts.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut members = Value::Object(self.0.clone());
        members.sort_all_objects();
        members.to_string()
    }

    /// The claims as JSON.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn check_claim(name: &str, value: &Value) -> Result<(), &'static str> {
    const NOT_TEXT: &str = "must be a text that is not empty";
    let text = value.as_str().filter(|text| !text.is_empty());
    match name {
        "name" | "given_name" | "family_name" | "middle_name" | "nickname" | "preferred_username" | "gender"
        | "locale" | "phone_number" => text.map(drop).ok_or(NOT_TEXT),
        "email" => {
            let parts = text.ok_or(NOT_TEXT)?.rsplit_once('@');
            let good = parts.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
            good.then_some(()).ok_or("must be an e-mail address")
        }
        "profile" | "picture" | "website" => {
            let url = Url::parse(text.ok_or(NOT_TEXT)?).ok();
            let good = url.is_some_and(|url| matches!(url.scheme(), "https" | "http"));
            good.then_some(()).ok_or("must be an https address")
        }
        "birthdate" => {
            is_birthdate(text.ok_or(NOT_TEXT)?).then_some(()).ok_or("must be YYYY-MM-DD, 0000-MM-DD or YYYY, as a text")
        }
        "zoneinfo" => crate::time::zone_exists(text.ok_or(NOT_TEXT)?)
            .then_some(())
            .ok_or("must be a time zone such as America/Chicago"),
        "email_verified" | "phone_number_verified" => value.as_bool().map(drop).ok_or("must be true or false"),
        // No greater than a seed file can say.
        "updated_at" => {
            let seconds = value.as_i64().filter(|seconds| *seconds >= 0);
            seconds.map(drop).ok_or("must be a number of seconds since 1970")
        }
        "address" => check_address(value),
        "sub" => Err("is given by this service and cannot be set"),
        _ => Err("is not one of OpenID Connect's standard claims"),
    }
}

fn is_birthdate(text: &str) -> bool {
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    match text.split('-').collect::<Vec<_>>().as_slice() {
        [year] => digits(year, 4),
        [year, month, day] => digits(year, 4) && digits(month, 2) && digits(day, 2),
        _ => false,
    }
}

/// OpenID Connect Core §5.1.1.
fn check_address(value: &Value) -> Result<(), &'static str> {
    const PARTS: [&str; 6] = ["formatted", "street_address", "locality", "region", "postal_code", "country"];
    let members = value.as_object().ok_or("must be an object")?;
    let good = members.iter().all(|(name, value)| PARTS.contains(&name.as_str()) && value.is_string());
    good.then_some(())
        .ok_or("may hold formatted, street_address, locality, region, postal_code and country, each a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_claims_of_the_right_types_are_taken() {
        let text = r#"{"email":"amina@example.org","email_verified":true,"address":{"country":"US"},"updated_at":1800000000,
            "birthdate":"0000-12-31","zoneinfo":"America/Chicago","website":"https://example.org/amina"}"#;
        let claims = Claims::from_json(text).unwrap();
        assert_eq!(Claims::from_json(&claims.to_json()).unwrap(), claims);
    }

    #[test]
    fn equal_claims_are_equal_texts() {
        let one = r#"{"name":"A","address":{"region":"IL","country":"US"}}"#;
        let other = r#"{"address":{"country":"US","region":"IL"},"name":"A"}"#;
        assert_eq!(Claims::from_json(one).unwrap().to_json(), other);
        let mail = Claims::from_json(one).unwrap().with_email("a@example.org").unwrap().to_json();
        assert_eq!(Claims::from_json(&mail).unwrap().to_json(), mail);
    }

    #[test]
    fn an_address_stays_verified_while_it_is_the_same() {
        let of = |text: &str| Claims::from_json(text).unwrap();
        let before = of(r#"{"email":"a@example.org","email_verified":true}"#);
        let other_case = before.clone().with_email("a@Example.org").unwrap();
        assert_eq!(other_case.verified_email(), Some("a@Example.org"));
        assert_eq!(before.clone().with_email("b@example.org").unwrap().verified_email(), None);
        for (after, verified) in [
            (r#"{"email":"a@EXAMPLE.org","locale":"fr"}"#, true),
            (r#"{"email":"a@example.org","email_verified":false}"#, false),
            (r#"{"email":"b@example.org"}"#, false),
            ("{}", false),
        ] {
            assert_eq!(of(after).in_place_of(&before).verified_email().is_some(), verified, "{after}");
        }
        assert_eq!(Claims::default().verified(), Claims::default());
    }

    #[test]
    fn wrong_types_and_other_names_are_named() {
        for (text, words) in [
            (r#"{"email_verified":"yes"}"#, "\"email_verified\" must be true or false"),
            (r#"{"email":"amina"}"#, "e-mail address"),
            (r#"{"address":"12 Main St"}"#, "must be an object"),
            (r#"{"address":{"city":"x"}}"#, "may hold"),
            (r#"{"updated_at":"now"}"#, "number"),
            (r#"{"updated_at":9223372036854775808}"#, "number"),
            (r#"{"sub":"x"}"#, "cannot be set"),
            (r#"{"shoe_size":9}"#, "not one of"),
            (r#"{"website":"javascript:x"}"#, "https address"),
            (r#"{"name":""}"#, "not empty"),
            ("[]", "one JSON object"),
        ] {
            let why = Claims::from_json(text).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }
}

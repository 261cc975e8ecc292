//! Addresses on this site.

/// An address with one pair in its query.
#[must_use]
pub fn with_query(path: &str, name: &str, value: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    format!("{path}?{query}")
}

/// One pair more, for a query that has some.
#[must_use]
pub fn and(address: &str, name: &str, value: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    format!("{address}&{query}")
}

/// A page that leads on to a path afterwards.
#[must_use]
pub fn returning_to(page: &str, path: &str) -> String {
    with_query(page, "return_to", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_query_names_is_escaped() {
        assert_eq!(with_query("/x", "kid", "a b&c"), "/x?kid=a+b%26c");
        assert_eq!(and("/x?a=b", "kid", "ä"), "/x?a=b&kid=%C3%A4");
        assert_eq!(returning_to("/login", "/x?y=1"), "/login?return_to=%2Fx%3Fy%3D1");
    }
}

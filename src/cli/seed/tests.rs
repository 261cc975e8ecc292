//! What a seed file must be.

use super::*;

fn parse(text: &str) -> anyhow::Result<Seed> {
    Seed::parse(text, &Config::default())
}

fn refused(text: &str, words: &str) {
    let why = format!("{:#}", parse(text).unwrap_err());
    assert!(why.contains(words), "{why}");
    assert!(!why.contains('\n'), "{why}");
}

fn refused_user(rest: &str, words: &str) {
    refused(&format!("[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"amina\"\n{rest}"), words);
}

#[test]
fn each_error_names_table_number_and_key() {
    refused("x = 1", "x: there is no such table");
    refused("[[provider]\n", "not TOML, line 1");
    refused("[provider]\ncode = \"A\"", "[[provider]]");
    refused("[[provider]]\ncode = \"A\"\n[[provider]]\nname = \"B\"", "provider number 2: missing field `code`");
    refused("[[provider]]\ncode = \"A B\"", "provider number 1 (A B): code: a Provider Code has");
    refused("[[provider]]\ncode = \"A\"\nnmae = \"x\"", "provider number 1 (A): unknown field `nmae`");
    refused("[[provider]]\ncode = \"A\"\nactive = \"yes\"", "provider number 1 (A): active: invalid type");
    refused("[[provider]]\ncode = \"A\"\nunified_login = \"maybe\"", "unified_login: \"maybe\" is none of");
    refused("[[provider]]\ncode = \"A\"\nidle_minutes = 31", "idle_minutes: must not be more");
    refused(
        "[[provider]]\ncode = \"A\"\n[[provider]]\ncode = \"a\"",
        "provider number 2 (a): it stands in the file already",
    );
    refused(
        "[[trusted_issuer]]\nissuer = \"https://a\"\norigins = [\"https://a/\"]",
        "trusted issuer number 1 (https://a): origins",
    );
}

#[test]
fn each_value_of_a_client_is_checked() {
    let refused_client =
        |rest: &str, words: &str| refused(&format!("[[client]]\nclient_id = \"portal\"\n{rest}"), words);
    refused("[[client]]\nclient_name = \"x\"", "client number 1: missing field `client_id`");
    refused("[[client]]\nclient_id = \"/a\"", "client number 1 (/a): client_id: must be 1 to 255");
    refused_client(
        "redirect_uri = \"x\"",
        "client number 1 (portal): redirect_uri: there is no such key: use client_name",
    );
    refused_client("redirect_uris = \"x\"", "client number 1 (portal): redirect_uris: invalid type");
    refused_client("grant_types = [\"password\"]", "(portal): grant_types: \"password\" is none of");
    refused_client("id_token_signed_response_alg = \"none\"", "id_token_signed_response_alg: must be RS256");
    refused_client("client_secret = \"short\"", "client_secret: must be 8 to 255");
    refused_client("client_secret = 5", "(portal): client_secret: invalid type");
    refused_client("enabled = \"yes\"", "(portal): enabled: invalid type");
    refused_client("jwks = \"{\"", "(portal): jwks: it is not a JSON object");
    refused_client("[[client]]\nclient_id = \"portal\"", "client number 2 (portal): it stands in the file already");
    let seed = parse("[[client]]\nclient_id = \"portal\"\nclient_secret = \"a-good-secret\"").unwrap();
    assert!(!format!("{seed:?}").contains("a-good-secret"));
}

#[test]
fn each_value_of_a_user_is_checked() {
    refused_user("password = \"short\"", "user number 1 (SUNRISE-IL/amina): password: The password must be 8 to 64");
    refused_user("password = \"Correct-Horse-9\"\npassword_hash = \"x\"", "password_hash: stands beside");
    refused_user("password_hash = \"$2b$x\"", "password_hash: must be a PHC string");
    refused_user("user_type = \"King\"", "user_type: \"King\" is none of");
    refused_user("locked = \"yes\"", "locked: unknown variant");
    refused_user("claims = { email_verified = \"yes\" }", "claims: the claim \"email_verified\" must be true or false");
    refused_user("claims = { birthdate = 19900101 }", "claims: the claim \"birthdate\" must be");
    refused_user("handoff_issuer = \"https://a\"", "handoff_issuer: stands without");
    refused_user("handoff_sub = \"\"", "handoff_sub: must be 1 to 255");
    refused_user("handoff_sub = \"a\"\nhandoff_subs = { a = \"b\" }", "handoff_subs: stands beside handoff_sub");
    refused_user("handoff_subs = { a = \"\" }", "handoff_subs: must be 1 to 255");
    refused_user("temporary = false\ntemporary_until = 2027-01-01T00:00:00Z", "temporary_until: stands beside");
    refused_user("temporary_until = 2027-01-01", "temporary_until: must be a moment");
    refused_user(
        "[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"AMINA\"",
        "user number 2 (SUNRISE-IL/AMINA): it stands",
    );
    refused("[[user]]\nprovider = \"A\"\nlogin_name = \"a b\"", "user number 1 (A/a b): login_name");
}

#[test]
fn defaults_are_those_of_the_surface() {
    let seed = parse("[[user]]\nprovider = \"A\"\nlogin_name = \"amina\"\npassword = \"Correct-Horse-9\"").unwrap();
    let user = &seed.users[0];
    assert!(user.temporary && user.active.is_none() && user.locked == Locked::No && user.ties.is_empty());
    assert_eq!(format!("{:?}", user.password), "Given(…)");
    assert!(parse("").unwrap().providers.is_empty());
    assert!(!parse("").unwrap().may_prune(Section::User) && seed.may_prune(Section::User));
    let narrow = "prune = [\"trusted_issuer\"]\n[[user]]\nprovider = \"A\"\nlogin_name = \"amina\"";
    assert!(!parse(narrow).unwrap().may_prune(Section::User));
    refused("prune = true", "prune: must be a list");
    refused("prune = [\"king\"]", "prune: must be a list");
}

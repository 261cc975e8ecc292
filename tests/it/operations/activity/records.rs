//! User Activity: what is written, and who reads it (A1, A2).

use std::time::Duration;

use connect_idp::store::activity::Record;

use crate::actors::{Engine, ISSUER, Idp, Outsider, PASSWORD, User};

async fn only(idp: &Idp) -> Record {
    let [record] = idp.activity().await.try_into().unwrap();
    record
}

/// Every text of every row that strangers can bring about.
async fn everything_stored(idp: &Idp) -> String {
    let mut outsider: Outsider = idp.outsider().await;
    let mut all = String::new();
    for (table, columns) in [
        (
            "activity",
            &["provider_code", "login_name", "name_hash", "actor", "note", "reason", "address", "browser", "reference"]
                [..],
        ),
        ("sessions", &["secret_hash", "sid", "acr", "amr", "address", "browser"]),
        ("pre_auths", &["secret_hash"]),
        ("handoffs", &["handle_hash", "jti_hash", "sub", "target"]),
        ("strikes", &["account"]),
        ("single_use", &["hash"]),
    ] {
        let joined =
            columns.iter().map(|column| format!("COALESCE({column}, '')")).collect::<Vec<_>>().join(" || ' ' || ");
        let gather = match idp.engine {
            Engine::Sqlite => "GROUP_CONCAT",
            Engine::Postgres => "STRING_AGG",
        };
        all += &outsider.text(&format!("SELECT COALESCE({gather}({joined}, ' '), '') FROM {table}")).await;
    }
    all
}

both_engines! {
    /// A1: from where, with what, under which reference.
    async fn a_record_says_from_where_and_with_what(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.agent = format!("Test\u{a0}Browser {}", "x".repeat(400)).replace('\u{a0}', "/1 ");
        browser.address = "2001:db8::7".parse().unwrap();
        browser.sign_in(&amina).await;
        let record = only(&idp).await;
        assert_eq!(record.at, idp.now().0);
        assert_eq!((record.login_type.as_deref(), record.note), (Some("Direct Login"), None));
        assert_eq!(record.provider_code.as_deref(), Some("SUNRISE-IL"));
        assert_eq!((record.login_name.as_deref(), record.actor.as_str()), (Some("amina"), "user"));
        assert_eq!(record.address.as_deref(), Some("2001:db8::7"));
        assert_eq!(record.browser.unwrap().chars().count(), 256);
        assert_eq!(record.reference.len(), 9);
    }

    /// A1: an unknown Login Name is a keyed hash, never as typed: people type passwords there.
    async fn an_unknown_login_name_is_never_written_down(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("CLOSED", |p| p.active = false).await;
        idp.browser().try_login("My-Secret-Passw0rd", "My-Other-Passw0rd", "SUNRISE-IL").await;
        let first = only(&idp).await;
        assert_eq!((first.actor.as_str(), first.login_name.as_deref(), first.user_id.as_deref()), ("stranger", None, None));
        assert_eq!(first.provider_code.as_deref(), Some("SUNRISE-IL"), "the provider is known");
        assert_eq!(first.name_hash.as_ref().unwrap().len(), 43);
        for (name, code, provider) in [
            ("My-Secret-Passw0rd", "SUNRISE-IL", Some("SUNRISE-IL")),
            ("My-Secret-Passw0rd", "CLOSED", Some("CLOSED")),
            ("My-Secret-Passw0rd", "My-Code-Passw0rd", None),
            ("My-Secret-Passw0rd", "no code: Passw0rd", None),
        ] {
            idp.advance(Duration::from_secs(1));
            idp.browser().try_login(name, "My-Other-Passw0rd", code).await;
            let record = idp.activity().await.pop().unwrap();
            assert_eq!(record.provider_code.as_deref(), provider, "{code}");
            assert_eq!(record.name_hash == first.name_hash, code == "SUNRISE-IL", "repeats are told apart from others");
        }
        let stored = everything_stored(&idp).await;
        assert!(!stored.contains("Passw0rd"), "{stored}");
    }

    /// A1: a known user's refused try names the user, whatever the user's state.
    async fn a_known_users_refusal_names_the_user_and_the_true_reason(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("CLOSED", |p| p.active = false).await;
        for (user, reason) in [
            (idp.user("amina").create().await, "wrong_password"),
            (idp.user("gone").inactive().create().await, "deactivated_user"),
            (idp.user("c").of("CLOSED").create().await, "inactive_provider"),
            (idp.user("locked").failures(3).create().await, "password_locked"),
        ] {
            idp.advance(Duration::from_secs(1));
            idp.browser().log_in(&user, "Wrong-Horse-9").await;
            let record = idp.activity().await.pop().unwrap();
            assert_eq!(record.reason.as_deref(), Some(reason));
            assert_eq!((record.user_id.as_deref(), record.name_hash), (Some(user.id.as_str()), None));
            assert_eq!(record.provider_code.as_deref(), Some(user.provider_code.as_str()));
        }
        idp.assert_invariants().await;
    }

    /// A1: a handoff names whom the trusted issuer named, and who signed.
    async fn a_refused_handoff_names_whom_the_issuer_named(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.browser().hand_off(&idp.therap_services().sign(&User::nobody("zoe", "NOWHERE"))).await;
        let record = only(&idp).await;
        assert_eq!(record.actor, format!("issuer {ISSUER}"));
        assert_eq!((record.login_name.as_deref(), record.provider_code.as_deref()), (Some("zoe"), Some("NOWHERE")));
        assert_eq!(record.user_id, None);
    }

    /// G13: the database never sees what a cookie carries.
    async fn no_secret_is_stored_as_it_is(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let new = idp.user("new").temporary().create().await;
        let (mut direct, mut handoff, mut updating, mut pending) = (idp.browser(), idp.browser(), idp.browser(), idp.browser());
        direct.sign_in(&amina).await;
        let assertion = idp.therap_services().sign(&amina);
        handoff.hand_off(&assertion).await;
        updating.log_in(&new, PASSWORD).await;
        pending.click(&idp.therap_services().sign(&amina)).await;
        let stored = everything_stored(&idp).await;
        let cookies = [&direct, &handoff, &updating, &pending].into_iter().flat_map(|browser| &browser.cookies);
        // The Provider Code, which the sign-in page remembers, is none.
        let cookies = cookies.filter(|(name, _)| !name.contains("connect-provider")).map(|(_, value)| value);
        let secrets: Vec<_> = cookies.cloned().chain([PASSWORD.to_owned(), assertion]).collect();
        assert_eq!(secrets.len(), 7);
        for secret in secrets {
            assert!(!stored.contains(&secret));
        }
    }

    /// A2: my activity is mine alone, newest first, page by page, in my provider's time zone.
    async fn my_activity_is_mine_alone_newest_first(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bob) = (idp.user("amina").create().await, idp.user("bob").create().await);
        let mut browser = idp.browser();
        for _ in 0..30 {
            idp.browser().sign_in(&bob).await;
            browser.sign_in(&amina).await;
            idp.advance(Duration::from_mins(1));
        }
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        idp.lock(&bob).await;
        let first = browser.get("/activity").await;
        assert_eq!(first.texts("#activity-table tbody tr").len(), 25);
        let when = first.texts("#activity-table td[data-label=When]");
        assert_eq!((when[0].as_str(), when[1].as_str()), ("Jan 15, 2027, 2:30:00 AM CST", "Jan 15, 2027, 2:29:00 AM CST"));
        assert_eq!(first.texts("#activity-table td[data-label='Login type']")[0], "Unified Login Login initiated from Therap Services");
        assert_eq!(first.texts("#activity-table td[data-label=What]")[0], "Sign-in");
        assert_eq!(first.texts("#activity-table td[data-label=Browser]")[0], "Firefox on Linux");
        assert_eq!(first.texts("#activity-table td[data-label=Address]")[0], "192.0.2.7");
        let older = first.attribute(".pages-older", "href").unwrap();
        let second = browser.get(&older).await;
        assert_eq!(second.texts("#activity-table tbody tr").len(), 6);
        assert!(!second.has(".pages-older"));
        let last = browser.get("/activity?before=nonsense").await;
        assert_eq!(last.texts("#activity-table tbody tr").len(), 25);
    }
}

//! What a page says once after a form: left by the answer, said by the page that follows, and by nothing else.

use connect_idp::model::user::UserType;

use crate::actors::{Browser, Idp, NOTICES, User};
use crate::console::operator::therap_admin;

async fn admin(idp: &Idp) -> (User, Browser) {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    (paul, browser)
}

fn page_of(user: &User) -> String {
    format!("/admin/users/{}", user.id)
}

/// The one cookie of this browser that holds a notice.
fn held(browser: &Browser) -> Option<(String, String)> {
    let mut notices = browser.cookies.iter().filter(|(name, _)| name.starts_with("__Host-connect-notice-"));
    let first = notices.next().map(|(name, value)| (name.clone(), value.clone()));
    assert!(notices.next().is_none(), "more than one: {:?}", browser.cookies.keys());
    first
}

both_engines! {
    /// No link makes a page say that something was done which was not.
    async fn an_address_says_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let (_, mut paul) = admin(&idp).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let provider = format!("/operator/providers/{}", idp.account(&amina).await.provider_id);
        let client = format!("/operator/clients/{}", app.client.id);
        let words = ["approved", "declined", "saved", "created", "deleted", "locked", "unlocked", "ended", "password", "announced", "stale", "self"];
        let mut queries: Vec<_> = words.map(|word| format!("done={word}")).into();
        queries.extend(["logged_out=1", "password_set=1", "session_ended=1", "asked=1", "unlocked=3", "notice=saved"].map(str::to_owned));
        for query in &queries {
            for path in ["/login", "/forgot-password"] {
                assert!(!idp.browser().get(&format!("{path}?{query}")).await.has(NOTICES), "{path}?{query}");
            }
            for path in ["/sessions", "/admin/users", &page_of(&amina), "/admin/provider"] {
                let page = paul.get(&format!("{path}?{query}")).await;
                assert!(page.status == 200 && !page.has(".message"), "{path}?{query}");
            }
            for path in ["/operator/requests", "/operator/keys", "/operator/clients", "/operator/issuers", &provider, &client] {
                let page = root.get(&format!("{path}?{query}")).await;
                assert!(page.status == 200 && !page.has(".message"), "{path}?{query}");
            }
        }
    }

    /// Two tabs, two replicas, the Back button: each page says its own once, whichever replica answers, and no other
    /// says it.
    async fn a_notice_is_said_once_by_its_own_page(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut first) = admin(&idp).await;
        let (amina, omar) = (idp.user("amina").create().await, idp.user("omar").create().await);
        for (user, act) in [(&amina, "lock"), (&omar, "deactivate")] {
            assert_eq!(first.confirm(&format!("{}/{act}", page_of(user)), &[]).await.location(), page_of(user));
        }
        assert!(!first.get("/admin/users").await.has(NOTICES));
        let other = idp.replica(|_| {}).await;
        let mut second = first.clone().at(&other);
        assert_eq!(second.get(&page_of(&omar)).await.text("#notice"), "The user is deactivated. Every session was ended.");
        assert!(!second.get(&page_of(&omar)).await.has(NOTICES), "again, as the Back button asks");
        assert_eq!(second.get(&page_of(&amina)).await.text("#notice"), "The user is locked by an admin. Every session was ended.");
        assert!(!second.get(&page_of(&amina)).await.has(NOTICES));
        assert_eq!(held(&second), None);
    }

    /// An answer at the same address that does not show it leaves it there, as a page that is fetched in advance.
    async fn a_notice_waits_for_the_page_that_shows_it(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut paul) = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let page = page_of(&amina);
        paul.confirm(&format!("{page}/lock"), &[]).await.location();
        for (name, value) in [("sec-purpose", "prefetch"), ("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch")] {
            paul.headers.insert(name, value.parse().unwrap());
            let early = paul.get(&page).await;
            assert!(early.status == 200 && !early.has(NOTICES) && held(&paul).is_some(), "{name}: {value}");
            paul.headers.clear();
        }
        assert_eq!(paul.get(&page).await.text("#notice"), "The user is locked by an admin. Every session was ended.");
        assert_eq!(held(&paul), None);

    }

    /// It is of the session that did it: neither a copy of the cookie elsewhere, nor another word in it, nor a later
    /// session says it.
    async fn a_notice_is_of_its_session(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (paul, mut browser) = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let page = page_of(&amina);
        browser.confirm(&format!("{page}/lock"), &[]).await.location();
        let (name, value) = held(&browser).unwrap();
        let (_, mac) = value.split_once('.').unwrap();
        let mut again = idp.browser();
        again.sign_in(&paul).await;
        again.cookies.insert(name.clone(), value.clone());
        assert!(!again.get(&page).await.has(NOTICES));
        // "user_unlocked" as JSON.
        for word in ["InVzZXJfdW5sb2NrZWQi", "", "InNheXMgbm90aGluZyI"] {
            let mut forged = browser.clone();
            forged.cookies.insert(name.clone(), format!("{word}.{mac}"));
            assert!(!forged.get(&page).await.has(NOTICES), "{word}");
        }
        let mut later = browser.clone();
        later.sign_in(&paul).await;
        assert!(!later.get(&page).await.has(NOTICES));
    }

    /// A change of password renews the session in the answer that leaves the notice, and a logout ends it: both are
    /// said.
    async fn a_notice_outlives_the_renewal_of_its_session(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let typed = [("current_password", amina.password.as_str()), ("new_password", "Another-Horse-10"), ("confirm_new_password", "Another-Horse-10")];
        let changed = browser.post("/password/change", &typed).await;
        assert_eq!(browser.told(changed).await, "Your password was changed. Your other sessions were ended.");
        let out = browser.post("/logout", &[]).await;
        assert_eq!(browser.told(out).await, "You have logged out. Please close this tab.");
    }
}

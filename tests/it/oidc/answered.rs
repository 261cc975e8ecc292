//! Back, after an app had its answer: what the browser's history shows then is the truth (G38).

use crate::actors::{Callback, Idp};

both_engines! {
    /// The page of the sign-in, in the history of a browser that went on to the app: the person is signed in, and
    /// nothing is asked.
    async fn back_to_the_login_page_says_that_the_app_has_its_answer(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let start = "https://portal.example/start";
        for (name, asks, initiate, home, wanted) in [
            ("one", &[][..], None, None, None),
            ("two", &[("prompt", "login")], None, Some("https://two.example/"), Some("https://two.example/".to_owned())),
            ("three", &[("max_age", "0")], Some(start), Some("https://three.example/"), Some(format!("{start}?iss={}", encoded(&idp)))),
        ] {
            let app = idp.app(name, |m| {
                (m.initiate_login_uri, m.client_uri) = (initiate.map(str::to_owned), home.map(str::to_owned));
            }).await;
            let mut browser = idp.browser();
            let page = app.send(&mut browser, asks).await;
            let return_to = page.attribute("input[name=return_to]", "value").unwrap();
            let address = format!("/login?{}", crate::actors::encode(&[("return_to", &return_to)]));
            assert!(!Callback::of(&app.log_in(&mut browser, &page, &amina).await).code().is_empty());
            for path in [&address, &address] {
                let back = browser.get(path).await;
                assert_eq!((back.status.as_u16(), back.has("#answered"), back.has("#login-form")), (200, true, false), "{name}");
                assert!(!back.has("#reauth-notice"));
                assert_eq!(back.text("#client-name"), format!("The {name}"));
                assert_eq!(back.has("#back-to-app").then(|| back.attribute("#back-to-app", "href").unwrap()), wanted, "{name}");
                assert_eq!(back.attribute("#to-dashboard", "href").as_deref(), Some("/"));
            }
            browser.assert_signed_in_as(&amina).await;
            // The app's next request is another one.
            assert_eq!(app.send(&mut browser, asks).await.has("#reauth-notice"), !asks.is_empty());
            // Signed out, the page is a login page again.
            browser.post("/logout", &[]).await;
            assert!(browser.get(&address).await.has("#login-form"));
        }
    }

    /// The consent page, allowed or not, and a sign-in that was cancelled.
    async fn back_to_a_consent_or_a_cancelled_sign_in_asks_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |m| m.first_party = false).await;
        for decision in ["deny", "allow"] {
            let mut browser = idp.browser();
            browser.sign_in(&amina).await;
            let page = app.send(&mut browser, &[("prompt", "consent")]).await;
            let handle = page.form("#consent-form").fields["i"].clone();
            let address = format!("/consent?i={handle}");
            assert!(browser.get(&address).await.has("#consent-form"), "a reload before the answer");
            let answer = browser.submit_by(&page, "#consent-form", "decision", decision).await;
            browser.follow_within(answer).await;
            let back = browser.get(&address).await;
            assert!(back.has("#answered") && !back.has("#consent-form"), "{decision}: {}", back.body);
        }
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let page = app.send(&mut browser, &[("prompt", "login")]).await;
        assert!(page.has("#reauth-notice"));
        let address = format!("/login?{}", crate::actors::encode(&[("return_to", &page.attribute("input[name=return_to]", "value").unwrap())]));
        assert!(browser.get(&address).await.has("#reauth-notice"), "a reload before the answer");
        let handle = address.rsplit_once("%3D").unwrap().1.to_owned();
        Callback::of(&browser.post("/oauth2/authorize/cancel", &[("i", &handle)]).await).assert_error("access_denied");
        assert!(browser.get(&address).await.has("#answered"));
        // Refused, since another person signed in than the one who is asked for.
        let bruno = idp.user("bruno").create().await;
        let wish = format!(r#"{{"id_token":{{"sub":{{"value":"{}"}}}}}}"#, bruno.id);
        let page = app.send(&mut browser, &[("claims", &wish)]).await;
        let address = format!("/login?{}", crate::actors::encode(&[("return_to", &page.attribute("input[name=return_to]", "value").unwrap())]));
        Callback::of(&app.log_in(&mut browser, &page, &amina).await).assert_error("login_required");
        assert!(browser.get(&address).await.has("#answered"));
    }

    /// The answer was another person's: whoever signed in since is asked, and can go on.
    async fn an_answer_for_one_person_is_none_for_the_next(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bruno) = (idp.user("amina").create().await, idp.user("bruno").create().await);
        let app = idp.app("portal", |m| m.first_party = false).await;
        for decision in ["deny", "allow"] {
            let mut browser = idp.browser();
            browser.sign_in(&amina).await;
            let page = app.send(&mut browser, &[("prompt", "consent")]).await;
            let address = format!("/consent?i={}", page.form("#consent-form").fields["i"]);
            let answer = browser.submit_by(&page, "#consent-form", "decision", decision).await;
            browser.follow_within(answer).await;
            assert!(browser.get(&address).await.has("#answered"));
            browser.post("/logout", &[]).await;
            browser.sign_in(&bruno).await;
            let asked = browser.get(&address).await;
            assert!(asked.has("#consent-form") && !asked.has("#answered"), "{decision}: {}", asked.body);
        }
    }

    /// Somebody else's link says nothing of what its request came to.
    async fn an_answered_request_is_told_in_its_own_browser_alone(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |_| {}).await;
        let mut browser = idp.browser();
        let page = app.send(&mut browser, &[]).await;
        let return_to = page.attribute("input[name=return_to]", "value").unwrap();
        let address = format!("/login?{}", crate::actors::encode(&[("return_to", &return_to)]));
        app.log_in(&mut browser, &page, &amina).await;
        assert!(browser.get(&address).await.has("#answered"));
        let mut other = idp.browser();
        other.sign_in(&amina).await;
        assert!(!other.get(&address).await.has("#answered"));
    }
}

fn encoded(idp: &Idp) -> String {
    crate::actors::encode(&[("", &idp.app.config.issuer)]).trim_start_matches('=').to_owned()
}

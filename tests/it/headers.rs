//! The security headers of every kind of answer (docs/rules.md, *After every request*, 6, and G27). What holds of all of them,
//! the browser of these tests checks at every answer.

use axum::http::{HeaderMap, Method};

use crate::actors::{Answer, Idp, PASSWORD};

fn form_action(answer: &Answer) -> bool {
    let csp = answer.header("content-security-policy").unwrap();
    assert!(csp.starts_with("default-src 'none'; "), "{csp}");
    let directives: Vec<_> = csp.split("; ").filter(|directive| directive.starts_with("form-action")).collect();
    assert!(directives.is_empty() || directives == ["form-action 'self'"], "{csp}");
    !directives.is_empty()
}

both_engines! {
    /// G27: before and around a sign-in forms may end at a relying party and a pop-up may hold the page; inside neither.
    async fn each_kind_of_page_has_its_headers(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let new = idp.user("new").temporary().create().await;
        let (mut nobody, mut updating, mut inside) = (idp.browser(), idp.browser(), idp.browser());
        updating.log_in(&new, PASSWORD).await;
        inside.sign_in(&amina).await;
        let entrance = [
            nobody.get("/login").await,
            nobody.try_login("", "", "").await,
            nobody.try_login("x", "y", "z").await,
            nobody.get("/forgot-password").await,
            nobody.get("/nowhere").await,
            nobody.click("nonsense").await,
            nobody.post("/sessions", &[]).await,
            updating.get("/password/update").await,
            inside.get("/password/change").await,
        ];
        for answer in entrance {
            assert!(!form_action(&answer), "{}", answer.path);
            assert_eq!(answer.header("cross-origin-opener-policy"), None, "{}", answer.path);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        }
        for path in ["/", "/activity", "/sessions"] {
            let answer = inside.get(path).await;
            assert!(form_action(&answer), "{path}");
            assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"), "{path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }

    /// HSTS on https alone.
    async fn https_is_kept_to_on_https(engine: Engine) {
        let https = Idp::start(engine).await;
        assert_eq!(https.browser().get("/login").await.header("strict-transport-security"), Some("max-age=63072000"));
        let http = Idp::start_with(engine, |config| config.issuer = "http://localhost:8080".into()).await;
        let amina = http.user("amina").create().await;
        let mut browser = http.browser();
        assert_eq!(browser.get("/login").await.header("strict-transport-security"), None);
        // There the cookies have neither Secure nor a prefix, and work all the same.
        browser.sign_in(&amina).await;
        assert!(browser.cookies.contains_key("connect-session"));
        browser.assert_signed_in_as(&amina).await;
        let mut other = http.browser();
        other.hand_off(&http.therap_services().sign(&amina)).await;
        other.assert_signed_in_as(&amina).await;
    }

    /// Assets are named by their content and kept for ever.
    async fn assets_never_change(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = idp.browser();
        let page = browser.get("/login").await;
        let style = page.attribute("link[href*=app]", "href").unwrap();
        let script = page.attribute("script", "src").unwrap();
        for (path, media_type) in [(style, "text/css; charset=utf-8"), (script, "text/javascript; charset=utf-8")] {
            let asset = browser.get(&path).await;
            assert_eq!(asset.status, 200, "{path}");
            assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
            assert_eq!(asset.header("content-type"), Some(media_type));
            assert!(!asset.body.is_empty());
        }
        for missing in ["/assets/app.css", "/assets/app.0000000000000000.css", "/assets/..%2f..%2fCargo.toml"] {
            let answer = browser.get(missing).await;
            assert_eq!(answer.status, 404, "{missing}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }

    /// Pages that go on by themselves do so where `app.js` is refused: by a file that holds nothing a browser may not know.
    async fn pages_that_go_on_have_a_plain_script_of_their_own(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let mode = [("prompt", "none"), ("response_mode", "form_post")];
        let form = browser.get(&app.path(&mode)).await;
        assert!(form.has("#form-post #form-post-continue"));
        let front = idp.app("told", |m| m.frontchannel_logout_uri = Some("https://told.example/out".into())).await;
        front.tokens(&mut browser, &amina, &[]).await;
        let out = browser.post("/logout", &[]).await;
        assert!(out.has("#signed-out[data-next]"));
        for page in [form, out] {
            let path = page.attribute("main script[src*=onwards]", "src").expect("a script of its own");
            let asset = browser.get(&path).await;
            assert_eq!((asset.status.as_u16(), asset.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
            for id in ["form-post", "signed-out"] {
                assert!(asset.body.contains(id), "{id}");
            }
            for new in ["\\p{", "=>", "?.", "??", "const ", "let ", "`", "class ", "Promise", "/u"] {
                assert!(!asset.body.contains(new), "{new}");
            }
            assert!(!page.has("script:not([src])"));
            let policy = page.header("content-security-policy").unwrap();
            assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe-inline"), "{policy}");
        }
    }

    /// No page runs or loads anything that our own CSP would not let it.
    async fn no_page_has_inline_script_or_style(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let mut pages = vec![browser.get("/login").await, browser.get("/forgot-password").await, browser.click("x").await];
        browser.sign_in(&amina).await;
        for path in ["/", "/activity", "/sessions", "/password/change"] {
            pages.push(browser.get(path).await);
        }
        for page in pages {
            for inline in ["script:not([src])", "style", "[style]", "[onclick]", "[onsubmit]", "[onload]", "iframe"] {
                assert!(!page.has(inline), "{inline} on {}", page.path);
            }
        }
    }

    /// Wrong methods, unknown pages, and what is no form: an error page with a reference number.
    async fn errors_are_pages_with_a_reference_number(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = idp.browser();
        for (method, path, status) in [
            (Method::GET, "/nowhere", 404),
            (Method::GET, "/logout", 405),
            (Method::DELETE, "/login", 405),
            (Method::POST, "/", 405),
            (Method::GET, "/%ff", 404),
            (Method::GET, "/sessions/end", 405),
        ] {
            let answer = browser.send(method, path, HeaderMap::new(), "").await;
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.text("#error-page #error-code"), status.to_string());
            assert!(answer.has("#error-page #error-description"));
            assert_eq!(answer.text("#error-page #reference").len(), 9);
            assert_eq!(answer.header("allow").is_some(), status == 405);
        }
        let [one, two] = [browser.get("/nowhere").await, browser.get("/nowhere").await];
        assert_ne!(one.text("#reference"), two.text("#reference"));
    }
}

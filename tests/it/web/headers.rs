//! The security headers of every kind of answer (docs/rules.md, *After every request*, 6, and G27). What holds of all
//! of them, the browser of these tests checks at every answer.

use axum::http::{HeaderMap, HeaderValue, Method};

use crate::actors::{Answer, Idp, PASSWORD};

fn form_action(answer: &Answer) -> bool {
    let csp = answer.header("content-security-policy").unwrap();
    assert!(csp.starts_with("default-src 'none'; "), "{csp}");
    let directives: Vec<_> = csp.split("; ").filter(|directive| directive.starts_with("form-action")).collect();
    assert!(directives.is_empty() || directives == ["form-action 'self'"], "{csp}");
    !directives.is_empty()
}

both_engines! {
    /// G27: before and around a sign-in forms may end at a relying party and a pop-up may hold the page; inside
    /// neither.
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

    /// RFC 9110 §12.5.3, §13.1.2 and §9.3.2: what is the same for everybody is sent as the asker likes it.
    async fn what_never_changes_is_sent_compressed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = idp.browser();
        let style = browser.get("/login").await.attribute("link[href*=pico]", "href").unwrap();
        for path in [style.as_str(), "/api/v1", "/api/v1/openapi.json"] {
            let mut ask = async |method: Method, accept: &'static str, known: Option<&str>| {
                let mut headers = HeaderMap::new();
                headers.insert("accept-encoding", HeaderValue::from_static(accept));
                if let Some(known) = known {
                    headers.insert("if-none-match", HeaderValue::from_str(known).unwrap());
                }
                browser.send(method, path, headers, "").await
            };
            let plain = ask(Method::GET, "identity", None).await;
            assert_eq!((plain.status.as_u16(), plain.header("content-encoding")), (200, None), "{path}");
            let whole: usize = plain.header("content-length").unwrap().parse().unwrap();
            assert_eq!(whole, plain.body.len());
            let mut tags = vec![plain.header("etag").unwrap().to_owned()];
            for (accept, coding) in [("br, gzip", "br"), ("gzip;q=0.8, br;q=0.5", "gzip")] {
                let answer = ask(Method::GET, accept, None).await;
                assert_eq!(answer.header("content-encoding"), Some(coding), "{path}");
                assert_eq!(answer.header("vary"), Some("accept-encoding"));
                assert_eq!(answer.header("content-type"), plain.header("content-type"));
                assert_eq!(answer.body, plain.body);
                let length: usize = answer.header("content-length").unwrap().parse().unwrap();
                assert!(length * 3 < whole, "{path} has {whole} bytes, and {length} as {coding}");
                let tag = answer.header("etag").unwrap().to_owned();

                let head = ask(Method::HEAD, accept, None).await;
                assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
                for name in ["content-encoding", "content-length", "etag", "vary", "content-type"] {
                    assert_eq!(head.header(name), answer.header(name), "{name} of {path}");
                }
                let known = ask(Method::GET, accept, Some(&tag)).await;
                assert_eq!((known.status.as_u16(), known.body.as_str()), (304, ""));
                assert_eq!(known.header("content-encoding"), None);
                for name in ["etag", "vary", "cache-control"] {
                    assert_eq!(known.header(name), answer.header(name), "{name} of {path}");
                }
                // Another coding's tag names another body.
                assert_eq!(ask(Method::GET, accept, Some(&tags[0])).await.status, 200);
                assert!(!tags.contains(&tag));
                tags.push(tag);
            }
            let none = ask(Method::GET, "identity;q=0", None).await;
            assert_eq!((none.status.as_u16(), none.header("vary")), (406, Some("accept-encoding")));
            assert!(none.body.contains("Accept-Encoding"), "{}", none.body);
        }
    }

    /// Pages that go on automatically do so where `app.js` is refused: by a file that holds nothing a browser may not
    /// know.
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

    /// One byte that is no ASCII, as browsers send it, makes no header absent.
    async fn a_foreign_byte_takes_no_header_away(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.headers.insert("user-agent", HeaderValue::from_bytes(b"Mozilla/5.0 (Linux) B\xc3\xbcro/1.0").unwrap());
        browser.sign_in(&amina).await;
        let record = idp.activity().await.pop().unwrap();
        assert_eq!(record.browser.as_deref(), Some("Mozilla/5.0 (Linux) Büro/1.0"));
        let held: Vec<_> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = [b"city=M\xc3\xbcnchen; ", held.join("; ").as_bytes()].concat();
        browser.headers.insert("cookie", HeaderValue::from_bytes(&cookies).unwrap());
        browser.assert_signed_in_as(&amina).await;
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

/// BREACH: whoever wants to compress another answer has to come by the one place where nothing secret is.
#[test]
fn nothing_else_is_compressed() {
    let mut compressing = Vec::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap().to_lowercase().replace('_', "-");
            if text.contains("content-encoding") || text.contains("compressionlayer") {
                compressing.push(path);
            }
        }
    }
    assert!(matches!(&compressing[..], [one] if one.ends_with("web/unchanging.rs")), "{compressing:?}");
}

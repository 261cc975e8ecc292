//! The handbooks: each is there for everybody, says what the pages say, and is where its readers look for it.

use std::fs;
use std::path::Path;

use connect_idp::model::user::UserType;

use crate::actors::Idp;
use crate::console::operator::therap_admin;

both_engines! {
    async fn each_handbook_is_listed_and_opens_for_anybody(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = idp.browser();
        let titles = browser.get("/help").await.texts("main li a");
        assert_eq!(titles, ["Signing in to Therap Connect", "Handbook for Provider Admins", "Handbook for Therap Admins"]);
        for (page, title) in ["signing-in", "provider-admins", "therap-admins"].iter().zip(titles) {
            let page = browser.get(&format!("/help/{page}")).await;
            assert_eq!((page.status.as_u16(), page.text("h1")), (200, title));
            assert!(page.has("main table td"));
        }
        assert_eq!(browser.get("/help/nobody").await.status, 404);
    }

    async fn each_is_led_to_their_own(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = idp.browser();
        assert!(browser.get("/login").await.has(".entrance-links a[href='/help/signing-in']"));
        for (kind, handbook) in [(UserType::Regular, "signing-in"), (UserType::ProviderAdmin, "provider-admins")] {
            let user = idp.user(handbook).user_type(kind).create().await;
            let mut browser = idp.browser();
            browser.sign_in(&user).await;
            assert!(browser.get("/").await.has(&format!("#profile-panel a[href='/help/{handbook}']")));
        }
        let (_, mut root) = therap_admin(&idp, "root").await;
        assert!(root.get("/").await.has("#profile-panel a[href='/help/therap-admins']"));
    }
}

/// Every template below a folder, one after the other.
fn templates(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &templates(&path);
        } else if path.extension().is_some_and(|of| of == "html") {
            all += &fs::read_to_string(path).unwrap();
        }
    }
    all
}

/// What a handbook prints in bold is a name that its reader finds on a page.
#[test]
fn a_handbook_names_what_stands_on_a_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = templates(&root.join("templates"));
    let mut named = 0;
    for entry in fs::read_dir(root.join("docs/help")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for name in text.split("**").skip(1).step_by(2) {
            // Those that begin a list are headings of it.
            if !name.ends_with('.') {
                named += 1;
                assert!(pages.contains(name), "no page says {name:?}");
            }
        }
    }
    assert!(named > 20, "{named}");
}

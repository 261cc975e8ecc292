//! The list of users by their last sign-in, and what of it stays as it is from page to page.

use std::time::Duration;

use connect_idp::jobs;
use connect_idp::model::user::UserType;

use crate::actors::{Answer, Browser, Idp, User};

async fn admin(idp: &Idp) -> (User, Browser) {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    (paul, browser)
}

fn names(list: &Answer) -> Vec<String> {
    list.texts("#users-table td[data-label='Login Name']")
}

async fn note(idp: &Idp) {
    jobs::note_sign_ins(&idp.app, &mut None).await.unwrap();
}

both_engines! {
    /// Newest first, oldest first, and who never did at the end where they belong; the file is in the order of the page.
    async fn the_list_is_sorted_by_the_last_sign_in(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let (amina, bob) = (idp.user("amina").create().await, idp.user("bob").create().await);
        idp.user("carla").create().await;
        idp.advance(Duration::from_mins(1));
        idp.browser().hand_off(&idp.therap_services().sign(&bob)).await;
        idp.advance(Duration::from_mins(1));
        idp.browser().sign_in(&amina).await;
        idp.browser().log_in(&bob, "Wrong-Horse-9").await;
        note(&idp).await;
        for (sort, wanted) in [
            ("last_sign_in", ["amina", "bob", "paul", "carla"]),
            ("longest_away", ["carla", "paul", "bob", "amina"]),
        ] {
            let list = browser.get(&format!("/admin/users?sort={sort}")).await;
            assert_eq!(names(&list), wanted);
            assert_eq!(list.text("#total"), "4 users");
            let file = browser.get(&list.attribute("#export", "href").unwrap()).await;
            let lines: Vec<_> = file.body.lines().skip(1).map(|line| line.split(',').next().unwrap().trim_matches('"')).collect();
            assert_eq!(lines, wanted);
        }
        let list = browser.get("/admin/users?sort=last_sign_in").await;
        assert_eq!(list.texts("#users-table td[data-label='Last sign-in']")[3], "Never");
        assert_eq!(browser.get("/admin/users?q=amina").await.text("#total"), "1 user");
        assert_eq!(browser.get("/admin/users?state=never_signed_in").await.text("#total"), "1 user");
        assert_eq!(browser.get("/admin/users?state=locked").await.text("#total"), "0 users");
        // Who comes back is at the other end.
        idp.advance(Duration::from_mins(1));
        idp.browser().sign_in(&bob).await;
        note(&idp).await;
        assert_eq!(names(&browser.get("/admin/users?sort=last_sign_in").await)[0], "bob");
    }

    /// Days are the provider's; the record has the last word, also where nothing is noted yet. What is no day is said.
    async fn who_has_been_away_is_found(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (paul, mut browser) = admin(&idp).await;
        let (amina, bob) = (idp.user("amina").create().await, idp.user("bob").create().await);
        idp.user("carla").create().await;
        idp.browser().sign_in(&amina).await;
        note(&idp).await;
        // 2027-01-18T05:59Z is the 17th in Chicago.
        idp.advance(Duration::from_mins(70 * 60 - 1));
        idp.browser().sign_in(&bob).await;
        browser.sign_in(&paul).await;
        for (query, wanted) in [
            ("away_since=2027-01-15", vec!["carla"]),
            ("away_since=2027-01-16", vec!["amina", "carla"]),
            ("away_since=2027-01-17", vec!["amina", "carla"]),
            ("away_since=2027-01-18", vec!["amina", "bob", "carla", "paul"]),
            ("away_since=2027-01-16&q=ami", vec!["amina"]),
            ("away_since=2027-01-16&state=never_signed_in", vec!["carla"]),
            ("away_since=2027-01-16&sort=longest_away", vec!["carla", "amina"]),
            ("away_since=&q=ami", vec!["amina"]),
        ] {
            let list = browser.get(&format!("/admin/users?{query}")).await;
            assert_eq!(names(&list), wanted, "{query}");
            assert!(list.text("#total").starts_with(&format!("{} user", wanted.len())), "{query}");
            let file = browser.get(&list.attribute("#export", "href").unwrap()).await;
            assert_eq!(file.body.lines().count(), wanted.len() + 1, "{query}");
        }
        let kept = browser.get("/admin/users?away_since=2027-01-16").await;
        assert_eq!(kept.attribute("#away-since", "value").as_deref(), Some("2027-01-16"));
        let bad = browser.get("/admin/users?away_since=soon&q=ami").await;
        assert_eq!((bad.status.as_u16(), names(&bad).len()), (422, 0));
        assert_eq!(bad.text("#away-since-error"), "Please write a date such as 2026-01-31.");
        assert_eq!(bad.attribute("#q", "value").as_deref(), Some("ami"));
        assert_eq!(browser.get("/admin/users/export?away_since=soon").await.status, 400);
    }

    /// Whoever signs in while somebody turns pages moves out of what is still to come: nobody is missed, nobody comes twice.
    async fn pages_stay_as_they_are_while_people_sign_in(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let mut users = Vec::new();
        for n in 0..30 {
            users.push(idp.user(&format!("user{n:02}")).create().await);
        }
        note(&idp).await;
        let first = browser.get("/admin/users?sort=longest_away").await;
        let mut seen = names(&first);
        assert_eq!(seen.len(), 25);
        let next = first.attribute(".pages-older", "href").unwrap();
        // The row that the page ended with is at another place now.
        let last = users.iter().find(|user| user.login_name == seen[24]).unwrap();
        idp.advance(Duration::from_mins(1));
        idp.browser().sign_in(last).await;
        note(&idp).await;
        seen.extend(names(&browser.get(&next).await));
        let mut wanted: Vec<_> = users.iter().map(|user| user.login_name.clone()).collect();
        wanted.extend(["paul".to_owned(), last.login_name.clone()]);
        wanted.sort();
        seen.sort();
        assert_eq!(seen, wanted, "it is at the end of the list too, where it belongs now");
        for place in ["nonsense", "1.", "x.0199aaaa-bbbb-7ccc-8ddd-000000000001", "%00.'"] {
            assert_eq!(names(&browser.get(&format!("/admin/users?sort=longest_away&after={place}")).await).len(), 25);
        }
    }

    /// What a program of the version before left out is noted after a start.
    async fn older_sign_ins_are_noted_after_a_start(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        idp.browser().sign_in(&amina).await;
        idp.advance(Duration::from_mins(20));
        note(&idp).await;
        let noted = "SELECT COUNT(*) FROM users WHERE signed_in_at > 0";
        assert_eq!(idp.number(noted).await, 0, "it is too old to be new");
        let mut older = Some(String::new());
        jobs::note_sign_ins(&idp.app, &mut older).await.unwrap();
        assert_eq!((idp.number(noted).await, older), (2, None));
        assert_eq!(names(&browser.get("/admin/users?sort=last_sign_in").await)[0], "amina");
    }
}

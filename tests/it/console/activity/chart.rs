//! The picture above User Activity: what it counts is what the record holds.

use std::time::Duration;

use connect_idp::model::user::UserType;
use connect_idp::operations::activity::browse;
use connect_idp::time::Timestamp;

use crate::actors::{Answer, Idp, User};

/// The table beneath the picture: each day with its four numbers.
fn days(page: &Answer) -> Vec<String> {
    page.texts("#sign-ins-table tbody td").chunks(5).map(|row| row.join(" ")).collect()
}

fn wait_until(idp: &Idp, instant: &str) {
    let instant: jiff::Timestamp = instant.parse().unwrap();
    idp.advance(idp.now().until(Timestamp(instant.as_millisecond())));
}

both_engines! {
    /// Each try on the provider's own day, over the night in which the clocks go forward; nobody else's (G15).
    async fn sign_ins_are_counted_on_the_days_of_the_provider(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("OTHER", |provider| provider.time_zone = "America/New_York".into()).await;
        let amina = idp.user("amina").create().await;
        let carla = idp.user("carla").of("OTHER").create().await;
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        for (instant, act) in [
            ("2027-03-14T05:59:59Z", 0), // the 13th in Chicago, the 14th in New York
            ("2027-03-14T06:00:00Z", 1), // the 14th, as the clocks still stand
            ("2027-03-15T04:59:59Z", 2), // the 14th, by summer time
            ("2027-03-15T05:00:00Z", 3), // the 15th
        ] {
            wait_until(&idp, instant);
            match act {
                0 => idp.browser().sign_in(&amina).await,
                1 => drop(idp.browser().hand_off(&idp.therap_services().sign(&amina)).await),
                2 => drop(idp.browser().log_in(&amina, "Wrong-Horse-9").await),
                _ => drop(idp.browser().hand_off(&idp.therap_services().sign(&User::nobody("zoe", "SUNRISE-IL"))).await),
            }
            idp.browser().sign_in(&carla).await;
        }
        idp.browser().try_login("nobody", "x", "SUNRISE-IL").await;
        // Neither: a temporary password leads to a page, not in.
        let fresh = idp.user("fresh").temporary().create().await;
        idp.browser().log_in(&fresh, crate::actors::PASSWORD).await;
        let mut his = idp.browser();
        his.sign_in(&paul).await;
        let path = "/admin/activity?from=2027-03-13&to=2027-03-15";
        for _ in 0..2 {
            let page = his.get(path).await;
            assert_eq!(days(&page), ["2027-03-15 (today) 1 1 0 1", "2027-03-14 0 1 1 0", "2027-03-13 1 0 0 0"]);
            let label = page.attribute("#sign-ins-chart", "aria-label").unwrap();
            assert_eq!(
                label,
                "Sign-ins per day from 2027-03-13 to 2027-03-15: Direct Login 2; Unified Login 1; Direct Login, refused 2; Unified Login, refused 1."
            );
            assert_eq!(page.texts("#sign-ins-legend strong"), ["2", "1", "2", "1"]);
        }
        let mut hers = idp.browser();
        hers.sign_in(&root).await;
        let path = "/operator/activity?from=2027-03-13&to=2027-03-15";
        // Everybody's, by the days of New York.
        assert_eq!(days(&hers.get(path).await), ["2027-03-15 (today) 4 2 0 1", "2027-03-14 3 0 1 0", "2027-03-13 0 0 0 0"]);
        let other = hers.get(&format!("{path}&provider=OTHER")).await;
        assert_eq!(days(&other), ["2027-03-15 (today) 2 0 0 0", "2027-03-14 2 0 0 0", "2027-03-13 0 0 0 0"]);
        assert_eq!(days(&hers.get(&format!("{path}&provider=SUNRISE-IL")).await)[0], "2027-03-15 (today) 1 1 0 1");
        // What comes on a day that has been counted is counted, also when that day is long over.
        idp.advance(Duration::from_hours(15));
        idp.browser().sign_in(&amina).await;
        idp.advance(Duration::from_hours(24 * 6));
        his.sign_in(&paul).await;
        assert_eq!(days(&his.get("/admin/activity?from=2027-03-15&to=2027-03-15").await), ["2027-03-15 2 1 0 1"]);
    }

    /// The picture counts what the list below it shows, whoever it is of; where that cannot be sign-ins there is none.
    async fn the_picture_follows_the_filter(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bob) = (idp.user("amina").create().await, idp.user("bob").create().await);
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        idp.browser().sign_in(&amina).await;
        idp.browser().log_in(&amina, "Wrong-Horse-9").await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        idp.browser().sign_in(&bob).await;
        idp.browser().hand_off(&idp.therap_services().sign(&User::nobody("zoe", "SUNRISE-IL"))).await;
        idp.browser().try_login("nobody", "x", "SUNRISE-IL").await;
        let (mut his, mut hers) = (idp.browser(), idp.browser());
        his.sign_in(&paul).await;
        hers.sign_in(&root).await;
        for (query, numbers) in [
            ("", "3 2 1 1"),
            ("user=amina", "1 1 1 0"),
            ("user=zoe", "0 0 0 1"),
            ("unknown=yes", "0 1 0 0"),
            ("outcome=refused", "0 2 0 1"),
            ("outcome=success&user=amina", "1 0 1 0"),
            ("login_type=Unified+Login", "0 0 1 1"),
            ("login_type=Direct+Login&kind=sign_in&user=amina&outcome=success", "1 0 0 0"),
        ] {
            for (browser, path) in [(&mut his, "/admin/activity"), (&mut hers, "/operator/activity")] {
                let page = browser.get(&format!("{path}?provider=SUNRISE-IL&{query}")).await;
                assert_eq!(days(&page)[0], format!("2027-01-15 (today) {numbers}"), "{path} {query}");
            }
        }
        for query in ["kind=logout", "outcome=unfinished", "user=amina&kind=account_locked"] {
            assert!(!his.get(&format!("/admin/activity?{query}")).await.has(".sign-ins"), "{query}");
        }
        // A day that is over is counted once for all; what a filter leaves out of it is left out all the same.
        idp.advance(Duration::from_hours(30));
        his.sign_in(&paul).await;
        for _ in 0..2 {
            let on_that_day = |page: &Answer| days(page).into_iter().find(|day| day.starts_with("2027-01-15")).unwrap();
            assert_eq!(on_that_day(&his.get("/admin/activity?unknown=yes").await), "2027-01-15 0 1 0 0");
            assert_eq!(on_that_day(&his.get("/admin/activity?outcome=refused").await), "2027-01-15 0 2 0 1");
            assert_eq!(on_that_day(&his.get("/admin/activity").await), "2027-01-15 3 2 1 1");
        }
    }

    /// The service counts the days that are over on a schedule: nobody waits for all of them after a start.
    async fn the_operators_days_are_counted_ahead(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        idp.browser().sign_in(&amina).await;
        idp.advance(Duration::from_hours(26));
        browse::count_ahead(&idp.app).await.unwrap();
        let days = connect_idp::time::days(None, idp.now(), "America/New_York", 3);
        let kept = |at: usize| idp.app.day_counts.get(None, &days[at]).map(|counted| counted.direct);
        assert_eq!((kept(0), kept(1), kept(2)), (Some(0), Some(1), None));
    }

    /// A month unless the filter says otherwise, a quarter of a year at most; never beyond today.
    async fn the_picture_has_so_many_days(engine: Engine) {
        let idp = Idp::start(engine).await;
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let mut his = idp.browser();
        his.sign_in(&paul).await;
        for (query, count, newest, cut) in [
            ("", 30, "2027-01-15", false),
            ("user=paul&kind=sign_in", 30, "2027-01-15", false),
            ("to=2030-01-01", 30, "2027-01-15", false),
            ("from=2027-01-01", 15, "2027-01-15", false),
            ("from=2026-01-01", 92, "2027-01-15", true),
            ("from=2026-10-16", 92, "2027-01-15", false),
        ] {
            let page = his.get(&format!("/admin/activity?{query}")).await;
            let days = days(&page);
            assert_eq!(days.len(), count, "{query}");
            assert_eq!(days[0], format!("{newest} (today) 1 0 0 0"), "{query}");
            assert_eq!(page.text(".sign-ins .hint").contains("the last 92 days"), cut, "{query}");
        }
        for query in ["to=2026-12-31", "from=2027-01-16", "from=2028-01-01&to=2028-02-01"] {
            let page = his.get(&format!("/admin/activity?{query}")).await;
            assert_eq!(page.text(".sign-ins .empty"), "No sign-in attempts on these days.", "{query}");
            assert!(!page.has("#sign-ins-chart"), "{query}");
        }
        let id = "0199aaaa-bbbb-7ccc-8ddd-000000000001";
        assert!(!his.get(&format!("/admin/activity?before={id}")).await.has(".sign-ins"), "further pages are of records");
        assert!(!his.get("/admin/activity?from=yesterday").await.has(".sign-ins"));
    }
}

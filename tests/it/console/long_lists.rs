//! Lists of what is long: a search looks at so much for one page, says where it stopped, and goes on from there.

use std::time::Duration;

use connect_idp::model::user::UserType;

use crate::actors::{Answer, Browser, Idp};

/// A little more than one search looks at.
const MANY_RECORDS: usize = 10_050;
const MANY_USERS: usize = 1_550;

fn whens(page: &Answer) -> usize {
    page.texts("#activity-table td[data-label='When']").len()
}

fn older(page: &Answer) -> String {
    page.attribute(".pages-older", "href").unwrap()
}

async fn admin(idp: &Idp, user_type: UserType, code: &str) -> Browser {
    let user = idp.user("paul").of(code).user_type(user_type).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&user).await;
    browser
}

/// Logouts of the agency, all at one moment from now.
async fn many_logouts(idp: &Idp) {
    let at = idp.now();
    let sql = format!(
        "INSERT INTO activity (id, at, provider_id, provider_code, actor, kind, outcome, reference) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY_RECORDS}) \
         SELECT '{}' || SUBSTR(CAST(1000000000000 + i AS TEXT), 2), {}, p.id, p.code, 'user', 'logout', 'success', 'X' \
         FROM n, providers p WHERE p.code = 'SUNRISE-IL'",
        &at.first_id()[..24],
        at.0
    );
    idp.outsider().await.run(&sql).await;
}

/// Users of the agency, each of whom signed in once.
async fn many_users(idp: &Idp) {
    let prefix = &idp.now().first_id()[..24];
    let id = format!("'{prefix}' || SUBSTR(CAST(1000000000000 + i AS TEXT), 2)");
    let each = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY_USERS}), \
         u (id, i, pid) AS (SELECT {id}, i, p.id FROM n, providers p WHERE p.code = 'SUNRISE-IL')"
    );
    let mut outsider = idp.outsider().await;
    for sql in [
        format!(
            "INSERT INTO users (id, provider_id, provider_kind, login_name, login_name_key, name, user_type, active, \
             admin_locked, password_hash, password_version, claims, epoch, created_at, name_key) {each} \
             SELECT id, pid, 'agency', 'a' || i, 'a' || i, 'A', 'Regular User', TRUE, FALSE, '', 1, '{{}}', 1, 1, 'a' FROM u"
        ),
        format!("INSERT INTO strikes (account, user_id, provider_id, failures) {each} SELECT id, id, pid, 0 FROM u"),
        format!(
            "INSERT INTO activity (id, at, provider_id, user_id, actor, kind, login_type, outcome, reference) {each} \
             SELECT id, 1, pid, id, 'user', 'sign_in', 'Direct Login', 'success', 'X' FROM u"
        ),
    ] {
        outsider.run(&sql).await;
    }
}

both_engines! {
    /// A filter that hardly anything fits stops after so many records and says so; "Older" goes on; the file holds it
    /// all.
    async fn a_search_in_a_long_record_stops_and_goes_on(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut paul = admin(&idp, UserType::ProviderAdmin, "SUNRISE-IL").await;
        let mut root = admin(&idp, UserType::TherapAdmin, "THERAP").await;
        idp.advance(Duration::from_mins(1));
        many_logouts(&idp).await;
        for (browser, path, found) in [(&mut paul, "/admin/activity", 1), (&mut root, "/operator/activity", 2)] {
            let first = browser.get(&format!("{path}?login_type=Direct+Login")).await;
            assert_eq!((first.status.as_u16(), whens(&first)), (200, 0));
            assert!(first.text("#stopped").contains("Jan 15, 2027"), "{}", first.text("#stopped"));
            assert_eq!(first.text(".empty"), "No results so far.");
            let second = browser.get(&older(&first)).await;
            assert_eq!(whens(&second), found);
            assert!(!second.has("#stopped") && !second.has(".pages-older"));
            let file = browser.get(&first.attribute("#export", "href").unwrap()).await;
            assert_eq!(file.body.lines().count(), found + 1);
            let dense = browser.get(&format!("{path}?kind=logout")).await;
            assert_eq!(whens(&dense), 50);
            assert!(!dense.has("#stopped") && dense.has(".pages-older"));
        }
    }

    /// The same of who never signed in, which is asked of the record user by user.
    async fn a_search_for_who_never_signed_in_stops_and_goes_on(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut paul = admin(&idp, UserType::ProviderAdmin, "SUNRISE-IL").await;
        idp.user("zoe").create().await;
        many_users(&idp).await;
        for sort in ["name", "login_name", "last_sign_in", "longest_away"] {
            let first = paul.get(&format!("/admin/users?state=never_signed_in&sort={sort}")).await;
            assert_eq!(first.status, 200);
            assert!(first.has("#stopped"));
            assert_eq!(first.text(".empty"), "No users match so far.");
            let second = paul.get(&older(&first)).await;
            assert_eq!(second.texts("#users-table td[data-label='Login Name']"), ["zoe"]);
            assert!(!second.has("#stopped") && !second.has(".pages-older"));
            let file = paul.get(&first.attribute("#export", "href").unwrap()).await;
            assert_eq!(file.body.lines().count(), 2);
        }
        let found = paul.get("/admin/users?state=never_signed_in&q=zoe").await;
        assert_eq!(found.texts("#users-table td[data-label='Login Name']"), ["zoe"]);
        let list = paul.get("/admin/users?q=a7").await;
        assert!(list.texts("#users-table td[data-label='Last sign-in']").iter().all(|at| at.contains("1969")));
    }
}

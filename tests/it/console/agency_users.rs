//! A Therap Admin and the users of an agency: the same list and page as its own admin has, to read, to remove locks and to
//! end sessions; each is confirmed with the password, recorded once, and visible to the agency without a name (G15, G34).

use connect_idp::model::user::UserType;
use connect_idp::web::notice::Notice;

use super::operator::therap_admin;
use crate::actors::{Browser, Idp, User};

async fn provider_admin(idp: &Idp) -> Browser {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    browser
}

fn list_of(user: &User) -> String {
    format!("/operator/providers/{}/users", user.provider_id)
}

fn page_of(user: &User) -> String {
    format!("{}/{}", list_of(user), user.id)
}

both_engines! {
    /// From the provider's page to the list, which is searched and paged, to one user; and nobody of another agency.
    async fn a_therap_admin_finds_an_agencys_users(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        idp.provider("OTHER", |_| {}).await;
        idp.user("aaa-stranger").of("OTHER").create().await;
        let amina = idp.user("amina").create().await;
        for n in 0..30 {
            idp.user(&format!("user{n:02}")).create().await;
        }
        let provider = root.get(&format!("/operator/providers/{}", amina.provider_id)).await;
        let list = root.get(&provider.attribute("#users", "href").unwrap()).await;
        let names = |page: &crate::actors::Answer| page.texts("#users-table td[data-label='Login Name']");
        assert_eq!((list.text("h1").as_str(), names(&list).len()), ("Users of SUNRISE-IL Homes", 25));
        assert!(!list.has("#new-user") && !list.has("#export") && !list.has("#unlock-form"));
        let rest = root.get(&list.attribute(".pages-older", "href").unwrap()).await;
        assert_eq!(names(&rest).len(), 6);
        let back = root.get(&rest.attribute(".pages a", "href").unwrap()).await;
        assert_eq!(names(&back), names(&list));
        let found = root.get(&format!("{}?q=AMIN", list.attribute("#users-search", "action").unwrap())).await;
        assert_eq!(names(&found), ["amina"]);
        let page = root.get(&found.attribute("#users-table td a", "href").unwrap()).await;
        assert_eq!((page.path.as_str(), page.text("h1").as_str()), (page_of(&amina).as_str(), amina.name.as_str()));
        assert!(page.has("#user-facts") && !page.has("#user-form") && !page.has("#lock") && !page.has("#deactivate"));
        let activity = root.get(&page.attribute("#user-state a", "href").unwrap()).await;
        assert_eq!(activity.attribute("#user", "value").as_deref(), Some("amina"));
    }

    /// Another agency's user is nobody below this one, nor is a Therap Admin; the operator realm is no agency.
    async fn another_agencys_user_is_nobody_here(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (me, mut root) = therap_admin(&idp, "root").await;
        let other = idp.provider("OTHER", |_| {}).await.id;
        let amina = idp.user("amina").failures(3).create().await;
        for (provider, user) in [(&other, &amina.id), (&other, &me.id), (&me.provider_id, &me.id), (&amina.id, &amina.id)] {
            for act in ["", "/unlock?lock=password", "/end-sessions"] {
                let path = format!("/operator/providers/{provider}/users/{user}{act}");
                assert_eq!(root.get(&path).await.status, 404, "{path}");
                if !act.is_empty() {
                    assert_eq!(root.post(&path, &[("seen", "1.1.1"), ("password", "x")]).await.status, 404, "{path}");
                }
            }
        }
        assert_eq!(root.get(&list_of(&me)).await.status, 404);
        // What a Provider Admin alone may do has no address here.
        for act in ["lock", "deactivate", "reset-password", "untie", "reactivate"] {
            assert_eq!(root.get(&format!("{}/{act}", page_of(&amina))).await.status, 404, "{act}");
        }
        assert_eq!(idp.account(&amina).await.failures, 3);
    }

    /// Each act with the password, once, with one record that the agency reads as a Therap Admin's: no name, no address.
    async fn what_a_therap_admin_does_is_seen_by_the_agency(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "secret-root").await;
        let mut paul = provider_admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        let page = root.get(&page_of(&amina)).await;
        let one = root.get(&page.attribute("#sessions-table a", "href").unwrap()).await;
        assert!(one.has("#confirm-password"));
        assert_eq!(root.submit(&one, "#confirm-form", &[("password", "Wrong-Horse-9")]).await.status, 403);
        hers.assert_signed_in_as(&amina).await;
        let done = root.confirm_on(&one, &[]).await;
        assert_eq!(done.location(), page_of(&amina));
        hers.assert_signed_out().await;
        assert_eq!(root.confirm_on(&one, &[]).await.notice(), Some(Notice::AlreadyDone));
        hers.sign_in(&amina).await;
        let page = root.get(&page_of(&amina)).await;
        root.confirm(&page.attribute("#end-sessions", "href").unwrap(), &[]).await.location();
        hers.assert_signed_out().await;

        paul.confirm(&format!("/admin/users/{}/lock", amina.id), &[("reason", "on leave")]).await.location();
        for _ in 0..3 {
            hers.log_in(&amina, "Wrong-Horse-9").await;
        }
        // A lock by an admin is answered first, and counts no strike: the two are locked one after the other.
        let page = root.get(&page_of(&amina)).await;
        assert!(page.text("#lock-reason").contains("Reason: on leave. Locked by admin paul"));
        let told = root.confirm(&page.attribute("#unlock-admin", "href").unwrap(), &[]).await;
        assert_eq!(root.told(told).await, "The account is unlocked.");
        assert!(!idp.account(&amina).await.admin_locked);
        while idp.account(&amina).await.failures < 3 {
            hers.log_in(&amina, "Wrong-Horse-9").await;
        }
        let page = root.get(&page_of(&amina)).await;
        assert_eq!(page.texts("#user-state .pill"), ["Active", "Password locked"]);
        let asked = root.get(&page.attribute("#unlock-password", "href").unwrap()).await;
        root.confirm_on(&asked, &[]).await.location();
        assert_eq!(root.confirm_on(&asked, &[]).await.notice(), Some(Notice::AlreadyDone));
        assert_eq!(root.get(&format!("{}/unlock?lock=every", page_of(&amina))).await.status, 400);

        let acts: Vec<_> = idp.activity().await.into_iter().filter(|r| r.actor == "therap admin secret-root").collect();
        let kinds: Vec<_> = acts.iter().map(|record| record.kind.as_str()).collect();
        assert_eq!(kinds, ["session_ended", "session_ended", "account_unlocked", "account_unlocked"]);
        assert!(acts.iter().all(|record| record.login_name.as_deref() == Some("amina") && record.address.is_some()));
        let seen = paul.get("/admin/activity?user=amina&kind=account_unlocked").await;
        assert_eq!(seen.texts("#activity-table td[data-label='By']"), ["Therap Admin", "Therap Admin"]);
        assert_eq!(seen.texts("#activity-table td[data-label='From']"), ["–", "–"]);
        let file = paul.get("/admin/activity/export").await;
        assert!(file.body.contains("Therap Admin"));
        hers.sign_in(&amina).await;
        for body in [seen.body, file.body, hers.get("/activity").await.body] {
            assert!(!body.contains("secret-root"));
        }
        idp.assert_invariants().await;
    }

    /// A Therap Admin who was signed out, or is none any more, does nothing here either (G28).
    async fn who_is_no_therap_admin_any_more_does_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (me, mut root) = therap_admin(&idp, "root").await;
        let lena = idp.user("lena").failures(3).create().await;
        let asked = root.get(&format!("{}/unlock?lock=password", page_of(&lena))).await;
        idp.lock(&me).await;
        let late = root.confirm_on(&asked, &[]).await;
        assert!(late.location().starts_with("/login?return_to=%2Foperator%2Fproviders%2F"), "{}", late.location());
        assert!(late.location().ends_with("%2Funlock%3Flock%3Dpassword"), "it is asked there again");
        assert_eq!(idp.account(&lena).await.failures, 3);
    }
}

//! User Activity as a Provider Admin reads it: the own provider's alone, filtered, paged, and as a file (A2).

use std::time::Duration;

use connect_idp::model::user::UserType;

use crate::actors::{Answer, Browser, Idp, User};

async fn admin(idp: &Idp) -> Browser {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    browser
}

fn column(page: &Answer, label: &str) -> Vec<String> {
    page.texts(&format!("#activity-table td[data-label='{label}']"))
}

fn rows(answer: &Answer) -> Vec<csv::StringRecord> {
    csv::Reader::from_reader(answer.body.as_bytes()).records().map(Result::unwrap).collect()
}

both_engines! {
    /// The true reason, the note beneath the login type, and no other provider's record.
    async fn the_record_tells_an_admin_the_truth(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        idp.provider("OTHER", |_| {}).await;
        let (amina, carla) = (idp.user("amina").create().await, idp.user("carla").of("OTHER").create().await);
        for act in 0..4 {
            idp.advance(Duration::from_mins(1));
            match act {
                0 => drop(idp.browser().log_in(&amina, "Wrong-Horse-9").await),
                1 => drop(idp.browser().hand_off(&idp.therap_services().sign(&amina)).await),
                2 => drop(idp.browser().try_login("My-Passw0rd", "x", "SUNRISE-IL").await),
                _ => idp.browser().sign_in(&carla).await,
            }
        }
        idp.advance(Duration::from_mins(1));
        idp.lock(&amina).await;
        let page = browser.get("/admin/activity").await;
        assert_eq!(column(&page, "User"), ["amina amina Diallo", "Unknown Login Name", "amina amina Diallo", "amina amina Diallo", "paul paul Diallo"]);
        assert_eq!(column(&page, "What")[0], "Account locked locked by an administrator");
        assert_eq!(column(&page, "By"), ["Therap", "Unknown", "The user", "The user", "The user"]);
        assert_eq!(column(&page, "Login type")[2], "Unified Login Login initiated from Therap Services");
        assert!(page.has("#activity-table td[data-label='Login type'] small.note"));
        let outcome = &column(&page, "Outcome")[3];
        assert!(outcome.starts_with("Refused Wrong password"), "{outcome}");
        let cure = page.texts("#activity-table details.cure small");
        assert!(cure.iter().any(|cure| cure.starts_with("The user tries again;")), "{cure:?}");
        assert_eq!(page.attributes("#activity-table td[data-label=User] a", "href")[0], format!("/admin/users/{}", amina.id));
        assert_eq!(column(&page, "When")[4], "Jan 15, 2027, 2:00:00 AM CST");
        assert_eq!(column(&page, "From")[4], "192.0.2.7 Firefox on Linux");
        assert!(!page.body.contains("carla") && !page.body.contains("Passw0rd") && !page.body.contains("operator"));
    }

    /// Each filter alone and together; the days are the provider's, the last one included.
    async fn the_filter_finds_what_fits(engine: Engine) {
        let idp = Idp::start(engine).await;
        admin(&idp).await;
        let amina = idp.user("Amina").create().await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        idp.browser().hand_off(&idp.therap_services().sign(&User::nobody("zoe", "SUNRISE-IL"))).await;
        idp.browser().log_in(&amina, "Wrong-Horse-9").await;
        idp.browser().try_login("nobody", "x", "SUNRISE-IL").await;
        // 2027-01-15T08:00Z is two in the morning in Chicago; twenty-two hours later it is the next day there.
        idp.advance(Duration::from_hours(22));
        let mut browser = idp.browser();
        browser.sign_in(&User::nobody("paul", "SUNRISE-IL")).await;
        idp.lock(&amina).await;
        for (query, count) in [
            ("", 7),
            ("user=AMINA", 3),
            ("user=amina&outcome=refused", 1),
            ("user=zoe", 1),
            ("user=nobody", 0),
            ("user=%00%27", 0),
            ("unknown=yes", 1),
            ("kind=sign_in", 6),
            ("kind=account_locked", 1),
            ("outcome=refused", 3),
            ("outcome=success&kind=sign_in", 3),
            ("login_type=Unified+Login", 2),
            ("login_type=Direct+Login", 4),
            ("from=2027-01-16", 2),
            ("to=2027-01-15", 5),
            ("from=2027-01-15&to=2027-01-16", 7),
            ("from=2027-01-17", 0),
            ("before=nonsense", 7),
        ] {
            let page = browser.get(&format!("/admin/activity?{query}")).await;
            assert_eq!(page.status, 200, "{query}");
            assert_eq!(column(&page, "When").len(), count, "{query}");
            let file = browser.get(&page.attribute("#export", "href").unwrap()).await;
            assert_eq!(rows(&file).len(), count, "{query}: the file holds what the page shows");
        }
        for (query, id) in [
            ("from=yesterday", "from"),
            ("to=2027-02-30", "to"),
            ("from=2027-01-16&to=2027-01-15", "to"),
            ("kind=nothing", "kind"),
            ("outcome=nothing", "outcome"),
            ("login_type=nothing", "login-type"),
        ] {
            let page = browser.get(&format!("/admin/activity?{query}")).await;
            assert_eq!(page.status, 422, "{query}");
            assert_eq!(page.attribute("#form-errors a", "href").unwrap(), format!("#{id}"));
            assert_eq!(column(&page, "When").len(), 0);
            assert_eq!(browser.get(&format!("/admin/activity/export?{query}")).await.status, 400);
        }
        assert_eq!(browser.get("/admin/activity?kind=sign_in&kind=logout").await.status, 400, "G16");
        let kept = browser.get("/admin/activity?user=amina&kind=sign_in&unknown=yes").await;
        let form = kept.form("#activity-filter");
        assert_eq!((form.fields["user"].as_str(), form.fields["kind"].as_str()), ("amina", "sign_in"));
        assert!(kept.has("#unknown[checked]"));
    }

    /// Days that are often looked for are a press away, in the provider's time zone, with all else that is looked for; the
    /// operator has links to what there is.
    async fn links_lead_on_with_the_filter(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let page = browser.get("/admin/activity?user=paul&outcome=success&before=0199aaaa-bbbb-7ccc-8ddd-000000000001").await;
        assert_eq!(page.texts("#presets a"), ["Today", "Last 7 days", "Last 30 days"]);
        let today = page.attributes("#presets a", "href").remove(0);
        assert_eq!(today, "/admin/activity?from=2027-01-15&to=2027-01-15&user=paul&outcome=success");
        assert!(!page.has("#presets a[aria-current]"));
        let page = browser.get(&today).await;
        assert_eq!((column(&page, "When").len(), page.texts("#presets a[aria-current]")), (1, vec!["Today".to_owned()]));

        let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let mut hers = idp.browser();
        hers.sign_in(&root).await;
        let client = idp.app("portal", |_| {}).await.client.id;
        let page = hers.get("/operator/activity").await;
        let links: Vec<_> = page.attributes("#activity-table a", "href");
        assert!(links.contains(&"/operator/activity?provider=SUNRISE-IL&user=paul".to_owned()), "{links:?}");
        hers.confirm(&format!("/operator/clients/{client}/disable"), &[]).await.location();
        let page = hers.get("/operator/activity?kind=client_disabled").await;
        assert_eq!(page.attributes("#activity-table td[data-label=What] a", "href"), [format!("/operator/clients/{client}")]);
        hers.confirm(&format!("/operator/clients/{client}/delete"), &[]).await.location();
        let page = hers.get("/operator/activity?kind=client_disabled").await;
        assert!(!page.has("#activity-table td[data-label=What] a"), "what is gone has no page");
    }

    /// Newest first, page by page, the filter kept; the file holds all of it, however long.
    async fn the_record_is_paged_and_downloaded_whole(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let mut hers = idp.browser();
        for _ in 0..60 {
            hers.sign_in(&amina).await;
            idp.advance(Duration::from_secs(20));
        }
        let mut seen = Vec::new();
        let mut next = Some("/admin/activity?user=amina".to_owned());
        while let Some(path) = next {
            let page = browser.get(&path).await;
            seen.extend(column(&page, "Reference"));
            next = page.has(".pages-older").then(|| page.attribute(".pages-older", "href").unwrap());
        }
        assert_eq!(seen.len(), 60);
        let file = browser.get("/admin/activity/export?user=amina").await;
        assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
        assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"activity-SUNRISE-IL.csv\""));
        let references: Vec<_> = rows(&file).iter().map(|row| row[13].to_owned()).collect();
        assert_eq!(references, seen, "in the order of the page");
    }

    /// Whatever strangers can bring into the record, no spreadsheet calculates it.
    async fn no_cell_of_the_file_is_a_formula(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp).await;
        let mut stranger = idp.browser();
        stranger.agent = "=HYPERLINK(\"https://evil.example\",\"x\")".into();
        stranger.try_login("=1+1", "x", "SUNRISE-IL").await;
        stranger.hand_off(&idp.therap_services().sign(&User::nobody("@SUM(1)", "SUNRISE-IL"))).await;
        let file = browser.get("/admin/activity/export").await;
        let cells: Vec<_> = rows(&file).iter().flat_map(|row| row.iter().map(str::to_owned).collect::<Vec<_>>()).collect();
        assert!(cells.iter().any(|cell| cell.starts_with("'=HYPERLINK")));
        assert!(cells.iter().any(|cell| cell == "'@SUM(1)"));
        assert!(!cells.iter().any(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{cells:?}");
    }
}

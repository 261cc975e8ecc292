//! From a reference number to its cause (A4): in words, with what to do about it, for whoever may see the record.

use std::time::Duration;

use connect_idp::model::activity::{Event, Kind, Outcome, Visitor};
use connect_idp::model::user::UserType;
use connect_idp::operations::activity::browse::Reach;
use connect_idp::operations::refused_handoffs::write_down;
use connect_idp::store::activity::Search;
use connect_idp::{jobs, store};

use crate::actors::{Answer, Browser, Idp, User};

async fn operator(idp: &Idp) -> Browser {
    let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&root).await;
    browser
}

async fn admin(idp: &Idp, code: &str) -> Browser {
    let paul = idp.user("paul").of(code).user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    browser
}

fn column(page: &Answer, label: &str) -> Vec<String> {
    page.texts(&format!("#activity-table td[data-label='{label}']"))
}

/// The number on the page of a refused handoff.
fn shown(page: &Answer) -> String {
    page.assert_handoff_refused("Invalid Credential");
    page.texts("#reference")[0].clone()
}

async fn kept(idp: &Idp) -> i64 {
    write_down(&idp.app).await.unwrap();
    idp.number("SELECT COUNT(*) FROM refused_handoffs").await
}

both_engines! {
    /// Found however it is typed, whatever page it is on; another agency finds nothing.
    async fn a_record_is_found_by_its_reference_number(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("OTHER", |_| {}).await;
        let (mut own, mut other) = (admin(&idp, "SUNRISE-IL").await, admin(&idp, "OTHER").await);
        let mut root = operator(&idp).await;
        let amina = idp.user("amina").create().await;
        idp.browser().log_in(&amina, "Wrong-Horse-9").await;
        let reference = idp.activity().await.pop().unwrap().reference;
        let typed = reference.to_lowercase().replace('-', "+");
        for (browser, path) in [(&mut own, "/admin/activity"), (&mut root, "/operator/activity")] {
            let page = browser.get(&format!("{path}?reference={typed}")).await;
            assert_eq!(column(&page, "Reference"), [reference.as_str()]);
            let outcome = &column(&page, "Outcome")[0];
            assert!(outcome.starts_with("Refused Wrong password The user tries again;"), "{outcome}");
            assert_eq!(page.form("#activity-filter").fields["reference"], typed.replace('+', " "));
            let file = browser.get(&page.attribute("#export", "href").unwrap()).await;
            assert_eq!(file.body.lines().count(), 2, "the file holds what the page shows");
            let narrowed = browser.get(&format!("{path}?reference={typed}&outcome=success")).await;
            assert!(narrowed.has("#reference-unknown"));
            assert_eq!(browser.get(&format!("{path}?reference=7K3M")).await.attribute("#form-errors a", "href").unwrap(), "#reference");
        }
        let page = other.get(&format!("/admin/activity?reference={typed}")).await;
        assert!(page.has("#reference-unknown") && column(&page, "Reference").is_empty());

        let (agency, ops) = (idp.client("agency", "activity.read:OTHER").await, idp.client("ops", "activity.read").await);
        let told = ops.get(&format!("/api/v1/activity?reference={typed}")).await;
        assert_eq!(told.assert(200).json["items"][0]["reason"], "wrong_password");
        let told = ops.get(&format!("/api/v1/providers/SUNRISE-IL/activity?reference={typed}&limit=1")).await;
        assert_eq!(told.assert(200).json["items"][0]["login_name"], "amina");
        let told = agency.get(&format!("/api/v1/providers/OTHER/activity?reference={typed}")).await;
        assert_eq!(told.assert(200).json["items"].as_array().unwrap().len(), 0);
        for query in ["reference=7K3M", "reference=7K3M-9Q0T&order=recorded"] {
            let told = ops.get(&format!("/api/v1/activity?{query}")).await;
            assert_eq!(told.assert(422).json["errors"][0]["key"], "reference", "{query}");
        }
    }

    /// A request may have brought about any number of records: pages and programs go on to the last one.
    async fn all_that_a_request_brought_about_is_found(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (mut root, amina) = (operator(&idp).await, idp.user("amina").create().await);
        let account = idp.account(&amina).await;
        let now = idp.now();
        let events: Vec<_> = (0..260).map(|number| {
            let visitor = Visitor { reference: "7K3M-9Q0T".into(), ..Visitor::default() };
            // A few are of another kind, and are the last that are looked at.
            let kind = if number < 3 { Kind::AccountUnlocked } else { Kind::AccountLocked };
            Event::new(kind, Outcome::Success, "system", &visitor, now, &idp.app.random).about(&account)
        }).collect();
        in_tx!(idp, [events], |tx| {
            for event in &events {
                store::activity::record(tx, event).await?;
            }
            Ok(())
        });
        let ops = idp.client("ops", "activity.read").await;
        for (query, expected) in [("", 260), ("&kind=account_unlocked", 3)] {
            let (mut found, mut cursor) = (0, String::new());
            loop {
                let told = ops.get(&format!("/api/v1/activity?reference=7K3M-9Q0T&limit=100{query}{cursor}")).await;
                found += told.assert(200).json["items"].as_array().unwrap().len();
                let Some(next) = told.json["next"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(found, expected, "{query}");
        }
        let (mut seen, mut path) = (0, "/operator/activity?reference=7K3M-9Q0T".to_owned());
        while seen < 260 {
            let page = root.get(&path).await;
            seen += column(&page, "Reference").len();
            if seen < 260 {
                path = page.attribute("nav[aria-label='Pages of activity'] a[rel=next]", "href").unwrap();
            }
        }
        let file = root.get("/operator/activity/export?reference=7K3M-9Q0T").await;
        assert_eq!((seen, file.body.lines().count()), (260, 261));
        let reach = Reach::Operator(None);
        let search = Search { reference: Some("7K3M-9Q0T".into()), ..Search::default() };
        let all = reach.all(&mut idp.app.db.read().await.unwrap(), &search).await.unwrap();
        assert!(all.len() == 260 && all.is_sorted_by(|a, b| a.id > b.id));
    }

    /// What was refused before a trusted signature is not in the record; a Therap Admin finds it at once, and nobody
    /// else.
    async fn what_was_refused_before_a_trusted_signature_is_found_by_therap_alone(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut own = admin(&idp, "SUNRISE-IL").await;
        let mut root = operator(&idp).await;
        let before = idp.activity().await.len();
        let mut stranger = idp.browser();
        stranger.address = "2001:db8::7".parse().unwrap();
        let reference = shown(&stranger.hand_off("x").await);
        assert_eq!(idp.activity().await.len(), before);
        let page = root.get(&format!("/operator/activity?reference={reference}")).await;
        assert_eq!(column(&page, "Outcome"), ["Refused The assertion is not a signed token The sender must send a signed JWS in compact form."]);
        assert_eq!(column(&page, "Login type"), ["Unified Login Not in the record: refused before a trusted signature"]);
        assert!(column(&page, "From")[0].starts_with("2001:db8::7 "));
        assert!(own.get(&format!("/admin/activity?reference={reference}")).await.has("#reference-unknown"));
        let of_one = root.get(&format!("/operator/activity?reference={reference}&provider=SUNRISE-IL")).await;
        assert!(of_one.has("#reference-unknown"));
        let (agency, ops) = (idp.client("agency", "activity.read:SUNRISE-IL").await, idp.client("ops", "activity.read").await);
        let told = ops.get(&format!("/api/v1/activity?reference={reference}")).await;
        assert_eq!(told.assert(200).json["items"][0]["reason"], "not_compact_jws");
        let told = agency.get(&format!("/api/v1/providers/SUNRISE-IL/activity?reference={reference}")).await;
        assert_eq!(told.assert(200).json["items"].as_array().unwrap().len(), 0);
    }

    /// What the record has is not kept twice; what it only counted is kept here.
    async fn every_refused_page_leads_to_its_cause_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut root = operator(&idp).await;
        let assertion = idp.therap_services().sign(&User::nobody("zoe", "SUNRISE-IL"));
        for (time, reason) in ["No user has this Login Name", "Used before (jti)", "Used before (jti)"].into_iter().enumerate() {
            let reference = shown(&idp.browser().hand_off(&assertion).await);
            let page = root.get(&format!("/operator/activity?reference={reference}")).await;
            let outcomes = column(&page, "Outcome");
            assert!(outcomes.len() == 1 && outcomes[0].starts_with(&format!("Refused {reason} ")), "{outcomes:?}");
            assert_eq!(kept(&idp).await, i64::from(time == 2));
        }
        let lost = shown(&idp.browser().get("/unified-login/complete?h=00000000-0000-7000-8000-000000000000").await);
        let page = root.get(&format!("/operator/activity?reference={lost}")).await;
        assert!(column(&page, "Outcome")[0].starts_with("Refused Came back without its cookie "));
    }

    /// No stranger fills the disk: a limited number of one network, and for thirty days.
    async fn what_strangers_bring_about_is_bounded(engine: Engine) {
        let idp = Idp::start(engine).await;
        let stranger = idp.browser();
        for _ in 0..50 {
            shown(&stranger.clone().hand_off("x").await);
        }
        assert_eq!(kept(&idp).await, 30);
        let mut elsewhere = idp.browser();
        elsewhere.address = "198.51.100.1".parse().unwrap();
        shown(&elsewhere.hand_off("x").await);
        assert_eq!(kept(&idp).await, 31);
        idp.advance(Duration::from_hours(30 * 24 - 1));
        jobs::purge(&idp.app).await.unwrap();
        assert_eq!(kept(&idp).await, 31);
        idp.advance(Duration::from_hours(2));
        jobs::purge(&idp.app).await.unwrap();
        assert_eq!(kept(&idp).await, 0);
    }

    async fn the_oldest_refusals_beyond_the_cap_are_forgotten(engine: Engine) {
        let idp = Idp::start(engine).await;
        for number in 0..5 {
            let mut stranger = idp.browser();
            stranger.address = format!("198.51.100.{number}").parse().unwrap();
            shown(&stranger.hand_off("x").await);
        }
        assert_eq!(kept(&idp).await, 5);
        let now = idp.now();
        let gone = in_tx!(idp, [], |tx| connect_idp::store::handoffs::refused::purge(tx, now.before(Duration::from_hours(1)), 3, 500).await);
        assert_eq!((gone, kept(&idp).await), (2, 3));
        let left = "SELECT COUNT(*) FROM refused_handoffs WHERE address IN ('198.51.100.2', '198.51.100.3', '198.51.100.4')";
        assert_eq!(idp.number(left).await, 3, "the newest are left");
    }
}

//! Who is mailed of a step on the way to Unified Login.

use connect_idp::model::user::UserType;
use connect_idp::operations::unified_login::{Decision, Transition, decide, request, switch_off, withdraw};
use connect_idp::store::unified_login::of_provider;
use serde_json::json;

use crate::actors::Idp;
use crate::outbound::mail::{Server, deliver, with_claims};

/// A request, refused with a reason, and another that is approved, then switched off: the mails in their order, each with
/// its recipient.
async fn take_the_way(server: &Server, idp: &Idp) -> Vec<(String, String, String)> {
    let verified = |name: &str| json!({ "email": format!("{name}@example.org"), "email_verified": true });
    for (name, code, user_type) in [
        ("root", "THERAP", UserType::TherapAdmin),
        ("paul", "SUNRISE-IL", UserType::ProviderAdmin),
        ("amina", "SUNRISE-IL", UserType::Regular),
        ("ben", "OTHER", UserType::ProviderAdmin),
    ] {
        let user = idp.user(name).of(code).user_type(user_type).create().await;
        with_claims(idp, &user, verified(name)).await;
    }
    let unproven = idp.user("mia").user_type(UserType::ProviderAdmin).create().await;
    with_claims(idp, &unproven, json!({ "email": "mia@example.org" })).await;
    let gone = idp.user("gone").user_type(UserType::ProviderAdmin).inactive().create().await;
    with_claims(idp, &gone, verified("gone")).await;
    let locked = idp.user("locked").of("THERAP").user_type(UserType::TherapAdmin).admin_locked().create().await;
    with_claims(idp, &locked, verified("locked")).await;

    idp.outsider().await.run("UPDATE providers SET unified_login = 'off' WHERE kind = 'agency'").await;
    let (act, provider) = (idp.act(), unproven.provider_id);
    let newest = || async {
        let mut conn = idp.app.db.read().await.unwrap();
        of_provider(&mut conn, &provider, 1).await.unwrap().pop().map(|step| step.id)
    };
    assert_eq!(request(&act, &provider, "We have 200 users.").await.unwrap(), Transition::Yes);
    assert_eq!(request(&act, &provider, "").await.unwrap(), Transition::Stale);
    deliver(idp).await;
    let declined = decide(&act, &provider, newest().await, Decision::Decline, "Please train first.").await.unwrap();
    assert_eq!(declined, Transition::Yes);
    deliver(idp).await;
    request(&act, &provider, "").await.unwrap();
    deliver(idp).await;
    withdraw(&act, &provider).await.unwrap();
    request(&act, &provider, "").await.unwrap();
    deliver(idp).await;
    decide(&act, &provider, newest().await, Decision::Approve, "").await.unwrap();
    deliver(idp).await;
    switch_off(&act, &provider, "").await.unwrap();
    deliver(idp).await;
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    server
        .mails()
        .iter()
        .map(|mail| (text(&mail["to"][0]), text(&mail["headers"]["subject"]), text(&mail["body"])))
        .collect()
}

both_engines! {
    /// Therap Admins of a request, the agency's Provider Admins of what became of it; at verified addresses of people who
    /// can sign in.
    async fn those_who_wait_for_a_step_are_mailed(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = server.idp(engine).await;
        idp.provider("OTHER", |_| {}).await;
        let mails = take_the_way(&server, &idp).await;
        let sent: Vec<_> = mails.iter().map(|(to, subject, _)| (to.as_str(), subject.as_str())).collect();
        let asked = ("root@example.org", "A request for Unified Login is waiting");
        assert_eq!(sent, [
            asked,
            ("paul@example.org", "The request for Unified Login was declined"),
            asked,
            asked,
            ("paul@example.org", "Unified Login is on"),
            ("paul@example.org", "Unified Login was switched off"),
        ]);
        assert!(mails[0].2.contains("(SUNRISE-IL) asks for Unified Login.") && mails[0].2.contains("Note: We have 200 users."));
        assert!(mails[0].2.contains("/operator/requests"), "{}", mails[0].2);
        assert!(mails[1].2.contains("Reason: Please train first.") && mails[1].2.contains("/admin/provider"));
    }

    /// Nobody is, where the operator does not want it; the steps are taken all the same.
    async fn nobody_is_mailed_where_the_operator_does_not_want_it(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let mut mail = server.mail();
        mail.unified_login = false;
        let idp = Idp::start_with(engine, |config| config.mail = Some(mail)).await;
        idp.provider("OTHER", |_| {}).await;
        assert_eq!(take_the_way(&server, &idp).await, []);
        let steps = idp.number("SELECT COUNT(*) FROM unified_login_steps").await;
        assert_eq!(steps, 7);
    }
}

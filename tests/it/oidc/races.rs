//! What could be broken by a race, raced, on two replicas.

use futures_util::future::join_all;

use connect_idp::model::client::{AuthMethod, GrantType};
use connect_idp::operations::clients;

use crate::actors::{Idp, RelyingParty};

/// The same app at another replica.
fn at(app: &RelyingParty, idp: &Idp) -> RelyingParty {
    RelyingParty { idp: idp.clone(), ..app.clone() }
}

both_engines! {
    /// G29: many requests at once share two connections; nobody who holds one waits for the other.
    async fn twenty_requests_at_once_are_answered_by_two_connections(engine: Engine) {
        let idp = Idp::start_with(engine, |c| c.database.connections = 2).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("spa", |m| m.token_endpoint_auth_method = Some(AuthMethod::None)).await;
        let portal = idp.app("portal", |_| {}).await;
        let mut browser = idp.browser();
        let tokens = app.tokens(&mut browser, &amina, &[]).await;
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        let (access, refresh) = (text("access_token"), text("refresh_token"));
        let all = join_all((0..20).map(|_| {
            let (app, portal, access, refresh) = (app.clone(), portal.clone(), access.clone(), refresh.clone());
            let (mut browser, amina) = (browser.clone(), amina.clone());
            tokio::spawn(async move {
                let mut statuses = vec![portal.post("/oauth2/introspect", &[("token", &access)]).await.status];
                statuses.push(app.userinfo(&access).await.status);
                statuses.push(app.refresh(&refresh).await.status);
                statuses.push(browser.get("/").await.status);
                statuses.push(browser.get("/activity").await.status);
                statuses.push(browser.get("/sessions").await.status);
                statuses.push(app.post("/oauth2/revoke", &[("token", &access)]).await.status);
                statuses.push(app.post("/oauth2/revoke", &[("token", &refresh)]).await.status);
                statuses.push(browser.log_in(&amina, &amina.password).await.status);
                statuses
            })
        }));
        let all = tokio::time::timeout(std::time::Duration::from_secs(20), all).await.expect("nobody waits for ever");
        for statuses in all {
            assert!(statuses.unwrap().iter().all(|status| status.as_u16() < 500));
        }
    }

    /// RFC 6749 §4.1.2: of 100 simultaneous redemptions one makes a family, and the others revoke it.
    async fn a_code_redeemed_a_hundred_times_at_once_leaves_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let code = app.sign_in(&mut idp.browser(), &amina, &[]).await.code().to_owned();
        let apps = [app.clone(), at(&app, &other)];
        let answers = join_all((0..100).map(|n| {
            let (app, code) = (apps[n % 2].clone(), code.clone());
            tokio::spawn(async move { app.exchange(&code).await })
        })).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let (good, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!((good.len(), refused.len()), (1, 99));
        for answer in refused {
            answer.assert_oauth_error(400, "invalid_grant");
        }
        assert!(!app.is_active(good[0].json()["access_token"].as_str().unwrap()).await);
        assert_eq!(idp.number("SELECT COUNT(*) FROM families").await, 1);
        assert_eq!(idp.number("SELECT COUNT(*) FROM families WHERE revoked_at IS NULL").await, 0);
    }

    /// G14: 100 simultaneous refreshes of one token are one, and its answer.
    async fn a_token_refreshed_a_hundred_times_at_once_is_one_generation(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("spa", |m| m.token_endpoint_auth_method = Some(AuthMethod::None)).await;
        let first = app.tokens(&mut idp.browser(), &amina, &[]).await["refresh_token"].as_str().unwrap().to_owned();
        let apps = [app.clone(), at(&app, &other)];
        let answers = join_all((0..100).map(|n| {
            let (app, first) = (apps[n % 2].clone(), first.clone());
            tokio::spawn(async move { app.refresh(&first).await })
        })).await;
        let bodies: std::collections::HashSet<_> = answers.into_iter().map(|answer| {
            let answer = answer.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
            answer.body
        }).collect();
        assert_eq!(bodies.len(), 1, "every retry gets the same answer");
        assert_eq!(idp.number("SELECT generation FROM families").await, 2);
        assert_eq!(idp.number("SELECT COUNT(*) FROM access_tokens").await, 2);
    }

    /// G28, G36: a secret is replaced without overlap while it buys tokens, in every way: none of them is usable
    /// afterwards.
    async fn nothing_bought_with_a_secret_outlives_its_replacement(engine: Engine) {
        let idp = Idp::start_live(engine, |config| {
            config.database.connections = 10;
            config.throttle.enabled = false;
        }).await;
        let other = idp.replica(|_| {}).await;
        let mut app = idp.app("portal", |m| {
            m.grant_types.push(GrantType::ClientCredentials);
            m.scope.push_str(" users.read");
        }).await;
        let amina = idp.user("amina").create().await;
        let (mut bought, mut refused) = (0, 0);
        for round in 0..8 {
            let mut browser = idp.browser();
            let refresh = app.tokens(&mut browser, &amina, &[]).await["refresh_token"].as_str().unwrap().to_owned();
            let mut codes = Vec::new();
            for _ in 0..8 {
                codes.push(app.sign_in(&mut browser, &amina, &[]).await.code().to_owned());
            }
            let asking = (0..32).map(|number: usize| {
                let app = at(&app, [&idp, &other][number % 2]);
                let (refresh, code) = (refresh.clone(), codes.get(number).cloned());
                tokio::spawn(async move {
                    match code {
                        Some(code) => app.exchange(&code).await,
                        None if number.is_multiple_of(3) => app.refresh(&refresh).await,
                        None => app.post("/oauth2/token", &[("grant_type", "client_credentials")]).await,
                    }
                })
            });
            let asking: Vec<_> = asking.collect();
            tokio::time::sleep(std::time::Duration::from_millis(round * 5)).await;
            let secret = clients::make_secret(&idp.app);
            clients::rotate_secret(&idp.act(), "portal", &secret, std::time::Duration::ZERO, None).await.unwrap();
            app = RelyingParty { secret, ..app };
            for answer in join_all(asking).await {
                let answer = answer.unwrap();
                if answer.status == 200 {
                    bought += 1;
                    assert!(!app.is_active(answer.json()["access_token"].as_str().unwrap()).await, "round {round}");
                } else {
                    refused += 1;
                    assert!(matches!(answer.status.as_u16(), 400 | 401 | 503), "{}: {}", answer.status, answer.body);
                }
            }
        }
        eprintln!("{bought} bought and dead, {refused} refused");
        idp.assert_invariants().await;
    }

    /// G9: whatever an exchange that races an admin's lock comes to, no token is usable afterwards.
    async fn a_lock_during_an_exchange_leaves_no_usable_token(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |_| {}).await;
        for round in 0..12 {
            let user = idp.user(&format!("user{round}")).create().await;
            let code = app.sign_in(&mut idp.browser(), &user, &[("scope", "openid offline_access")]).await.code().to_owned();
            let (exchanging, locking) = (app.clone(), idp.clone());
            let locked = user.clone();
            let lock = tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(round % 6)).await;
                locking.lock(&locked).await;
            });
            let answer = tokio::spawn(async move { exchanging.exchange(&code).await }).await.unwrap();
            lock.await.unwrap();
            if answer.status == 200 {
                let tokens = answer.json();
                assert_eq!(app.userinfo(tokens["access_token"].as_str().unwrap()).await.status, 401);
                app.refresh(tokens["refresh_token"].as_str().unwrap()).await.assert_oauth_error(400, "invalid_grant");
            } else {
                answer.assert_oauth_error(400, "invalid_grant");
            }
        }
        idp.assert_invariants().await;
    }
}

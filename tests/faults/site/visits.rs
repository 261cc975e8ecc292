//! What people and apps do, and what each answer obliges us to.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::crowd::Crowd;
use super::dice::Dice;
use super::ledger::Family;
use super::stand::USERS;
use crate::relying_parties::{REDIRECT, SECRET, VERIFIER, authorize};
use crate::support::PASSWORD;
use crate::visitors::{Answer, INVALID, LOCKED, NOT_VALID};

/// How soon what was ended is dead at every replica.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long a replaced refresh token gets the same answer, less a second for the way.
const SAME_ANSWER: Duration = Duration::from_secs(9);
/// As often somebody asks once more who got no answer.
const TRIES: usize = 3;

impl Crowd {
    pub async fn visit(&self, dice: &mut Dice) {
        // Each goes on in small steps; one that is not answered is left there.
        let _ = match dice.below(20) {
            0..6 => self.sign_in(dice).await,
            6..11 => self.hand_over(dice).await,
            11..15 => self.authorize(dice).await,
            15..18 => self.refresh(dice).await,
            18 => self.log_out(dice).await,
            _ => self.guess().await,
        };
    }

    async fn sign_in(&self, dice: &mut Dice) -> Option<()> {
        let user = format!("user{}", dice.below(USERS));
        let answer = self.insist(|| self.post(self.front.try_log_in(&user, PASSWORD, None))).await?;
        self.signed_in(&answer).await
    }

    /// Asks until there is an answer, a few times.
    async fn insist<F: Future<Output = Option<Answer>>>(&self, ask: impl Fn() -> F) -> Option<Answer> {
        for _ in 1..TRIES {
            if let Some(answer) = ask().await {
                return Some(answer);
            }
            self.wait_to_retry().await;
        }
        ask().await
    }

    async fn signed_in(&self, answer: &Answer) -> Option<()> {
        let session = answer.session().unwrap_or_else(|| panic!("{answer:?}"));
        let home = self.get(self.front.get("/", Some(&session))).await;
        self.ledger().signed_in(session);
        assert!(home.as_ref().is_none_or(|home| home.status == 200), "{home:?}");
        home.map(drop)
    }

    /// Begun at one replica, finished at the next; one in four clicks arrives twice.
    async fn hand_over(&self, dice: &mut Dice) -> Option<()> {
        let assertion = self.setup.sender.assertion(&format!("user{}", dice.below(USERS)));
        let copies = if dice.one_in(4) { 2 } else { 1 };
        let answers = join_all((0..copies).map(|_| self.post(self.front.hand_over(&assertion)))).await;
        let told: Vec<Answer> = answers.into_iter().flatten().collect();
        let (begun, refused): (Vec<_>, Vec<_>) = told.iter().partition(|answer| answer.status == 303);
        assert!(begun.len() <= 1, "an assertion was taken twice: {begun:?}");
        assert!(refused.iter().all(|answer| answer.text("handoff-error") == NOT_VALID), "{refused:?}");
        assert!(refused.is_empty() || copies == 2, "{refused:?}");
        let posted = begun.first()?;
        let id = posted.location.rsplit_once("?h=").unwrap().1.to_owned();
        self.ledger().begun.insert(id.clone());
        let completed = self.get(self.front.complete(posted)).await?;
        self.ledger().completed.insert(id);
        self.signed_in(&completed).await
    }

    /// A code of one replica, redeemed at the next; one in four apps sends it twice at once.
    async fn authorize(&self, dice: &mut Dice) -> Option<()> {
        let session = self.ledger().take_session(dice)?;
        let client = if dice.one_in(2) { "phone" } else { "portal" };
        let answer = self.get(self.front.get(&authorize(client), Some(&session))).await;
        let Some(answer) = answer else {
            self.ledger().put_session(session);
            return None;
        };
        let url = url::Url::parse(&answer.location).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        let code = url.query_pairs().find(|(name, _)| name == "code").unwrap_or_else(|| panic!("{answer:?}")).1;
        let copies = if dice.one_in(4) { 2 } else { 1 };
        let answers = join_all((0..copies).map(|_| self.exchange(client, &code))).await;
        // Nobody logs out of it before: a code is dead with its session.
        self.ledger().put_session(session);
        let told: Vec<Answer> = answers.into_iter().flatten().collect();
        let given: Vec<Value> = told.iter().filter(|answer| answer.status == 200).map(Answer::json).collect();
        assert!(given.len() <= 1, "a code was redeemed twice: {given:?}");
        let refused = told.iter().filter(|answer| answer.status != 200).count();
        assert!(refused == 0 || copies == 2, "{told:?}");
        let tokens = given.first()?;
        if copies == 2 {
            // The second copy ended what the first one got, or will.
            return Some(());
        }
        let access = tokens["access_token"].as_str().unwrap();
        self.assert_published(tokens["id_token"].as_str().unwrap()).await;
        let opened = self.get(self.front.bearer("/oauth2/userinfo", access)).await;
        assert!(opened.as_ref().is_none_or(|opened| opened.status == 200), "{opened:?}");
        if dice.one_in(6) {
            let again = self.exchange(client, &code).await?;
            assert_eq!(again.status, 400, "{again:?}");
            let closed = self.get(self.front.bearer("/oauth2/userinfo", access)).await?;
            assert_eq!(closed.status, 401, "{closed:?}");
        } else if client == "phone" {
            let token = tokens["refresh_token"].as_str().unwrap().to_owned();
            self.ledger().put_family(Family { token, generation: 0, used: Instant::now() });
        }
        Some(())
    }

    /// The key that signed it is in the set of whichever replica is asked, within a second.
    async fn assert_published(&self, token: &str) {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        let began = Instant::now();
        loop {
            let last = began.elapsed() >= AT_ONCE;
            let Some(set) = self.get(self.front.get("/oauth2/jwks", None)).await else { return };
            if set.json()["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header["kid"]) {
                return;
            }
            assert!(!last, "{header} is not in {}", set.body);
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn exchange(&self, client: &str, code: &str) -> Option<Answer> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let secret = (client == "portal").then_some((client, SECRET));
        self.post(self.front.back_channel("/oauth2/token", &fields, secret)).await
    }

    /// One in three apps loses the answer, and asks again with the token that was replaced: it gets the same one.
    async fn refresh(&self, dice: &mut Dice) -> Option<()> {
        let mut family = self.ledger().take_family()?;
        let began = Instant::now();
        // What is not answered at all may be past its time at the next try: it is not known any more what it is worth.
        let answer = self.insist(|| self.refresh_with(&family.token)).await?;
        let late = began.elapsed() > SAME_ANSWER;
        assert!(answer.status == 200 || late, "{answer:?}");
        let token = (answer.status == 200).then(|| answer.json()["refresh_token"].as_str().unwrap().to_owned())?;
        assert_ne!(token, family.token);
        if dice.one_in(3) {
            let again = self.refresh_with(&family.token).await;
            if began.elapsed() > SAME_ANSWER {
                return None;
            }
            if let Some(again) = again {
                assert_eq!(again.status, 200, "{again:?}");
                assert_eq!(again.json()["refresh_token"], token.as_str(), "two children of one refresh token");
            }
        }
        family.token = token;
        family.generation += 1;
        family.used = Instant::now();
        self.ledger().put_family(family);
        Some(())
    }

    /// For a check: the next family of the ledger, whose token must still be good.
    pub async fn refresh_one(&self) {
        let family = self.ledger().take_family();
        let Some(mut family) = family else { return };
        let answer = self.refresh_with(&family.token).await.unwrap();
        assert_eq!(answer.status, 200, "a refresh token of generation {} is lost: {answer:?}", family.generation);
        family.token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        family.generation += 1;
        family.used = Instant::now();
        self.ledger().put_family(family);
    }

    async fn refresh_with(&self, token: &str) -> Option<Answer> {
        let fields = [("grant_type", "refresh_token"), ("client_id", "phone"), ("refresh_token", token)];
        self.post(self.front.back_channel("/oauth2/token", &fields, None)).await
    }

    /// Dead at every replica within a second.
    async fn log_out(&self, dice: &mut Dice) -> Option<()> {
        let session = self.ledger().take_session(dice)?;
        let answer = self.post(self.front.post("/logout", &[], &session)).await?;
        // The release before this one says in the address what was done.
        let to_login = answer.location.split('?').next() == Some("/login");
        assert!(answer.status == 303 && to_login, "{answer:?}");
        let began = Instant::now();
        for replica in &self.each {
            loop {
                let last = began.elapsed() >= AT_ONCE;
                // One that is away, or whose database is, tells nobody anything.
                match replica.get("/", Some(&session)).await {
                    Ok(home) if home.status == 200 => assert!(!last, "alive a second after the logout: {home:?}"),
                    _ => break,
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        self.ledger().ended.push(session);
        Some(())
    }

    /// Locked at the third wrong guess, and from then on at each replica, for the right password too.
    async fn guess(&self) -> Option<()> {
        let user = self.ledger().unguessed.pop_front()?;
        let is_locked = self.guess_at(&user).await;
        // Those too who are locked and were not told.
        let mut ledger = self.ledger();
        let whose = if is_locked.is_some() { &mut ledger.locked } else { &mut ledger.unguessed };
        whose.push_back(user);
        is_locked
    }

    async fn guess_at(&self, user: &str) -> Option<()> {
        for _ in 0..3 + TRIES {
            let Some(answer) = self.post(self.front.try_log_in(user, "Wrong-Horse-9", None)).await else {
                self.wait_to_retry().await;
                continue;
            };
            match (answer.status, answer.text("login-error").as_str()) {
                (403, INVALID) => self.ledger().guesses += 1,
                (403, LOCKED) => {
                    // Where there is no answer, the next check asks.
                    let right = self.post(self.front.try_log_in(user, PASSWORD, None)).await;
                    assert!(right.as_ref().is_none_or(|right| right.text("login-error") == LOCKED), "{right:?}");
                    return Some(());
                }
                _ => panic!("{answer:?}"),
            }
        }
        None
    }
}

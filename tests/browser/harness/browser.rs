//! One browser: what a person does with it, and what a person sees in it.

use serde_json::Value;
use thirtyfour::prelude::*;

use super::detour::Detour;
use super::driver::{Driver, Kind, Options, Programs};
use super::eventually;
use super::people::Person;

/// A browser with a profile of its own.
pub struct Browser {
    pub kind: Kind,
    pub(super) driver: WebDriver,
    pub(super) issuer: String,
    _driver: Driver,
    _detours: Vec<Detour>,
}

/// What a person does.
impl Browser {
    pub async fn start(kind: Kind, programs: &Programs, options: Options, issuer: &str) -> Self {
        let (running, driver) = Driver::start(kind, programs, options).await;
        Self { kind, driver, issuer: issuer.to_owned(), _driver: running, _detours: Vec::new() }
    }

    /// By these detours, as long as it lives.
    pub(super) fn by(self, detours: Vec<Detour>) -> Self {
        Self { _detours: detours, ..self }
    }

    /// Opens an address: a path is Therap Connect's.
    pub async fn open(&self, address: &str) {
        self.driver.goto(self.absolute(address)).await.unwrap();
    }

    pub async fn reload(&self) {
        self.driver.refresh().await.unwrap();
    }

    pub async fn back(&self) {
        self.driver.back().await.unwrap();
    }

    /// Clicks, and expects no new page of it.
    pub async fn click(&self, select: &str) {
        self.find(select).await.click().await.unwrap();
    }

    /// Clicks what leads to another page, and waits until that page is there.
    pub async fn follow(&self, select: &str) {
        let element = self.find(select).await;
        self.turn_page(async || element.click().await.unwrap()).await;
    }

    /// Does what leads to another page, and waits until that page is there.
    pub async fn turn_page(&self, act: impl AsyncFnOnce()) {
        let old = self.driver.find(By::Tag("html")).await.unwrap();
        act().await;
        let turned = eventually(async || match old.tag_name().await {
            Err(_) => Ok(()),
            Ok(_) => Err("the page stays"),
        });
        if let Err(error) = turned.await {
            panic!("no new page came: {error:?}; {}", self.view().await);
        }
        self.find("body").await;
    }

    /// Empties a field and types into it.
    pub async fn fill(&self, select: &str, text: &str) {
        let field = self.find(select).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Types into whatever has the focus.
    pub async fn press(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Presses Enter where the focus is. Not by [`Self::press`]: chromedriver repeats a key that led to another page.
    pub async fn press_enter(&self) {
        self.driver.active_element().await.unwrap().send_keys(Key::Enter).await.unwrap();
    }

    /// Presses a key while Shift is down.
    pub async fn press_with_shift(&self, key: Key) {
        let keys = self.driver.action_chain().key_down(Key::Shift).send_keys(key).key_up(Key::Shift);
        keys.perform().await.unwrap();
    }

    /// Types credentials into the login page that is shown and sends them.
    pub async fn enter(&self, login_name: &str, password: &str, provider_code: &str) {
        self.fill("#login-name", login_name).await;
        self.fill("#password", password).await;
        self.fill("#provider-code", provider_code).await;
        self.follow("#login-submit").await;
    }

    /// Opens the login page and tries credentials.
    pub async fn try_login(&self, user: &Person, password: &str) {
        self.open("/login").await;
        self.enter(user.login_name, password, user.provider).await;
    }

    /// Signs in with the user's own password.
    pub async fn sign_in(&self, user: &Person) {
        self.try_login(user, user.password).await;
        self.is_in_as(user).await;
    }

    /// Opens the profile panel and follows one of its links.
    pub async fn open_own(&self, path: &str) {
        self.click("#profile-initials").await;
        self.follow(&format!("#profile-panel a[href='{path}']")).await;
    }

    /// Opens the profile panel and presses Logout.
    pub async fn log_out(&self) {
        self.click("#profile-initials").await;
        self.follow("#logout").await;
    }
}

/// What a person sees.
impl Browser {
    /// Waits until an element is there and shown.
    pub async fn see(&self, select: &str) -> WebElement {
        let found = eventually(async || {
            let element = self.driver.find(By::Css(select)).await.map_err(|error| error.to_string())?;
            match element.is_displayed().await {
                Ok(true) => Ok(element),
                Ok(false) => Err("it is hidden".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        });
        match found.await {
            Ok(element) => element,
            Err(error) => panic!("{select} is not seen: {error:?}; {}", self.view().await),
        }
    }

    /// Waits until an element is not shown, or not there.
    pub async fn hidden(&self, select: &str) {
        let hidden = eventually(async || match self.driver.find(By::Css(select)).await {
            Ok(element) => match element.is_displayed().await {
                Ok(true) => Err("it is shown".to_owned()),
                Ok(false) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            Err(_) => Ok(()),
        });
        if let Err(error) = hidden.await {
            panic!("{select} is seen: {error:?}; {}", self.view().await);
        }
    }

    /// Waits until an element is there.
    async fn find(&self, select: &str) -> WebElement {
        match eventually(async || self.driver.find(By::Css(select)).await).await {
            Ok(element) => element,
            Err(error) => panic!("{select} is not there: {error:?}; {}", self.view().await),
        }
    }

    /// Waits until an element reads so.
    pub async fn reads(&self, select: &str, text: &str) {
        let read = eventually(async || {
            let texts = self.texts(select).await;
            if texts == [text] { Ok(()) } else { Err(texts) }
        });
        if let Err(last) = read.await {
            panic!("{select} does not read {text:?} but {last:?}; {}", self.view().await);
        }
    }

    /// Waits until the address is this one: a path is Therap Connect's.
    pub async fn is_at(&self, address: &str) {
        let wanted = self.absolute(address);
        let there = eventually(async || {
            let now = self.address().await;
            if now == wanted { Ok(()) } else { Err(now) }
        });
        if let Err(last) = there.await {
            panic!("not at {wanted} but at {last:?}; {}", self.view().await);
        }
    }

    /// Waits until the Dashboard of this user is shown.
    pub async fn is_in_as(&self, user: &Person) {
        self.is_at("/").await;
        self.see("#dashboard").await;
        self.reads("h1", &format!("Welcome, {}", user.name)).await;
    }

    /// Opens what is private, and meets the login page.
    pub async fn is_out(&self) {
        self.open("/activity").await;
        self.is_at("/login?return_to=%2Factivity").await;
    }

    /// The words of every element that fits, as shown now.
    pub async fn texts(&self, select: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.driver.find_all(By::Css(select)).await.unwrap_or_default() {
            // Gone with its page: what is asked again next.
            texts.extend(element.text().await);
        }
        texts
    }

    /// The words of the one element that fits.
    pub async fn text(&self, select: &str) -> String {
        self.see(select).await.text().await.unwrap()
    }

    /// Whether an element is in the page now.
    pub async fn has(&self, select: &str) -> bool {
        self.driver.find(By::Css(select)).await.is_ok()
    }

    pub async fn attribute(&self, select: &str, name: &str) -> Option<String> {
        self.see(select).await.attr(name).await.unwrap()
    }

    /// What a field holds.
    pub async fn value(&self, select: &str) -> String {
        self.see(select).await.prop("value").await.unwrap().unwrap_or_default()
    }

    pub async fn address(&self) -> String {
        self.driver.current_url().await.map(String::from).unwrap_or_default()
    }

    pub async fn title(&self) -> String {
        self.driver.title().await.unwrap()
    }

    /// The status the page was answered with.
    pub async fn status(&self) -> u64 {
        let entry = self.run("return performance.getEntriesByType('navigation')[0].responseStatus").await;
        entry.as_u64().unwrap()
    }

    /// The id of what has the focus.
    pub async fn focus(&self) -> String {
        self.run("return document.activeElement.id").await.as_str().unwrap_or_default().to_owned()
    }

    /// What a script says.
    pub async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// All that is to be seen, for the message of a failure.
    pub async fn view(&self) -> String {
        let text = self.texts("body").await.join(" ").replace('\n', " | ");
        format!("seen at {}: {text}", self.address().await)
    }

    fn absolute(&self, address: &str) -> String {
        if address.starts_with('/') { format!("{}{address}", self.issuer) } else { address.to_owned() }
    }
}

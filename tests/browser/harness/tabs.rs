//! Tabs, and what happens between Therap Services and Therap Connect in them.

use thirtyfour::prelude::*;

use super::people::Person;
use super::{Browser, Demo, eventually};

impl Browser {
    pub async fn tabs(&self) -> Vec<WindowHandle> {
        self.driver.windows().await.unwrap()
    }

    pub async fn tab(&self) -> WindowHandle {
        self.driver.window().await.unwrap()
    }

    pub async fn go_to_tab(&self, tab: &WindowHandle) {
        self.driver.switch_to_window(tab.clone()).await.unwrap();
    }

    /// Opens an empty tab and goes there.
    pub async fn open_tab(&self) -> WindowHandle {
        let tab = self.driver.new_tab().await.unwrap();
        self.go_to_tab(&tab).await;
        tab
    }

    /// Waits until a number of new tabs are there, beside these.
    pub async fn new_tabs(&self, before: &[WindowHandle], count: usize) -> Vec<WindowHandle> {
        let opened = eventually(async || {
            let tabs: Vec<_> = self.tabs().await.into_iter().filter(|tab| !before.contains(tab)).collect();
            if tabs.len() == count { Ok(tabs) } else { Err(tabs) }
        });
        opened.await.unwrap_or_else(|last| panic!("{count} new tabs were expected: {last:?}"))
    }

    /// Clicks what opens a new tab, and goes there.
    pub async fn click_to_new_tab(&self, select: &str) -> WindowHandle {
        let before = self.tabs().await;
        self.click(select).await;
        let tab = self.new_tabs(&before, 1).await.remove(0);
        self.go_to_tab(&tab).await;
        tab
    }

    pub async fn close_tab(&self, then: &WindowHandle) {
        self.driver.close_window().await.unwrap();
        self.go_to_tab(then).await;
    }

    pub async fn double_click(&self, select: &str) {
        let element = self.see(select).await;
        self.driver.action_chain().double_click_element(&element).perform().await.unwrap();
    }

    pub async fn enter_frame(&self, select: &str) {
        self.see(select).await.enter_frame().await.unwrap();
    }

    pub async fn leave_frame(&self) {
        self.driver.enter_default_frame().await.unwrap();
    }

    /// The names of Therap Connect's cookies.
    pub async fn cookies(&self) -> Vec<String> {
        let cookies = self.driver.get_all_cookies().await.unwrap();
        cookies.into_iter().map(|cookie| cookie.name).collect()
    }

    pub async fn forget_cookies(&self) {
        self.driver.delete_all_cookies().await.unwrap();
    }

    /// Logs in to Therap Services, as nobody else.
    pub async fn log_in_to_therap(&self, demo: &Demo, user: &Person) {
        self.open(&demo.therap("/login")).await;
        if self.has("#ts-logout").await {
            self.follow("#ts-logout").await;
        }
        self.click(&format!("#login-user option[value='{}']", user.key())).await;
        self.follow("#login-submit").await;
        self.reads("#ts-user", user.name).await;
    }

    /// Presses the button in Therap Services, and goes to the tab that it opens.
    pub async fn press_the_button(&self, demo: &Demo) -> WindowHandle {
        self.open(&demo.therap("/")).await;
        self.click_to_new_tab("#therap-connect, #therap-connect-anyway").await
    }

    /// Waits until the app says that it was told of the end of its session.
    pub async fn wait_for_app_to_be_told(&self, demo: &Demo) {
        let told = eventually(async || {
            self.open(demo.portal()).await;
            if self.has("#portal-told").await { Ok(()) } else { Err("the app has not been told") }
        });
        told.await.unwrap();
    }

    /// Sends any assertion from the right page, in a new tab.
    pub async fn send(&self, demo: &Demo, assertion: &str) -> WindowHandle {
        self.open(&demo.therap("/misbehave")).await;
        self.fill("#own-assertion", assertion).await;
        self.click_to_new_tab("#own-send").await
    }

    /// The page of a refused handoff (U10).
    pub async fn is_refused(&self, demo: &Demo, message: &str) {
        self.reads("#handoff-error", message).await;
        assert_eq!(self.status().await, 403);
        let reference = self.text("#reference").await;
        assert!(demo.log().contains(&reference), "support finds {reference} in the log");
        let back = self.attribute("main a.button", "href").await;
        assert_eq!(back.as_deref(), Some(demo.therap("/").as_str()), "the way back");
        assert_eq!(self.text("main a.button").await, "Back to Therap Services");
    }
}

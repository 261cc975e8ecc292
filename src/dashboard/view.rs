//! How records read on a page.

use crate::model::event::Kind;
use crate::store::activity::Record;
use crate::time::Timestamp;

/// One row of activity.
#[derive(Clone, Debug)]
pub struct ActivityView {
    /// In the provider's time zone.
    pub when: String,
    /// What happened.
    pub what: String,
    /// By which door.
    pub login_type: Option<String>,
    /// What stands beneath it.
    pub note: Option<String>,
    /// How it ended.
    pub outcome: &'static str,
    /// From where.
    pub address: String,
    /// With what.
    pub browser: String,
}

impl ActivityView {
    /// A record as its own user may read it: reasons and details of administration are for admins.
    #[must_use]
    pub fn of(record: Record, zone: &str) -> Self {
        Self {
            when: Timestamp(record.at).in_zone(zone),
            what: record.kind.label().to_owned(),
            login_type: record.login_type,
            note: record.note.filter(|_| record.kind == Kind::SignIn),
            outcome: record.outcome.label(),
            address: record.address.unwrap_or_default(),
            // What an operator did on the machine came from no browser.
            browser: record
                .browser
                .filter(|text| !text.is_empty())
                .map_or_else(|| "No browser".into(), |text| browser(&text)),
        }
    }
}

/// A browser's and a system's name out of a `User-Agent`, for people; the record keeps the whole.
#[must_use]
pub fn browser(user_agent: &str) -> String {
    let first = |pairs: &[(&'static str, &'static str)]| {
        pairs.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    // The order matters: Edge calls itself Chrome and Safari too.
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Windows", "Windows"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("A browser on {system}"),
        (None, None) => "Unknown browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_called_by_their_names() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0";
        assert_eq!(browser(edge), "Edge on Windows");
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/604.1";
        assert_eq!(browser(safari), "Safari on iPhone");
        assert_eq!(browser("curl/8"), "Unknown browser");
    }
}

//! An answer, asked by element.

use std::collections::HashMap;

use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::model::header_text::ascii;
use connect_idp::web::notice::Notice;
use scraper::{ElementRef, Html, Selector};

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    /// Where it was asked for.
    pub path: String,
}

/// A form as a page offers it: where it goes, and what its fields hold already.
#[derive(Clone, Debug)]
pub struct Form {
    pub action: String,
    pub fields: HashMap<String, String>,
}

fn selector(text: &str) -> Selector {
    Selector::parse(text).unwrap()
}

fn words(element: ElementRef) -> String {
    element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Answer {
    /// One header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| ascii(value).unwrap())
    }

    /// Where it redirects to.
    #[track_caller]
    pub fn location(&self) -> &str {
        assert_eq!(self.status, 303, "no redirect from {}: {:?}", self.path, self.message());
        self.header("location").unwrap()
    }

    /// The words of every element that fits.
    pub fn texts(&self, select: &str) -> Vec<String> {
        Html::parse_document(&self.body).select(&selector(select)).map(words).collect()
    }

    /// The words of the one element that fits.
    #[track_caller]
    pub fn text(&self, select: &str) -> String {
        let texts = self.texts(select);
        assert_eq!(texts.len(), 1, "{select} on {} ({}): {texts:?}", self.path, self.status);
        texts.into_iter().next().unwrap()
    }

    /// Whether an element is there.
    pub fn has(&self, select: &str) -> bool {
        !self.texts(select).is_empty()
    }

    /// Where every link that fits leads.
    pub fn links(&self, select: &str) -> Vec<String> {
        let page = Html::parse_document(&self.body);
        page.select(&selector(select)).filter_map(|link| link.value().attr("href").map(str::to_owned)).collect()
    }

    /// An attribute of the one element that fits.
    #[track_caller]
    pub fn attribute(&self, select: &str, name: &str) -> Option<String> {
        let page = Html::parse_document(&self.body);
        let found: Vec<_> = page.select(&selector(select)).collect();
        assert_eq!(found.len(), 1, "{select} on {}", self.path);
        found[0].value().attr(name).map(str::to_owned)
    }

    /// An attribute of every element that fits and has it.
    pub fn attributes(&self, select: &str, name: &str) -> Vec<String> {
        let page = Html::parse_document(&self.body);
        page.select(&selector(select)).filter_map(|found| found.value().attr(name).map(str::to_owned)).collect()
    }

    /// What the page says is wrong, wherever it says it.
    pub fn message(&self) -> Option<String> {
        const PLACES: &str = "#login-error, #handoff-error, #error-description, .field-error, .field-errors li";
        self.texts(PLACES).into_iter().next()
    }

    /// The page of a refusal: its status and its one message.
    #[track_caller]
    pub fn assert_page(&self, status: u16, message: &str) {
        assert_eq!((self.status.as_u16(), self.message().as_deref()), (status, Some(message)), "at {}", self.path);
    }

    /// The page of a refused handoff (U10).
    #[track_caller]
    pub fn assert_handoff_refused(&self, message: &str) {
        assert_eq!(self.status, 403, "{:?} at {}", self.message(), self.path);
        assert_eq!(self.text("#handoff-error"), message);
        // Who is locked is not told to try again (U10).
        assert_eq!(self.text("#handoff-advice").contains("again"), !message.contains("locked"));
        assert_eq!(self.text("#reference").len(), 9);
        assert!(self.has("main a[href='https://secure.therapservices.net/']"), "the way back to Therap Services");
    }

    /// What the next page is to say once.
    pub fn notice(&self) -> Option<Notice> {
        let cookies = self.cookies();
        let (_, value) = cookies.iter().find(|(name, value)| name.contains("connect-notice") && !value.is_empty())?;
        Some(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(value.split_once('.')?.0).unwrap()).unwrap())
    }

    /// The form that fits.
    #[track_caller]
    pub fn form(&self, select: &str) -> Form {
        let page = Html::parse_document(&self.body);
        let form = page.select(&selector(select)).next();
        let form = form.unwrap_or_else(|| panic!("no form {select} on {} ({})", self.path, self.status));
        // A box that is not ticked is not sent.
        let inputs = selector("input[name]:not([type=checkbox]), input[name][checked]");
        let named = form.select(&inputs).collect::<Vec<_>>().into_iter();
        let fields = named.map(|input| {
            let value = |name| input.value().attr(name).unwrap_or_default().to_owned();
            (value("name"), value("value"))
        });
        let (one_of, chosen) = (selector("select[name]"), selector("option[selected]"));
        let chosen = form.select(&one_of).map(|select| {
            let value = select.select(&chosen).next().and_then(|option| option.value().attr("value"));
            (select.value().attr("name").unwrap().to_owned(), value.unwrap_or_default().to_owned())
        });
        let texts = selector("textarea[name]");
        let texts = form
            .select(&texts)
            .map(|text| (text.value().attr("name").unwrap().to_owned(), text.text().collect::<String>()));
        Form {
            action: form.value().attr("action").unwrap().to_owned(),
            fields: fields.chain(chosen).chain(texts).collect(),
        }
    }

    /// Every cookie that it sets: name and value; an empty value clears it.
    pub fn cookies(&self) -> Vec<(String, String)> {
        let set = self.headers.get_all("set-cookie").iter().map(|value| ascii(value).unwrap());
        set.map(|text| {
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
    }

    /// Status, headers and length: all that must not tell two refusals apart (L3).
    pub fn outside(&self) -> (StatusCode, Vec<(String, Vec<u8>)>, usize) {
        let mut headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        headers.sort();
        (self.status, headers, self.body.len())
    }
}

//! `/help`: the handbooks of docs/help, open to everybody.

use std::sync::LazyLock;

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use pulldown_cmark::{Options, Parser, html};

use crate::app::App;
use crate::web::error::PageError;
use crate::web::page::{Page, Shape, respond};

/// A handbook as it is written.
struct Handbook {
    /// The end of its address, and its file.
    name: &'static str,
    title: &'static str,
    /// Whom it is for, in a line.
    summary: &'static str,
    markdown: &'static str,
}

const HANDBOOKS: [Handbook; 3] = [
    Handbook {
        name: "signing-in",
        title: "Signing in to Therap Connect",
        summary: "For everybody: passwords, the way from Therap Services, and what to do when it does not work.",
        markdown: include_str!("../docs/help/signing-in.md"),
    },
    Handbook {
        name: "provider-admins",
        title: "Handbook for Provider Admins",
        summary: "Adding people, helping those who cannot sign in, Unified Login, User Activity.",
        markdown: include_str!("../docs/help/provider-admins.md"),
    },
    Handbook {
        name: "therap-admins",
        title: "Handbook for Therap Admins",
        summary: "Agencies, apps, trusted issuers, signing keys, and where to look when something is wrong.",
        markdown: include_str!("../docs/help/therap-admins.md"),
    },
];

/// Each handbook as HTML, in their order.
static RENDERED: LazyLock<[String; 3]> = LazyLock::new(|| HANDBOOKS.map(|handbook| rendered(handbook.markdown)));

fn rendered(markdown: &str) -> String {
    let mut rendered = String::new();
    html::push_html(&mut rendered, Parser::new_ext(markdown, Options::ENABLE_TABLES));
    rendered
}

#[derive(Template)]
#[template(path = "help/index.html")]
struct IndexPage {
    page: Page,
    handbooks: &'static [Handbook],
}

#[derive(Template)]
#[template(path = "help/handbook.html")]
struct HandbookPage {
    page: Page,
    /// As HTML.
    text: &'static str,
}

/// `GET /help`
pub async fn index(app: App) -> Response {
    let page = IndexPage { page: Page::new(&app, "Help"), handbooks: &HANDBOOKS };
    respond(StatusCode::OK, Shape::Entrance, &page)
}

/// `GET /help/{page}`
///
/// # Errors
/// When there is no such handbook.
pub async fn page(app: App, Path(name): Path<String>) -> Result<Response, PageError> {
    let found = HANDBOOKS.iter().zip(RENDERED.iter()).find(|(handbook, _)| handbook.name == name);
    let (handbook, text) = found.ok_or(PageError::NotFound)?;
    let page = HandbookPage { page: Page::new(&app, handbook.title), text };
    Ok(respond(StatusCode::OK, Shape::Entrance, &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handbook_begins_with_its_title() {
        for handbook in &HANDBOOKS {
            assert_eq!(handbook.markdown.lines().next(), Some(format!("# {}", handbook.title).as_str()));
        }
    }
}

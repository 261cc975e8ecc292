//! How an answer may be used by others, told to the layer that writes its headers.

use axum::response::{IntoResponse, Response};

/// How a page may be used by others, as its headers will say (G27).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Before and around a sign-in: its forms may end at a relying party, and a pop-up may hold it.
    Entrance,
    /// After it: forms stay here, and no other window has a handle on it.
    Inside,
    /// For programs: no page at all.
    Data,
}

/// From so many origins a page shows logos.
pub const MAX_LOGO_ORIGINS: usize = 20;

/// What a page's Content-Security-Policy allows beyond our own site: origins, exactly those that the page needs.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Where images come from: apps' logos.
    pub images: Vec<String>,
    /// What is framed: apps that are told of a logout.
    pub frames: Vec<String>,
}

impl Extras {
    /// An app's logo.
    #[must_use]
    pub fn logo(logo_uri: Option<&str>) -> Self {
        Self { images: logo_uri.and_then(origin).into_iter().collect(), frames: Vec::new() }
    }

    /// The logos of several apps. Those of more than [`MAX_LOGO_ORIGINS`] origins are left out, as is an address that has
    /// none.
    #[must_use]
    pub fn logos<'a>(logos: impl Iterator<Item = &'a mut Option<String>>) -> Self {
        let mut images: Vec<String> = Vec::new();
        for logo in logos {
            let Some(origin) = logo.as_deref().and_then(origin) else {
                *logo = None;
                continue;
            };
            if images.contains(&origin) {
                continue;
            }
            if images.len() < MAX_LOGO_ORIGINS { images.push(origin) } else { *logo = None }
        }
        Self { images, frames: Vec::new() }
    }

    /// What is framed.
    #[must_use]
    pub fn frames(addresses: &[String]) -> Self {
        let mut frames: Vec<String> = addresses.iter().filter_map(|address| origin(address)).collect();
        frames.sort();
        frames.dedup();
        Self { images: Vec::new(), frames }
    }

    /// Puts them on an answer.
    #[must_use]
    pub fn on(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

/// The origin of an address, as a policy names it.
fn origin(address: &str) -> Option<String> {
    let origin = url::Url::parse(address).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// An answer for programs: no error page takes its place.
pub fn data(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response.extensions_mut().insert(Shape::Data);
    response
}

//! The public site, put together of groups. A route is added to a group, and a group to the site; nothing else takes
//! one:
//!
//! ```
//! use axum::routing::get;
//! use connect_idp::web::group::Group;
//! use connect_idp::web::site::{Routes, Site};
//!
//! fn add(site: Site, group: Group) -> Site {
//!     site.with(Routes::of(group).route("/hello", get(async || "Hello.")))
//! }
//! ```
//!
//! A route without a group does not compile:
//!
//! ```compile_fail,E0599
//! use axum::routing::get;
//! use connect_idp::web::site::Site;
//!
//! fn add(site: Site) -> Site {
//!     site.route("/hello", get(async || "Hello."))
//! }
//! ```

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::MethodRouter;
use tower::ServiceExt as _;

use super::group::Group;
use super::layers;
use super::layers::Bounds;
use crate::app::App;

/// Routes of one group.
#[derive(Debug)]
pub struct Routes {
    group: Group,
    routes: Router<App>,
}

impl Routes {
    /// None yet.
    #[must_use]
    pub fn of(group: Group) -> Self {
        Self { group, routes: Router::new() }
    }

    /// With one more.
    #[must_use]
    pub fn route(self, path: &str, methods: MethodRouter<App>) -> Self {
        Self { routes: self.routes.route(path, methods), ..self }
    }

    /// With those that a feature describes itself.
    #[must_use]
    pub fn merge(self, routes: Router<App>) -> Self {
        Self { routes: self.routes.merge(routes), ..self }
    }
}

/// Which group answers at an address that no route has.
#[derive(Clone, Copy, Debug)]
pub struct Unknown {
    /// How such an address begins, and its group: the first that fits counts.
    pub below: &'static [(&'static str, Group)],
    /// The group of any other.
    pub otherwise: Group,
}

/// All groups, each with its layers around it.
#[derive(Debug)]
pub struct Site {
    app: App,
    bounds: Arc<Bounds>,
    routes: Router<App>,
}

impl Site {
    /// Without a route yet.
    #[must_use]
    pub fn new(app: &App, unknown: Unknown) -> Self {
        let site = Self { app: app.clone(), bounds: Arc::new(Bounds::new(app)), routes: Router::new() };
        let nothing = |group| {
            let routes = Router::new().fallback(async || StatusCode::NOT_FOUND);
            site.layered(Routes { group, routes }).with_state(app.clone())
        };
        let below: Arc<[(&str, Router)]> =
            unknown.below.iter().map(|(begin, group)| (*begin, nothing(*group))).collect();
        let otherwise = nothing(unknown.otherwise);
        let routes = Router::new().fallback(async move |request: Request| {
            let path = request.uri().path();
            let group = below.iter().find(|(begin, _)| path.starts_with(begin)).map_or(&otherwise, |(_, group)| group);
            group.clone().oneshot(request).await
        });
        Self { routes, ..site }
    }

    /// With the routes of a group.
    #[must_use]
    pub fn with(self, routes: Routes) -> Self {
        let layered = self.layered(routes);
        Self { routes: self.routes.merge(layered), ..self }
    }

    /// With routes that are counted and logged as their group says, and answer everything on their own: nothing is read
    /// for them, and nothing about who asks matters.
    #[must_use]
    pub fn with_unguarded(self, Routes { group, routes }: Routes) -> Self {
        let seen = layers::seen(routes, &self.app, group);
        Self { routes: self.routes.merge(seen), ..self }
    }

    /// As a server takes it.
    pub fn into_router(self) -> Router {
        self.routes.with_state(self.app)
    }

    fn layered(&self, Routes { group, routes }: Routes) -> Router<App> {
        layers::around(routes, &self.app, &self.bounds, group)
    }
}

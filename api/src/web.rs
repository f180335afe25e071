//! The dashboard: pages for people, over the views that the API asks (specs/0016).
//!
//! A page derives nothing. Whether a person is needed, what a person is told and what may be done
//! come from the standing; its sentences come from `runledger_projections::texts`. What stands here
//! is the frame: who looks, at what, in which language, and how it is laid out.

mod account;
mod acting;
mod adapters;
mod along;
mod assets;
mod chart;
mod device;
mod door;
mod environments;
mod fault;
mod follow_ups;
mod framing;
mod links;
mod live;
mod log;
mod openid;
mod operations;
mod overview;
mod people;
mod preferences;
mod queues;
mod refused;
mod related;
mod resolving;
mod run;
mod runs;
mod said;
#[cfg(test)]
mod sample_runs;
#[cfg(test)]
mod samples;
mod saved;
mod security;
mod session;
mod shell;
mod sign_in;
mod signed;
mod timeline;
mod words;
mod workspaces;

use axum::middleware;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;

use crate::app::App;

pub(crate) use fault::{Reader, nothing_there};
pub(crate) use session::is_there;
pub use session::{Sessions, SignInCode};

/// The pages, and what they are made of.
pub(crate) fn router(app: &App) -> axum::Router<App> {
    axum::Router::new()
        .route("/", get(sign_in::begin))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-in/openid", get(openid::begin))
        .route("/sign-in/openid/callback", get(openid::callback))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/preferences", post(preferences::choose))
        .route("/account", get(account::page))
        .route("/account/password", post(account::change_password))
        .route("/account/identity", post(account::link))
        .route("/account/sessions", post(account::end_sessions))
        .route("/people", get(people::page))
        .route("/people/{person}", get(people::person))
        .route("/people/{person}/sessions", post(people::end_sessions))
        .route("/w", get(workspaces::page))
        .route("/w/{workspace}", get(overview::page))
        .route("/w/{workspace}/follow-ups", get(follow_ups::page))
        .route(
            "/w/{workspace}/follow-ups/resolve",
            get(resolving::preview).post(resolving::resolve),
        )
        .route("/w/{workspace}/runs", get(runs::page))
        .route("/w/{workspace}/views", post(saved::keep))
        .route("/w/{workspace}/views/{name}", get(saved::open))
        .route("/w/{workspace}/runs/{run}", get(run::page))
        .route("/w/{workspace}/runs/{run}/follow-up", post(acting::follow_up))
        .route("/w/{workspace}/runs/{run}/ask", post(acting::ask))
        .route("/w/{workspace}/queues", get(queues::page))
        .route("/w/{workspace}/operations", get(operations::page))
        .route("/w/{workspace}/environments", get(environments::page))
        .route("/w/{workspace}/adapters", get(adapters::page))
        .route("/w/{workspace}/log", get(log::page))
        .route("/w/{workspace}/live", get(live::stream))
        .route_layer(middleware::from_fn_with_state(app.clone(), door::authorize))
        .layer(middleware::from_fn(security::no_store))
        // Files hold no secret that packing could give away; pages hold some, and are not packed.
        .route("/favicon.ico", get(assets::favicon))
        .route("/assets/{*file}", get(assets::asset).layer(CompressionLayer::new()))
        .layer(middleware::from_fn_with_state(app.clone(), security::guard))
}

//! Every route of the service, on one page, and what all of them share.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::{Extension, Router, middleware};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Info, OpenApi, OpenApiBuilder, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::boundary;
use crate::ingest::REQUEST_BYTES;
use crate::limits;
use crate::problem::Problem;
use crate::routes::{
    access, adapters, claims, correlations, diff, erasures, events, evidence, follow_ups, lineage,
    log, overview, packs, people, runs, secret_scanning, simulations, subjects, system, timeline,
    workspaces,
};
use crate::web;

/// How long a request may take until its answer begins.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most bytes of a body as it is sent. The limit that counts is that on inflated bytes; this one
/// only ends a body that never inflates to anything.
const SENT_BYTES: usize = REQUEST_BYTES + 1024 * 1024;

/// The service as something that answers requests.
pub fn router(app: App) -> Router {
    let (router, api) = routes().split_for_parts();
    let (open, open_api) = open_routes().split_for_parts();
    let api = describe(api, open_api);
    router
        .layer(Extension(Arc::new(api)))
        .route_layer(middleware::from_fn_with_state(app.clone(), boundary::authorize))
        .merge(open)
        .merge(web::router(&app))
        .fallback(web::nothing_there)
        .layer(RequestDecompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(SENT_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, PATIENCE))
        .layer(middleware::from_fn_with_state(app.clone(), limits::by_address))
        .layer(middleware::from_fn_with_state(app.clone(), boundary::answer))
        .with_state(app)
}

/// The routes that ask for a token.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(workspaces::list_workspaces, workspaces::create_workspace))
        .routes(routes!(workspaces::read_catalog, workspaces::publish_catalog))
        .routes(routes!(events::post_events))
        .routes(routes!(correlations::correlate))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::read_run))
        .routes(routes!(runs::run_events))
        .routes(routes!(timeline::read_timeline))
        .routes(routes!(diff::read_run_diff))
        .routes(routes!(diff::read_diff))
        .routes(routes!(runs::follow_up))
        .routes(routes!(adapters::reconcile))
        .routes(routes!(adapters::list_adapters))
        .routes(routes!(claims::claim))
        .routes(routes!(claims::decide))
        .routes(routes!(claims::heartbeat))
        .routes(routes!(follow_ups::list_follow_ups))
        .routes(routes!(follow_ups::read_follow_up))
        .routes(routes!(overview::overview))
        .routes(routes!(overview::environments))
        .routes(routes!(overview::operations))
        .routes(routes!(overview::queues))
        .routes(routes!(subjects::observe))
        .routes(routes!(log::read_log))
        .routes(routes!(evidence::checkpoint))
        .routes(routes!(evidence::status::status))
        .routes(routes!(evidence::tile))
        .routes(routes!(evidence::event_proof))
        .routes(routes!(evidence::consistency))
        .routes(routes!(packs::list_packs, packs::make_pack))
        .routes(routes!(packs::read_pack))
        .routes(routes!(packs::download_pack))
        .routes(routes!(simulations::list_simulations, simulations::simulate))
        .routes(routes!(simulations::read_simulation))
        .routes(routes!(erasures::list_erasures, erasures::request_erasure))
        .routes(routes!(erasures::read_erasure))
        .routes(routes!(erasures::approve_erasure))
        .routes(routes!(erasures::run_erasure))
        .routes(routes!(lineage::lineage))
        .routes(routes!(lineage::lineage_batch))
        .routes(routes!(access::list_tokens, access::new_token))
        .routes(routes!(access::rotate_token))
        .routes(routes!(access::revoke_token))
        .routes(routes!(access::list_members, access::grant_role))
        .routes(routes!(access::remove_member))
        .routes(routes!(people::list_people, people::add_person))
        .routes(routes!(people::set_password))
        .routes(routes!(people::link_person))
        .routes(routes!(people::unlink_person))
        .routes(routes!(people::disable_person))
        .routes(routes!(people::enable_person))
        .routes(routes!(people::remove_person))
        .routes(routes!(people::list_sessions))
        .routes(routes!(people::end_sessions))
        .routes(routes!(people::end_session))
        .routes(routes!(system::get_metrics))
        .routes(routes!(system::openapi))
}

/// The routes that anybody may ask.
fn open_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(secret_scanning::report_found))
}

/// The description of all routes, as `/openapi.json` gives it.
fn describe(api: OpenApi, open: OpenApi) -> OpenApi {
    let mut info = Info::new("Runledger", env!("CARGO_PKG_VERSION"));
    info.description = Some("A ledger of what background operations did.".to_owned());
    let security = [SecurityRequirement::new("token", Vec::<String>::new())];
    let mut all = OpenApiBuilder::new().info(info).security(Some(security)).build();
    all.merge(api);
    // A part of a path that goes on over several: there is no word for that in OpenAPI.
    let paths = std::mem::take(&mut all.paths.paths).into_iter();
    all.paths.paths = paths.map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    all.merge(open);
    let components = all.components.get_or_insert_default();
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme("token", scheme);
    let problem = <Problem as utoipa::PartialSchema>::schema();
    components.schemas.insert("Problem".to_owned(), problem);
    let flaw = <crate::problem::Flaw as utoipa::PartialSchema>::schema();
    components.schemas.insert("Flaw".to_owned(), flaw);
    all
}

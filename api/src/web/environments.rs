//! Environments: a row each, and a column for each thing that they are compared by.

use askama::Template;
use axum::response::Html;
use runledger_projections::EnvironmentStanding;
use runledger_projections::texts::Phrase;

use super::fault::{Page, html};
use super::shell::{Asked, Shell};
use super::words;
use crate::routes::overview::PartQuery;

#[derive(Template)]
#[template(path = "environments.html")]
pub(super) struct EnvironmentsPage {
    pub(super) shell: Shell,
    /// Each environment, and of each family in it: runs that need a person, and all runs.
    pub(super) environments: Vec<(EnvironmentStanding, Vec<(u64, u64)>)>,
    /// The families that anything ran of.
    pub(super) families: Vec<Family>,
}

/// A family, and what people call it.
pub(super) struct Family {
    pub(super) name: String,
    pub(super) title: String,
}

pub(super) async fn page(Asked { shell, view, .. }: Asked<PartQuery>) -> Page<Html<String>> {
    let cells = view.families_by_environment().await?;
    let mut families: Vec<String> = cells.keys().map(|(_, family)| family.clone()).collect();
    families.sort();
    families.dedup();
    let name = |one: &EnvironmentStanding| one.environment.clone().unwrap_or_default();
    let row = |one: &EnvironmentStanding| -> Vec<(u64, u64)> {
        let cell = |family: &String| cells.get(&(name(one), family.clone())).copied();
        families.iter().map(|family| cell(family).unwrap_or_default()).collect()
    };
    let environments =
        shell.environments.iter().map(|one| (one.clone(), row(one))).collect::<Vec<_>>();
    let title =
        |name: String| Family { title: view.family_title(&name).unwrap_or(name.clone()), name };
    let families = families.into_iter().map(title).collect();
    html(&EnvironmentsPage { shell, environments, families })
}

//! Members and tokens as of a moment, as the log tells them.

use runledger_ledger::access::AccessThen;
use runledger_ledger::event::Stream;
use runledger_ledger::words::WorkspaceId;

use super::{MemberView, TokenView, names};
use crate::app::App;
use crate::past::{self, Then};
use crate::problem::ApiResult;

async fn access(app: &App, workspace: WorkspaceId, then: Then) -> ApiResult<AccessThen> {
    let events = past::told(app, workspace, Stream::workspace(workspace), then.size).await?;
    Ok(AccessThen::fold(&events))
}

pub(super) async fn members(
    app: &App,
    workspace: WorkspaceId,
    then: Then,
) -> ApiResult<Vec<MemberView>> {
    let members = access(app, workspace, then).await?.members();
    let view = |member: runledger_ledger::access::MemberThen| MemberView {
        name: member.name.to_string(),
        kind: member.kind.as_str(),
        role: member.role.as_str(),
        environments: names(member.environments),
        since: member.since.to_string(),
    };
    Ok(members.into_iter().map(view).collect())
}

pub(super) async fn tokens(
    app: &App,
    workspace: WorkspaceId,
    then: Then,
) -> ApiResult<Vec<TokenView>> {
    let tokens = access(app, workspace, then).await?.tokens();
    Ok(tokens.into_iter().map(|row| TokenView::of(row, then.at)).collect())
}

//! Who had which role, and which tokens there were, as the log of a workspace told it at a moment
//! (specs/0029). The tables beside the log know only how it is now.

use std::collections::BTreeMap;

use super::{Environments, PrincipalKind, Role};
use crate::event::{AnyEvent, Recorded};
use crate::store::TokenRow;
use crate::time::Moment;
use crate::words::Name;
use crate::workspace::WorkspaceEvent;

/// Somebody with a role, then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberThen {
    /// Who.
    pub name: Name,
    /// What kind of thing.
    pub kind: PrincipalKind,
    /// The role.
    pub role: Role,
    /// Where; none is the whole workspace.
    pub environments: Environments,
    /// Since when they had it.
    pub since: Moment,
}

/// What the events of a workspace up to a moment say of who may do what.
#[derive(Clone, Debug, Default)]
pub struct AccessThen {
    members: BTreeMap<(Name, &'static str), MemberThen>,
    /// In the order in which they were made.
    tokens: Vec<TokenRow>,
}

impl AccessThen {
    /// Folds the events of a workspace's stream, in their order.
    pub fn fold(events: &[Recorded]) -> AccessThen {
        let mut then = AccessThen::default();
        for event in events {
            if let AnyEvent::Workspace(told) = &event.fact.event {
                then.take(told, event.fact.recorded_at);
            }
        }
        then
    }

    /// Everybody with a role, by name.
    pub fn members(self) -> Vec<MemberThen> {
        self.members.into_values().collect()
    }

    /// Every token, the newest first, without when it was last used: the log does not know that.
    pub fn tokens(self) -> Vec<TokenRow> {
        let AccessThen { members, tokens } = self;
        let grant = |row: &TokenRow| {
            let member = members.get(&(row.holder.clone(), row.kind.as_str()))?;
            Some((member.role, member.environments.clone()))
        };
        let tokens = tokens.into_iter().rev();
        tokens.map(|row| TokenRow { grant: grant(&row), ..row }).collect()
    }

    /// Takes in the next event of a workspace's stream.
    pub fn take(&mut self, told: &WorkspaceEvent, at: Moment) {
        match told {
            WorkspaceEvent::MemberGranted(granted) => {
                let member = MemberThen {
                    name: granted.member.clone(),
                    kind: granted.kind,
                    role: granted.role,
                    environments: granted.environments.clone(),
                    since: at,
                };
                self.members.insert((member.name.clone(), member.kind.as_str()), member);
            }
            WorkspaceEvent::MemberRemoved(removed) => {
                self.members.remove(&(removed.member.clone(), removed.kind.as_str()));
                // Their tokens go with the role.
                let theirs =
                    |row: &&mut TokenRow| row.holder == removed.member && row.kind == removed.kind;
                for row in self.tokens.iter_mut().filter(theirs) {
                    row.revoked_at.get_or_insert(at);
                }
            }
            WorkspaceEvent::TokenCreated(created) => {
                let replaced = created.replaces;
                for row in &mut self.tokens {
                    if let Some(replaced) = replaced.filter(|replaced| replaced.token == row.token)
                    {
                        let ends =
                            row.expires_at.map_or(replaced.until, |at| at.min(replaced.until));
                        row.expires_at = Some(ends);
                    }
                }
                self.tokens.push(TokenRow {
                    token: created.token,
                    holder: created.holder.clone(),
                    kind: match created.role {
                        Role::Adapter => PrincipalKind::Adapter,
                        _ => PrincipalKind::Service,
                    },
                    grant: None,
                    created_at: at,
                    expires_at: created.expires_at,
                    last_used_at: None,
                    revoked_at: None,
                });
            }
            WorkspaceEvent::TokenRevoked(revoked) => {
                for row in self.tokens.iter_mut().filter(|row| row.token == revoked.token) {
                    row.revoked_at.get_or_insert(at);
                }
            }
            _ => {}
        }
    }
}

//! How far a grant goes, where a resource lies, and what of a list somebody may see.

use protocol::ServerId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::{Conn, Stmt};
use crate::ids::ProjectId;

/// How far a grant goes within its workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum Scope {
    /// Everywhere.
    Workspace,
    /// A project with everything in it.
    #[schema(value_type = uuid::Uuid)]
    Project(ProjectId),
    /// A server with everything on it.
    #[schema(value_type = uuid::Uuid)]
    Server(ServerId),
}

/// Where in its workspace a resource lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The project that it is in.
    pub project_id: Option<ProjectId>,
    /// The server that it is, or is on.
    pub server_id: Option<ServerId>,
}

impl Place {
    /// In no project and on no server.
    pub const WORKSPACE: Self = Self { project_id: None, server_id: None };
}

impl Scope {
    /// The scope that the columns `project_id` and `server_id` of a row name: neither means the workspace. `None` when
    /// that could be no scope.
    #[must_use]
    pub fn stored(project: Option<&str>, server: Option<&str>) -> Option<Self> {
        match (project, server) {
            (None, None) => Some(Self::Workspace),
            (Some(id), None) => id.parse().ok().map(Self::Project),
            (None, Some(id)) => id.parse().ok().map(Self::Server),
            (Some(_), Some(_)) => None,
        }
    }

    /// What the column `project_id` holds.
    #[must_use]
    pub fn project_column(self) -> Option<String> {
        if let Self::Project(id) = self { Some(id.to_string()) } else { None }
    }

    /// What the column `server_id` holds.
    #[must_use]
    pub fn server_column(self) -> Option<String> {
        if let Self::Server(id) = self { Some(id.to_string()) } else { None }
    }

    /// Whether what lies there is within this scope.
    #[must_use]
    pub fn covers(self, place: Place) -> bool {
        match self {
            Self::Workspace => true,
            Self::Project(id) => place.project_id == Some(id),
            Self::Server(id) => place.server_id == Some(id),
        }
    }
}

/// What of a list somebody may see: what is within one of the scopes, and within one of the limiting ones where there
/// is a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reach {
    scopes: Vec<Scope>,
    limit: Option<Scope>,
}

impl Reach {
    pub(super) const fn new(scopes: Vec<Scope>, limit: Option<Scope>) -> Self {
        Self { scopes, limit }
    }

    /// The whole workspace.
    #[must_use]
    pub fn everything() -> Self {
        Self::new(vec![Scope::Workspace], None)
    }

    /// Whether nothing of the workspace is left out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.scopes.contains(&Scope::Workspace) && matches!(self.limit, None | Some(Scope::Workspace))
    }

    /// Whether what lies there may be seen.
    #[must_use]
    pub fn covers(&self, place: Place) -> bool {
        self.scopes.iter().any(|scope| scope.covers(place)) && self.limit.is_none_or(|limit| limit.covers(place))
    }

    /// Starts a statement from a text made by `sql!` that holds `{within}`: there it is narrowed to what may be seen, by
    /// placeholders from `$first` on, to which the caller binds [`Reach::ids`].
    pub fn query<'s>(&self, conn: &'s mut Conn<'_>, sql: &'static str, columns: Columns, first: usize) -> Stmt<'s> {
        conn.query_built(sql.replace("{within}", &self.condition(columns, first)))
    }

    /// The same as a condition of SQL over two columns, with placeholders from `$first` on for [`Reach::ids`].
    #[must_use]
    pub fn condition(&self, columns: Columns, first: usize) -> String {
        let mut next = first;
        let within = one_of(&self.scopes, columns, &mut next);
        match self.limit {
            Some(limit) => format!("({within} and {})", one_of(&[limit], columns, &mut next)),
            None => within,
        }
    }

    /// What is bound to the placeholders of [`Reach::query`].
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let of = |scopes: &[Scope]| {
            if scopes.contains(&Scope::Workspace) {
                return Vec::new();
            }
            let projects = scopes.iter().filter_map(|scope| match scope {
                Scope::Project(id) => Some(id.to_string()),
                Scope::Workspace | Scope::Server(_) => None,
            });
            let servers = scopes.iter().filter_map(|scope| match scope {
                Scope::Server(id) => Some(id.to_string()),
                Scope::Workspace | Scope::Project(_) => None,
            });
            projects.chain(servers).collect::<Vec<_>>()
        };
        let mut ids = of(&self.scopes);
        ids.extend(self.limit.map(|limit| of(&[limit])).unwrap_or_default());
        ids
    }
}

/// The columns of a query that say where a row lies.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// Holds the id of the project.
    pub project: &'static str,
    /// Holds the id of the server.
    pub server: &'static str,
}

fn one_of(scopes: &[Scope], columns: Columns, next: &mut usize) -> String {
    if scopes.contains(&Scope::Workspace) {
        return "1 = 1".to_owned();
    }
    let mut list = |column: &str, count: usize| {
        let places = (*next..*next + count).map(|index| format!("${index}")).collect::<Vec<_>>().join(", ");
        *next += count;
        (count > 0).then(|| format!("{column} in ({places})"))
    };
    let projects = scopes.iter().filter(|scope| matches!(scope, Scope::Project(_))).count();
    let parts = [list(columns.project, projects), list(columns.server, scopes.len() - projects)];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    // Nothing granted is nothing seen.
    if parts.is_empty() { "1 = 0".to_owned() } else { format!("({})", parts.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const COLUMNS: Columns = Columns { project: "s.project_id", server: "s.id" };

    fn project(n: u128) -> Scope {
        Scope::Project(ProjectId::new(Uuid::from_u128(n)))
    }

    fn server(n: u128) -> Scope {
        Scope::Server(ServerId::new(Uuid::from_u128(n)))
    }

    fn at(project: Option<u128>, server: Option<u128>) -> Place {
        Place {
            project_id: project.map(|n| ProjectId::new(Uuid::from_u128(n))),
            server_id: server.map(|n| ServerId::new(Uuid::from_u128(n))),
        }
    }

    #[test]
    fn a_scope_covers_what_is_in_it() {
        let reach = Reach::new(vec![project(1), server(7)], None);
        for (place, covered) in [
            (at(Some(1), None), true),
            (at(Some(1), Some(2)), true),
            (at(None, Some(7)), true),
            (at(Some(2), Some(8)), false),
            (Place::WORKSPACE, false),
        ] {
            assert_eq!(reach.covers(place), covered, "{place:?}");
        }
        assert!(Reach::everything().covers(Place::WORKSPACE));
        assert!(!Reach::new(Vec::new(), None).covers(at(Some(1), Some(2))));
    }

    #[test]
    fn a_limit_takes_away_and_never_adds() {
        let reach = Reach::new(vec![server(7)], Some(project(1)));
        assert!(reach.covers(at(Some(1), Some(7))));
        assert!(!reach.covers(at(Some(1), Some(8))) && !reach.covers(at(Some(2), Some(7))));
        assert!(!Reach::new(vec![Scope::Workspace], Some(server(1))).is_everything());
        assert!(Reach::new(vec![Scope::Workspace], Some(Scope::Workspace)).is_everything());
    }

    #[test]
    fn conditions_say_the_same() {
        let reach = Reach::new(vec![server(7), project(1), server(8)], Some(project(2)));
        assert_eq!(
            reach.condition(COLUMNS, 4),
            "((s.project_id in ($4) or s.id in ($5, $6)) and (s.project_id in ($7)))"
        );
        let id = |n: u128| Uuid::from_u128(n).to_string();
        assert_eq!(reach.ids(), [id(1), id(7), id(8), id(2)]);
        assert_eq!((Reach::everything().condition(COLUMNS, 1).as_str(), Reach::everything().ids()), ("1 = 1", vec![]));
        assert_eq!(Reach::new(Vec::new(), None).condition(COLUMNS, 1), "1 = 0");
    }
}

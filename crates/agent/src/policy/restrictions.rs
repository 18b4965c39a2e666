//! What the hub has taken from itself: restrictions that it signed, in `trust/restrictions.json`.
//!
//! Only workers write the file, and only what the hub signed for this server with a higher number than the last. The hub
//! can lift what it has set; the host's own file it cannot touch. A file that cannot be understood allows nothing.

use std::io;

use protocol::job::{RejectCode, Rejected};
use protocol::policy::{RestrictBody, Rules};
use protocol::{ServerId, Signed, signing};
use serde::{Deserialize, Serialize};

use super::problem_of;
use crate::host::files::{self, Dir};
use crate::paths::Paths;
use crate::trust::{Trust, check_owner};

const MAX_FILE: usize = 4 * MAX_BODY;
/// Longest body that is taken: a list of users or paths has an end.
const MAX_BODY: usize = 64 << 10;

/// The hub's rules for this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restrictions {
    /// Their number; the next ones have a higher one.
    pub seq: u64,
    /// What they are.
    pub rules: Rules,
}

/// What is written: the order itself, as evidence.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    order: Signed,
}

/// What the hub has set for `server_id`; `None` where it never has. Those of an earlier registration do not count.
///
/// # Errors
/// The sentence that says why they cannot be known, for people.
pub fn load(paths: &Paths, server_id: ServerId) -> Result<Option<Restrictions>, String> {
    Ok(read(paths, server_id)?.map(|(_, body)| Restrictions { seq: body.seq, rules: body.rules }))
}

/// Puts a change of the hub's into force, durably. The same change again is no change.
///
/// # Errors
/// Why it does not count; nothing has changed then.
pub fn take(paths: &Paths, trust: &Trust, order: &Signed) -> Result<(), Rejected> {
    let refuse = |code, message: String| Rejected { code, message };
    if order.body.len() > MAX_BODY {
        let message = format!("the restrictions are longer than {MAX_BODY} bytes");
        return Err(refuse(RejectCode::BadArguments, message));
    }
    trust
        .verify(signing::RESTRICT, order)
        .map_err(|error| refuse(RejectCode::BadSignature, format!("the restrictions are not the hub's: {error}")))?;
    let body: RestrictBody = serde_json::from_str(&order.body).map_err(|error| {
        refuse(RejectCode::BadArguments, format!("the restrictions cannot be read by this agent: {error}"))
    })?;
    if body.server_id != trust.server_id() {
        let message = format!("the restrictions are for server {}, this is {}", body.server_id, trust.server_id());
        return Err(refuse(RejectCode::WrongServer, message));
    }
    if let Some(problem) = problem_of(&body.rules) {
        return Err(refuse(RejectCode::BadArguments, format!("the restrictions make no sense: {problem}")));
    }
    let unusable = |error: io::Error| {
        refuse(RejectCode::Unavailable, format!("{} cannot be written: {error}", paths.restrictions_file().display()))
    };
    // One at a time, so that a lower number never follows a higher one. Nobody but root can open that directory.
    let _lock = Dir::open(&paths.claims_dir()).and_then(|claims| claims.lock()).map_err(unusable)?;
    let current = read(paths, trust.server_id()).map_err(|problem| refuse(RejectCode::Unavailable, problem))?;
    if let Some((kept, known)) = &current {
        if kept.order == *order {
            return Ok(());
        }
        if body.seq <= known.seq {
            let message = format!("the restrictions have the number {}, those in force {}", body.seq, known.seq);
            return Err(refuse(RejectCode::Expired, message));
        }
    }
    let bytes = serde_json::to_vec(&Kept { order: order.clone() }).map_err(|error| unusable(error.into()))?;
    files::write_atomic(&paths.restrictions_file(), &bytes, 0o644).map_err(unusable)
}

fn read(paths: &Paths, server_id: ServerId) -> Result<Option<(Kept, RestrictBody)>, String> {
    let path = paths.restrictions_file();
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        format!("{} {what}: {error}; once root has removed it, the hub can set its restrictions again", path.display())
    };
    let file = match files::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| failed("cannot be read", &error))?,
    };
    let metadata = file.metadata().map_err(|error| failed("cannot be read", &error))?;
    check_owner(&path, &metadata).map_err(|error| error.to_string())?;
    let bytes = files::read_file(&file, MAX_FILE).map_err(|error| failed("cannot be read", &error))?;
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| failed("is damaged", &error))?;
    let body: RestrictBody = serde_json::from_str(&kept.order.body).map_err(|error| failed("is damaged", &error))?;
    if body.server_id != server_id {
        return Ok(None);
    }
    if let Some(problem) = problem_of(&body.rules) {
        return Err(failed("is damaged", &problem));
    }
    Ok(Some((kept, body)))
}

#[cfg(test)]
mod tests {
    use protocol::policy::Tier;

    use super::*;
    use crate::fixture::Machine;

    fn order(machine: &Machine, seq: u64, rules: &Rules) -> Signed {
        let body = RestrictBody { server_id: machine.anchor.server_id, seq, rules: rules.clone() };
        machine.sign(signing::RESTRICT, serde_json::to_string(&body).unwrap())
    }

    fn in_force(machine: &Machine) -> Result<Option<Restrictions>, String> {
        load(&machine.paths, machine.anchor.server_id)
    }

    #[test]
    fn only_a_higher_number_counts_and_the_same_order_again_is_no_change() {
        let machine = Machine::new(7);
        assert_eq!(in_force(&machine), Ok(None));
        let take = |order: &Signed| take(&machine.paths, &machine.trust, order).map_err(|rejected| rejected.code);
        let strict = Rules { tiers: Some(vec![Tier::Read]), ..Rules::default() };
        let first = order(&machine, 3, &strict);
        assert_eq!(take(&first), Ok(()));
        assert_eq!(take(&first), Ok(()), "an answer may have been lost");
        for seq in [0, 2, 3] {
            assert_eq!(take(&order(&machine, seq, &Rules::default())), Err(RejectCode::Expired), "{seq}");
        }
        assert_eq!(in_force(&machine), Ok(Some(Restrictions { seq: 3, rules: strict })));
        assert_eq!(take(&order(&machine, 4, &Rules::default())), Ok(()), "the hub lifts its own");
        assert_eq!(take(&first), Err(RejectCode::Expired));
        assert_eq!(in_force(&machine), Ok(Some(Restrictions { seq: 4, rules: Rules::default() })));
    }

    #[test]
    fn what_the_hub_did_not_sign_for_this_server_is_refused() {
        let machine = Machine::new(7);
        let refused = |order: &Signed| take(&machine.paths, &machine.trust, order).unwrap_err().code;
        let good = order(&machine, 1, &Rules::default());
        assert_eq!(refused(&order(&Machine::new(8), 1, &Rules::default())), RejectCode::BadSignature);
        assert_eq!(refused(&machine.sign(signing::CMD, good.body.clone())), RejectCode::BadSignature);
        let other = good.body.replace("0001\"", "0002\"");
        assert_eq!(refused(&machine.sign(signing::RESTRICT, other)), RejectCode::WrongServer);
        let newer = good.body.replace("\"rules\":{", "\"rules\":{\"rule_of_a_newer_hub\":1");
        assert_eq!(refused(&machine.sign(signing::RESTRICT, newer)), RejectCode::BadArguments);
        let rules = Rules { paths: Some(vec!["srv/..".to_owned()]), ..Rules::default() };
        assert_eq!(refused(&order(&machine, 1, &rules)), RejectCode::BadArguments);
        assert_eq!(in_force(&machine), Ok(None));
    }

    #[test]
    fn a_damaged_file_is_a_problem_and_stays_one() {
        let machine = Machine::new(7);
        let good = order(&machine, 9, &Rules::default());
        files::write_atomic(&machine.paths.restrictions_file(), b"{\"order\":", 0o644).unwrap();
        assert!(in_force(&machine).unwrap_err().contains("restrictions.json is damaged"));
        let refused = take(&machine.paths, &machine.trust, &good).unwrap_err();
        assert_eq!(refused.code, RejectCode::Unavailable, "which number was in force cannot be known");
        take(&machine.paths, &machine.trust, &good).unwrap_err();
        files::write_atomic(&machine.paths.restrictions_file(), b"{}", 0o666).unwrap();
        assert!(in_force(&machine).is_err());
        std::fs::remove_file(machine.paths.restrictions_file()).unwrap();
        assert_eq!(take(&machine.paths, &machine.trust, &good), Ok(()));
    }
}

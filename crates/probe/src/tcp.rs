//! Whether a port takes connections.

use protocol::address::Reach;
use protocol::probe::{Failure, FailureCode, TcpProbe};

use crate::Env;
use crate::dial::dial;
use crate::host::Host;
use crate::watch::{Watch, fail};

pub(crate) async fn probe(probe: &TcpProbe, reach: Reach, env: &Env, watch: &mut Watch) -> Result<(), Failure> {
    let host = host(&probe.host)?;
    dial(&host, probe.port, reach, env, watch).await?;
    watch.judge_latency(probe.max_latency_ms)
}

/// The host of a spec.
pub(crate) fn host(text: &str) -> Result<Host, Failure> {
    Host::parse(text).ok_or_else(|| fail(FailureCode::Unsupported, format!("{text} is neither a name nor an address")))
}

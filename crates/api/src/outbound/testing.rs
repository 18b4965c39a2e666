//! Names whose addresses a test decides.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Lookup;

/// A name server of its own. A name that was given several answers says each once, and the last for ever: a name that
/// changes its mind.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

impl Names {
    /// What a name says from now on, one answer after the other.
    ///
    /// # Panics
    /// When an address is none.
    #[expect(clippy::expect_used, reason = "a mistake of the test")]
    pub fn answer(&self, host: &str, answers: &[&[&str]]) {
        let address = |text: &&str| text.parse().expect("an address");
        let answers = answers.iter().map(|answer| answer.iter().map(address).collect()).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), answers);
    }
}

impl Lookup for Names {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = names
            .get_mut(&host)
            .and_then(|answers| if answers.len() > 1 { Some(answers.remove(0)) } else { answers.first().cloned() });
        async move { found.ok_or_else(|| io::Error::other("no such name")) }.boxed()
    }
}

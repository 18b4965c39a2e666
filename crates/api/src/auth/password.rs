//! Argon2id on a bounded pool: hashing takes 19 MiB and tens of milliseconds, so strangers must not start it at will.

use std::sync::Arc;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use super::model::Password;
use crate::error::{Error, Result};
use crate::random::Random;

/// Hashes that are computed at the same time; each holds a thread and 19 MiB.
const AT_ONCE: usize = 2;
/// Hashes that may wait for one of those.
const WAITING: usize = 32;
const SALT_BYTES: usize = 16;

/// Compared against when there is no such account, so that the answer takes as long as for one that exists. It is no
/// password's hash: nothing but all parameters are right.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and compares passwords. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Hashing {
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    #[cfg(test)]
    gauge: Arc<Gauge>,
}

/// How many hashes are computed now, and at most were.
#[cfg(test)]
#[derive(Debug, Default)]
struct Gauge {
    now: std::sync::atomic::AtomicUsize,
    most: std::sync::atomic::AtomicUsize,
}

#[cfg(test)]
impl Gauge {
    fn count(self: Arc<Self>) -> impl Drop {
        use std::sync::atomic::Ordering::SeqCst;
        struct Counted(Arc<Gauge>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.now.fetch_sub(1, SeqCst);
            }
        }
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        Counted(self)
    }
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            admitted: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            running: Arc::new(Semaphore::new(AT_ONCE)),
            #[cfg(test)]
            gauge: Arc::default(),
        }
    }
}

impl Hashing {
    /// The PHC string of a new password.
    ///
    /// # Errors
    /// 503 when too many are being hashed already.
    pub(super) async fn hash(&self, random: &dyn Random, password: &Password) -> Result<String> {
        let salt: [u8; SALT_BYTES] = random.bytes();
        let password = password.clone();
        let hash = move || {
            let hash = argon2id()?.hash_password_with_salt(password.reveal().as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(Error::internal)
        };
        self.run(hash).await
    }

    /// Whether `password` is the one behind `hash`; without a hash the same work is done and the answer is no.
    ///
    /// # Errors
    /// 503 when too many are being compared already.
    pub(super) async fn matches(&self, hash: Option<String>, password: &Password) -> Result<bool> {
        let password = password.clone();
        let compare = move || {
            let stored = hash.as_deref().unwrap_or(NOBODY);
            let equal = argon2id()?.verify_password(password.reveal().as_bytes(), stored);
            match equal {
                Ok(()) => Ok(hash.is_some()),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(Error::internal(error)),
            }
        };
        self.run(compare).await
    }

    /// Takes every place, as if that many were being hashed.
    #[cfg(test)]
    pub(super) fn fill(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = u32::try_from(AT_ONCE + WAITING).unwrap();
        Arc::clone(&self.admitted).try_acquire_many_owned(all).unwrap()
    }

    /// How many were computed at the same time at most.
    #[cfg(test)]
    pub(super) fn most_at_once(&self) -> usize {
        self.gauge.most.load(std::sync::atomic::Ordering::SeqCst)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let Ok(admitted) = Arc::clone(&self.admitted).try_acquire_owned() else {
            return Err(Error::unavailable("too many people are signing in at this moment; try again").retry_after(2));
        };
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(Error::internal)?;
        #[cfg(test)]
        let gauge = Arc::clone(&self.gauge);
        let work = move || {
            // Held by the work itself: a caller that gives up does not make room before its hash is done.
            let _permits = (admitted, running);
            #[cfg(test)]
            let _counted = gauge.count();
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

/// OWASP's first recommendation of 2025, which is also the library's default.
fn argon2id() -> Result<Argon2<'static>> {
    let params = Params::new(19_456, 2, 1, None).map_err(Error::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    fn password(text: &str) -> Password {
        Password::try_from(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_only() {
        let hashing = Hashing::default();
        let hash = hashing.hash(&SeededRandom::new(1), &password("correct horse")).await.unwrap();
        assert!(hashing.matches(Some(hash.clone()), &password("correct horse")).await.unwrap());
        assert!(!hashing.matches(Some(hash), &password("correct mouse")).await.unwrap());
        assert!(!hashing.matches(None, &password("correct horse")).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_account_costs_the_same_work() {
        let hash = Hashing::default().hash(&SeededRandom::new(1), &password("correct horse")).await.unwrap();
        let parameters = |phc: &str| phc.splitn(5, '$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parameters(&hash), parameters(NOBODY));
        assert_eq!(hash.len(), NOBODY.len());
    }

    #[tokio::test]
    async fn too_many_at_once_are_turned_away() {
        let hashing = Hashing::default();
        let _all = Arc::clone(&hashing.admitted).acquire_many_owned(34).await.unwrap();
        let error = hashing.matches(None, &password("x")).await.unwrap_err();
        assert_eq!(error.code().as_str(), "unavailable");
    }
}

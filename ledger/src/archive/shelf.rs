//! Where archives are looked for, and how a body is read from one.
//!
//! The log says where a directory was put. It is looked for there, and below the directories that
//! the server's settings name. Its manifest must have the digest that the log names, and an entry
//! the hash that the log has: nothing else of a directory is believed.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runledger_proof::archive::{self, MANIFEST};
use uuid::Uuid;

use super::{Ordered, directory};
use crate::merkle::leaf_hash;

/// Bundles that are kept in memory: readers go from one event to the next.
const KEPT: usize = 16;

/// Where archives are looked for. Cheap to clone; clones share what they have found.
#[derive(Clone, Debug, Default)]
pub struct Archives {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    directories: Vec<PathBuf>,
    /// What the log says of archives that were asked for.
    ordered: Mutex<HashMap<Uuid, Arc<Ordered>>>,
    /// Where they were found.
    found: Mutex<HashMap<Uuid, PathBuf>>,
    /// What was read last: of which archive, and where.
    last: Mutex<Option<(Uuid, u64)>>,
    /// The bundles read last, the latest at the end.
    bundles: Mutex<VecDeque<(Place, Arc<Bundle>)>>,
}

/// An archive, and a bundle of it.
type Place = (Uuid, u64);
type Bundle = Vec<Vec<u8>>;

/// A body that is in an archive which cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event at position {position} is in the archive {archive}, which was put in {place} and \
     cannot be read there or below the directories in `archives`: {why}; put it back there, or name \
     the directory that holds it in the setting `archives`"
)]
pub struct Archived {
    /// The archive.
    pub archive: Uuid,
    /// SHA-256 of its manifest, in hexadecimal.
    pub digest: String,
    /// Where it was put.
    pub place: String,
    /// The event that was asked for.
    pub position: u64,
    /// Why it cannot be read.
    pub why: String,
    /// Whether it was found, and is not what was recorded.
    pub altered: bool,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Archives {
    /// Looks below these directories as well as where the log says.
    pub fn below(directories: Vec<PathBuf>) -> Self {
        Archives { inner: Arc::new(Inner { directories, ..Inner::default() }) }
    }

    pub(crate) fn ordered(&self, archive: Uuid) -> Option<Arc<Ordered>> {
        lock(&self.inner.ordered).get(&archive).cloned()
    }

    pub(crate) fn remember(&self, archive: Uuid, ordered: Ordered) -> Arc<Ordered> {
        let ordered = Arc::new(ordered);
        lock(&self.inner.ordered).insert(archive, Arc::clone(&ordered));
        ordered
    }

    /// The body at `position`, whose hash is `leaf`.
    ///
    /// # Errors
    /// If the archive is not to be found, or holds something else.
    pub(crate) async fn body(
        &self,
        archive: Uuid,
        ordered: &Ordered,
        position: u64,
        leaf: &[u8],
    ) -> Result<Vec<u8>, Archived> {
        let failed = |why: String| Archived {
            archive,
            digest: ordered.digest.clone(),
            place: ordered.place.to_string(),
            position,
            why,
            altered: false,
        };
        self.look_again(archive, position).await;
        let bundle = self.bundle(archive, ordered, position).await.map_err(failed)?;
        let place = usize::try_from(position % runledger_proof::tile::WIDTH).unwrap_or(usize::MAX);
        match bundle.get(place) {
            Some(body) if leaf_hash(body) == *leaf => Ok(body.clone()),
            _ => {
                self.forget(archive);
                let why = "what it holds there is not what was recorded".to_owned();
                Err(Archived { altered: true, ..failed(why) })
            }
        }
    }

    /// Forgets an archive whose directory was taken away since: what is in memory would be answered, and
    /// what is not would not. Who reads on from where it has come to is not held up.
    async fn look_again(&self, archive: Uuid, position: u64) {
        let last = lock(&self.inner.last).replace((archive, position));
        if last.is_some_and(|(of, at)| of == archive && at < position) {
            return;
        }
        let known = lock(&self.inner.found).get(&archive).cloned();
        let Some(known) = known else { return };
        let there = tokio::fs::try_exists(known.join(MANIFEST)).await;
        if !there.is_ok_and(|there| there) {
            self.forget(archive);
        }
    }

    async fn bundle(
        &self,
        archive: Uuid,
        ordered: &Ordered,
        position: u64,
    ) -> Result<Arc<Bundle>, String> {
        let tile = directory::bundle_of(position);
        let key = (archive, tile.index);
        {
            let mut bundles = lock(&self.inner.bundles);
            if let Some(at) = bundles.iter().position(|(of, _)| *of == key)
                && let Some(kept) = bundles.remove(at)
            {
                bundles.push_back(kept.clone());
                return Ok(kept.1);
            }
        }
        let known = lock(&self.inner.found).get(&archive).cloned();
        let (places, digest) = (self.places(ordered), ordered.digest.clone());
        let read = tokio::task::spawn_blocking(move || {
            let from = match known {
                Some(known) => known,
                None => find(&places, &digest)?,
            };
            let name = tile.to_string();
            let told =
                |error: &dyn std::fmt::Display| format!("{}/{name}: {error}", from.display());
            let bytes = directory::read(&from, &name).map_err(|error| told(&error))?;
            let entries = directory::entries(&bytes).map_err(|error| told(&error))?;
            Ok::<_, String>((from, Arc::new(entries)))
        });
        let read = read.await.unwrap_or_else(|error| Err(error.to_string()));
        let (from, bundle) = read.inspect_err(|_| self.forget(archive))?;
        lock(&self.inner.found).insert(archive, from);
        let mut bundles = lock(&self.inner.bundles);
        bundles.push_back((key, Arc::clone(&bundle)));
        if bundles.len() > KEPT {
            bundles.pop_front();
        }
        Ok(bundle)
    }

    /// The next one who asks looks for it anew.
    fn forget(&self, archive: Uuid) {
        lock(&self.inner.found).remove(&archive);
        lock(&self.inner.bundles).retain(|((of, _), _)| *of != archive);
    }

    /// Where it may be.
    fn places(&self, ordered: &Ordered) -> Vec<PathBuf> {
        let place = Path::new(ordered.place.as_str());
        let mut places = vec![place.to_owned()];
        for directory in &self.inner.directories {
            places.extend(place.file_name().map(|name| directory.join(name)));
            places.push(directory.clone());
        }
        places
    }
}

/// The first of these places where the archive is.
fn find(places: &[PathBuf], digest: &str) -> Result<PathBuf, String> {
    let mut why = "it is not there".to_owned();
    for place in places {
        match directory::read(place, MANIFEST) {
            Ok(manifest) if archive::digest(&manifest) == digest => return Ok(place.clone()),
            Ok(_) => why = format!("in {} is another archive", place.display()),
            Err(_) => {}
        }
    }
    Err(why)
}

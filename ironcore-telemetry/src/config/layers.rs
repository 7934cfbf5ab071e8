//! The layers that a user adds to the subscriber.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing_subscriber::{Layer, Registry};

pub(super) type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Shared by the clones of a configuration, because a layer cannot be cloned.
#[derive(Clone, Default)]
pub(super) struct Layers(Arc<Mutex<Vec<BoxedLayer>>>);

impl Layers {
    pub(super) fn add(&self, layer: BoxedLayer) {
        self.locked().push(layer);
    }

    pub(super) fn take(&self) -> Vec<BoxedLayer> {
        std::mem::take(&mut *self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Vec<BoxedLayer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} layers", self.locked().len())
    }
}

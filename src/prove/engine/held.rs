//! What the engine holds for a proof, and gives up when the value ends.

use super::{Engine, Kind};

/// A container, network or image of this run.
#[derive(Debug)]
pub(super) struct Held {
    engine: Engine,
    thing: Thing,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Container,
    Network,
    Image,
}

impl Held {
    pub(super) fn new(engine: &Engine, thing: Thing, name: impl Into<String>) -> Self {
        Self { engine: engine.clone(), thing, name: name.into() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let call = match self.thing {
            // Nobody waits for a program that does not listen to being asked to end.
            Thing::Container if self.engine.kind == Kind::Podman => {
                self.engine.call("rm").args(["--force", "--volumes", "--time", "0"])
            }
            Thing::Container => self.engine.call("rm").args(["--force", "--volumes"]),
            Thing::Network => self.engine.call("network").arg("rm"),
            Thing::Image => self.engine.call("rmi").arg("--force"),
        };
        // What cannot be removed now is swept by its label at the end of the run.
        drop(call.arg(&self.name).clears_up().output());
    }
}

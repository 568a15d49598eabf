//! An engine as a node.

use crate::support::engine::{ENGINES, PrivateEngine};

#[test]
fn a_private_engine_starts_and_ends() {
    for kind in ENGINES {
        let Some(engine) = PrivateEngine::start(kind) else { continue };
        engine.busybox("tools", "");
        assert!(engine.inventory().iter().any(|line| line.contains("tools")), "{:?}", engine.inventory());
        assert_eq!(engine.text(["run", "--rm", "--network", "none", "tools", "echo", "here"]), "here");
    }
}

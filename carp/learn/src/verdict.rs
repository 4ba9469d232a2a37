//! What a check says.

/// Passed, or lines for the learner: what came, what was expected, what kind of mistake it may be.
pub type Verdict = Result<(), String>;

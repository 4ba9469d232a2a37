//! How recorded and replayed numbers compare.

/// How one output compares.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Name without `out.`.
    pub name: String,
    /// Largest |got - want|.
    pub error: f64,
    /// The tolerance: abs + rel * max |want|.
    pub allowed: f64,
    /// Place and value of the first replayed number that is infinite or NaN.
    pub non_finite: Option<(usize, f64)>,
}

impl Comparison {
    /// True if the output is within tolerance.
    pub fn passed(&self) -> bool {
        self.error <= self.allowed
    }
}

/// How one file compares.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditReport {
    /// The recorded computation.
    pub kind: String,
    /// One entry per `out.*` tensor, in order of names.
    pub comparisons: Vec<Comparison>,
    /// Why the replay ended before it had outputs, if it did: a number that is not finite.
    pub ended: Option<String>,
}

impl AuditReport {
    /// True if there are outputs, and all are within tolerance.
    pub fn passed(&self) -> bool {
        self.ended.is_none() && self.comparisons.iter().all(Comparison::passed)
    }
}

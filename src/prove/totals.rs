//! A proof in numbers, and in one word.

use super::judge::Demand;
use super::proof::{Built, Outcome, Proof};
use serde::{Deserialize, Serialize};

/// How many workloads ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Totals {
    /// Hardened, they answer as before.
    pub answers: usize,
    /// Hardened, they start and stay up; no more was demanded.
    pub stays_up: usize,
    /// Hardened, they do not do what they do as found.
    pub breaks: usize,
    /// As found they do not do it either.
    pub fails_as_found: usize,
    /// They were not run.
    pub not_run: usize,
}

/// What a proof comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// Something was run, and all that could be judged holds.
    Holds,
    /// An image no longer builds, or a workload breaks.
    Breaks,
    /// An image does not build as found, so that not everything was judged.
    DoesNotBuild,
    /// Nothing could be judged.
    NothingProved,
}

impl Totals {
    /// Counts the workloads of a proof.
    pub fn of(proof: &Proof) -> Self {
        let mut totals = Self::default();
        for workload in &proof.workloads {
            match &workload.outcome {
                Outcome::Holds { demand: Demand::Answers, .. } => totals.answers += 1,
                Outcome::Holds { demand: Demand::StaysUp, .. } => totals.stays_up += 1,
                Outcome::Breaks(_) => totals.breaks += 1,
                Outcome::Void { .. } => totals.fails_as_found += 1,
                Outcome::NotRun { .. } => totals.not_run += 1,
            }
        }
        totals
    }

    /// All workloads.
    pub fn all(self) -> usize {
        [self.answers, self.stays_up, self.breaks, self.fails_as_found, self.not_run]
            .into_iter()
            .fold(0, usize::saturating_add)
    }

    /// `5 workloads: 3 answer, 1 stays up, 1 breaks`: the numbers add up, and what is 0 is left out.
    pub fn in_words(self) -> String {
        let all = self.all();
        let parts: Vec<String> = [
            (self.answers, "answers", "answer"),
            (self.stays_up, "stays up", "stay up"),
            (self.breaks, "breaks", "break"),
            (self.fails_as_found, "fails as found", "fail as found"),
            (self.not_run, "not run", "not run"),
        ]
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, several)| format!("{number} {}", if number == 1 { one } else { several }))
        .collect();
        match all {
            0 => "no workload".to_owned(),
            1 => format!("1 workload: {}", parts.join(", ")),
            _ => format!("{all} workloads: {}", parts.join(", ")),
        }
    }
}

impl Conclusion {
    /// What a proof comes to. That not everything was judged goes before what was found, as in every run.
    pub fn of(proof: &Proof) -> Self {
        let totals = Totals::of(proof);
        let fails = |built: &Built| matches!(built, Built::No(_));
        if proof.builds.iter().any(|build| fails(&build.before)) {
            Self::DoesNotBuild
        } else if totals.breaks > 0 || proof.builds.iter().any(|build| build.after.as_ref().is_some_and(fails)) {
            Self::Breaks
        } else if totals.answers + totals.stays_up == 0 {
            Self::NothingProved
        } else {
            Self::Holds
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words_add_up() {
        let totals = |answers, stays_up, breaks, fails_as_found, not_run| Totals {
            answers,
            stays_up,
            breaks,
            fails_as_found,
            not_run,
        };
        assert_eq!(Totals::default().in_words(), "no workload");
        assert_eq!(totals(1, 0, 0, 0, 0).in_words(), "1 workload: 1 answers");
        assert_eq!(totals(3, 1, 1, 0, 0).in_words(), "5 workloads: 3 answer, 1 stays up, 1 breaks");
        assert_eq!(totals(0, 2, 2, 1, 3).in_words(), "8 workloads: 2 stay up, 2 break, 1 fails as found, 3 not run");
    }
}

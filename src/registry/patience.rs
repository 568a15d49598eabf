//! How long registries are waited for: what they ask for by `Retry-After`, the back-off where they do not say, and the end of all patience.

use super::failure::Failure;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Requests to one host at the same time: enough to hide latency, too few to look like an attack.
pub(super) const PER_HOST: usize = 8;

/// How often one request is sent at most that is refused for being one too many: it would be answered another time.
pub(super) const ATTEMPTS_WHERE_LIMITED: u32 = 9;

/// How often one request is sent at most to a host that is not up to it: nobody knows whether it ever will be.
pub(super) const ATTEMPTS_WHERE_AWAY: u32 = 6;

/// The first pause where a registry names none; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause where a registry names none.
const PAUSE_MAX: Duration = Duration::from_secs(16);

/// Added at random to a pause that a registry names, so that not all who wait come back at once.
const SPREAD_MAX: Duration = Duration::from_millis(500);

/// When a run has waited for registries long enough, counted from its first question.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    length: Duration,
}

impl Deadline {
    pub(super) fn after(length: Duration) -> Self {
        Self { at: Instant::now() + length, length }
    }

    /// What is said of a question that it cut off.
    pub(super) fn failure(self) -> Failure {
        Failure::unreachable(format!("no answer within the {:?} of the whole run, see --deadline", self.length))
    }

    fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// What went wrong with one attempt.
pub(super) enum Trouble {
    /// It will not go better another time.
    Final(Failure),
    /// It may: the host is busy, limits requests, or is being started again.
    Later {
        failure: Failure,
        /// What the host asks for.
        wait: Option<Duration>,
        /// How often it is worth trying.
        attempts_max: u32,
    },
}

impl Trouble {
    /// The same, said of another host than a question names.
    pub(super) fn at_the_token_service(self) -> Self {
        match self {
            Self::Final(failure) => Self::Final(failure.at("its token service")),
            Self::Later { failure, wait, attempts_max } => {
                Self::Later { failure: failure.at("its token service"), wait, attempts_max }
            }
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// Why a host is not waited for any longer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GivenUp {
    /// In words that follow what went wrong.
    pub(super) why: String,
    /// Whether it holds for all questions to the host, whatever became of others before.
    pub(super) for_all: bool,
}

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// To be let in.
    Login,
    /// For what a question wants to know.
    Question,
}

/// The pace at which one host is asked.
pub(super) struct Pace {
    not_before: Mutex<Instant>,
    logins: AtomicUsize,
    answers: AtomicUsize,
    width: AtomicUsize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            not_before: Mutex::new(Instant::now()),
            logins: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            width: AtomicUsize::new(PER_HOST),
        }
    }
}

impl Pace {
    /// How many requests may be under way at once. Each refusal takes one away, down to one after the other.
    pub(super) fn width(&self) -> usize {
        self.width.load(Ordering::Relaxed)
    }

    /// How many answers of any kind came back, "later" not being one.
    pub(super) fn answers(&self, step: Step) -> usize {
        self.counter(step).load(Ordering::Relaxed)
    }

    /// Whether the host has said anything yet.
    pub(super) fn has_answered(&self) -> bool {
        self.answers(Step::Login) + self.answers(Step::Question) > 0
    }

    pub(super) fn note_answer(&self, step: Step) {
        self.counter(step).fetch_add(1, Ordering::Relaxed);
    }

    fn counter(&self, step: Step) -> &AtomicUsize {
        match step {
            Step::Login => &self.logins,
            Step::Question => &self.answers,
        }
    }

    /// Waits until the host may be asked again.
    pub(super) async fn wait(&self) {
        loop {
            let until = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Makes all questions to the host wait after the `attempt`th refusal (from 1, at most `attempts_max`) of one of them, and
    /// says for how long.
    ///
    /// # Errors
    /// Why it is not worth waiting.
    pub(super) fn slow_down(
        &self,
        attempt: u32,
        attempts_max: u32,
        wait: Option<Duration>,
        deadline: Deadline,
    ) -> Result<Duration, GivenUp> {
        let narrower = |width: usize| Some(width.saturating_sub(1).max(1));
        // The closure never declines.
        let _ = self.width.fetch_update(Ordering::Relaxed, Ordering::Relaxed, narrower);
        let pause = match wait {
            Some(asked) => asked.saturating_add(SPREAD_MAX.min(asked / 10).mul_f64(fastrand::f64())),
            None => back_off(attempt).mul_f64(0.5 + fastrand::f64() / 2.0),
        };
        if pause > deadline.left() {
            let length = deadline.length;
            let why = match wait {
                Some(asked) => {
                    format!("it asks to wait for {asked:?}, beyond the {length:?} of the run, see --deadline")
                }
                None => format!("still so near the end of the {length:?} of the run, see --deadline"),
            };
            return Err(GivenUp { why, for_all: wait.is_some() });
        }
        if attempt >= attempts_max {
            return Err(GivenUp { why: format!("still so after {attempt} attempts"), for_all: false });
        }
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *not_before = (*not_before).max(Instant::now() + pause);
        Ok(pause)
    }
}

fn back_off(attempt: u32) -> Duration {
    PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(PAUSE_MAX)
}

/// How long a server asks to wait: seconds, or the time until a date by its own clock
/// (<https://www.rfc-editor.org/rfc/rfc9110.html#field.retry-after>). `None` where it does not say, or says no time at all.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = |text: &str| chrono::DateTime::parse_from_rfc2822(text).ok();
            let now = date(headers.get(DATE)?.to_str().ok()?)?;
            (date(text)? - now).to_std().unwrap_or_default()
        }
    };
    (wait > Duration::ZERO).then_some(wait)
}

/// The limit that a server says it keeps, in words of our own: `, limit 100 in 21600 s, 0 left`. Empty where it does not say.
/// The headers are those of Docker Hub (<https://docs.docker.com/docker-hub/usage/pulls/>) and of others that put `x-` before
/// them; nothing but their numbers is shown.
pub(super) fn limit(headers: &HeaderMap) -> String {
    let text = |name: &str| {
        let value = headers.get(name).or_else(|| headers.get(format!("x-{name}")));
        value.and_then(|value| value.to_str().ok())
    };
    let number = |text: &str| -> Option<u64> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text.get(..end)?.parse().ok()
    };
    let mut words = String::new();
    if let Some(limit) = text("ratelimit-limit")
        && let Some(most) = number(limit)
    {
        // Writing to a string does not fail.
        let _ = write!(words, ", limit {most}");
        if let Some(seconds) = limit.split_once("w=").and_then(|(_, window)| number(window)) {
            let _ = write!(words, " in {seconds} s");
        }
    }
    if let Some(left) = text("ratelimit-remaining").and_then(number) {
        let _ = write!(words, ", {left} left");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        all.iter().map(header).collect()
    }

    #[test]
    fn a_server_may_ask_for_seconds_or_for_a_date() {
        let asked = |all: &[(&str, &str)]| retry_after(&headers(all)).map(|wait| wait.as_secs());
        assert_eq!(asked(&[("retry-after", "120")]), Some(120));
        let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(asked(&[("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"), date]), Some(30));
        for none in ["0", "", "-5", "soon", "1.5", "99999999999999999999", "Wed, 21 Oct 2026 07:27:00 GMT"] {
            assert_eq!(asked(&[("retry-after", none), date]), None, "{none}");
        }
        assert_eq!(asked(&[("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT")]), None, "whose clock?");
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn limits_are_numbers() {
        let hub = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "0;w=21600")];
        assert_eq!(limit(&headers(&hub)), ", limit 100 in 21600 s, 0 left");
        assert_eq!(
            limit(&headers(&[("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "7")])),
            ", limit 60, 7 left"
        );
        assert_eq!(limit(&headers(&[("ratelimit-limit", "s3cret"), ("ratelimit-remaining", "9s3cret")])), ", 9 left");
        assert_eq!(limit(&headers(&[])), "");
    }

    #[test]
    fn pauses_grow_and_end() {
        let (pace, deadline) = (Pace::default(), Deadline::after(Duration::from_secs(60)));
        let mut least = Duration::ZERO;
        for attempt in 1..9 {
            let pause = pace.slow_down(attempt, 9, None, deadline).unwrap();
            assert!(pause >= least && pause <= PAUSE_MAX, "{attempt}: {pause:?}");
            least = back_off(attempt) / 2;
        }
        assert_eq!(pace.width(), 1);
        let given_up = |why: &str, for_all: bool| Err(GivenUp { why: why.to_owned(), for_all });
        assert_eq!(pace.slow_down(9, 9, None, deadline), given_up("still so after 9 attempts", false));
        let asked = pace.slow_down(1, 9, Some(Duration::from_secs(5)), deadline).unwrap();
        assert!(asked >= Duration::from_secs(5) && asked < Duration::from_secs(6), "{asked:?}");
        assert_eq!(
            pace.slow_down(1, 9, Some(Duration::from_secs(3600)), deadline),
            given_up("it asks to wait for 3600s, beyond the 60s of the run, see --deadline", true)
        );
    }
}

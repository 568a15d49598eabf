//! Many references, few requests: each distinct question once, hosts side by side, a dead host only once.

use super::clients::Clients;
use super::credentials::{DOCKER_HUB_HOST, login_for};
use super::failure::Failure;
use super::patience::{Deadline, PER_HOST};
use super::session::{Memory, Session};
use super::{DEFAULT_TAG, NetworkSettings, Progress, ResolveError, Resolver, Storage, Watch, chain};
use crate::image::{DEFAULT_REGISTRY, ImageConfig, Platform, Reference, Resolved};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Hosts asked at the same time; each is asked [`PER_HOST`] questions at once.
const HOSTS: usize = 8;

/// Asks registries over the network.
pub struct Online {
    settings: NetworkSettings,
    /// Kept from one question to the next.
    memory: Mutex<BTreeMap<Host, Arc<Memory>>>,
    /// Set by the first question.
    deadline: OnceLock<Deadline>,
    watch: Watch,
    storage: Option<Arc<dyn Storage>>,
}

/// A kind of question.
trait Ask: 'static {
    type Answer: Clone + Send + 'static;

    /// What a registry does not give when it refuses.
    const WANTED: &'static str;

    fn ask(
        session: &Session,
        question: &Question,
        platform: Option<&Platform>,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// What a tag or digest names.
enum OfName {}

impl Ask for OfName {
    type Answer = Resolved;
    const WANTED: &'static str = "digest";

    async fn ask(session: &Session, question: &Question, platform: Option<&Platform>) -> Result<Resolved, Failure> {
        chain::resolve(session, &question.repository, &question.version, platform).await
    }
}

/// The configuration of an image.
enum OfImage {}

impl Ask for OfImage {
    type Answer = ImageConfig;
    const WANTED: &'static str = "configuration";

    async fn ask(session: &Session, question: &Question, _: Option<&Platform>) -> Result<ImageConfig, Failure> {
        chain::config(session, &question.repository, &question.version).await
    }
}

impl Online {
    /// Prepares; nothing is sent before the first question.
    pub fn new(settings: NetworkSettings) -> Self {
        Self { settings, memory: Mutex::default(), deadline: OnceLock::new(), watch: Arc::new(|_| {}), storage: None }
    }

    /// The same, telling `watch` how far it is. It is called between requests and must return at once.
    pub fn watched(self, watch: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        Self { watch: Arc::new(watch), ..self }
    }

    /// The same, keeping what is read, and reading what was kept.
    pub fn keeping(self, storage: Arc<dyn Storage>) -> Self {
        Self { storage: Some(storage), ..self }
    }

    fn question(&self, reference: &Reference) -> Question {
        let settings = self.settings.registries.get(reference.registry()).cloned().unwrap_or_default();
        let (address, repository) = asked(&self.settings, reference);
        let host = Host { address, plain_http: settings.plain_http, ca: settings.ca };
        Question { host, repository, version: version(reference).to_owned() }
    }

    fn answers<A: Ask>(&self, references: &[Reference]) -> BTreeMap<Reference, Result<A::Answer, ResolveError>> {
        let questions: BTreeMap<&Reference, Question> =
            references.iter().map(|reference| (reference, self.question(reference))).collect();
        let distinct: BTreeSet<Question> = questions.values().cloned().collect();
        let answers = if distinct.is_empty() { Answers::<A>::new() } else { self.ask_all::<A>(&distinct) };
        let lost = Err(Failure::refused("the request was not carried out"));
        let answer = |reference: &Reference, question: &Question| {
            let answer = answers.get(question).unwrap_or(&lost).clone();
            answer.map_err(|failure| failure.for_reference(A::WANTED, reference, question.host.shown()))
        };
        questions.iter().map(|(reference, question)| ((*reference).clone(), answer(reference, question))).collect()
    }

    fn ask_all<A: Ask>(&self, questions: &BTreeSet<Question>) -> Answers<A> {
        // A current-thread runtime: the work is waiting, and the rest of the program is not asynchronous.
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(_) => return all_fail::<A>(questions, &Failure::unreachable("the network cannot be used")),
        };
        let answers = runtime.block_on(self.ask_hosts::<A>(questions));
        // A name lookup or a credential helper that never returns sits on a thread of its own; dropping the runtime would wait for it.
        runtime.shutdown_background();
        answers
    }

    async fn ask_hosts<A: Ask>(&self, questions: &BTreeSet<Question>) -> Answers<A> {
        let deadline = *self.deadline.get_or_init(|| Deadline::after(self.settings.deadline));
        let clients = Clients::new(self.settings.timeout);
        let tally = Tally { watch: self.watch.clone(), answered: Arc::default(), of: questions.len() };
        let mut by_host: BTreeMap<Host, VecDeque<Question>> = BTreeMap::new();
        for question in questions {
            by_host.entry(question.host.clone()).or_default().push_back(question.clone());
        }
        let places = Arc::new(Semaphore::new(HOSTS));
        let (mut hosts, mut answers) = (JoinSet::new(), Answers::<A>::new());
        for (host, questions) in by_host {
            let http = match clients.client(host.plain_http, host.ca.as_deref()) {
                Ok(http) => http,
                Err(failure) => {
                    answers.extend(all_fail::<A>(&questions, &failure));
                    continue;
                }
            };
            let (memory, timeout, watch) = (self.memory(&host), self.settings.timeout, self.watch.clone());
            let (docker_config, platform) = (self.settings.docker_config.clone(), self.settings.platform.clone());
            let (places, tally, storage) = (places.clone(), tally.clone(), self.storage.clone());
            hosts.spawn(async move {
                // The semaphore is never closed, so there is always a place to wait for.
                let _place = places.acquire().await;
                let (address, logins) = (host.address.clone(), memory.clone());
                let find = move || {
                    logins.login.get_or_init(|| Arc::new(login_for(&address, docker_config.as_deref()))).clone()
                };
                // A credential helper may take its time, or ask a person; other hosts need not wait for that.
                let found = tokio::time::timeout_at(deadline.at, tokio::task::spawn_blocking(find)).await;
                let Ok(Ok(login)) = found else { return all_fail::<A>(&questions, &deadline.failure()) };
                let session = Session { http, host, login, memory, timeout, deadline, watch, storage };
                ask_host::<A>(Line { session, platform, queue: Mutex::new(questions), tally }).await
            });
        }
        answers.extend(gather(hosts).await);
        answers
    }

    fn memory(&self, host: &Host) -> Arc<Memory> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.entry(host.clone()).or_default().clone()
    }
}

/// The host to ask about an image, and what it calls the repository.
pub(super) fn asked(settings: &NetworkSettings, reference: &Reference) -> (String, String) {
    let registry = reference.registry();
    let mirror = settings.registries.get(registry).and_then(|settings| settings.mirror.as_deref());
    let mirror = mirror.map(|mirror| mirror.trim_end_matches('/'));
    let (address, prefix) = match mirror.map(|mirror| mirror.split_once('/').unwrap_or((mirror, ""))) {
        Some((host, prefix)) => (host, prefix),
        None if registry == DEFAULT_REGISTRY => (DOCKER_HUB_HOST, ""),
        None => (registry, ""),
    };
    let repository = match prefix {
        "" => reference.repository().to_owned(),
        prefix => format!("{prefix}/{}", reference.repository()),
    };
    (address.to_owned(), repository)
}

/// What to ask for: the digest where one is written, else the tag.
pub(super) fn version(reference: &Reference) -> &str {
    reference.digest().or(reference.tag()).unwrap_or(DEFAULT_TAG)
}

impl Resolver for Online {
    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>> {
        self.answers::<OfName>(references)
    }

    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>> {
        self.answers::<OfImage>(references)
    }
}

/// The host that is asked, which a mirror makes another one than the reference names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host {
    /// Name or address, and port.
    pub(super) address: String,
    pub(super) plain_http: bool,
    /// The file with certificates of its own.
    ca: Option<PathBuf>,
}

impl Host {
    /// The name for messages: nobody needs to know which host answers for docker.io.
    pub(super) fn shown(&self) -> &str {
        if self.address == DOCKER_HUB_HOST { DEFAULT_REGISTRY } else { &self.address }
    }
}

/// One question to come, however many references wait for its answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    host: Host,
    repository: String,
    /// A tag or a digest.
    version: String,
}

type Answers<A> = BTreeMap<Question, Result<<A as Ask>::Answer, Failure>>;

fn all_fail<'a, A: Ask>(questions: impl IntoIterator<Item = &'a Question>, failure: &Failure) -> Answers<A> {
    questions.into_iter().map(|question| (question.clone(), Err(failure.clone()))).collect()
}

/// How far all questions are, whatever host they are for.
#[derive(Clone)]
struct Tally {
    watch: Watch,
    answered: Arc<AtomicUsize>,
    of: usize,
}

impl Tally {
    fn count(&self) {
        let answered = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
        (self.watch)(Progress::Answered { answered, of: self.of });
    }
}

/// The questions to one host.
struct Line {
    session: Session,
    platform: Option<Platform>,
    queue: Mutex<VecDeque<Question>>,
    tally: Tally,
}

/// Asks one host. The first question goes ahead alone: only when it got an answer of any kind do the others follow, so that a
/// host that never answers costs one time-out and sees one attempt.
async fn ask_host<A: Ask>(line: Line) -> Answers<A> {
    let line = Arc::new(line);
    let mut answers = work::<A>(line.clone(), 0, 1).await;
    let mut workers = JoinSet::new();
    for place in 0..PER_HOST.min(line.left()) {
        workers.spawn(work::<A>(line.clone(), place, usize::MAX));
    }
    answers.extend(gather(workers).await);
    answers
}

/// Asks one question after the other, `most` at most, for as long as the host's pace has a place for this worker.
async fn work<A: Ask>(line: Arc<Line>, place: usize, most: usize) -> Answers<A> {
    let mut answers = Answers::<A>::new();
    while answers.len() < most && place < line.session.memory.pace.width() {
        let Some(question) = line.next() else { break };
        let deadline = line.session.deadline;
        let answer = match line.session.memory.outage() {
            Some(outage) => Err(outage),
            None => {
                let asked = A::ask(&line.session, &question, line.platform.as_ref());
                tokio::time::timeout_at(deadline.at, asked).await.unwrap_or_else(|_| Err(deadline.failure()))
            }
        };
        line.tally.count();
        answers.insert(question, answer);
    }
    answers
}

impl Line {
    fn next(&self) -> Option<Question> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn left(&self) -> usize {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Waits for all. A task that was lost leaves its questions unanswered, which the caller reports.
async fn gather<T: 'static>(mut tasks: JoinSet<BTreeMap<Question, T>>) -> BTreeMap<Question, T> {
    let mut answers = BTreeMap::new();
    while let Some(finished) = tasks.join_next().await {
        answers.extend(finished.unwrap_or_default());
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::super::RegistrySettings;
    use super::*;

    fn question(registry: &str, mirror: Option<&str>, written: &str) -> (String, String, String) {
        let settings = RegistrySettings { mirror: mirror.map(str::to_owned), ..RegistrySettings::default() };
        let registries = BTreeMap::from([(registry.to_owned(), settings)]);
        let online = Online::new(NetworkSettings { registries, ..NetworkSettings::default() });
        let question = online.question(&Reference::parse(written).unwrap());
        (question.host.address, question.repository, question.version)
    }

    #[test]
    fn a_mirror_takes_the_place_of_its_registry_only() {
        let owned = |host: &str, repository: &str, tag: &str| (host.to_owned(), repository.to_owned(), tag.to_owned());
        assert_eq!(question("docker.io", None, "node"), owned("index.docker.io", "library/node", "latest"));
        for mirror in ["127.0.0.1:5000/docker.io", "127.0.0.1:5000/docker.io/"] {
            assert_eq!(
                question("docker.io", Some(mirror), "node:20"),
                owned("127.0.0.1:5000", "docker.io/library/node", "20")
            );
            assert_eq!(question("docker.io", Some(mirror), "ghcr.io/me/app:1"), owned("ghcr.io", "me/app", "1"));
        }
        assert_eq!(question("ghcr.io", Some("cache:80"), "ghcr.io/me/app:1"), owned("cache:80", "me/app", "1"));
    }

    #[test]
    fn nothing_to_ask_asks_nothing() {
        assert!(Online::new(NetworkSettings::default()).resolve(&[]).is_empty());
        assert!(Online::new(NetworkSettings::default()).configs(&[]).is_empty());
    }

    #[test]
    fn images_are_asked_for_by_digest_where_there_is_one() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (written, asked) in [("node", "latest"), ("node:20", "20"), (&format!("node@{digest}"), digest.as_str())] {
            assert_eq!(version(&Reference::parse(written).unwrap()), asked);
        }
        let both = Reference::parse(&format!("node:20@{digest}")).unwrap();
        assert_eq!(version(&both.without_digest().unwrap()), "20");
        assert_eq!(version(&both), digest);
    }
}

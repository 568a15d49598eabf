//! Many references, few requests: each distinct question once, hosts side by side, a dead host only once.

use super::credentials::{DOCKER_HUB_HOST, Login, login_for};
use super::failure::Failure;
use super::session::{Clients, Session};
use super::{DEFAULT_TAG, NetworkSettings, ResolveError, Resolver, chain};
use crate::image::{DEFAULT_REGISTRY, ImageConfig, Reference, Resolved};
use reqwest::header::HeaderValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Repositories asked at the same time, over all hosts: enough to hide latency, too few to look like an attack.
const CONCURRENCY: usize = 8;

/// Asks registries over the network.
pub struct Online {
    settings: NetworkSettings,
    /// Kept from one question to the next.
    memory: Mutex<BTreeMap<Host, Arc<Memory>>>,
}

/// What is known of a host that was asked before.
#[derive(Default)]
struct Memory {
    /// Asking a credential helper again could ask a person again.
    login: OnceLock<Arc<Login>>,
    /// Set by the first request that nobody answered; from then on nothing more is sent.
    outage: Mutex<Option<Failure>>,
}

/// A kind of question.
trait Ask: 'static {
    type Answer: Clone + Send + 'static;

    /// What a registry does not give when it refuses.
    const WANTED: &'static str;

    fn ask(
        session: &Session,
        repository: &str,
        version: &str,
        authorization: Option<&HeaderValue>,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// What a tag or digest names.
enum OfName {}

impl Ask for OfName {
    type Answer = Resolved;
    const WANTED: &'static str = "digest";

    async fn ask(
        session: &Session,
        repository: &str,
        version: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Resolved, Failure> {
        session.resolve(repository, version, authorization).await
    }
}

/// The configuration of an image.
enum OfImage {}

impl Ask for OfImage {
    type Answer = ImageConfig;
    const WANTED: &'static str = "configuration";

    async fn ask(
        session: &Session,
        repository: &str,
        version: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<ImageConfig, Failure> {
        chain::config(session, repository, version, authorization).await
    }
}

impl Online {
    /// Prepares; nothing is sent before the first question.
    pub fn new(settings: NetworkSettings) -> Self {
        Self { settings, memory: Mutex::default() }
    }

    fn question(&self, reference: &Reference) -> Question {
        let registry = reference.registry();
        let settings = self.settings.registries.get(registry).cloned().unwrap_or_default();
        let mirror = settings.mirror.as_deref().map(|mirror| mirror.trim_end_matches('/'));
        let (address, prefix) = match mirror.map(|mirror| mirror.split_once('/').unwrap_or((mirror, ""))) {
            Some((host, prefix)) => (host, prefix),
            None if registry == DEFAULT_REGISTRY => (DOCKER_HUB_HOST, ""),
            None => (registry, ""),
        };
        let repository = match prefix {
            "" => reference.repository().to_owned(),
            prefix => format!("{prefix}/{}", reference.repository()),
        };
        Question {
            host: Host { address: address.to_owned(), plain_http: settings.plain_http },
            repository,
            version: version(reference).to_owned(),
        }
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
        let refuse_all = |failure: &Failure| {
            questions.iter().map(|question| (question.clone(), Err(failure.clone()))).collect::<Answers<A>>()
        };
        let plain = questions.iter().filter(|question| question.host.plain_http);
        let plain_hosts = plain.map(|question| question.host.address.clone()).collect();
        // A current-thread runtime: the work is waiting, and the rest of the program is not asynchronous.
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(_) => return refuse_all(&Failure::unreachable("the network cannot be used")),
        };
        let answers = runtime.block_on(async {
            // Inside the runtime, because the clients' connectors look for it when they are made.
            match Clients::new(&self.settings, plain_hosts) {
                Ok(clients) => self.ask_hosts::<A>(clients, questions).await,
                Err(failure) => refuse_all(&failure),
            }
        });
        // A name lookup that never returns sits on a thread of its own; dropping the runtime would wait for it.
        runtime.shutdown_background();
        answers
    }

    async fn ask_hosts<A: Ask>(&self, clients: Clients, questions: &BTreeSet<Question>) -> Answers<A> {
        let mut by_host: BTreeMap<Host, Vec<Question>> = BTreeMap::new();
        for question in questions {
            by_host.entry(question.host.clone()).or_default().push(question.clone());
        }
        let permits = Arc::new(Semaphore::new(CONCURRENCY));
        let mut hosts = JoinSet::new();
        for (host, questions) in by_host {
            let memory = self.memory(&host);
            let (clients, permits) = (clients.clone(), permits.clone());
            let docker_config = self.settings.docker_config.clone();
            hosts.spawn(async move {
                // A credential helper may take its time, or ask a person; other hosts need not wait for that.
                let (address, logins) = (host.address.clone(), memory.clone());
                let find = move || {
                    logins.login.get_or_init(|| Arc::new(login_for(&address, docker_config.as_deref()))).clone()
                };
                match tokio::task::spawn_blocking(find).await {
                    Ok(login) => {
                        let session = Session::new(clients, host, login);
                        ask_host::<A>(Arc::new(HostState { session, memory, permits }), questions).await
                    }
                    Err(_) => Answers::<A>::new(),
                }
            });
        }
        gather(hosts).await
    }

    fn memory(&self, host: &Host) -> Arc<Memory> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.entry(host.clone()).or_default().clone()
    }
}

/// What to ask for: the digest where one is written, else the tag.
fn version(reference: &Reference) -> &str {
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
}

impl Host {
    /// The name for messages: nobody needs to know which host answers for docker.io.
    fn shown(&self) -> &str {
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

/// Asks one host. The first repository goes ahead alone: only when it got an answer of any kind do the others follow, so that a
/// host that never answers costs one time-out and sees one attempt.
async fn ask_host<A: Ask>(host: Arc<HostState>, questions: Vec<Question>) -> Answers<A> {
    let mut by_repository: BTreeMap<String, Vec<Question>> = BTreeMap::new();
    for question in questions {
        by_repository.entry(question.repository.clone()).or_default().push(question);
    }
    let mut repositories = by_repository.into_values();
    let mut answers = match repositories.next() {
        Some(first) => ask_repository::<A>(host.clone(), first).await,
        None => Answers::<A>::new(),
    };
    let mut others = JoinSet::new();
    for questions in repositories {
        others.spawn(ask_repository::<A>(host.clone(), questions));
    }
    answers.extend(gather(others).await);
    answers
}

struct HostState {
    session: Session,
    memory: Arc<Memory>,
    permits: Arc<Semaphore>,
}

impl HostState {
    fn outage(&self) -> Option<Failure> {
        self.memory.outage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &answer
            && failure.unreachable
        {
            *self.memory.outage.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.clone());
        }
        answer
    }
}

/// Asks about one repository, one question after the other: they share a login.
async fn ask_repository<A: Ask>(host: Arc<HostState>, questions: Vec<Question>) -> Answers<A> {
    // The semaphore is never closed, so there is always a permit to wait for.
    let _permit = host.permits.acquire().await;
    let mut answers = Answers::<A>::new();
    let mut authorization = None;
    for question in questions {
        let answer = match host.outage() {
            Some(outage) => Err(outage),
            None => ask::<A>(&host, &question, &mut authorization).await,
        };
        answers.insert(question, answer);
    }
    answers
}

type Authorization = Result<Option<HeaderValue>, Failure>;

async fn ask<A: Ask>(
    host: &HostState,
    question: &Question,
    authorization: &mut Option<Authorization>,
) -> Result<A::Answer, Failure> {
    let authorization = match authorization {
        Some(authorization) => authorization,
        None => authorization.insert(host.note(host.session.authorize(&question.repository).await)),
    };
    let header = authorization.as_ref().map_err(Clone::clone)?;
    host.note(A::ask(&host.session, &question.repository, &question.version, header.as_ref()).await)
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
        let settings = RegistrySettings { mirror: mirror.map(str::to_owned), plain_http: false };
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

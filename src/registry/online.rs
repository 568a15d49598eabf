//! Many references, few requests: each distinct question once, hosts side by side, a dead host only once.

use super::credentials::{DOCKER_HUB_HOST, login_for};
use super::failure::Failure;
use super::session::{Clients, Session};
use super::{DEFAULT_TAG, Digest, NetworkSettings, ResolveError, Resolver};
use crate::image::{DEFAULT_REGISTRY, Reference};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Repositories asked at the same time, over all hosts: enough to hide latency, too few to look like an attack.
const CONCURRENCY: usize = 8;

/// Asks registries over the network.
pub struct Online {
    settings: NetworkSettings,
}

impl Online {
    /// Prepares; nothing is sent before [`Resolver::resolve`].
    pub fn new(settings: NetworkSettings) -> Self {
        Self { settings }
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
            tag: reference.tag().unwrap_or(DEFAULT_TAG).to_owned(),
        }
    }

    fn ask_all(&self, questions: &BTreeSet<Question>) -> Answers {
        let refuse_all = |failure: &Failure| {
            questions.iter().map(|question| (question.clone(), Err(failure.clone()))).collect::<Answers>()
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
                Ok(clients) => ask_hosts(clients, &self.settings, questions).await,
                Err(failure) => refuse_all(&failure),
            }
        });
        // A name lookup that never returns sits on a thread of its own; dropping the runtime would wait for it.
        runtime.shutdown_background();
        answers
    }
}

impl Resolver for Online {
    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Digest, ResolveError>> {
        let questions: BTreeMap<&Reference, Question> =
            references.iter().map(|reference| (reference, self.question(reference))).collect();
        let distinct: BTreeSet<Question> = questions.values().cloned().collect();
        let answers = if distinct.is_empty() { Answers::new() } else { self.ask_all(&distinct) };
        let lost = Err(Failure::refused("the request was not carried out"));
        let answer = |reference: &Reference, question: &Question| {
            let answer = answers.get(question).unwrap_or(&lost).clone();
            answer.map_err(|failure| failure.for_reference(reference, question.host.shown()))
        };
        questions.iter().map(|(reference, question)| ((*reference).clone(), answer(reference, question))).collect()
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

/// One request to come, however many references wait for its answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    host: Host,
    repository: String,
    tag: String,
}

type Answers = BTreeMap<Question, Result<Digest, Failure>>;

async fn ask_hosts(clients: Clients, settings: &NetworkSettings, questions: &BTreeSet<Question>) -> Answers {
    let mut by_host: BTreeMap<Host, Vec<Question>> = BTreeMap::new();
    for question in questions {
        by_host.entry(question.host.clone()).or_default().push(question.clone());
    }
    let permits = Arc::new(Semaphore::new(CONCURRENCY));
    let mut hosts = JoinSet::new();
    for (host, questions) in by_host {
        let (clients, permits, docker_config) = (clients.clone(), permits.clone(), settings.docker_config.clone());
        hosts.spawn(async move {
            // A credential helper may take its time, or ask a person; other hosts need not wait for that.
            let address = host.address.clone();
            let login = tokio::task::spawn_blocking(move || login_for(&address, docker_config.as_deref())).await;
            match login {
                Ok(login) => ask_host(Session::new(clients, host, login), permits, questions).await,
                Err(_) => Answers::new(),
            }
        });
    }
    gather(hosts).await
}

/// Asks one host. The first repository goes ahead alone: only when it got an answer of any kind do the others follow, so that a
/// host that never answers costs one time-out and sees one attempt.
async fn ask_host(session: Session, permits: Arc<Semaphore>, questions: Vec<Question>) -> Answers {
    let host = Arc::new(HostState { session, outage: Mutex::new(None), permits });
    let mut by_repository: BTreeMap<String, Vec<Question>> = BTreeMap::new();
    for question in questions {
        by_repository.entry(question.repository.clone()).or_default().push(question);
    }
    let mut repositories = by_repository.into_values();
    let mut answers = match repositories.next() {
        Some(first) => ask_repository(host.clone(), first).await,
        None => Answers::new(),
    };
    let mut others = JoinSet::new();
    for questions in repositories {
        others.spawn(ask_repository(host.clone(), questions));
    }
    answers.extend(gather(others).await);
    answers
}

struct HostState {
    session: Session,
    /// Set by the first request that nobody answered; from then on nothing more is sent.
    outage: Mutex<Option<Failure>>,
    permits: Arc<Semaphore>,
}

impl HostState {
    fn outage(&self) -> Option<Failure> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &answer
            && failure.unreachable
        {
            *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.clone());
        }
        answer
    }
}

/// Asks for the tags of one repository, one after the other: they share a login.
async fn ask_repository(host: Arc<HostState>, questions: Vec<Question>) -> Answers {
    // The semaphore is never closed, so there is always a permit to wait for.
    let _permit = host.permits.acquire().await;
    let mut answers = Answers::new();
    let mut authorization = None;
    for question in questions {
        let answer = match host.outage() {
            Some(outage) => Err(outage),
            None => ask(&host, &question, &mut authorization).await,
        };
        answers.insert(question, answer);
    }
    answers
}

type Authorization = Result<Option<reqwest::header::HeaderValue>, Failure>;

async fn ask(
    host: &HostState,
    question: &Question,
    authorization: &mut Option<Authorization>,
) -> Result<Digest, Failure> {
    let authorization = match authorization {
        Some(authorization) => authorization,
        None => authorization.insert(host.note(host.session.authorize(&question.repository).await)),
    };
    let header = authorization.as_ref().map_err(Clone::clone)?;
    host.note(host.session.digest(&question.repository, &question.tag, header.as_ref()).await)
}

/// Waits for all. A task that was lost leaves its questions unanswered, which the caller reports.
async fn gather(mut tasks: JoinSet<Answers>) -> Answers {
    let mut answers = Answers::new();
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
        (question.host.address, question.repository, question.tag)
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
    }
}

//! The conversation with one host: one look at how it lets people in, a token per repository where it wants one, then one HEAD
//! per tag, and GET for what is worth reading. Each request is repeated where the host asks for that, at a pace that all
//! questions to it share.
//!
//! The requests are our own, not oci-client's. Its `fetch_manifest_digest` answers whatever it is sent when the digest header
//! is missing: it hashes the body of a second GET, so a captive portal's HTML page would be pinned as an image, and it asks GET
//! after every refused HEAD, which Docker Hub counts against its limit. Its login asks the host anew for every repository,
//! reads an answer of any length, knows no identity tokens, and loses the status by which a token service asks to be left
//! alone.

use super::challenge::{Challenge, TOKEN_SIZE_MAX, Token, TokenService, token_ran_out};
use super::credentials::{Login, Secret};
use super::failure::Failure;
use super::online::Host;
use super::patience::{ATTEMPTS_WHERE_AWAY, ATTEMPTS_WHERE_LIMITED, Deadline, Pace, Step, Trouble, limit, retry_after};
use super::{Progress, Storage, Watch};
use crate::image::{Digest, MediaType, Resolved};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const DIGEST_HEADER: &str = "docker-content-digest";

/// A token is kept no longer than this, whatever its service says.
const TOKEN_LIFE_MAX: Duration = Duration::from_secs(3600);

/// What is known of a host that was asked before. It outlives the sessions.
#[derive(Default)]
pub(super) struct Memory {
    /// Asking a credential helper again could ask a person again.
    pub(super) login: OnceLock<Arc<Login>>,
    /// Set once nobody answers, or nobody will in time; from then on nothing more is sent.
    outage: Mutex<Option<Failure>>,
    challenge: tokio::sync::Mutex<Option<Challenge>>,
    /// By repository. A repository's first question fetches the token, and the others wait for it.
    tokens: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Option<Granted>>>>>,
    pub(super) pace: Pace,
}

/// What became of the wish for a token.
enum Granted {
    Token { header: HeaderValue, until: Instant },
    Refused(Failure),
}

impl Memory {
    pub(super) fn outage(&self) -> Option<Failure> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn give_up(&self, failure: &Failure) {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.clone());
    }
}

/// One host and the login for it.
pub(super) struct Session {
    pub(super) http: Client,
    pub(super) host: Host,
    pub(super) login: Arc<Login>,
    pub(super) memory: Arc<Memory>,
    pub(super) timeout: Duration,
    pub(super) deadline: Deadline,
    pub(super) watch: Watch,
    /// Where bodies are kept.
    pub(super) storage: Option<Arc<dyn Storage>>,
}

/// What came back for a GET.
pub(super) struct Body {
    /// `Content-Type` without parameters.
    pub(super) media_type: Option<String>,
    /// The digest that the registry says the body has.
    pub(super) digest: Option<String>,
    pub(super) bytes: Vec<u8>,
}

impl Session {
    /// What the registry says `version`, a tag or a digest, names. `None` where it does not say it in so many words, so that
    /// the manifest has to be read and hashed: no digest or several, no type or one that tells nothing.
    pub(super) async fn head(&self, repository: &str, version: &str) -> Result<Option<Resolved>, Failure> {
        let path = format!("{repository}/manifests/{version}");
        let headers = self
            .patiently(Step::Question, || async {
                let response = self.send(Method::HEAD, &path, Some(&accepted()), repository).await?;
                Ok(response.headers().clone())
            })
            .await?;
        let told = media_type(&headers);
        let media_type = match told.as_deref().and_then(MediaType::parse) {
            Some(media_type) => media_type,
            None if told.as_deref().is_none_or(is_untold) => return Ok(None),
            None => return Err(Failure::refused("the answer is not that of a registry")),
        };
        let mut sent = headers.get_all(DIGEST_HEADER).iter();
        let Some(first) = sent.next() else { return Ok(None) };
        if sent.any(|other| other != first) {
            return Ok(None);
        }
        let digest = first.to_str().ok().and_then(Digest::parse);
        let digest = digest.ok_or_else(|| Failure::refused("the digest it sent is not a SHA-256 digest"))?;
        if version.contains(':') && version != digest.as_str() {
            return Err(Failure::refused("it answers with another digest than it was asked for"));
        }
        Ok(Some(Resolved { digest, media_type }))
    }

    /// Reads what stands at `path` below `repository`. A registry may send the question on to another host, as many do for
    /// blobs; the HTTP client then leaves the login behind. The time-out holds for the whole body.
    pub(super) async fn body(
        &self,
        repository: &str,
        path: &str,
        accept: Option<&str>,
        size_max: usize,
    ) -> Result<Body, Failure> {
        let path = format!("{repository}/{path}");
        self.patiently(Step::Question, || async {
            let response = self.send(Method::GET, &path, accept, repository).await?;
            let media_type = media_type(response.headers());
            // A header that is no text is no digest either.
            let sent = response.headers().get(DIGEST_HEADER);
            let digest = sent.map(|digest| digest.to_str().unwrap_or_default().to_owned());
            Ok(Body { media_type, digest, bytes: self.bytes(response, size_max).await? })
        })
        .await
    }

    /// Repeats an attempt for as long as it may go better another time. All questions to the host share the pauses between, and its end.
    async fn patiently<T, F>(&self, step: Step, attempt: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let pace = &self.memory.pace;
        let answers_before = pace.answers(Step::Question);
        let mut attempts = 0;
        loop {
            pace.wait().await;
            if let Some(outage) = self.memory.outage() {
                return Err(outage);
            }
            let (failure, wait, attempts_max) = match attempt().await {
                Ok(answer) => {
                    pace.note_answer(step);
                    return Ok(answer);
                }
                Err(Trouble::Final(failure)) if failure.unreachable => {
                    self.memory.give_up(&failure);
                    return Err(failure);
                }
                Err(Trouble::Final(failure)) => {
                    pace.note_answer(step);
                    return Err(failure);
                }
                Err(Trouble::Later { failure, wait, attempts_max }) => (failure, wait, attempts_max),
            };
            attempts += 1;
            match pace.slow_down(attempts, attempts_max, wait, self.deadline) {
                Ok(pause) => (self.watch)(Progress::Waiting { host: self.host.shown(), pause }),
                Err(given_up) => {
                    let failure = failure.because(&given_up.why);
                    // Where others get answers it is this question that gets none.
                    let alone = pace.answers(Step::Question) == answers_before;
                    if given_up.for_all || failure.unreachable || alone {
                        self.memory.give_up(&failure);
                    }
                    return Err(failure);
                }
            }
        }
    }

    /// One request about `repository` with what the host wants to be shown, and its answer of status 200.
    async fn send(
        &self,
        method: Method,
        path: &str,
        accept: Option<&str>,
        repository: &str,
    ) -> Result<Response, Trouble> {
        let url = self.url(path);
        let mut renewed = false;
        loop {
            let challenge = self.challenge().await?;
            let mut request = self.http.request(method.clone(), &url);
            if let Some(accept) = accept {
                request = request.header(ACCEPT, accept);
            }
            let mut asked = self.login.description;
            request = match (&challenge, &self.login.secret) {
                (Challenge::Token(service), _) => request.header(AUTHORIZATION, self.token(service, repository).await?),
                // Where the door is open, some registries still show more to those they know.
                (_, Secret::Password { user, password }) => request.basic_auth(user, Some(password)),
                (_, Secret::IdentityToken(_)) => {
                    asked = "asked without a login, since an identity token is none for this registry";
                    request
                }
                (_, Secret::Nothing) => request,
            };
            let response = self.response(request).await?;
            if response.status() == StatusCode::OK {
                return Ok(response);
            }
            if !renewed && response.status() == StatusCode::UNAUTHORIZED && token_ran_out(response.headers()) {
                renewed = true;
                self.forget_token(repository);
                continue;
            }
            // A wrong password that is shown again with every question may close the account.
            if response.status() == StatusCode::UNAUTHORIZED
                && matches!((&challenge, &self.login.secret), (Challenge::Password, Secret::Password { .. }))
                && self.memory.pace.answers(Step::Question) == 0
            {
                let refused = self.refusal(&response, asked);
                if let Trouble::Final(failure) = &refused {
                    self.memory.give_up(failure);
                }
                return Err(refused);
            }
            // Where a host lets everyone look at its door, it may still ask at that of a repository.
            let at_the_door = response.status() == StatusCode::UNAUTHORIZED && matches!(challenge, Challenge::Open);
            match self.challenge_of(&response) {
                Challenge::Open => return Err(self.refusal(&response, asked)),
                challenge if at_the_door => *self.memory.challenge.lock().await = Some(challenge),
                _ => return Err(self.refusal(&response, asked)),
            }
        }
    }

    /// How the host lets people in: asked once.
    async fn challenge(&self) -> Result<Challenge, Failure> {
        let mut known = self.memory.challenge.lock().await;
        if let Some(challenge) = &*known {
            return Ok(challenge.clone());
        }
        let url = self.url("");
        let asked = self.patiently(Step::Login, || async {
            let response = self.response(self.http.get(&url)).await?;
            match self.refusal(&response, self.login.description) {
                later @ Trouble::Later { .. } => Err(later),
                Trouble::Final(_) => Ok(self.challenge_of(&response)),
            }
        });
        let challenge = asked.await?;
        *known = Some(challenge.clone());
        Ok(challenge)
    }

    /// What `response` asks to be shown. What another host asks for is nothing to show this host's login for.
    fn challenge_of(&self, response: &Response) -> Challenge {
        let origin =
            |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
        let own = Url::parse(&self.url("")).is_ok_and(|own| origin(&own) == origin(response.url()));
        if own || self.login.secret == Secret::Nothing { Challenge::of(response.headers()) } else { Challenge::Open }
    }

    fn url(&self, path: &str) -> String {
        let scheme = if self.host.plain_http { "http" } else { "https" };
        format!("{scheme}://{}/v2/{path}", self.host.address)
    }

    /// The token for `repository`, fetched once for as long as it is good.
    async fn token(&self, service: &TokenService, repository: &str) -> Result<HeaderValue, Failure> {
        let granted = {
            let mut tokens = self.memory.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.entry(repository.to_owned()).or_default().clone()
        };
        let mut granted = granted.lock().await;
        match &*granted {
            Some(Granted::Token { header, until }) if *until > Instant::now() => return Ok(header.clone()),
            Some(Granted::Refused(failure)) => return Err(failure.clone()),
            _ => {}
        }
        let asked = self.patiently(Step::Login, || async {
            let asked_at = Instant::now();
            let request = service.request(&self.http, repository, &self.login, self.host.plain_http)?;
            let response = self.response(request).await.map_err(Trouble::at_the_token_service)?;
            let asked = self.login.description;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::UNAUTHORIZED if self.login.secret != Secret::Nothing => {
                    let failure = Failure::refused(format!("it issued no token, {asked}"));
                    // A wrong password that is shown again for every repository may close the account.
                    self.memory.give_up(&failure);
                    return Err(failure.into());
                }
                _ => match self.refusal(&response, asked) {
                    Trouble::Final(_) => return Err(Failure::refused(format!("it issued no token, {asked}")).into()),
                    later @ Trouble::Later { .. } => return Err(later),
                },
            }
            let token = Token::parse(&self.bytes(response, TOKEN_SIZE_MAX).await?)?;
            Ok((token.header, asked_at + token.life.min(TOKEN_LIFE_MAX)))
        });
        match asked.await {
            Ok((header, until)) => {
                *granted = Some(Granted::Token { header: header.clone(), until });
                Ok(header)
            }
            Err(failure) => {
                *granted = Some(Granted::Refused(failure.clone()));
                Err(failure)
            }
        }
    }

    fn forget_token(&self, repository: &str) {
        self.memory.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(repository);
    }

    async fn response(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        request.send().await.map_err(|error| self.transport(&error))
    }

    async fn bytes(&self, mut response: Response, size_max: usize) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        // The length that a server announces is not what it has to send.
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(&error))? {
            if bytes.len() + chunk.len() > size_max {
                return Err(Failure::refused(format!("its answer is longer than {} MiB", size_max >> 20)).into());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// A host that answered before and now breaks connections is being started again; one that says nothing at all is not.
    fn transport(&self, error: &reqwest::Error) -> Trouble {
        let failure = Failure::of_transport(error, self.timeout);
        if failure.is_of_connection() && self.memory.pace.has_answered() {
            Trouble::Later { failure, wait: None, attempts_max: ATTEMPTS_WHERE_AWAY }
        } else {
            Trouble::Final(failure)
        }
    }

    /// What an answer of any other status than 200 means; `asked` says with which login.
    fn refusal(&self, response: &Response, asked: &str) -> Trouble {
        let (status, headers) = (response.status().as_u16(), response.headers());
        let failure = Failure::of_status(status, &limit(headers), asked);
        match status {
            429 => Trouble::Later { failure, wait: retry_after(headers), attempts_max: ATTEMPTS_WHERE_LIMITED },
            502..=504 => Trouble::Later { failure, wait: retry_after(headers), attempts_max: ATTEMPTS_WHERE_AWAY },
            _ => Trouble::Final(failure),
        }
    }
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let essence = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?;
    Some(essence.trim().to_owned())
}

/// What a manifest is asked for as. Indices stand first: a registry that converts must not hand out one platform's manifest instead.
pub(super) fn accepted() -> String {
    MediaType::ALL.map(MediaType::as_str).join(", ")
}

/// What servers call a file that they know nothing of.
pub(super) fn is_untold(media_type: &str) -> bool {
    ["application/json", "application/octet-stream"].contains(&media_type)
}

//! What a registry wants to be shown, in its own words: the challenges of RFC 9110 and the token flow that registries share
//! (<https://distribution.github.io/distribution/spec/auth/token/>, <https://distribution.github.io/distribution/spec/auth/oauth/>).

use super::credentials::{Login, Secret};
use super::failure::Failure;
use http_auth::parser::ChallengeParser;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Body, RequestBuilder, Url};
use serde::Deserialize;
use std::time::Duration;

/// Largest answer of a token service, in bytes. Tokens have a few thousand.
pub(super) const TOKEN_SIZE_MAX: usize = 1 << 20;

/// How long a token is good for where its service does not say (the token specification, "Token Response Fields").
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// How a host lets somebody in.
#[derive(Clone)]
pub(super) enum Challenge {
    /// It asks for nothing, or for something that nobody here can give.
    Open,
    /// User and password with each request.
    Password,
    /// A token for each repository.
    Token(TokenService),
}

/// Where tokens come from.
#[derive(Clone)]
pub(super) struct TokenService {
    realm: Url,
    service: Option<String>,
}

/// A token, and how long it is good for.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    pub(super) life: Duration,
}

impl Challenge {
    /// The first challenge that can be met. What is not understood is passed over: the host then refuses the question itself.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::Open;
        for header in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(text) = header.to_str() else { continue };
            for challenge in ChallengeParser::new(text).map_while(Result::ok) {
                let parameter = |name: &str| {
                    let value = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    value.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    let realm = parameter("realm").and_then(|realm| Url::parse(&realm).ok());
                    if let Some(realm) = realm {
                        return Self::Token(TokenService { realm, service: parameter("service") });
                    }
                } else if challenge.scheme.eq_ignore_ascii_case("basic") {
                    found = Self::Password;
                }
            }
        }
        found
    }
}

/// Whether the answer says that the token is not good any longer, in the words of RFC 6750 (3.1).
pub(super) fn token_ran_out(headers: &HeaderMap) -> bool {
    headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|header| header.to_str().ok()).any(|text| {
        ChallengeParser::new(text).map_while(Result::ok).any(|challenge| {
            let mut parameters = challenge.params.iter();
            parameters.any(|(key, value)| key.eq_ignore_ascii_case("error") && value.to_unescaped() == "invalid_token")
        })
    })
}

impl TokenService {
    /// The request for a token that lets `repository` be read.
    ///
    /// # Errors
    /// The service is none that a secret may be sent to: not by HTTPS although the registry is, or not on the web at all.
    pub(super) fn request(
        &self,
        http: &reqwest::Client,
        repository: &str,
        login: &Login,
        plain_http: bool,
    ) -> Result<RequestBuilder, Failure> {
        let scope = format!("repository:{repository}:pull");
        let mut parameters = vec![("scope", scope.as_str())];
        parameters.extend(self.service.as_deref().map(|service| ("service", service)));
        let in_clear = self.realm.scheme() != "https" && !(plain_http && self.realm.scheme() == "http");
        if in_clear && login.secret != Secret::Nothing {
            return Err(Failure::refused("it wants the login to be sent without TLS"));
        }
        let mut url = self.realm.clone();
        // A user in an address would be sent as a login of its own.
        if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
            return Err(Failure::refused("it names no address where a login could be sent"));
        }
        Ok(match &login.secret {
            Secret::Nothing => {
                url.query_pairs_mut().extend_pairs(parameters);
                http.get(url)
            }
            Secret::Password { user, password } => {
                url.query_pairs_mut().extend_pairs(parameters);
                http.get(url).basic_auth(user, Some(password))
            }
            Secret::IdentityToken(token) => {
                let form = traded(token, parameters);
                // A body that can be sent but once: a redirect (307, 308) would carry the secret to wherever it leads.
                http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::wrap(form))
            }
        })
    }
}

/// The form that trades an identity token.
fn traded<'a>(token: &'a str, mut parameters: Vec<(&'a str, &'a str)>) -> String {
    parameters.extend([
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", env!("CARGO_PKG_NAME")),
    ]);
    // It is written as a query is.
    let form = Url::parse_with_params("form:", parameters).ok();
    form.and_then(|form| form.query().map(str::to_owned)).unwrap_or_default()
}

impl Token {
    /// Reads the answer of a token service.
    ///
    /// # Errors
    /// It holds no token, or one that no header can hold.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            /// The same by its name in OAuth 2.0.
            access_token: Option<String>,
            expires_in: Option<u64>,
        }
        let unreadable = || Failure::refused("the token it issued is not readable");
        let answer: Answer = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let text = answer.token.filter(|token| !token.is_empty()).or(answer.access_token).ok_or_else(unreadable)?;
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| unreadable())?;
        header.set_sensitive(true);
        Ok(Self { header, life: answer.expires_in.map_or(TOKEN_LIFE, Duration::from_secs) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::AUTHORIZATION;

    fn challenge(values: &[&'static str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        Challenge::of(&headers)
    }

    fn login(secret: Secret) -> Login {
        Login { secret, description: "asked" }
    }

    fn password() -> Login {
        login(Secret::Password { user: "lab".to_owned(), password: "s3cret".to_owned() })
    }

    #[test]
    fn tokens_go_before_passwords() {
        const BEARER: &str = r#"Bearer realm="https://auth.example/token",service="registry.example""#;
        for values in [
            &[BEARER][..],
            &[r#"Basic realm="x""#, BEARER],
            &[r#"Negotiate, Basic realm="x", bearer Realm="https://auth.example/token",service="registry.example""#],
        ] {
            let Challenge::Token(service) = challenge(values) else { panic!("{values:?}") };
            assert_eq!(service.realm.as_str(), "https://auth.example/token");
            assert_eq!(service.service.as_deref(), Some("registry.example"));
        }
        assert!(matches!(challenge(&[r#"Basic realm="x""#]), Challenge::Password));
        for values in [&[][..], &["Negotiate"], &["Bearer"], &[r#"Bearer realm="/token""#], &[r#"Bearer realm=""#]] {
            assert!(matches!(challenge(values), Challenge::Open), "{values:?}");
        }
    }

    #[test]
    fn secrets_do_not_travel_in_clear() {
        let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
        let at = |realm: &str| TokenService { realm: Url::parse(realm).unwrap(), service: Some("a b".to_owned()) };
        let asked = |realm: &str, login: &Login, plain_http: bool| {
            at(realm).request(&http, "me/app", login, plain_http).map(|request| request.build().unwrap()).ok()
        };
        assert!(asked("http://auth.example/token", &password(), false).is_none());
        assert!(asked("ftp://auth.example/token", &password(), true).is_none());
        let anonymous = asked("http://auth.example/token?a=b", &login(Secret::Nothing), false).unwrap();
        assert_eq!(
            anonymous.url().as_str(),
            "http://auth.example/token?a=b&scope=repository%3Ame%2Fapp%3Apull&service=a+b"
        );
        assert!(anonymous.headers().get(AUTHORIZATION).is_none());
        let known = asked("https://someone:else@auth.example/token", &password(), false).unwrap();
        assert!(known.url().as_str().starts_with("https://auth.example/token?"), "{}", known.url());
        assert!(known.headers().get(AUTHORIZATION).unwrap().is_sensitive());
    }

    #[test]
    fn an_identity_token_is_traded_in_a_form() {
        let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
        let service = TokenService { realm: Url::parse("https://auth.example/oauth2/token").unwrap(), service: None };
        let login = login(Secret::IdentityToken("t&=".to_owned()));
        let request = service.request(&http, "me/app", &login, false).ok().unwrap().build().unwrap();
        assert_eq!((request.method().as_str(), request.url().query()), ("POST", None));
        assert!(request.try_clone().is_none(), "a redirect does not send it once more");
        assert_eq!(
            traded("t&=", vec![("scope", "repository:me/app:pull")]),
            "scope=repository%3Ame%2Fapp%3Apull&grant_type=refresh_token&refresh_token=t%26%3D&client_id=unroot"
        );
    }

    #[test]
    fn a_token_is_one_line() {
        let read = |body: &str| Token::parse(body.as_bytes()).ok();
        let life = |body: &str| read(body).unwrap().life.as_secs();
        assert_eq!(life(r#"{"token":"t","expires_in":300}"#), 300);
        assert_eq!(life(r#"{"access_token":"t"}"#), 60);
        assert_eq!(read(r#"{"token":"","access_token":"t"}"#).unwrap().header, "Bearer t");
        for none in ["", "{}", "<html>", r#"{"token":"a\nb"}"#, r#"{"token":5}"#, r#"{"token":"t","expires_in":-1}"#] {
            assert!(read(none).is_none(), "{none}");
        }
    }
}

//! The `openidconnect` crate as an independent check: discovery, sign-in, validation, userinfo, refresh, revocation,
//! from the issuer, a client id, a secret and a redirect URI alone.

use std::convert::Infallible;

use axum::body::Body;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, RedirectUrl, Scope, TokenResponse as _,
};
use tower::ServiceExt as _;

use crate::actors::{Callback, Idp};

both_engines! {
    async fn the_openidconnect_crate_signs_a_user_in(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let router = idp.router.clone();
        let http = move |request: HttpRequest| {
            let router = router.clone();
            async move {
                let (mut parts, body) = request.into_parts();
                parts.uri = parts.uri.path_and_query().unwrap().as_str().parse().unwrap();
                let answer = router.oneshot(axum::http::Request::from_parts(parts, Body::from(body))).await?;
                let (parts, body) = answer.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec();
                Ok::<_, Infallible>(HttpResponse::from_parts(parts, body))
            }
        };
        let issuer = IssuerUrl::new("https://connect.example.org".into()).unwrap();
        let metadata = CoreProviderMetadata::discover_async(issuer, &http).await.unwrap();
        let client = CoreClient::from_provider_metadata(metadata, ClientId::new("portal".into()), Some(ClientSecret::new(app.secret.clone())))
            .set_redirect_uri(RedirectUrl::new(app.redirect_uri().into()).unwrap());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
            .add_scope(Scope::new("profile".into()))
            .set_pkce_challenge(challenge)
            .url();

        let mut browser = idp.browser();
        let answer = browser.get(&format!("{}?{}", url.path(), url.query().unwrap())).await;
        let page = browser.follow_within(answer).await;
        let callback = Callback::of(&app.log_in(&mut browser, &page, &amina).await);
        assert_eq!(&callback.params["state"], state.secret());

        let tokens = client
            .exchange_code(AuthorizationCode::new(callback.code().into())).unwrap()
            .set_pkce_verifier(verifier)
            .request_async(&http).await.unwrap();
        let verifier = client.id_token_verifier();
        let id_token = tokens.id_token().unwrap();
        let claims = id_token.claims(&verifier, &nonce).unwrap();
        assert_eq!(claims.subject().as_str(), amina.id);
        let hash = AccessTokenHash::from_token(tokens.access_token(), id_token.signing_alg().unwrap(), id_token.signing_key(&verifier).unwrap()).unwrap();
        assert_eq!(claims.access_token_hash(), Some(&hash));
        let info: CoreUserInfoClaims = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone())).unwrap().request_async(&http).await.unwrap();
        assert_eq!(info.preferred_username().map(|name| name.as_str()), Some("amina"));
        let again = client.exchange_refresh_token(tokens.refresh_token().unwrap()).unwrap().request_async(&http).await.unwrap();
        assert!(again.id_token().unwrap().claims(&verifier, |_: Option<&Nonce>| Ok(())).is_ok());
        browser.post("/logout", &[]).await;
        assert!(client.exchange_refresh_token(tokens.refresh_token().unwrap()).unwrap().request_async(&http).await.is_err());
    }
}

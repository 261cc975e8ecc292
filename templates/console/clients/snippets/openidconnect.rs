// cargo add openidconnect --no-default-features && cargo add reqwest
let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
let ask = |request| ask(http.clone(), request);
let metadata = ProviderMetadataWithLogout::discover_async(IssuerUrl::new({{ is.issuer }}.into())?, &ask).await?;
let (id, secret) = (ClientId::new({{ is.client_id }}.into()), ClientSecret::new(var("CLIENT_SECRET")?));
let client = CoreClient::from_provider_metadata(metadata, id, Some(secret))
    .set_redirect_uri(RedirectUrl::new({{ is.redirect_uri }}.into())?);
{% if pinned_to == "client_secret_post" %}let client = client.set_auth_type(AuthType::RequestBody); // this client is pinned to it
{% endif %}
// To sign in: keep verifier, state and nonce in the browser's session, and redirect to url.
let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
let flow = CoreAuthenticationFlow::AuthorizationCode;
let request = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
let scopes = [{{ is.scopes }}].map(|name| Scope::new(name.into()));
let (url, state, nonce) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();

// At the redirect URI, after comparing state.
let exchange = client.exchange_code(AuthorizationCode::new(code.clone()))?;
let tokens = exchange.set_pkce_verifier(verifier).request_async(&ask).await?;
let id_token = tokens.id_token().ok_or("no ID token came")?;
// Checks the signature, issuer, audience, times and nonce.
let claims = id_token.claims(&client.id_token_verifier(), &nonce)?.clone();

/// How the crate reaches Therap Connect: with our own HTTP client, which follows no redirects.
async fn ask(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let mut answer = http.execute(request.try_into()?).await?;
    let mut response = HttpResponse::default();
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    *response.body_mut() = answer.bytes().await?.to_vec();
    Ok(response)
}

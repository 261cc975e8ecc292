# An API asks what an access token is worth (RFC 7662): the page of a client of this kind shows it.
curl --fail-with-body --silent --user "$CLIENT_ID:$CLIENT_SECRET" \
    --data-urlencode "token=$TOKEN" \
    "$ISSUER/oauth2/introspect"

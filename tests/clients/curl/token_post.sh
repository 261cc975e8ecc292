# A service asks for a token for itself (RFC 6749 §4.4), with the secret in the form: where its client is pinned to that.
curl --fail-with-body --silent --data-urlencode "client_id=$CLIENT_ID" --data-urlencode "client_secret=$CLIENT_SECRET" \
    --data grant_type=client_credentials --data-urlencode "scope=$SCOPE" \
    --data-urlencode "resource=$RESOURCE" \
    "$ISSUER/oauth2/token"
